//! Driver of the HealthyPi Move's skin conductance.
//!
//! The device sends neither time nor counter: the samples themselves, at the firmware's nominal
//! rate, are the timeline, and what is missing is estimated from arrivals. It sends only while a
//! measurement runs on the watch; firmware 3.0 mixes ECG into the same characteristic while it
//! records one, which is told from skin conductance by range and slope, and refused.

use super::{
    arrivals::ArrivalTimeline,
    driver::{DeviceDriver, DriverError},
    grade::{self, Slope},
    sample::{Quality, Sample, Signal},
    stats::{DeviceStatus, StreamStats},
};
use crate::clock::Nanos;
use protocol::{consent::Modality, gatt, healthypi};
use std::time::Duration;
use uuid::Uuid;

/// A silence this long is a measurement that was ended on the watch, not loss.
const PAUSE: Duration = Duration::from_secs(5);

/// Skin conductance is expected again this many notifications after the last plausible one: what
/// else comes before that comes in addition to it.
const EXPECTED_AGAIN: f64 = 1.5;

/// Turns HealthyPi notifications into samples.
#[derive(Debug)]
pub struct HealthyPiDriver {
    /// In samples.
    timeline: ArrivalTimeline,
    slope: Slope,
    arrived: Option<Nanos>,
    /// Arrival of the last notification that was skin conductance for the most part.
    plausible: Option<Nanos>,
    stats: StreamStats,
    status: DeviceStatus,
}

impl Default for HealthyPiDriver {
    fn default() -> Self {
        Self {
            timeline: ArrivalTimeline::new(healthypi::RATE_HZ),
            slope: Slope::default(),
            arrived: None,
            plausible: None,
            stats: StreamStats::default(),
            status: DeviceStatus::default(),
        }
    }
}

impl DeviceDriver for HealthyPiDriver {
    fn handle(
        &mut self,
        arrived: Nanos,
        characteristic: Uuid,
        bytes: &[u8],
    ) -> Result<Vec<Sample>, DriverError> {
        let read = match characteristic {
            gatt::HEALTHYPI_GSR => self.samples(arrived, bytes),
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

    /// The watch went on meanwhile: its time away is counted in notifications.
    fn reconnected(&mut self) {
        self.timeline.link_lost();
        self.forget();
    }

    fn interrupted(&mut self) {
        self.timeline.break_run();
        self.forget();
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

impl HealthyPiDriver {
    fn forget(&mut self) {
        self.slope.reset();
        self.arrived = None;
        self.plausible = None;
    }

    fn samples(&mut self, arrived: Nanos, bytes: &[u8]) -> Result<Vec<Sample>, DriverError> {
        let values: Vec<f64> = healthypi::parse(bytes)
            .inspect_err(|_| self.timeline.break_here())?
            .into_iter()
            .map(healthypi::microsiemens)
            .collect();
        if self.arrived.is_some_and(|before| arrived.since(before) > PAUSE) {
            self.interrupted();
        }
        let ticks = values.len() as u64;
        if self.is_plausible(&values) {
            self.plausible = Some(arrived);
        } else if self.is_extra(arrived, ticks) {
            return Err(DriverError::NotSkin { samples: values.len() });
        }
        self.arrived = Some(arrived);
        let missing = self.timeline.anchor(arrived, ticks, ticks as f64);
        if !missing.is_zero() {
            // What is missing is whole notifications, the watch's grid goes on.
            let lost = (self.timeline.ticks(missing) as f64 / ticks as f64).round() as u64;
            let samples = lost.saturating_mul(ticks);
            self.timeline.skip(samples);
            self.stats.lost_samples = self.stats.lost_samples.saturating_add(samples);
            self.stats.lost = self.stats.lost.saturating_add(lost);
        }
        let sample = |value: f64| {
            let (stream_at, at, contiguous) = self.timeline.advance(arrived, 1);
            let (value, graded) = grade::eda(Some(value));
            Sample {
                modality: Modality::Eda,
                signal: Signal::SkinConductance,
                stream_at,
                at,
                value,
                quality: self.slope.grade(stream_at, value, graded),
                contiguous,
            }
        };
        Ok(values.into_iter().map(sample).collect())
    }

    /// Whether most values go on from the skin conductance so far.
    fn is_plausible(&self, values: &[f64]) -> bool {
        let mut slope = self.slope;
        let good = (1..)
            .zip(values)
            .filter(|(k, value)| {
                let (value, graded) = grade::eda(Some(**value));
                slope.grade(self.timeline.peek(*k), value, graded) == Quality::Good
            })
            .count();
        2 * good >= values.len()
    }

    /// Whether a notification comes when none is due: beside one of skin conductance, or ahead of
    /// its time. Implausible values in their own time are a bad contact, and stay in the stream.
    fn is_extra(&self, arrived: Nanos, ticks: u64) -> bool {
        let soon = EXPECTED_AGAIN * ticks as f64 / f64::from(healthypi::RATE_HZ);
        let beside = self.plausible.is_some_and(|last| arrived.since(last).as_secs_f64() < soon);
        let early = self.timeline.ticks(self.timeline.ahead(arrived, ticks));
        beside || 2 * early > ticks
    }
}

#[cfg(test)]
mod tests;
