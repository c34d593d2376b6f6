//! Heart Rate Measurement (0x2A37), both ways.
//!
//! Heart Rate Service 1.0, section 3.1: flags, heart rate, energy expended, then RR intervals in
//! units of 1/1024 s, oldest first, to the end of the payload.

use thiserror::Error;

/// RR intervals count this many ticks a second.
pub const RR_TICKS_PER_SECOND: u32 = 1024;

const HEART_RATE_IS_U16: u8 = 1 << 0;
const CONTACT_DETECTED: u8 = 1 << 1;
const CONTACT_SUPPORTED: u8 = 1 << 2;
const HAS_ENERGY: u8 = 1 << 3;
const HAS_RR: u8 = 1 << 4;

/// One notification of a heart-rate strap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeartRateMeasurement {
    /// Heart rate in beats per minute, as the device smooths it.
    pub heart_rate_bpm: u16,
    /// Whether the electrodes touch skin; `None` when the device cannot tell.
    pub contact: Option<bool>,
    /// Energy expended since the last reset, in kilojoules.
    pub energy_kj: Option<u16>,
    /// RR intervals in 1/1024 s, oldest first. Empty when no beat was found.
    pub rr_1024ths: Vec<u16>,
}

/// Why a payload is not a Heart Rate Measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeartRateError {
    /// The payload ends inside a field that its flags promise.
    #[error(
        "heart rate payload of {length} bytes ends inside {field}: the device or the link cut it"
    )]
    Truncated {
        /// Bytes received.
        length: usize,
        /// The field that is cut.
        field: &'static str,
    },
    /// Bytes follow that no flag announces.
    #[error(
        "heart rate payload has {count} bytes after its last field: flags and content disagree"
    )]
    Trailing {
        /// Bytes left over.
        count: usize,
    },
}

impl HeartRateMeasurement {
    /// Reads a notification. Total: every input gives a value or an error. Reserved flag bits are
    /// ignored, as the specification asks.
    ///
    /// # Errors
    /// [`HeartRateError`] when flags and length disagree.
    ///
    /// # Examples
    /// ```
    /// use protocol::heart_rate::HeartRateMeasurement;
    /// let m = HeartRateMeasurement::parse(&[0x10, 72, 0x40, 0x03]).unwrap();
    /// assert_eq!((m.heart_rate_bpm, m.rr_1024ths), (72, vec![832])); // 812.5 ms
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, HeartRateError> {
        let mut rest = Reader { bytes, at: 0 };
        let flags = rest.u8("flags")?;
        let heart_rate_bpm = if flags & HEART_RATE_IS_U16 == 0 {
            u16::from(rest.u8("heart rate")?)
        } else {
            rest.u16("heart rate")?
        };
        let contact = (flags & CONTACT_SUPPORTED != 0).then_some(flags & CONTACT_DETECTED != 0);
        let energy_kj =
            if flags & HAS_ENERGY != 0 { Some(rest.u16("energy expended")?) } else { None };
        let mut rr_1024ths = Vec::new();
        if flags & HAS_RR != 0 {
            while rest.left() > 0 {
                rr_1024ths.push(rest.u16("an RR interval")?);
            }
        }
        match rest.left() {
            0 => Ok(Self { heart_rate_bpm, contact, energy_kj, rr_1024ths }),
            count => Err(HeartRateError::Trailing { count }),
        }
    }

    /// The notification's bytes, in the shortest form the fields allow.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = 0;
        let wide = self.heart_rate_bpm > u16::from(u8::MAX);
        if wide {
            flags |= HEART_RATE_IS_U16;
        }
        if let Some(detected) = self.contact {
            flags |= CONTACT_SUPPORTED | if detected { CONTACT_DETECTED } else { 0 };
        }
        if self.energy_kj.is_some() {
            flags |= HAS_ENERGY;
        }
        if !self.rr_1024ths.is_empty() {
            flags |= HAS_RR;
        }
        let mut bytes = vec![flags];
        let rate = self.heart_rate_bpm.to_le_bytes();
        bytes.extend_from_slice(if wide { &rate } else { &rate[..1] });
        bytes.extend(self.energy_kj.iter().flat_map(|kj| kj.to_le_bytes()));
        bytes.extend(self.rr_1024ths.iter().flat_map(|rr| rr.to_le_bytes()));
        bytes
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, HeartRateError> {
        let [byte] = self.take(field)?;
        Ok(byte)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, HeartRateError> {
        Ok(u16::from_le_bytes(self.take(field)?))
    }

    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], HeartRateError> {
        let taken = self.bytes[self.at..]
            .first_chunk::<N>()
            .ok_or(HeartRateError::Truncated { length: self.bytes.len(), field })?;
        self.at += N;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &[u8], expected: Result<HeartRateMeasurement, HeartRateError>) {
        assert_eq!(HeartRateMeasurement::parse(bytes), expected, "{bytes:02x?}");
    }

    fn bpm(heart_rate_bpm: u16) -> HeartRateMeasurement {
        HeartRateMeasurement { heart_rate_bpm, ..Default::default() }
    }

    #[test]
    fn byte_vectors() {
        check(&[0x00, 60], Ok(bpm(60)));
        check(&[0x01, 0x2C, 0x01], Ok(bpm(300)));
        check(&[0x04, 60], Ok(HeartRateMeasurement { contact: Some(false), ..bpm(60) }));
        check(&[0x06, 60], Ok(HeartRateMeasurement { contact: Some(true), ..bpm(60) }));
        check(&[0x02, 60], Ok(bpm(60))); // detected without supported says nothing
        check(
            &[0x1E, 61, 0x05, 0x00, 0x00, 0x04, 0x01, 0x04],
            Ok(HeartRateMeasurement {
                contact: Some(true),
                energy_kj: Some(5),
                rr_1024ths: vec![1024, 1025],
                ..bpm(61)
            }),
        );
        check(&[0xE0, 60], Ok(bpm(60))); // reserved bits
        check(&[], Err(HeartRateError::Truncated { length: 0, field: "flags" }));
        check(&[0x01, 60], Err(HeartRateError::Truncated { length: 2, field: "heart rate" }));
        check(
            &[0x08, 60, 1],
            Err(HeartRateError::Truncated { length: 3, field: "energy expended" }),
        );
        check(
            &[0x10, 60, 1, 2, 3],
            Err(HeartRateError::Truncated { length: 5, field: "an RR interval" }),
        );
        check(&[0x00, 60, 7], Err(HeartRateError::Trailing { count: 1 }));
    }

    proptest! {
        #[test]
        fn parse_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = HeartRateMeasurement::parse(&bytes);
        }

        #[test]
        fn encode_then_parse_is_identity(
            heart_rate_bpm in any::<u16>(),
            contact in any::<Option<bool>>(),
            energy_kj in any::<Option<u16>>(),
            rr_1024ths in prop::collection::vec(any::<u16>(), 0..9),
        ) {
            let m = HeartRateMeasurement { heart_rate_bpm, contact, energy_kj, rr_1024ths };
            prop_assert_eq!(HeartRateMeasurement::parse(&m.encode()), Ok(m));
        }
    }
}
