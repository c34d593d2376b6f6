//! Polar Measurement Data (PMD), both ways: what an H10, OH1 or Verity Sense streams beyond heart
//! rate. The control point is in [`control`], the delta compression in [`delta`].
//!
//! One notification of the data characteristic is one frame:
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0 | measurement | b0..b5: [`Measurement`] |
//! | 1..9 | timestamp | u64, ns since 2000-01-01 UTC, of the *last* sample |
//! | 9 | frame type | b0..b6 layout of a sample, b7 delta-compressed |
//! | 10.. | samples | oldest first |
//!
//! Little endian throughout. Layouts read here: ECG 0 (i24 microvolts); PPG 0 (three LEDs and
//! ambient light, i24 each), raw or compressed; acceleration 0, 1, 2 (three axes of i8, i16, i24),
//! raw, and 0 and 1 compressed; PPI 0 (6 bytes). Source: the format as documented by the maker for
//! its public SDK; this code shares nothing with it.

pub mod control;
pub mod delta;

use delta::DeltaError;
use thiserror::Error;

/// 2000-01-01T00:00:00Z, the epoch of PMD timestamps, in Unix nanoseconds.
pub const EPOCH_UNIX_NS: u64 = 946_684_800_000_000_000;
/// Most samples one frame may hold: ten times what the largest ATT payload carries in practice. A
/// block of deltas of 0 bits needs no bytes at all, so the length of a frame alone bounds nothing.
pub const MAX_SAMPLES: usize = 1_024;

const HEADER_BYTES: usize = 10;
const MEASUREMENT_BITS: u8 = 0x3F;
const COMPRESSED: u8 = 0x80;
const PPI_BYTES: usize = 6;
const BLOCKER: u8 = 1 << 0;
const CONTACT_DETECTED: u8 = 1 << 1;
const CONTACT_SUPPORTED: u8 = 1 << 2;

/// What a stream measures. The number is the one on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Measurement {
    /// Electrocardiogram.
    Ecg = 0,
    /// Photoplethysmogram.
    Ppg = 1,
    /// Acceleration.
    Acceleration = 2,
    /// Pulse-to-pulse intervals.
    Ppi = 3,
    /// Skin temperature.
    SkinTemperature = 7,
    /// Not a stream: the mode that opens further rates and closes heart rate and PPI.
    SdkMode = 9,
}

impl Measurement {
    const ALL: [Self; 6] =
        [Self::Ecg, Self::Ppg, Self::Acceleration, Self::Ppi, Self::SkinTemperature, Self::SdkMode];

    /// The measurement with this number; `None` for those this crate does not know.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|m| *m as u8 == number)
    }
}

/// One notification of the data characteristic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Time of the last sample, ns since [`EPOCH_UNIX_NS`]. PPI frames of older firmware have 0.
    pub timestamp_ns: u64,
    /// The samples, oldest first.
    pub samples: Samples,
}

/// What a frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// Microvolts.
    Ecg(Vec<i32>),
    /// Counts of three LEDs, then of ambient light.
    Ppg {
        /// One row a sample.
        counts: Vec<[i32; 4]>,
        /// Delta-compressed on the air.
        compressed: bool,
    },
    /// Acceleration along x, y, z.
    Acceleration {
        /// One row a sample; [`AccelerationLayout::milli_g`] has the unit.
        counts: Vec<[i32; 3]>,
        /// How it was packed.
        layout: AccelerationLayout,
    },
    /// Pulse-to-pulse intervals.
    Ppi(Vec<PulseInterval>),
}

/// How acceleration is packed, and what its counts mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccelerationLayout {
    /// i8 each, milli-g.
    Raw8,
    /// i16 each, milli-g. The H10's.
    Raw16,
    /// i24 each, milli-g.
    Raw24,
    /// Compressed i16; counts times the stream's factor are g.
    CompressedG,
    /// Compressed i16; counts times the stream's factor are milli-g. The Verity Sense's.
    CompressedMilliG,
}

impl AccelerationLayout {
    /// Counts to milli-g. `factor` comes with the answer to the start command
    /// ([`control::Response::factor`]); it is 1 where the device names none.
    #[must_use]
    pub fn milli_g(self, count: i32, factor: f64) -> f64 {
        match self {
            Self::Raw8 | Self::Raw16 | Self::Raw24 => f64::from(count),
            Self::CompressedG => f64::from(count) * factor * 1_000.0,
            Self::CompressedMilliG => f64::from(count) * factor,
        }
    }
}

/// One pulse-to-pulse interval of an optical sensor. Valid only at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PulseInterval {
    /// Heart rate, beats per minute; 0 while unknown.
    pub heart_rate_bpm: u8,
    /// The interval in milliseconds.
    pub interval_ms: u16,
    /// The device's estimate of its error, in milliseconds.
    pub error_ms: u16,
    /// The person moved: the interval is to be discarded.
    pub blocker: bool,
    /// Whether the sensor touches skin; `None` when the device cannot tell.
    pub contact: Option<bool>,
}

/// Why a payload is not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Shorter than the header.
    #[error("PMD frame of {length} bytes is shorter than its {HEADER_BYTES}-byte header")]
    Truncated {
        /// Bytes received.
        length: usize,
    },
    /// A stream or layout this build does not read.
    #[error(
        "PMD frame of measurement {measurement}, frame type {frame_type:#04x} is not known: update the app"
    )]
    Unsupported {
        /// Number of the measurement.
        measurement: u8,
        /// The byte, with the compression bit.
        frame_type: u8,
    },
    /// The samples do not fill the payload.
    #[error(
        "PMD frame has {bytes} bytes of samples, not a multiple of {sample_bytes}: the link cut it"
    )]
    Length {
        /// Bytes after the header.
        bytes: usize,
        /// Bytes of one sample.
        sample_bytes: usize,
    },
    /// More samples than any device sends.
    #[error("PMD frame announces more than {MAX_SAMPLES} samples: its bytes are damaged")]
    TooMany,
    /// The compressed samples cannot be unpacked.
    #[error(transparent)]
    Delta(#[from] DeltaError),
}

impl Frame {
    /// Reads a notification. Total: every input gives a value or an error.
    ///
    /// # Errors
    /// [`FrameError`] names what cannot be.
    ///
    /// # Examples
    /// ```
    /// use protocol::polar_pmd::{Frame, Samples};
    /// let bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x2C, 0x01, 0x00];
    /// assert_eq!(Frame::parse(&bytes).unwrap().samples, Samples::Ecg(vec![-1, 300]));
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let (header, body) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(FrameError::Truncated { length: bytes.len() })?;
        let [measurement, t0, t1, t2, t3, t4, t5, t6, t7, frame_type] = *header;
        let timestamp_ns = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let measurement = measurement & MEASUREMENT_BITS;
        let compressed = frame_type & COMPRESSED != 0;
        let acceleration = |counts, layout| Samples::Acceleration { counts, layout };
        use AccelerationLayout::{CompressedG, CompressedMilliG, Raw8, Raw16, Raw24};
        let samples = match (Measurement::from_number(measurement), frame_type & !COMPRESSED) {
            (Some(Measurement::Ecg), 0) if !compressed => {
                Samples::Ecg(rows::<1, 3>(body)?.into_iter().flatten().collect())
            }
            (Some(Measurement::Ppg), 0) => {
                let counts = if compressed { delta::decode(body, 3)? } else { rows::<4, 3>(body)? };
                Samples::Ppg { counts, compressed }
            }
            (Some(Measurement::Acceleration), layout) => match (layout, compressed) {
                (0, false) => acceleration(rows::<3, 1>(body)?, Raw8),
                (1, false) => acceleration(rows::<3, 2>(body)?, Raw16),
                (2, false) => acceleration(rows::<3, 3>(body)?, Raw24),
                (0, true) => acceleration(delta::decode(body, 2)?, CompressedG),
                (1, true) => acceleration(delta::decode(body, 2)?, CompressedMilliG),
                _ => return Err(FrameError::Unsupported { measurement, frame_type }),
            },
            (Some(Measurement::Ppi), 0) if !compressed => Samples::Ppi(intervals(body)?),
            _ => return Err(FrameError::Unsupported { measurement, frame_type }),
        };
        Ok(Self { timestamp_ns, samples })
    }

    /// The notification's bytes. Values that do not fit their layout are held at its limits, and
    /// samples past [`MAX_SAMPLES`] are left out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use AccelerationLayout::{CompressedG, CompressedMilliG, Raw8, Raw16, Raw24};
        let (measurement, frame_type, body) = match &self.samples {
            Samples::Ecg(microvolts) => {
                let single: Vec<[i32; 1]> = microvolts.iter().map(|v| [*v]).collect();
                (Measurement::Ecg, 0, pack(&single, 3))
            }
            Samples::Ppg { counts, compressed: false } => (Measurement::Ppg, 0, pack(counts, 3)),
            Samples::Ppg { counts, compressed: true } => {
                (Measurement::Ppg, COMPRESSED, delta::encode(counts, 3))
            }
            Samples::Acceleration { counts, layout } => {
                let (frame_type, body) = match layout {
                    Raw8 => (0, pack(counts, 1)),
                    Raw16 => (1, pack(counts, 2)),
                    Raw24 => (2, pack(counts, 3)),
                    CompressedG => (COMPRESSED, delta::encode(counts, 2)),
                    CompressedMilliG => (COMPRESSED | 1, delta::encode(counts, 2)),
                };
                (Measurement::Acceleration, frame_type, body)
            }
            Samples::Ppi(intervals) => (Measurement::Ppi, 0, pack_intervals(intervals)),
        };
        let mut bytes = vec![measurement as u8];
        bytes.extend_from_slice(&self.timestamp_ns.to_le_bytes());
        bytes.push(frame_type);
        bytes.extend(body);
        bytes
    }
}

impl Samples {
    /// The stream they belong to.
    #[must_use]
    pub const fn measurement(&self) -> Measurement {
        match self {
            Self::Ecg(_) => Measurement::Ecg,
            Self::Ppg { .. } => Measurement::Ppg,
            Self::Acceleration { .. } => Measurement::Acceleration,
            Self::Ppi(_) => Measurement::Ppi,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Ecg(samples) => samples.len(),
            Self::Ppg { counts, .. } => counts.len(),
            Self::Acceleration { counts, .. } => counts.len(),
            Self::Ppi(intervals) => intervals.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A little-endian two's complement number of one to four bytes; empty is 0.
fn signed(bytes: &[u8]) -> i32 {
    let value = bytes.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
    let unused = 32 - 8 * bytes.len().clamp(1, 4) as u32;
    (value << unused).cast_signed() >> unused
}

/// Holds a value at the limits of a signed number of `width` bytes.
fn held(value: i32, width: usize) -> i32 {
    let most = i32::MAX >> (32 - 8 * width.clamp(1, 4));
    value.clamp(-most - 1, most)
}

/// Uncompressed samples of `CHANNELS` numbers of `WIDTH` bytes.
fn rows<const CHANNELS: usize, const WIDTH: usize>(
    body: &[u8],
) -> Result<Vec<[i32; CHANNELS]>, FrameError> {
    let (numbers, odd) = body.as_chunks::<WIDTH>();
    let (samples, incomplete) = numbers.as_chunks::<CHANNELS>();
    if !odd.is_empty() || !incomplete.is_empty() {
        let sample_bytes = CHANNELS * WIDTH;
        return Err(FrameError::Length { bytes: body.len(), sample_bytes });
    }
    if samples.len() > MAX_SAMPLES {
        return Err(FrameError::TooMany);
    }
    Ok(samples.iter().map(|sample| sample.map(|number| signed(&number))).collect())
}

fn pack<const CHANNELS: usize>(samples: &[[i32; CHANNELS]], width: usize) -> Vec<u8> {
    let values = samples.iter().take(MAX_SAMPLES).flatten();
    values.flat_map(|v| held(*v, width).to_le_bytes().into_iter().take(width)).collect()
}

fn intervals(body: &[u8]) -> Result<Vec<PulseInterval>, FrameError> {
    let (intervals, odd) = body.as_chunks::<PPI_BYTES>();
    if !odd.is_empty() {
        return Err(FrameError::Length { bytes: body.len(), sample_bytes: PPI_BYTES });
    }
    if intervals.len() > MAX_SAMPLES {
        return Err(FrameError::TooMany);
    }
    let read = |[heart_rate_bpm, p0, p1, e0, e1, flags]: [u8; PPI_BYTES]| PulseInterval {
        heart_rate_bpm,
        interval_ms: u16::from_le_bytes([p0, p1]),
        error_ms: u16::from_le_bytes([e0, e1]),
        blocker: flags & BLOCKER != 0,
        contact: (flags & CONTACT_SUPPORTED != 0).then_some(flags & CONTACT_DETECTED != 0),
    };
    Ok(intervals.iter().copied().map(read).collect())
}

fn pack_intervals(intervals: &[PulseInterval]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PPI_BYTES * intervals.len().min(MAX_SAMPLES));
    for interval in intervals.iter().take(MAX_SAMPLES) {
        let contact = match interval.contact {
            None => 0,
            Some(false) => CONTACT_SUPPORTED,
            Some(true) => CONTACT_SUPPORTED | CONTACT_DETECTED,
        };
        bytes.push(interval.heart_rate_bpm);
        bytes.extend_from_slice(&interval.interval_ms.to_le_bytes());
        bytes.extend_from_slice(&interval.error_ms.to_le_bytes());
        bytes.push(contact | if interval.blocker { BLOCKER } else { 0 });
    }
    bytes
}

#[cfg(test)]
mod tests;
