//! The skin-conductance side of a wristband: samples on the device's own ticks, in batches.

use std::sync::Arc;

use protocol::eda_profile::{EdaMeasurement, picosiemens};

use super::{channel::Piece, clock::DeviceClock, conditions::Conditions};
use crate::{
    fault::Injected,
    physiology::Skin,
    source::{Source, Tape},
    spec::{DeviceSpec, interval_ticks},
};

#[derive(Debug)]
pub(super) struct EdaStream {
    clock: DeviceClock,
    signal: Signal,
    interval_ticks: u16,
    batch: usize,
    range_tenth_microsiemens: u16,
    /// First sample of the next notification.
    sample: u64,
    /// The device clock showed `zero_ticks` at this sample.
    zero_sample: u64,
    zero_ticks: u32,
    clock_was_reset: bool,
}

#[derive(Debug)]
enum Signal {
    Body(Box<Skin>),
    Tape(Arc<Tape>),
}

const PICOSIEMENS_PER_TENTH_MICROSIEMENS: u32 = 100_000;

impl EdaStream {
    pub(super) fn new(spec: &DeviceSpec, clock: DeviceClock, source: &Source) -> Self {
        let (signal, hz) = match source {
            Source::Simulated { seed, script } => {
                (Signal::Body(Box::new(Skin::new(*seed, script))), spec.eda.hz)
            }
            Source::Tape(tape) => (Signal::Tape(Arc::clone(tape)), tape.eda_hz),
        };
        Self {
            clock,
            signal,
            interval_ticks: interval_ticks(hz),
            batch: spec.eda.batch,
            range_tenth_microsiemens: (spec.eda.range_microsiemens * 10.0).round() as u16,
            sample: 0,
            zero_sample: 0,
            zero_ticks: spec.clock_start_ticks,
            clock_was_reset: false,
        }
    }

    /// When the next notification is complete: with its last sample.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        let samples = self.samples_in_next();
        (samples > 0).then(|| self.sampled_ns(self.sample + samples - 1))
    }

    /// What is due, and on to the next.
    pub(super) fn take(
        &mut self,
        sequence: u16,
        battery: u8,
        now: &Conditions,
        counts: &mut Injected,
    ) -> Piece {
        let first = self.sample;
        let full_scale =
            u32::from(self.range_tenth_microsiemens) * PICOSIEMENS_PER_TENTH_MICROSIEMENS;
        let (mut contact, mut saturated) = (true, false);
        let mut samples = Vec::with_capacity(self.batch);
        for sample in first..first + self.samples_in_next() {
            let at_ns = self.sampled_ns(sample);
            let reading = self.signal.picosiemens(sample, at_ns).filter(|v| *v <= full_scale);
            samples.push(if now.off_skin.contains(&at_ns) {
                contact = false;
                None
            } else if now.saturated.contains(&at_ns) {
                saturated = true;
                counts.saturated_samples += 1;
                Some(full_scale)
            } else {
                let reading = reading.filter(|_| !now.no_reading.contains(&at_ns));
                counts.missing_samples += u64::from(reading.is_none());
                reading
            });
        }
        self.sample = first + samples.len() as u64;
        let passed = (first - self.zero_sample) * u64::from(self.interval_ticks);
        let bytes = EdaMeasurement {
            sequence,
            ticks: self.zero_ticks.wrapping_add(passed as u32),
            interval_ticks: self.interval_ticks,
            range_tenth_microsiemens: self.range_tenth_microsiemens,
            contact: Some(contact),
            saturated,
            clock_reset: std::mem::take(&mut self.clock_was_reset),
            battery_percent: Some(battery),
            samples_picosiemens: samples,
        }
        .encode();
        Piece::whole(bytes, first..self.sample)
    }

    /// The clock starts again at zero with the next notification's first sample.
    pub(super) fn reset_clock(&mut self) {
        (self.zero_sample, self.zero_ticks, self.clock_was_reset) = (self.sample, 0, true);
    }

    fn samples_in_next(&self) -> u64 {
        let batch = self.batch as u64;
        match &self.signal {
            Signal::Body(_) => batch,
            Signal::Tape(tape) => {
                batch.min((tape.eda_microsiemens.len() as u64).saturating_sub(self.sample))
            }
        }
    }

    /// Samples are taken whenever the crystal has counted `interval_ticks`; a reset of the count
    /// does not move the crystal.
    fn sampled_ns(&self, sample: u64) -> u64 {
        self.clock.true_ns(sample * u64::from(self.interval_ticks))
    }
}

impl Signal {
    fn picosiemens(&mut self, sample: u64, at_ns: u64) -> Option<u32> {
        match self {
            Self::Body(skin) => picosiemens(skin.microsiemens_at(at_ns as f64 / 1e9)),
            Self::Tape(tape) => {
                let index = usize::try_from(sample).ok()?;
                tape.eda_microsiemens.get(index).copied().and_then(picosiemens)
            }
        }
    }
}
