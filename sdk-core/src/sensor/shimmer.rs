//! Driver of the Shimmer3 GSR+.
//!
//! Its packets carry a 24-bit clock: what is missing between two of them is known exactly. The
//! clock wraps every 512 s; arrivals tell how often it did during a long outage.

use super::{
    arrivals::time,
    driver::{DeviceDriver, DriverError},
    grade,
    sample::{Quality, Sample, Signal},
    stats::{DeviceStatus, StreamStats},
};
use crate::clock::{Nanos, StreamClock};
use protocol::{
    consent::Modality,
    gatt,
    shimmer::{
        Conductance, Packet, TICKS_PER_SECOND, TIMESTAMP_BITS,
        framer::{Event, Framer},
    },
};
use uuid::Uuid;

/// The sampling interval this crate asks for: 64 Hz.
pub(super) const SAMPLING_TICKS: u16 = 512;

const WRAP_TICKS: u64 = 1 << TIMESTAMP_BITS;
/// Clock and arrivals that disagree by more than 5 s after a gap: the clock restarted.
const RESTART_TICKS: u64 = 5 * TICKS_PER_SECOND as u64;

/// Turns a Shimmer's bytes into samples.
#[derive(Debug, Default)]
pub struct ShimmerDriver {
    framer: Framer,
    clock: StreamClock,
    last: Option<Last>,
    /// The stream was left on purpose since the last sample.
    paused: bool,
    stats: StreamStats,
    status: DeviceStatus,
}

/// The sample before.
#[derive(Debug, Clone, Copy)]
struct Last {
    raw: u32,
    /// The clock, unwrapped: never runs back.
    ticks: u64,
    arrived: Nanos,
}

impl DeviceDriver for ShimmerDriver {
    fn handle(
        &mut self,
        arrived: Nanos,
        characteristic: Uuid,
        bytes: &[u8],
    ) -> Result<Vec<Sample>, DriverError> {
        let read = match characteristic {
            gatt::SHIMMER_FROM_DEVICE => self.bytes(arrived, bytes),
            other => Err(DriverError::Characteristic(other)),
        };
        match &read {
            Ok(samples) => {
                self.stats.accepted += 1;
                self.stats.deliver(samples);
            }
            Err(_) => self.stats.rejected += 1,
        }
        read
    }

    /// The clock tells by itself what was missed; half a packet of before is worth nothing.
    fn reconnected(&mut self) {
        self.framer.reset();
    }

    fn interrupted(&mut self) {
        self.framer.reset();
        self.clock.reset();
        self.paused = true;
    }

    fn battery(&mut self, percent: u8) {
        self.status.battery(percent);
    }

    fn stats(&self) -> StreamStats {
        self.stats
    }

    fn status(&self) -> DeviceStatus {
        self.status
    }
}

impl ShimmerDriver {
    fn bytes(&mut self, arrived: Nanos, bytes: &[u8]) -> Result<Vec<Sample>, DriverError> {
        let mut samples = Vec::new();
        for event in self.framer.push(bytes) {
            let Event::Packet(packet) = event else { continue };
            let interval = self.framer.set_up().map_or(SAMPLING_TICKS, |s| s.sampling_ticks);
            let Packet { ticks, gsr: Some(raw) } = packet else { return Err(DriverError::NoGsr) };
            samples.push(self.sample(arrived, ticks, interval, Conductance::from_raw(raw)));
        }
        Ok(samples)
    }

    fn sample(&mut self, arrived: Nanos, raw: u32, interval: u16, reading: Conductance) -> Sample {
        let (ticks, contiguous) = self.unwrap(arrived, raw, u64::from(interval));
        self.last = Some(Last { raw, ticks, arrived });
        // A packet is given when the next one has begun to arrive: that is the one seen now.
        self.clock.observe(stream_time(ticks.saturating_add(u64::from(interval))), arrived);
        let stream_at = stream_time(ticks);
        // Nothing flows: the electrodes touch nothing.
        self.status.contact = Some(reading.microsiemens.is_some());
        let (value, graded) = grade::eda(Some(reading.microsiemens.unwrap_or(0.0)));
        Sample {
            modality: Modality::Eda,
            signal: Signal::SkinConductance,
            stream_at,
            at: self.clock.to_session(stream_at).unwrap_or(arrived),
            value,
            quality: match reading {
                Conductance { microsiemens: None, .. } => Quality::OffBody,
                Conductance { saturated: true, .. } => Quality::Saturated,
                Conductance { .. } => graded,
            },
            contiguous,
        }
    }

    /// The clock without its wraps, and whether the sample directly follows the one before.
    fn unwrap(&mut self, arrived: Nanos, raw: u32, interval: u64) -> (u64, bool) {
        let paused = std::mem::take(&mut self.paused);
        let Some(last) = self.last else { return (u64::from(raw), false) };
        let elapsed = arrived.since(last.arrived).as_secs_f64() * f64::from(TICKS_PER_SECOND);
        let elapsed = elapsed.round() as u64;
        let step = u64::from(raw.wrapping_sub(last.raw)) & (WRAP_TICKS - 1);
        if paused {
            return (last.ticks.saturating_add(elapsed.max(interval)), false);
        }
        let count = |step: u64| (step + interval / 2) / interval;
        if count(step) == 1 {
            return (last.ticks.saturating_add(step), true);
        }
        let wraps = (elapsed.saturating_sub(step) + WRAP_TICKS / 2) / WRAP_TICKS;
        let step = step.saturating_add(wraps.saturating_mul(WRAP_TICKS));
        if step.abs_diff(elapsed) > RESTART_TICKS {
            self.stats.clock_resets += 1;
            self.clock.reset();
            return (last.ticks.saturating_add(elapsed.max(interval)), false);
        }
        let missing = count(step).saturating_sub(1);
        self.stats.lost += missing;
        self.stats.lost_samples += missing;
        (last.ticks.saturating_add(step), false)
    }
}

fn stream_time(ticks: u64) -> Nanos {
    time(ticks, TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests;
