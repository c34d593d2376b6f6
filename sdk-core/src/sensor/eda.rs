//! Driver of Attune's EDA profile.

use super::{
    driver::{DeviceDriver, DriverError},
    grade,
    sample::{Quality, Sample, Signal},
    stats::{DeviceStatus, StreamStats},
};
use crate::clock::{Nanos, StreamClock};
use protocol::{
    consent::Modality,
    eda_profile::{EdaError, EdaMeasurement, microsiemens},
    gatt,
};
use std::collections::VecDeque;
use uuid::Uuid;

/// How far back a missing notification is still expected to turn up late.
const REORDER_WINDOW: usize = 64;

/// Turns EDA notifications into samples; counts by sequence number what did not come.
#[derive(Debug, Default)]
pub struct EdaDriver {
    clock: StreamClock,
    expected: Option<u16>,
    missing: VecDeque<u16>,
    /// Payloads refused since the last good one: their sequence numbers look lost but are not.
    refused: u64,
    ticks: Option<Ticks>,
    stats: StreamStats,
    status: DeviceStatus,
}

/// The device clock, unwrapped: never runs back, not even over a restart of the device.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    raw: u32,
    unwrapped: u64,
    interval: u16,
}

/// How a notification stands to those before it.
enum Order {
    Next { contiguous: bool },
    Behind,
}

impl DeviceDriver for EdaDriver {
    fn handle(
        &mut self,
        arrived: Nanos,
        characteristic: Uuid,
        bytes: &[u8],
    ) -> Result<Vec<Sample>, DriverError> {
        match characteristic {
            gatt::EDA_MEASUREMENT => Ok(self.measurement(arrived, bytes)?),
            other => {
                self.stats.rejected += 1;
                Err(DriverError::Characteristic(other))
            }
        }
    }

    /// Its packets carry sequence and clock: they tell by themselves what was missed.
    fn reconnected(&mut self) {}

    fn interrupted(&mut self) {
        self.expected = None;
        self.missing.clear();
        self.refused = 0;
        self.clock.reset();
    }

    /// Its packets carry the battery.
    fn battery(&mut self, _percent: u8) {}

    fn last_sequence(&self) -> Option<u16> {
        self.expected.map(|next| next.wrapping_sub(1))
    }

    fn stats(&self) -> StreamStats {
        self.stats
    }

    fn status(&self) -> DeviceStatus {
        self.status
    }
}

impl EdaDriver {
    /// Gives the samples of a notification, oldest first.
    fn measurement(&mut self, arrived: Nanos, payload: &[u8]) -> Result<Vec<Sample>, EdaError> {
        let packet = EdaMeasurement::parse(payload).inspect_err(|_| {
            self.stats.rejected += 1;
            self.refused += 1;
        })?;
        self.status = DeviceStatus {
            battery_percent: packet.battery_percent.or(self.status.battery_percent),
            contact: packet.contact,
        };
        let on_the_run = self.expected.is_some();
        let resets = self.stats.clock_resets;
        let Order::Next { contiguous } = self.order(&packet) else { return Ok(Vec::new()) };
        let before = self.ticks.filter(|_| on_the_run && resets == self.stats.clock_resets);
        let first = self.unwrap_ticks(&packet);
        if let Some(before) = before.filter(|_| !contiguous) {
            let intervals = (first - before.unwrapped) / u64::from(before.interval);
            self.stats.lost_samples += intervals.saturating_sub(1);
        }
        self.stats.accepted += 1;
        let interval = u64::from(packet.interval_ticks);
        let count = packet.samples_picosiemens.len() as u64;
        self.clock.observe(stream_time(first + interval * count.saturating_sub(1)), arrived);
        let samples: Vec<Sample> = (0..)
            .zip(&packet.samples_picosiemens)
            .map(|(k, picosiemens)| {
                let (value, graded) = grade::eda(picosiemens.map(microsiemens));
                let stream_at = stream_time(first + interval * k);
                Sample {
                    modality: Modality::Eda,
                    signal: Signal::SkinConductance,
                    stream_at,
                    at: self.clock.to_session(stream_at).unwrap_or(arrived),
                    value,
                    quality: match (packet.contact, packet.saturated) {
                        (Some(false), _) => Quality::OffBody,
                        (_, true) if graded == Quality::Good => Quality::Saturated,
                        _ => graded,
                    },
                    contiguous: contiguous || k > 0,
                }
            })
            .collect();
        self.stats.deliver(&samples);
        Ok(samples)
    }

    fn order(&mut self, packet: &EdaMeasurement) -> Order {
        let sequence = packet.sequence;
        let refused = std::mem::take(&mut self.refused);
        let Some(expected) = self.expected else {
            self.expected = Some(sequence.wrapping_add(1));
            return Order::Next { contiguous: false };
        };
        // Distance on the circle of sequence numbers, nearest way round.
        let ahead = sequence.wrapping_sub(expected).cast_signed();
        if packet.clock_reset || usize::from(ahead.unsigned_abs()) > REORDER_WINDOW && ahead < 0 {
            self.restart();
            self.expected = Some(sequence.wrapping_add(1));
            return Order::Next { contiguous: false };
        }
        if ahead < 0 {
            self.refused = refused;
            match self.missing.iter().position(|&m| m == sequence) {
                Some(index) => {
                    self.missing.remove(index);
                    self.stats.lost = self.stats.lost.saturating_sub(1);
                    self.stats.late += 1;
                }
                None => self.stats.duplicated += 1,
            }
            return Order::Behind;
        }
        self.stats.lost += u64::from(ahead.unsigned_abs()).saturating_sub(refused);
        self.missing.extend((0..ahead.unsigned_abs()).map(|k| expected.wrapping_add(k)));
        let excess = self.missing.len().saturating_sub(REORDER_WINDOW);
        self.missing.drain(..excess);
        self.expected = Some(sequence.wrapping_add(1));
        Order::Next { contiguous: ahead == 0 && refused == 0 }
    }

    fn restart(&mut self) {
        self.stats.clock_resets += 1;
        self.missing.clear();
        self.clock.reset();
        if let Some(ticks) = &mut self.ticks {
            ticks.unwrapped += u64::from(ticks.interval);
        }
        self.ticks = self.ticks.map(|t| Ticks { raw: 0, ..t });
    }

    fn unwrap_ticks(&mut self, packet: &EdaMeasurement) -> u64 {
        let count = packet.samples_picosiemens.len().max(1) as u64 - 1;
        let first = match self.ticks {
            None => u64::from(packet.ticks),
            Some(t) => t.unwrapped + u64::from(packet.ticks.wrapping_sub(t.raw)),
        };
        let span = u64::from(packet.interval_ticks) * count;
        self.ticks = Some(Ticks {
            raw: packet.ticks.wrapping_add(span as u32),
            unwrapped: first + span,
            interval: packet.interval_ticks,
        });
        first
    }
}

/// Device ticks to time on the stream, exact: 10^9 / 32768 = 1953125 / 64.
pub(super) fn stream_time(ticks: u64) -> Nanos {
    Nanos((u128::from(ticks) * 1_953_125 / 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(sequence: u16) -> EdaMeasurement {
        EdaMeasurement {
            sequence,
            ticks: u32::from(sequence) * 8192,
            interval_ticks: 8192,
            range_tenth_microsiemens: 1000,
            contact: Some(true),
            saturated: false,
            clock_reset: false,
            battery_percent: Some(90),
            samples_picosiemens: vec![Some(2_000_000)],
        }
    }

    fn feed(driver: &mut EdaDriver, packet: &EdaMeasurement) -> Vec<Sample> {
        let arrived = Nanos::from_millis(10_000);
        driver.handle(arrived, gatt::EDA_MEASUREMENT, &packet.encode()).unwrap()
    }

    fn check(sequences: &[u16], expected: StreamStats) {
        let mut driver = EdaDriver::default();
        let samples: usize = sequences.iter().map(|&s| feed(&mut driver, &packet(s)).len()).sum();
        let accepted = driver.stats().accepted;
        let lost_samples = expected.lost + expected.late;
        let expected = StreamStats { accepted, samples: accepted, lost_samples, ..expected };
        assert_eq!(driver.stats(), expected);
        assert_eq!(samples as u64, accepted);
    }

    #[test]
    fn losses_are_counted_by_sequence() {
        let none = StreamStats::default();
        check(&[0, 1, 2], none);
        check(&[65_534, 65_535, 0, 1], none);
        check(&[7, 9, 12], StreamStats { lost: 3, ..none });
        check(&[0, 1, 1, 2], StreamStats { duplicated: 1, ..none });
        check(&[0, 2, 1, 3], StreamStats { late: 1, ..none });
        check(&[0, 1, 300, 301], StreamStats { lost: 298, ..none });
    }

    #[test]
    fn what_was_sent_without_consent_is_not_lost() {
        let mut driver = EdaDriver::default();
        feed(&mut driver, &packet(0));
        driver.interrupted();
        assert!(!feed(&mut driver, &packet(40))[0].contiguous);
        assert_eq!(driver.stats().lost, 0);
    }

    #[test]
    fn refused_payloads_are_not_lost_ones() {
        let mut driver = EdaDriver::default();
        feed(&mut driver, &packet(0));
        assert!(driver.handle(Nanos::ZERO, gatt::EDA_MEASUREMENT, &[1, 2, 3]).is_err());
        let next = feed(&mut driver, &packet(2));
        assert!(!next[0].contiguous);
        assert_eq!((driver.stats().rejected, driver.stats().lost), (1, 0));
    }

    #[test]
    fn stream_time_is_exact_and_survives_wrap_and_reset() {
        let mut driver = EdaDriver::default();
        let at = |driver: &mut EdaDriver, sequence, ticks, clock_reset| {
            let p = EdaMeasurement { ticks, clock_reset, ..packet(sequence) };
            feed(driver, &p)[0].stream_at
        };
        let first = at(&mut driver, 0, u32::MAX - 8191, false);
        assert_eq!(first, stream_time(u64::from(u32::MAX - 8191)));
        assert_eq!(at(&mut driver, 1, 0, false), first + std::time::Duration::from_millis(250));
        assert_eq!(at(&mut driver, 0, 0, true), first + std::time::Duration::from_millis(500));
        assert_eq!(driver.stats().clock_resets, 1);
        assert_eq!(stream_time(8192), Nanos::from_millis(250));
    }

    #[test]
    fn contact_and_range_grade_the_sample() {
        let mut driver = EdaDriver::default();
        let mut quality = |change: fn(&mut EdaMeasurement)| {
            let sequence = driver.expected.unwrap_or(0);
            let mut p = packet(sequence);
            change(&mut p);
            feed(&mut driver, &p)[0].quality
        };
        assert_eq!(quality(|_| ()), Quality::Good);
        assert_eq!(quality(|p| p.contact = Some(false)), Quality::OffBody);
        assert_eq!(quality(|p| p.saturated = true), Quality::Saturated);
        assert_eq!(quality(|p| p.samples_picosiemens = vec![None]), Quality::Missing);
        assert_eq!(quality(|p| p.samples_picosiemens = vec![Some(0)]), Quality::Artefact);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_order_keep_the_accounts(
            payloads in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    (any::<u16>(), any::<u32>(), any::<bool>()).prop_map(|(s, t, reset)| {
                        EdaMeasurement { ticks: t, clock_reset: reset, ..packet(s) }.encode()
                    }),
                    (0u16..80).prop_map(|s| packet(s).encode()),
                ], 0..60),
        ) {
            let mut driver = EdaDriver::default();
            let mut last = Nanos::ZERO;
            for (k, payload) in payloads.iter().enumerate() {
                let arrived = Nanos::from_millis(k as u64);
                let samples = driver.handle(arrived, gatt::EDA_MEASUREMENT, payload);
                for sample in samples.unwrap_or_default() {
                    prop_assert!(sample.stream_at >= last);
                    last = sample.stream_at;
                }
            }
            let s = driver.stats();
            let taken = s.accepted + s.rejected + s.late + s.duplicated;
            prop_assert_eq!(taken, payloads.len() as u64);
        }
    }
}
