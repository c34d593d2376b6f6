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

/// Turns HealthyPi notifications into samples.
#[derive(Debug)]
pub struct HealthyPiDriver {
    /// In samples.
    timeline: ArrivalTimeline,
    slope: Slope,
    arrived: Option<Nanos>,
    stats: StreamStats,
    status: DeviceStatus,
}

impl Default for HealthyPiDriver {
    fn default() -> Self {
        Self {
            timeline: ArrivalTimeline::new(healthypi::RATE_HZ),
            slope: Slope::default(),
            arrived: None,
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

    fn reconnected(&mut self) {
        self.interrupted();
    }

    fn interrupted(&mut self) {
        self.timeline.break_run();
        self.slope.reset();
        self.arrived = None;
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
        if self.is_foreign(arrived, &values) {
            return Err(DriverError::NotSkin { samples: values.len() });
        }
        self.arrived = Some(arrived);
        let missing = self.timeline.anchor(arrived, ticks, ticks as f64);
        if !missing.is_zero() {
            let samples = self.timeline.ticks(missing);
            self.timeline.skip(samples);
            self.stats.lost_samples += samples;
            self.stats.lost += (samples as f64 / ticks as f64).round() as u64;
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

    /// Whether most values are no skin's, and come when none are due: a notification of something
    /// else. Implausible values in their own time are a bad contact, and stay in the stream.
    fn is_foreign(&self, arrived: Nanos, values: &[f64]) -> bool {
        let ticks = values.len() as u64;
        let early = self.timeline.ticks(self.timeline.ahead(arrived, ticks));
        let mut slope = self.slope;
        let plausible = (1..)
            .zip(values)
            .filter(|(k, value)| {
                let (value, graded) = grade::eda(Some(**value));
                slope.grade(self.timeline.peek(*k), value, graded) == Quality::Good
            })
            .count();
        2 * early > ticks && 2 * plausible < values.len()
    }
}

#[cfg(test)]
mod tests;
