//! The Shimmer3 GSR+ over its serial stream ("LogAndStream" firmware), both ways. [`framer`] finds
//! the messages in the bytes; BLE notifications cut them anywhere.
//!
//! | bytes from the device | meaning |
//! |---|---|
//! | 0xFF | acknowledges a command |
//! | 0x02, ticks u16, config u32, count u8, buffer u8, ids u8 each | answer to an inquiry |
//! | 0x00, ticks u24, channels in the order of the inquiry | one sample of each channel |
//!
//! Little endian. The device clock counts 32,768 ticks a second; its 24 bits wrap every 512 s.
//! Source: the maker's published stream protocol and conversion constants.

pub mod framer;

use thiserror::Error;

/// Device clock rate.
pub const TICKS_PER_SECOND: u32 = 32_768;
/// Bits of a timestamp.
pub const TIMESTAMP_BITS: u32 = 24;
/// Channel number of skin conductance.
pub const GSR_CHANNEL: u8 = 0x1C;
/// The sensors bitmap with skin conductance alone.
pub const GSR_SENSOR: [u8; 3] = [0x04, 0, 0];
/// The setting of [`Command::SetGsrRange`] with which the device chooses its range itself.
pub const AUTO_RANGE: u8 = 4;
/// Most channels a device streams at once.
pub const MAX_CHANNELS: usize = 32;

const ACK: u8 = 0xFF;
const DATA: u8 = 0x00;
const INQUIRY_ANSWER: u8 = 0x02;
const TIMESTAMP_BYTES: usize = 3;
const INQUIRY_HEADER_BYTES: usize = 9;
/// Samples per packet; the firmware knows no other.
const BUFFER: u8 = 1;

const ADC_BITS: u32 = 12;
const ADC_MOST: u16 = (1 << ADC_BITS) - 1;
/// Microsiemens = slope * adc + offset, for each range from 8-63 kilohm to 680 kilohm-4.7 megohm.
const CONVERSION: [(f64, f64); 4] =
    [(0.0373, -24.9915), (0.0054, -3.5194), (0.0015, -1.0163), (0.000_455_8, -0.3014)];
/// Where an encoder leaves a range for the next less sensitive one.
const ADC_CHANGE: f64 = 3_800.0;

/// What the app writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// How are you set up?
    Inquiry,
    /// Sample every so many ticks of the device clock.
    SetSamplingTicks(u16),
    /// Stream these sensors.
    SetSensors([u8; 3]),
    /// Measure skin conductance in this range, 0..=3, or [`AUTO_RANGE`].
    SetGsrRange(u8),
    /// Start streaming.
    Start,
    /// Stop streaming.
    Stop,
}

/// Why bytes are not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{length} bytes that begin with {first:?} are no Shimmer command this build knows")]
pub struct CommandError {
    /// The first byte, where there is one.
    pub first: Option<u8>,
    /// Bytes received.
    pub length: usize,
}

impl Command {
    /// Reads a command, as a device does. Total.
    ///
    /// # Errors
    /// [`CommandError`] for everything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, CommandError> {
        match *bytes {
            [0x01] => Ok(Self::Inquiry),
            [0x05, low, high] => Ok(Self::SetSamplingTicks(u16::from_le_bytes([low, high]))),
            [0x08, a, b, c] => Ok(Self::SetSensors([a, b, c])),
            [0x21, range] => Ok(Self::SetGsrRange(range)),
            [0x07] => Ok(Self::Start),
            [0x20] => Ok(Self::Stop),
            _ => Err(CommandError { first: bytes.first().copied(), length: bytes.len() }),
        }
    }

    /// The bytes to write.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Inquiry => vec![0x01],
            Self::SetSamplingTicks(ticks) => {
                let [low, high] = ticks.to_le_bytes();
                vec![0x05, low, high]
            }
            Self::SetSensors([a, b, c]) => vec![0x08, a, b, c],
            Self::SetGsrRange(range) => vec![0x21, range],
            Self::Start => vec![0x07],
            Self::Stop => vec![0x20],
        }
    }
}

/// The acknowledgement of a command.
#[must_use]
pub fn ack() -> Vec<u8> {
    vec![ACK]
}

/// How a device is set up, and with it how its packets are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Ticks from one sample to the next; never 0.
    pub sampling_ticks: u16,
    /// The device's configuration bits; kept as they are.
    pub config: u32,
    /// Channel numbers in the order of a packet; each of them known, at most [`MAX_CHANNELS`].
    channels: Vec<u8>,
}

impl Inquiry {
    /// A set-up; `None` where its packets could not be cut: an interval of 0, too many channels, or
    /// a channel of unknown width.
    #[must_use]
    pub fn new(sampling_ticks: u16, config: u32, channels: &[u8]) -> Option<Self> {
        let known = channels.iter().all(|channel| width(*channel).is_some());
        let possible = sampling_ticks != 0 && channels.len() <= MAX_CHANNELS && known;
        possible.then(|| Self { sampling_ticks, config, channels: channels.to_vec() })
    }

    /// The set-up of a device that streams skin conductance alone.
    #[must_use]
    pub fn gsr_only(sampling_ticks: u16) -> Option<Self> {
        Self::new(sampling_ticks, 0, &[GSR_CHANNEL])
    }

    /// Channel numbers in the order of a packet.
    #[must_use]
    pub fn channels(&self) -> &[u8] {
        &self.channels
    }

    /// Samples a second.
    #[must_use]
    pub fn rate_hz(&self) -> f64 {
        f64::from(TICKS_PER_SECOND) / f64::from(self.sampling_ticks)
    }

    /// Length of a data packet.
    #[must_use]
    pub fn packet_bytes(&self) -> usize {
        1 + TIMESTAMP_BYTES + self.channel_bytes(self.channels.len())
    }

    /// The answer's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![INQUIRY_ANSWER];
        bytes.extend_from_slice(&self.sampling_ticks.to_le_bytes());
        bytes.extend_from_slice(&self.config.to_le_bytes());
        bytes.extend_from_slice(&[self.channels.len() as u8, BUFFER]);
        bytes.extend_from_slice(&self.channels);
        bytes
    }

    /// The bytes of a packet with `ticks` and skin conductance; other channels are 0.
    #[must_use]
    pub fn encode_packet(&self, packet: Packet) -> Vec<u8> {
        let mut bytes = vec![0; self.packet_bytes()];
        bytes[1..=TIMESTAMP_BYTES].copy_from_slice(&packet.ticks.to_le_bytes()[..TIMESTAMP_BYTES]);
        if let (Some(at), Some(gsr)) = (self.gsr_at(), packet.gsr) {
            bytes[at..at + 2].copy_from_slice(&gsr.to_le_bytes());
        }
        bytes
    }

    /// Reads a packet of this set-up; the caller has looked at its first byte and its length.
    fn packet(&self, bytes: &[u8]) -> Option<Packet> {
        let gsr = self.gsr_at().and_then(|at| bytes.get(at..at + 2)?.first_chunk().copied());
        Some(Packet { ticks: ticks(bytes)?, gsr: gsr.map(u16::from_le_bytes) })
    }

    fn gsr_at(&self) -> Option<usize> {
        let index = self.channels.iter().position(|channel| *channel == GSR_CHANNEL)?;
        Some(1 + TIMESTAMP_BYTES + self.channel_bytes(index))
    }

    /// Bytes of the first `count` channels.
    fn channel_bytes(&self, count: usize) -> usize {
        self.channels.iter().take(count).filter_map(|channel| width(*channel)).sum()
    }
}

/// One sample of each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Device clock, 24 bits.
    pub ticks: u32,
    /// Skin conductance as converted; `None` where the device does not stream it. See
    /// [`Conductance`].
    pub gsr: Option<u16>,
}

/// The timestamp of a packet's bytes.
fn ticks(packet: &[u8]) -> Option<u32> {
    let [low, middle, high] = *packet.get(1..)?.first_chunk()?;
    Some(u32::from_le_bytes([low, middle, high, 0]))
}

/// Bytes of one channel in a packet; `None` for channels this crate does not know.
const fn width(channel: u8) -> Option<usize> {
    match channel {
        // Accelerometers, gyroscope, magnetometer, battery, converter inputs, temperature, GSR.
        0x00..=0x12 | 0x1A | GSR_CHANNEL => Some(2),
        // Pressure.
        0x1B => Some(3),
        // ExG: status, 24-bit and 16-bit channels of both chips.
        0x1D | 0x20 => Some(1),
        0x1E | 0x1F | 0x21 | 0x22 => Some(3),
        0x23..=0x26 => Some(2),
        // Strain gauge.
        0x27 | 0x28 => Some(2),
        _ => None,
    }
}

/// One reading of skin conductance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conductance {
    /// Microsiemens; `None` under the lower end of the range, where no current flows that the
    /// converter could tell from its offset: nothing touches the electrodes.
    pub microsiemens: Option<f64>,
    /// The converter is at its upper end in the least sensitive range.
    pub saturated: bool,
}

impl Conductance {
    /// Reads a channel value of a device in auto range: bits 14 and 15 are the range, the low 12
    /// the converter's value.
    #[must_use]
    pub fn from_raw(raw: u16) -> Self {
        let (range, adc) = (usize::from(raw >> 14), raw & ADC_MOST);
        let (slope, offset) = CONVERSION[range];
        let microsiemens = slope * f64::from(adc) + offset;
        Self {
            microsiemens: (microsiemens > 0.0).then_some(microsiemens),
            saturated: range == 0 && adc == ADC_MOST,
        }
    }

    /// The channel value a device in auto range gives for a conductance; what it cannot measure is
    /// held at its limits, and what is not a number is 0.
    #[must_use]
    pub fn to_raw(microsiemens: f64) -> u16 {
        let adc = |range: usize| {
            let (slope, offset) = CONVERSION[range];
            ((microsiemens - offset) / slope).round()
        };
        let range = (0..CONVERSION.len()).rev().find(|range| adc(*range) <= ADC_CHANGE);
        let range = range.unwrap_or(0);
        (range as u16) << 14 | adc(range).clamp(0.0, f64::from(ADC_MOST)) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands() {
        let check = |bytes: &[u8], command: Command| {
            assert_eq!(Command::parse(bytes), Ok(command), "{bytes:02x?}");
            assert_eq!(command.encode(), bytes);
        };
        check(&[0x01], Command::Inquiry);
        check(&[0x05, 0x00, 0x04], Command::SetSamplingTicks(1024));
        check(&[0x08, 4, 0, 0], Command::SetSensors(GSR_SENSOR));
        check(&[0x21, 4], Command::SetGsrRange(AUTO_RANGE));
        check(&[0x07], Command::Start);
        check(&[0x20], Command::Stop);
        for bytes in [&[][..], &[0x99], &[0x05, 1], &[0x07, 0]] {
            let error = CommandError { first: bytes.first().copied(), length: bytes.len() };
            assert_eq!(Command::parse(bytes), Err(error));
        }
    }

    #[test]
    fn set_up_and_packets() {
        let gsr = Inquiry::gsr_only(256).unwrap();
        assert_eq!(gsr.encode(), [2, 0, 1, 0, 0, 0, 0, 1, 1, 0x1C]);
        assert_eq!((gsr.rate_hz(), gsr.packet_bytes()), (128.0, 6));
        let packet = Packet { ticks: 0x0003_0405, gsr: Some(0xC123) };
        assert_eq!(gsr.encode_packet(packet), [0, 5, 4, 3, 0x23, 0xC1]);
        // Behind an accelerometer axis and a pressure.
        let mixed = Inquiry::new(640, 7, &[0, 0x1B, GSR_CHANNEL]).unwrap();
        assert_eq!(mixed.encode_packet(packet), [0, 5, 4, 3, 0, 0, 0, 0, 0, 0x23, 0xC1]);
        assert_eq!(mixed.packet(&mixed.encode_packet(packet)), Some(packet));
    }

    #[test]
    fn impossible_set_ups() {
        assert_eq!(Inquiry::gsr_only(0), None);
        assert_eq!(Inquiry::new(256, 0, &[0x77]), None);
        assert_eq!(Inquiry::new(256, 0, &[0; MAX_CHANNELS + 1]), None);
    }

    #[test]
    fn conductance() {
        let check = |raw: u16, expected: Option<f64>| {
            let found = Conductance::from_raw(raw).microsiemens;
            let close = |(a, b): (f64, f64)| (a - b).abs() < 1e-9;
            assert!(found.zip(expected).map_or(found == expected, close), "{raw:#x}: {found:?}");
        };
        check(2000, Some(0.0373 * 2000.0 - 24.9915));
        check(1 << 14 | 2000, Some(0.0054 * 2000.0 - 3.5194));
        check(2 << 14 | 2000, Some(0.0015 * 2000.0 - 1.0163));
        check(3 << 14 | 2000, Some(0.000_455_8 * 2000.0 - 0.3014));
        check(3 << 14 | 600, None); // open electrodes
        assert!(Conductance::from_raw(0x0FFF).saturated);
        assert!(!Conductance::from_raw(0xFFFF).saturated, "only the last range ends anywhere");
        assert_eq!(Conductance::to_raw(f64::NAN), 0);
        assert_eq!(Conductance::to_raw(1e9), 0x0FFF);
    }

    proptest! {
        #[test]
        fn a_conductance_survives_the_converter(microsiemens in 0.05f64..100.0) {
            let back = Conductance::from_raw(Conductance::to_raw(microsiemens));
            // Half a step of the converter, at most 3 % of the value.
            let error = (back.microsiemens.unwrap() - microsiemens).abs();
            prop_assert!(error <= 0.0373 / 2.0 + 1e-9 && error <= 0.03 * microsiemens, "{error}");
        }
    }
}
