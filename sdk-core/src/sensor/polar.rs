//! Driver of Polar's sensors (H10, OH1, Verity Sense) over PMD: ECG, PPG and acceleration with the
//! device's own timestamps, pulse-to-pulse intervals without.
//!
//! An H10 forgets its clock off the strap, and every stream ends with the link: the profile's
//! `hello` starts them anew, and [`timing`] finds clock restarts and gaps by timestamp.

mod pulses;
mod timing;

use super::{
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
    heart_rate::HeartRateMeasurement,
    polar_pmd::{
        AccelerationLayout, Frame, Measurement, PulseInterval, Samples,
        control::{Message, Op, Response, Status},
    },
};
use pulses::{Passed, PulseTrack};
use timing::{DeviceClock, Order, Track};
use uuid::Uuid;

/// ECG of an H10.
pub(super) const ECG_HZ: u16 = 130;
/// PPG of a Verity Sense.
pub(super) const PPG_HZ: u16 = 55;
/// Acceleration of an H10, at the rate this crate asks for.
pub(super) const H10_ACCELERATION_HZ: u16 = 50;
/// Acceleration of a Verity Sense.
pub(super) const VERITY_ACCELERATION_HZ: u16 = 52;
/// The range this crate asks for; an axis there is saturated.
pub(super) const ACCELERATION_RANGE_G: u16 = 8;

const MILLI_G: f64 = 1_000.0;
const PPI_TICKS_PER_SECOND: u32 = 1_000;
/// Low bits of a frame's first byte: which stream it is of.
const MEASUREMENT_BITS: u8 = 0x3F;

/// Turns PMD notifications into samples.
#[derive(Debug)]
pub struct PolarDriver {
    clock: DeviceClock,
    ecg: Track,
    ppg: Track,
    acceleration: Track,
    /// Pulse-to-pulse intervals, in milliseconds.
    beats: BeatTimeline,
    pulses: PulseTrack,
    /// What compressed counts of acceleration are multiplied with.
    factor: f64,
    stats: StreamStats,
    status: DeviceStatus,
}

impl DeviceDriver for PolarDriver {
    fn handle(
        &mut self,
        arrived: Nanos,
        characteristic: Uuid,
        bytes: &[u8],
    ) -> Result<Vec<Sample>, DriverError> {
        let read = match characteristic {
            gatt::PMD_DATA => self.data(arrived, bytes),
            gatt::PMD_CONTROL => self.control(bytes).map(|()| Vec::new()),
            gatt::HEART_RATE_MEASUREMENT => self.heart_rate(bytes).map(|()| Vec::new()),
            other => Err(DriverError::Characteristic(other)),
        };
        match &read {
            Ok(samples) => self.stats.deliver(samples),
            Err(_) => self.stats.rejected += 1,
        }
        read
    }

    /// The timestamps tell by themselves what was missed; intervals without do not.
    fn reconnected(&mut self) {
        self.beats.link_lost();
    }

    fn interrupted(&mut self) {
        self.clock.interrupted();
        self.beats.break_run();
    }

    fn battery(&mut self, percent: u8) {
        self.status.battery(percent);
    }

    fn stats(&self) -> StreamStats {
        StreamStats { clock_resets: self.clock.resets(), ..self.stats }
    }

    fn status(&self) -> DeviceStatus {
        self.status
    }
}

impl PolarDriver {
    /// A driver that has seen nothing, of a device whose accelerometer runs at this rate.
    #[must_use]
    pub fn new(acceleration_hz: u16) -> Self {
        Self {
            clock: DeviceClock::default(),
            ecg: Track::new(ECG_HZ),
            ppg: Track::new(PPG_HZ),
            acceleration: Track::new(acceleration_hz),
            beats: BeatTimeline::new(PPI_TICKS_PER_SECOND),
            pulses: PulseTrack::default(),
            factor: 1.0,
            stats: StreamStats::default(),
            status: DeviceStatus::default(),
        }
    }

    fn data(&mut self, arrived: Nanos, bytes: &[u8]) -> Result<Vec<Sample>, DriverError> {
        let frame = Frame::parse(bytes).inspect_err(|_| self.refused(bytes))?;
        let timestamp = frame.timestamp_ns;
        Ok(match frame.samples {
            Samples::Ecg(microvolts) => {
                let graded = microvolts.iter().map(|v| (f64::from(*v), grade::ecg(*v)));
                self.stamped(arrived, timestamp, Signal::Ecg, graded.collect())
            }
            Samples::Ppg { counts, .. } => {
                let graded = counts.iter().map(|row| (absorbed(row), grade::ppg(row)));
                self.stamped(arrived, timestamp, Signal::Ppg, graded.collect())
            }
            Samples::Acceleration { counts, layout } => {
                let graded = counts.iter().map(|row| length(*row, layout, self.factor));
                self.stamped(arrived, timestamp, Signal::Acceleration, graded.collect())
            }
            Samples::Ppi(intervals) => self.intervals(arrived, timestamp, &intervals),
        })
    }

    /// Gives a frame's values their times.
    fn stamped(
        &mut self,
        arrived: Nanos,
        timestamp_ns: u64,
        signal: Signal,
        values: Vec<(f64, Quality)>,
    ) -> Vec<Sample> {
        let track = match signal {
            Signal::Ecg => &mut self.ecg,
            Signal::Ppg => &mut self.ppg,
            _ => &mut self.acceleration,
        };
        let run = match track.place(&mut self.clock, timestamp_ns, values.len(), arrived) {
            Order::Next(run) => run,
            Order::Late => {
                self.stats.late += 1;
                self.stats.lost = self.stats.lost.saturating_sub(1);
                return Vec::new();
            }
            Order::Duplicate => {
                self.stats.duplicated += 1;
                return Vec::new();
            }
        };
        self.stats.accepted += 1;
        self.stats.lost += run.lost_frames;
        self.stats.lost_samples += run.lost_samples;
        // The accelerometer says nothing about electrodes.
        let off_body = self.status.contact == Some(false) && signal != Signal::Acceleration;
        (0..)
            .zip(values)
            .map(|(k, (value, graded))| {
                let stream_at = run.time(k);
                Sample {
                    modality: Modality::Hrv,
                    signal,
                    stream_at,
                    at: self.clock.to_session(stream_at).unwrap_or(arrived),
                    value,
                    quality: if off_body { Quality::OffBody } else { graded },
                    contiguous: run.contiguous || k > 0,
                }
            })
            .collect()
    }

    fn intervals(
        &mut self,
        arrived: Nanos,
        timestamp_ns: u64,
        intervals: &[PulseInterval],
    ) -> Vec<Sample> {
        let beats: Vec<_> = intervals.iter().filter(|beat| beat.interval_ms > 0).collect();
        let lengths: Vec<u64> = beats.iter().map(|beat| u64::from(beat.interval_ms)).collect();
        // While the sensor searches for the pulse, it sends intervals of 0.
        let searching = beats.len() < intervals.len();
        let passed = self.pulses.place(&mut self.clock, timestamp_ns, &lengths, arrived);
        match passed {
            Passed::Late => self.stats.late += 1,
            Passed::Again => self.stats.duplicated += 1,
            _ => self.stats.accepted += 1,
        }
        if matches!(passed, Passed::Late | Passed::Again) {
            return Vec::new();
        }
        self.status.contact = intervals.last().map_or(self.status.contact, |last| last.contact);
        if searching || passed == Passed::Anew {
            self.beats.break_run();
        }
        if beats.is_empty() {
            return Vec::new();
        }
        let missing = match passed {
            Passed::Known(missing) if !searching => {
                self.beats.arrive_after(arrived, &lengths, missing)
            }
            _ => self.beats.arrive(arrived, &lengths),
        };
        self.stats.lost = self.stats.lost.saturating_add(missing);
        self.stats.lost_samples = self.stats.lost_samples.saturating_add(missing);
        beats
            .into_iter()
            .map(|beat| {
                let ticks = u64::from(beat.interval_ms);
                let (stream_at, at, contiguous) = self.beats.advance(arrived, ticks);
                Sample {
                    modality: Modality::Hrv,
                    signal: Signal::RrInterval,
                    stream_at,
                    at,
                    value: f64::from(beat.interval_ms),
                    quality: grade::ppi(beat),
                    contiguous,
                }
            })
            .collect()
    }

    fn control(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        match Message::parse(bytes)? {
            Message::Stopped(_) => return Err(DriverError::Stopped),
            Message::Answer(answer) => self.answered(&answer)?,
        }
        self.stats.accepted += 1;
        Ok(())
    }

    fn answered(&mut self, answer: &Response) -> Result<(), DriverError> {
        let Response { op, measurement, status, .. } = *answer;
        match (op, status) {
            (Op::Start, Status::Success) if measurement == Measurement::Acceleration => {
                self.factor = answer.factor();
            }
            (Op::Start, Status::Success | Status::AlreadyInState) => {}
            (Op::Start, status) => return Err(DriverError::NotStarted { measurement, status }),
            // A stream that did not run cannot be stopped: that is what was wanted.
            (Op::Stop | Op::GetSettings, _) => {}
        }
        Ok(())
    }

    /// The sensor's heart rate tells whether it touches skin; its intervals are left to the
    /// profile for straps.
    fn heart_rate(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        self.status.contact = HeartRateMeasurement::parse(bytes)?.contact;
        self.stats.accepted += 1;
        Ok(())
    }

    /// A frame could not be read: its samples are missing, but the frame is not lost.
    fn refused(&mut self, bytes: &[u8]) {
        let measurement = bytes.first().map(|first| first & MEASUREMENT_BITS);
        match measurement.and_then(Measurement::from_number) {
            Some(Measurement::Ecg) => self.ecg.refused(),
            Some(Measurement::Ppg) => self.ppg.refused(),
            Some(Measurement::Acceleration) => self.acceleration.refused(),
            _ => self.beats.break_here(),
        }
    }
}

/// What the blood takes of the LEDs' light beyond ambient: the mean of three, in counts. Reflected
/// light falls as the vessels fill; turned over, it rises with blood volume as a PPG does.
fn absorbed([first, second, third, ambient]: &[i32; 4]) -> f64 {
    let leds = f64::from(*first) + f64::from(*second) + f64::from(*third);
    f64::from(*ambient) - leds / 3.0
}

/// Length of the acceleration vector in g.
fn length(row: [i32; 3], layout: AccelerationLayout, factor: f64) -> (f64, Quality) {
    let g = row.map(|count| layout.milli_g(count, factor) / MILLI_G);
    let full = g.iter().any(|axis| axis.abs() >= f64::from(ACCELERATION_RANGE_G));
    let length = g.iter().map(|axis| axis * axis).sum::<f64>().sqrt();
    (length, if full { Quality::Saturated } else { Quality::Good })
}

#[cfg(test)]
mod tests;
