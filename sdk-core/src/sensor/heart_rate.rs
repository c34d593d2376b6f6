//! Driver of the Heart Rate profile, for any strap.
//!
//! RR intervals carry no time and no sequence number. Their running sum is the stream's timeline;
//! the arrival of notifications anchors it to session time, and where arrivals stay behind that
//! sum, beats are missing. A strap that notifies once a second, whatever the heart does, tells by a
//! second without a notification ([`schedule`]).

mod schedule;

use super::{
    arrivals::time,
    beats::BeatTimeline,
    driver::{DeviceDriver, DriverError},
    grade,
    sample::{Quality, Sample, Signal},
    stats::{DeviceStatus, StreamStats},
};
use crate::clock::Nanos;
use protocol::{
    consent::Modality,
    gatt,
    heart_rate::{HeartRateError, HeartRateMeasurement, RR_TICKS_PER_SECOND},
};
use schedule::Schedule;
use uuid::Uuid;

/// Turns heart-rate notifications into RR samples.
#[derive(Debug)]
pub struct HeartRateDriver {
    /// In 1/1024 s.
    timeline: BeatTimeline,
    schedule: Schedule,
    stats: StreamStats,
    status: DeviceStatus,
}

impl Default for HeartRateDriver {
    fn default() -> Self {
        Self {
            timeline: BeatTimeline::new(RR_TICKS_PER_SECOND),
            schedule: Schedule::default(),
            stats: StreamStats::default(),
            status: DeviceStatus::default(),
        }
    }
}

impl DeviceDriver for HeartRateDriver {
    fn handle(
        &mut self,
        arrived: Nanos,
        characteristic: Uuid,
        bytes: &[u8],
    ) -> Result<Vec<Sample>, DriverError> {
        match characteristic {
            gatt::HEART_RATE_MEASUREMENT => Ok(self.measurement(arrived, bytes)?),
            other => {
                self.stats.rejected += 1;
                Err(DriverError::Characteristic(other))
            }
        }
    }

    /// The heart went on meanwhile: its time away is counted in beats.
    fn reconnected(&mut self) {
        self.timeline.link_lost();
        self.schedule.restart();
    }

    fn interrupted(&mut self) {
        self.timeline.break_run();
        self.schedule.restart();
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

impl HeartRateDriver {
    /// Gives the RR intervals of a notification, oldest first.
    fn measurement(
        &mut self,
        arrived: Nanos,
        payload: &[u8],
    ) -> Result<Vec<Sample>, HeartRateError> {
        let packet = HeartRateMeasurement::parse(payload).inspect_err(|_| {
            self.stats.rejected += 1;
            self.timeline.break_here();
        })?;
        self.stats.accepted += 1;
        self.status.contact = packet.contact;
        let off_body = packet.contact == Some(false);
        self.schedule.arrive(arrived);
        if packet.rr_1024ths.is_empty() {
            // A strap without contact goes on notifying; one that only waits for a beat does not
            // break the run of beats.
            if off_body {
                self.timeline.break_run();
            }
            return Ok(Vec::new());
        }
        self.anchor(arrived, &packet.rr_1024ths);
        let sample = |rr: &u16| {
            let (stream_at, at, contiguous) = self.timeline.advance(arrived, u64::from(*rr));
            let (value, graded) = grade::rr(*rr);
            Sample {
                modality: Modality::Hrv,
                signal: Signal::RrInterval,
                stream_at,
                at,
                value,
                quality: if off_body { Quality::OffBody } else { graded },
                contiguous,
            }
        };
        let samples: Vec<Sample> = packet.rr_1024ths.iter().map(sample).collect();
        self.stats.deliver(&samples);
        Ok(samples)
    }

    /// Ties this notification's intervals to its arrival, and looks for missing beats.
    fn anchor(&mut self, arrived: Nanos, rr_1024ths: &[u16]) {
        let intervals: Vec<u64> = rr_1024ths.iter().map(|rr| u64::from(*rr)).collect();
        let lost = match self.schedule.missing() {
            _ if self.timeline.is_away() => self.timeline.arrive(arrived, &intervals),
            None => self.timeline.arrive(arrived, &intervals),
            Some(missing) if missing.is_zero() => {
                self.timeline.arrive_after(arrived, &intervals, missing)
            }
            Some(missing) => self.timeline.arrive_anew(arrived, &intervals, missing),
        };
        self.stats.lost = self.stats.lost.saturating_add(lost);
        self.stats.lost_samples = self.stats.lost;
    }
}

fn stream_time(sum_1024ths: u64) -> Nanos {
    time(sum_1024ths, RR_TICKS_PER_SECOND)
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

    fn handle(driver: &mut HeartRateDriver, arrived: Nanos, payload: &[u8]) -> Vec<Sample> {
        driver.handle(arrived, gatt::HEART_RATE_MEASUREMENT, payload).unwrap()
    }

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
            samples.extend(handle(&mut driver, arrived, &beat(&[819], None)));
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
        let mut feed = |ms, payload: Vec<u8>| handle(&mut driver, Nanos::from_millis(ms), &payload);
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
        let samples = handle(&mut driver, Nanos::ZERO, &beat(&[0, 1024, u16::MAX], None));
        let qualities: Vec<Quality> = samples.iter().map(|s| s.quality).collect();
        assert_eq!(qualities, [Quality::Artefact, Quality::Good, Quality::Artefact]);
        assert_eq!(samples[1].value, 1000.0);
    }

    /// Ten minutes of a strap that notifies once a second the beats since; notifications numbered
    /// in `lose` do not come. Gives what was counted, and how long after the first loss.
    fn on_a_schedule(rr_s: f64, jitter_ms: u64, lose: &[u64]) -> (u64, Option<u64>) {
        let mut driver = HeartRateDriver::default();
        let (mut reported, mut found_s) = (0, None);
        for second in 1..=600 {
            let beats = (second as f64 / rr_s) as u64;
            let rr = vec![(rr_s * 1024.0).round() as u16; (beats - reported) as usize];
            reported = beats;
            if lose.contains(&second) {
                continue;
            }
            let delay_ms = if jitter_ms == 0 { 0 } else { second * 7_919 % jitter_ms };
            handle(&mut driver, Nanos::from_millis(1_000 * second + delay_ms), &beat(&rr, None));
            if driver.stats().lost > 0 && found_s.is_none() {
                found_s = Some(second - lose.first().copied().unwrap_or_default());
            }
        }
        (driver.stats().lost, found_s)
    }

    #[test]
    fn a_strap_on_a_schedule_loses_nothing_by_it() {
        for rr_s in [0.6, 0.8, 0.95, 1.0, 1.005, 1.02, 1.3] {
            for jitter_ms in [0, 5, 15] {
                let (lost, _) = on_a_schedule(rr_s, jitter_ms, &[]);
                assert_eq!(lost, 0, "{rr_s} s, {jitter_ms} ms");
            }
        }
    }

    #[test]
    fn a_second_without_a_notification_is_found_at_once() {
        for rr_s in [0.6, 0.8, 0.95, 1.02, 1.3] {
            for at in [100, 117, 133, 149] {
                let (lost, found_s) = on_a_schedule(rr_s, 15, &[at]);
                assert!((1..=2).contains(&lost), "{rr_s} s at {at}: {lost}");
                assert!(found_s.unwrap() <= 6, "{rr_s} s at {at}: after {found_s:?} s");
            }
            let lose: Vec<u64> = (0..20).map(|k| 50 + 27 * k).collect();
            let (lost, _) = on_a_schedule(rr_s, 15, &lose);
            assert!((lost as f64 - 20.0 / rr_s).abs() <= 2.0, "{rr_s} s: {lost} of 20 s");
        }
    }

    #[test]
    fn the_time_away_is_counted_and_what_came_just_before() {
        for (away_beats, lost_before) in [(5, 0), (1, 0), (75, 0), (450, 0), (5, 1), (5, 2)] {
            let mut driver = HeartRateDriver::default();
            let send = |driver: &mut HeartRateDriver, k: u64| {
                handle(driver, Nanos::from_millis(1_000 + 800 * k), &beat(&[819], None))
            };
            (0..30).for_each(|k| drop(send(&mut driver, k)));
            // Too few to be found before the link is lost.
            (30..32).for_each(|k| drop(send(&mut driver, k + lost_before)));
            driver.reconnected();
            let after = send(&mut driver, 32 + lost_before + away_beats);
            assert!(!after[0].contiguous);
            assert_eq!(driver.stats().lost, lost_before + away_beats);
            assert_eq!(driver.stats().lost_samples, driver.stats().lost);
        }
    }

    #[test]
    fn what_nobody_may_see_or_no_chest_gives_is_not_lost() {
        let mut driver = HeartRateDriver::default();
        let send = |driver: &mut HeartRateDriver, ms, contact| {
            let rr: &[u16] = if contact { &[819] } else { &[] };
            handle(driver, Nanos::from_millis(ms), &beat(rr, Some(contact)))
        };
        send(&mut driver, 1_000, true);
        driver.reconnected();
        driver.interrupted();
        send(&mut driver, 60_000, true);
        driver.interrupted();
        driver.reconnected();
        send(&mut driver, 120_000, true);
        driver.reconnected();
        send(&mut driver, 150_000, false);
        send(&mut driver, 180_000, true);
        assert_eq!(driver.stats().lost, 0);
    }

    proptest! {
        #[test]
        fn any_bytes_keep_the_accounts(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 0..60),
        ) {
            let mut driver = HeartRateDriver::default();
            for (k, payload) in payloads.iter().enumerate() {
                let arrived = Nanos::from_millis(800 * k as u64);
                let _ = driver.handle(arrived, gatt::HEART_RATE_MEASUREMENT, payload);
            }
            let s = driver.stats();
            prop_assert_eq!(s.accepted + s.rejected, payloads.len() as u64);
        }
    }
}
