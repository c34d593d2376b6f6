//! EDA Measurement, version 1: the payload of Attune's own skin-conductance characteristic.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0 | version | 1 |
//! | 1 | flags | b0 skin contact, b1 contact supported, b2 saturated, b3 clock was reset |
//! | 2..4 | sequence | counts notifications, wraps |
//! | 4..8 | ticks | device clock at the first sample, 1/32768 s, wraps |
//! | 8..10 | interval | ticks from one sample to the next, never 0 |
//! | 10..12 | range | full scale, in 0.1 microsiemens |
//! | 12 | battery | percent; 255 = unknown |
//! | 13 | count | samples that follow, 0..=57 |
//! | 14.. | samples | u32 each, picosiemens; 0xFFFFFFFF = no reading |
//!
//! Little endian throughout. A packet of 57 samples fills the 244 bytes that an ATT MTU of 247
//! leaves.

use thiserror::Error;

/// The version this module speaks.
pub const VERSION: u8 = 1;
/// Device clock rate.
pub const TICKS_PER_SECOND: u32 = 32_768;
/// Most samples one notification holds.
pub const MAX_SAMPLES: usize = 57;
/// Picosiemens in one microsiemens.
pub const PICOSIEMENS_PER_MICROSIEMENS: f64 = 1e6;

const HEADER_BYTES: usize = 14;
const NO_READING: u32 = u32::MAX;
const BATTERY_UNKNOWN: u8 = u8::MAX;

const CONTACT_DETECTED: u8 = 1 << 0;
const CONTACT_SUPPORTED: u8 = 1 << 1;
const SATURATED: u8 = 1 << 2;
const CLOCK_RESET: u8 = 1 << 3;

/// One notification: a short run of equally spaced samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdaMeasurement {
    /// Notification counter of the device; wraps at 65,536.
    pub sequence: u16,
    /// Device clock at the first sample, in 1/32768 s; wraps after 36.4 hours.
    pub ticks: u32,
    /// Ticks between samples; never 0.
    pub interval_ticks: u16,
    /// Full scale of the measuring range, in 0.1 microsiemens.
    pub range_tenth_microsiemens: u16,
    /// Whether the electrodes touch skin; `None` when the device cannot tell.
    pub contact: Option<bool>,
    /// A sample reached full scale.
    pub saturated: bool,
    /// The device clock restarted since the previous notification.
    pub clock_reset: bool,
    /// Battery in percent, where the device knows.
    pub battery_percent: Option<u8>,
    /// Skin conductance in picosiemens; `None` where the device had no reading.
    pub samples_picosiemens: Vec<Option<u32>>,
}

/// Why a payload is not an EDA Measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EdaError {
    /// Shorter than the header.
    #[error("EDA payload of {length} bytes is shorter than its {HEADER_BYTES}-byte header")]
    Truncated {
        /// Bytes received.
        length: usize,
    },
    /// A version this build does not speak.
    #[error(
        "EDA payload has version {found}, this build reads {VERSION}: update the app or the device"
    )]
    Version {
        /// The version byte.
        found: u8,
    },
    /// The sample count and the length disagree.
    #[error("EDA payload announces {announced} samples but holds {bytes} bytes of them")]
    Length {
        /// The count byte.
        announced: u8,
        /// Bytes after the header.
        bytes: usize,
    },
    /// Samples cannot be zero ticks apart.
    #[error("EDA payload has a sample interval of 0 ticks")]
    Interval,
    /// A battery level over 100 that is not "unknown".
    #[error("EDA payload has a battery level of {percent} percent")]
    Battery {
        /// The byte.
        percent: u8,
    },
}

impl EdaMeasurement {
    /// Reads a notification. Total: every input gives a value or an error. Reserved flag bits are
    /// ignored.
    ///
    /// # Errors
    /// [`EdaError`] names the field that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self, EdaError> {
        let (header, body) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(EdaError::Truncated { length: bytes.len() })?;
        let [version, flags, s0, s1, t0, t1, t2, t3, i0, i1, r0, r1, battery, count] = *header;
        if version != VERSION {
            return Err(EdaError::Version { found: version });
        }
        let (samples, odd) = body.as_chunks::<4>();
        if !odd.is_empty() || samples.len() != usize::from(count) || samples.len() > MAX_SAMPLES {
            return Err(EdaError::Length { announced: count, bytes: body.len() });
        }
        let interval_ticks = u16::from_le_bytes([i0, i1]);
        if interval_ticks == 0 {
            return Err(EdaError::Interval);
        }
        if battery > 100 && battery != BATTERY_UNKNOWN {
            return Err(EdaError::Battery { percent: battery });
        }
        Ok(Self {
            sequence: u16::from_le_bytes([s0, s1]),
            ticks: u32::from_le_bytes([t0, t1, t2, t3]),
            interval_ticks,
            range_tenth_microsiemens: u16::from_le_bytes([r0, r1]),
            contact: (flags & CONTACT_SUPPORTED != 0).then_some(flags & CONTACT_DETECTED != 0),
            saturated: flags & SATURATED != 0,
            clock_reset: flags & CLOCK_RESET != 0,
            battery_percent: (battery != BATTERY_UNKNOWN).then_some(battery),
            samples_picosiemens: samples
                .iter()
                .map(|b| Some(u32::from_le_bytes(*b)).filter(|v| *v != NO_READING))
                .collect(),
        })
    }

    /// The notification's bytes. Samples past [`MAX_SAMPLES`] are left out: split them first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let samples = &self.samples_picosiemens[..self.samples_picosiemens.len().min(MAX_SAMPLES)];
        let mut flags = match self.contact {
            None => 0,
            Some(false) => CONTACT_SUPPORTED,
            Some(true) => CONTACT_SUPPORTED | CONTACT_DETECTED,
        };
        flags |= if self.saturated { SATURATED } else { 0 };
        flags |= if self.clock_reset { CLOCK_RESET } else { 0 };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 4 * samples.len());
        bytes.extend_from_slice(&[VERSION, flags]);
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.ticks.to_le_bytes());
        bytes.extend_from_slice(&self.interval_ticks.to_le_bytes());
        bytes.extend_from_slice(&self.range_tenth_microsiemens.to_le_bytes());
        bytes.push(self.battery_percent.unwrap_or(BATTERY_UNKNOWN));
        bytes.push(samples.len() as u8);
        bytes.extend(samples.iter().flat_map(|s| s.unwrap_or(NO_READING).to_le_bytes()));
        bytes
    }
}

/// Ticks between samples at a sampling rate; `None` for rates the profile cannot carry (under
/// 0.5 Hz, over 32,768 Hz, not a number).
#[must_use]
pub fn interval_ticks(rate_hz: f64) -> Option<u16> {
    let ticks = (f64::from(TICKS_PER_SECOND) / rate_hz).round();
    (1.0..=f64::from(u16::MAX)).contains(&ticks).then_some(ticks as u16)
}

/// Picosiemens as the profile carries them, to microsiemens as everything above works with.
#[must_use]
pub fn microsiemens(picosiemens: u32) -> f64 {
    f64::from(picosiemens) / PICOSIEMENS_PER_MICROSIEMENS
}

/// Microsiemens to the nearest value the profile can carry; `None` for what no skin gives:
/// negative, not finite, or over 4,294 microsiemens.
#[must_use]
pub fn picosiemens(microsiemens: f64) -> Option<u32> {
    let scaled = (microsiemens * PICOSIEMENS_PER_MICROSIEMENS).round();
    (0.0..f64::from(NO_READING)).contains(&scaled).then_some(scaled as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn two_samples() -> EdaMeasurement {
        EdaMeasurement {
            sequence: 0x0102,
            ticks: 0x0304_0506,
            interval_ticks: 8192,
            range_tenth_microsiemens: 1000,
            contact: Some(true),
            saturated: false,
            clock_reset: false,
            battery_percent: Some(87),
            samples_picosiemens: vec![Some(830_302), None],
        }
    }

    const TWO_SAMPLES: [u8; 22] = [
        1, 0b0011, 0x02, 0x01, 0x06, 0x05, 0x04, 0x03, 0x00, 0x20, 0xE8, 0x03, 87, 2, 0x5E, 0xAB,
        0x0C, 0x00, 0xFF, 0xFF, 0xFF, 0xFF,
    ];

    fn check_error(change: impl Fn(&mut Vec<u8>), expected: EdaError) {
        let mut bytes = TWO_SAMPLES.to_vec();
        change(&mut bytes);
        assert_eq!(EdaMeasurement::parse(&bytes), Err(expected));
    }

    #[test]
    fn byte_vector() {
        assert_eq!(two_samples().encode(), TWO_SAMPLES);
        assert_eq!(EdaMeasurement::parse(&TWO_SAMPLES), Ok(two_samples()));
    }

    #[test]
    fn errors_name_the_field() {
        check_error(|b| b.truncate(13), EdaError::Truncated { length: 13 });
        check_error(|b| b[0] = 2, EdaError::Version { found: 2 });
        check_error(|b| b.push(0), EdaError::Length { announced: 2, bytes: 9 });
        check_error(|b| b[13] = 3, EdaError::Length { announced: 3, bytes: 8 });
        check_error(|b| b[8..10].fill(0), EdaError::Interval);
        check_error(|b| b[12] = 101, EdaError::Battery { percent: 101 });
    }

    #[test]
    fn six_decimals_of_a_recording_survive_the_air() {
        for text in ["0.830302", "3.257005", "0.000000", "31.999999"] {
            let value: f64 = text.parse().unwrap();
            assert_eq!(picosiemens(value).map(microsiemens), Some(value));
        }
        for absurd in [f64::NAN, f64::INFINITY, -0.1, 5000.0] {
            assert_eq!(picosiemens(absurd), None);
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = EdaMeasurement::parse(&bytes);
        }

        #[test]
        fn encode_then_parse_is_identity(
            (sequence, ticks, range_tenth_microsiemens) in any::<(u16, u32, u16)>(),
            interval_ticks in 1u16..,
            (contact, saturated, clock_reset) in any::<(Option<bool>, bool, bool)>(),
            battery_percent in prop::option::of(0u8..=100),
            samples_picosiemens in prop::collection::vec(
                prop::option::of(0..NO_READING), 0..=MAX_SAMPLES),
        ) {
            let m = EdaMeasurement {
                sequence, ticks, interval_ticks, range_tenth_microsiemens, contact, saturated,
                clock_reset, battery_percent, samples_picosiemens,
            };
            prop_assert_eq!(EdaMeasurement::parse(&m.encode()), Ok(m));
        }
    }
}
