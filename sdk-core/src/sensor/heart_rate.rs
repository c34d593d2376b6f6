//! Driver of the Heart Rate profile, for any strap.
//!
//! RR intervals carry no time and no sequence number. Their running sum is the stream's timeline;
//! the arrival of notifications anchors it to session time, and where arrivals stay behind that
//! sum, beats are missing.

use super::{
    grade,
    sample::{Quality, Sample, Signal},
    stats::{DeviceStatus, StreamStats},
};
use crate::clock::{Nanos, StreamClock};
use protocol::{
    consent::Modality,
    heart_rate::{HeartRateError, HeartRateMeasurement, RR_TICKS_PER_SECOND},
};
use std::time::Duration;

/// Arrivals must stay behind for this many notifications before beats count as missing: one late
/// packet is the radio, four are a gap.
const LATE_IN_A_ROW: usize = 4;

/// Lag that counts as a missing beat, as a share of one RR interval.
const MISSING_SHARE: f64 = 0.6;

/// Turns heart-rate notifications into RR samples.
#[derive(Debug, Default)]
pub struct HeartRateDriver {
    clock: StreamClock,
    /// Sum of all RR intervals, in 1/1024 s.
    sum_1024ths: u64,
    /// The next interval does not follow the one before it.
    broken: bool,
    lag: [Duration; LATE_IN_A_ROW],
    stats: StreamStats,
    status: DeviceStatus,
}

impl HeartRateDriver {
    /// Takes one notification; gives its RR intervals, oldest first.
    ///
    /// # Errors
    /// [`HeartRateError`] when the payload cannot be read. It is counted; the next one goes on.
    pub fn handle(
        &mut self,
        arrived: Nanos,
        payload: &[u8],
    ) -> Result<Vec<Sample>, HeartRateError> {
        let packet = HeartRateMeasurement::parse(payload).inspect_err(|_| {
            self.stats.rejected += 1;
            self.broken = true;
        })?;
        self.stats.accepted += 1;
        self.status.contact = packet.contact;
        let off_body = packet.contact == Some(false);
        if packet.rr_1024ths.is_empty() {
            // A strap without contact goes on notifying; one that only waits for a beat does not
            // break the run of beats.
            if off_body {
                self.break_run();
            }
            return Ok(Vec::new());
        }
        self.anchor(arrived, &packet.rr_1024ths);
        let mut samples = Vec::with_capacity(packet.rr_1024ths.len());
        let mut at_1024ths = self.sum_1024ths;
        for &rr in &packet.rr_1024ths {
            at_1024ths += u64::from(rr);
            let stream_at = stream_time(at_1024ths);
            let (value, graded) = grade::rr(rr);
            samples.push(Sample {
                modality: Modality::Hrv,
                signal: Signal::RrInterval,
                stream_at,
                at: self.clock.to_session(stream_at).unwrap_or(arrived),
                value,
                quality: if off_body { Quality::OffBody } else { graded },
                contiguous: !std::mem::take(&mut self.broken) && self.stats.samples > 0,
            });
            self.stats.samples += 1;
        }
        self.sum_1024ths = at_1024ths;
        let poor = samples.iter().filter(|s| s.quality != Quality::Good).count();
        self.stats.poor_samples += poor as u64;
        Ok(samples)
    }

    /// The link went down and came back: what follows does not follow on.
    pub fn reconnected(&mut self) {
        self.break_run();
    }

    /// Takes a reading of the battery characteristic.
    pub fn battery(&mut self, percent: u8) {
        self.status.battery_percent = (percent <= 100).then_some(percent);
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.stats
    }

    /// What the device last said about itself.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        self.status
    }

    fn break_run(&mut self) {
        self.broken = true;
        self.clock.reset();
        self.lag = [Duration::ZERO; LATE_IN_A_ROW];
    }

    /// Ties the end of this notification's intervals to its arrival, and looks for missing beats.
    fn anchor(&mut self, arrived: Nanos, rr_1024ths: &[u16]) {
        let total: u64 = rr_1024ths.iter().map(|&rr| u64::from(rr)).sum();
        let end = stream_time(self.sum_1024ths + total);
        if let Some(expected) = self.clock.to_session(end) {
            self.lag.rotate_left(1);
            self.lag[LATE_IN_A_ROW - 1] = arrived.since(expected);
            let behind = self.lag.iter().min().copied().unwrap_or_default();
            let one_beat = stream_time(total).as_secs_f64() / rr_1024ths.len() as f64;
            if behind.as_secs_f64() > MISSING_SHARE * one_beat {
                self.stats.lost += (behind.as_secs_f64() / one_beat).round() as u64;
                self.break_run();
            }
        }
        self.clock.observe(end, arrived);
    }
}

fn stream_time(sum_1024ths: u64) -> Nanos {
    Nanos((u128::from(sum_1024ths) * 1_000_000_000 / u128::from(RR_TICKS_PER_SECOND)) as u64)
}

/// The stream time of the RR intervals of a recording: the same sum, the same bits.
pub(super) fn stream_times(rr_1024ths: impl Iterator<Item = u16>) -> impl Iterator<Item = Nanos> {
    rr_1024ths.scan(0u64, |sum, rr| {
        *sum += u64::from(rr);
        Some(stream_time(*sum))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beat(rr_1024ths: &[u16], contact: Option<bool>) -> Vec<u8> {
        let rr_1024ths = rr_1024ths.to_vec();
        HeartRateMeasurement { heart_rate_bpm: 72, contact, energy_kj: None, rr_1024ths }.encode()
    }

    /// Feeds beats of 800 ms that arrive when they happen, plus a delay each.
    fn run(delays_ms: &[u64], skip: &[usize]) -> (HeartRateDriver, Vec<Sample>) {
        let mut driver = HeartRateDriver::default();
        let mut samples = Vec::new();
        for (k, delay) in delays_ms.iter().enumerate().filter(|(k, _)| !skip.contains(k)) {
            let arrived = Nanos::from_millis(1_000 + 800 * k as u64 + delay);
            samples.extend(driver.handle(arrived, &beat(&[819], None)).unwrap());
        }
        (driver, samples)
    }

    #[test]
    fn jitter_is_not_loss() {
        let (driver, samples) = run(&[0, 300, 20, 900, 0, 60, 700, 700, 700, 10, 0, 5], &[]);
        assert_eq!(driver.stats().lost, 0);
        assert!(samples[1..].iter().all(|s| s.contiguous));
    }

    #[test]
    fn missing_beats_are_found_by_the_lag() {
        let (driver, samples) = run(&[0; 20], &[8]);
        assert_eq!(driver.stats().lost, 1);
        assert_eq!(samples.iter().filter(|s| !s.contiguous).count(), 2, "the first and the gap");
        assert_eq!(run(&[0; 30], &[8, 9, 10]).0.stats().lost, 3);
    }

    #[test]
    fn lost_contact_breaks_the_run() {
        let mut driver = HeartRateDriver::default();
        let mut feed =
            |ms, payload: Vec<u8>| driver.handle(Nanos::from_millis(ms), &payload).unwrap();
        feed(1_000, beat(&[819], Some(true)));
        assert!(feed(1_800, beat(&[819], Some(true)))[0].contiguous);
        assert!(feed(2_600, beat(&[], Some(false))).is_empty());
        let after = feed(9_000, beat(&[819], Some(true)));
        assert!(!after[0].contiguous);
        assert_eq!(after[0].at, Nanos::from_millis(9_000), "re-anchored to its arrival");
        assert_eq!(after[0].stream_at, stream_time(3 * 819), "the sum of intervals goes on");
        assert_eq!(driver.stats().lost, 0);
    }

    #[test]
    fn absurd_intervals_are_artefacts() {
        let mut driver = HeartRateDriver::default();
        let samples = driver.handle(Nanos::ZERO, &beat(&[0, 1024, u16::MAX], None)).unwrap();
        let qualities: Vec<Quality> = samples.iter().map(|s| s.quality).collect();
        assert_eq!(qualities, [Quality::Artefact, Quality::Good, Quality::Artefact]);
        assert_eq!(samples[1].value, 1000.0);
    }

    proptest! {
        #[test]
        fn any_bytes_keep_the_accounts(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 0..60),
        ) {
            let mut driver = HeartRateDriver::default();
            for (k, payload) in payloads.iter().enumerate() {
                let _ = driver.handle(Nanos::from_millis(800 * k as u64), payload);
            }
            let s = driver.stats();
            prop_assert_eq!(s.accepted + s.rejected, payloads.len() as u64);
        }
    }
}
