//! The HealthyPi Move's skin conductance, both ways.
//!
//! A notification is a run of i32, little endian, oldest first, each the conductance in
//! microsiemens times 100; the firmware samples 32 times a second. There is no timestamp, no
//! counter and no contact flag. The scale is that of recent firmware; earlier builds sent raw counts.
//! Source: the device's published MIT firmware.

use thiserror::Error;

/// Nominal sampling rate of the firmware.
pub const RATE_HZ: u32 = 32;
/// Most samples one notification holds: what the largest ATT value (512 bytes) carries.
pub const MAX_SAMPLES: usize = 128;

const SAMPLE_BYTES: usize = 4;
const COUNTS_PER_MICROSIEMENS: f64 = 100.0;

/// Why a payload is not a run of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HealthyPiError {
    /// Not whole samples, none, or more than a notification can carry.
    #[error(
        "HealthyPi GSR payload of {length} bytes is not 1 to {MAX_SAMPLES} samples of {SAMPLE_BYTES} bytes"
    )]
    Length {
        /// Bytes received.
        length: usize,
    },
}

/// Reads a notification: conductances as counted by the device. Total.
///
/// # Errors
/// [`HealthyPiError`] when the payload is not whole samples.
///
/// # Examples
/// ```
/// use protocol::healthypi;
/// assert_eq!(healthypi::parse(&[0x2C, 0x01, 0, 0]), Ok(vec![300]));
/// assert_eq!(healthypi::microsiemens(300), 3.0);
/// ```
pub fn parse(bytes: &[u8]) -> Result<Vec<i32>, HealthyPiError> {
    let (samples, odd) = bytes.as_chunks::<SAMPLE_BYTES>();
    if !odd.is_empty() || !(1..=MAX_SAMPLES).contains(&samples.len()) {
        return Err(HealthyPiError::Length { length: bytes.len() });
    }
    Ok(samples.iter().map(|sample| i32::from_le_bytes(*sample)).collect())
}

/// The notification's bytes. Samples past [`MAX_SAMPLES`] are left out: split them first.
#[must_use]
pub fn encode(counts: &[i32]) -> Vec<u8> {
    counts.iter().take(MAX_SAMPLES).flat_map(|count| count.to_le_bytes()).collect()
}

/// The device's counts to microsiemens.
#[must_use]
pub fn microsiemens(count: i32) -> f64 {
    f64::from(count) / COUNTS_PER_MICROSIEMENS
}

/// Microsiemens to the nearest count; `None` for what is not finite or does not fit.
#[must_use]
pub fn count(microsiemens: f64) -> Option<i32> {
    let scaled = (microsiemens * COUNTS_PER_MICROSIEMENS).round();
    (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&scaled).then_some(scaled as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn byte_vector() {
        let bytes = [0xE8, 0x03, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(parse(&bytes), Ok(vec![1000, -1]));
        assert_eq!(encode(&[1000, -1]), bytes);
    }

    #[test]
    fn lengths() {
        for length in [0, 1, 3, 5, 4 * MAX_SAMPLES + 4] {
            assert_eq!(parse(&vec![0; length]), Err(HealthyPiError::Length { length }));
        }
        assert!(parse(&[0; 4 * MAX_SAMPLES]).is_ok());
    }

    #[test]
    fn scale() {
        assert_eq!(count(4.567), Some(457));
        assert_eq!(microsiemens(457), 4.57);
        for absurd in [f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(count(absurd), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(counts) = parse(&bytes) {
                prop_assert_eq!(encode(&counts), bytes);
            }
        }
    }
}
