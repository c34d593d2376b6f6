//! The PMD control point: commands written by the app, answers indicated by the device.
//!
//! | direction | bytes |
//! |---|---|
//! | command | op, measurement, settings of a start |
//! | answer | 0xF0, op, measurement, status, and after success: more follows (u8), settings |
//! | stopped by the device | 0x01, measurements |
//! | read: features | 0x0F, bits: measurement 0 at b0 of the first byte, and so on |
//!
//! A setting is its number, a count, and that many little-endian values.

use super::Measurement;
use thiserror::Error;

const ANSWER: u8 = 0xF0;
const STOPPED: u8 = 0x01;
const FEATURES: u8 = 0x0F;

/// What a command asks. The number is the one on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// Name the settings a stream can have.
    GetSettings = 1,
    /// Start a stream.
    Start = 2,
    /// Stop a stream.
    Stop = 3,
}

impl Op {
    fn from_number(number: u8) -> Option<Self> {
        [Self::GetSettings, Self::Start, Self::Stop].into_iter().find(|op| *op as u8 == number)
    }
}

/// What a setting is about. The number is the one on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SettingKind {
    /// Samples a second.
    SampleRateHz = 0,
    /// Bits of a sample.
    ResolutionBits = 1,
    /// Full scale, in the measurement's unit.
    Range = 2,
    /// Full scale, in thousandths of the measurement's unit.
    RangeMilli = 3,
    /// Channels.
    Channels = 4,
    /// What counts are multiplied with: the bits of an f32.
    Factor = 5,
}

impl SettingKind {
    const ALL: [Self; 6] = [
        Self::SampleRateHz,
        Self::ResolutionBits,
        Self::Range,
        Self::RangeMilli,
        Self::Channels,
        Self::Factor,
    ];

    /// Bytes of one value.
    const fn width(self) -> usize {
        match self {
            Self::SampleRateHz | Self::ResolutionBits | Self::Range => 2,
            Self::RangeMilli | Self::Factor => 4,
            Self::Channels => 1,
        }
    }
}

/// One setting: the value chosen in a command, the values possible in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What it is about.
    pub kind: SettingKind,
    /// Its values, at most 255.
    pub values: Vec<u32>,
}

impl Setting {
    /// A setting of one value.
    #[must_use]
    pub fn one(kind: SettingKind, value: u32) -> Self {
        Self { kind, values: vec![value] }
    }
}

/// What the app writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Which settings can the stream have?
    GetSettings(Measurement),
    /// Start the stream.
    Start {
        /// The stream.
        measurement: Measurement,
        /// Its settings; none for PPI.
        settings: Vec<Setting>,
    },
    /// Stop the stream.
    Stop(Measurement),
}

/// What the device indicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The answer to a command.
    Answer(Response),
    /// The device stopped these streams by itself; those this crate does not know are left out.
    Stopped(Vec<Measurement>),
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The command.
    pub op: Op,
    /// Its stream.
    pub measurement: Measurement,
    /// How it went.
    pub status: Status,
    /// Another answer continues this one.
    pub more: bool,
    /// The settings possible, or those that a started stream has.
    pub settings: Vec<Setting>,
}

impl Response {
    /// What the counts of a started stream are multiplied with; 1 where the device names nothing
    /// that can be multiplied with.
    #[must_use]
    pub fn factor(&self) -> f64 {
        let named = self.settings.iter().find(|s| s.kind == SettingKind::Factor);
        let bits = named.and_then(|s| s.values.first());
        let factor = bits.map(|bits| f64::from(f32::from_bits(*bits)));
        factor.filter(|factor| factor.is_normal() && *factor > 0.0).unwrap_or(1.0)
    }
}

/// How a command went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Status {
    /// Done.
    #[error("success")]
    Success,
    /// The device does not know the command.
    #[error("invalid op code")]
    InvalidOp,
    /// The device does not know the stream.
    #[error("invalid measurement type")]
    InvalidMeasurement,
    /// The device does not have the stream.
    #[error("not supported")]
    NotSupported,
    /// The command is too short or too long.
    #[error("invalid length")]
    InvalidLength,
    /// A setting is not possible.
    #[error("invalid parameter")]
    InvalidParameter,
    /// The stream is started, or stopped, already.
    #[error("already in that state")]
    AlreadyInState,
    /// The resolution is not possible.
    #[error("invalid resolution")]
    InvalidResolution,
    /// The rate is not possible.
    #[error("invalid sample rate")]
    InvalidSampleRate,
    /// The range is not possible.
    #[error("invalid range")]
    InvalidRange,
    /// The link's packets are too small.
    #[error("invalid MTU")]
    InvalidMtu,
    /// The number of channels is not possible.
    #[error("invalid number of channels")]
    InvalidChannels,
    /// Not now.
    #[error("invalid state")]
    InvalidState,
    /// It charges.
    #[error("device in charger")]
    InCharger,
    /// Its memory is full.
    #[error("disk full")]
    DiskFull,
    /// A status this crate does not know.
    #[error("unknown status {0}")]
    Unknown(u8),
}

impl Status {
    /// In the order of their numbers.
    const KNOWN: [Self; 15] = [
        Self::Success,
        Self::InvalidOp,
        Self::InvalidMeasurement,
        Self::NotSupported,
        Self::InvalidLength,
        Self::InvalidParameter,
        Self::AlreadyInState,
        Self::InvalidResolution,
        Self::InvalidSampleRate,
        Self::InvalidRange,
        Self::InvalidMtu,
        Self::InvalidChannels,
        Self::InvalidState,
        Self::InCharger,
        Self::DiskFull,
    ];

    fn from_number(number: u8) -> Self {
        Self::KNOWN.get(usize::from(number)).copied().unwrap_or(Self::Unknown(number))
    }

    fn number(self) -> u8 {
        match self {
            Self::Unknown(number) => number,
            known => Self::KNOWN.iter().position(|s| *s == known).unwrap_or(0) as u8,
        }
    }
}

/// Why bytes are not of the control point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ControlError {
    /// It ends inside a field.
    #[error("PMD control message of {length} bytes ends inside {field}")]
    Truncated {
        /// Bytes received.
        length: usize,
        /// The field that is cut.
        field: &'static str,
    },
    /// A number this crate does not know.
    #[error("PMD control message has {field} {found}, which is not known")]
    Unknown {
        /// The field.
        field: &'static str,
        /// Its value.
        found: u8,
    },
    /// Bytes follow the last field.
    #[error("PMD control message has {count} bytes after its last field")]
    Trailing {
        /// Bytes left over.
        count: usize,
    },
}

impl Command {
    /// Reads a command, as a device does. Total.
    ///
    /// # Errors
    /// [`ControlError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlError> {
        let mut rest = Reader { bytes, at: 0 };
        let op = rest.op()?;
        let measurement = rest.measurement()?;
        let command = match op {
            Op::GetSettings => Self::GetSettings(measurement),
            Op::Start => Self::Start { measurement, settings: rest.settings()? },
            Op::Stop => Self::Stop(measurement),
        };
        match rest.left() {
            0 => Ok(command),
            count => Err(ControlError::Trailing { count }),
        }
    }

    /// The bytes to write.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::GetSettings(measurement) => vec![Op::GetSettings as u8, *measurement as u8],
            Self::Stop(measurement) => vec![Op::Stop as u8, *measurement as u8],
            Self::Start { measurement, settings } => {
                let mut bytes = vec![Op::Start as u8, *measurement as u8];
                push_settings(&mut bytes, settings);
                bytes
            }
        }
    }
}

impl Message {
    /// Reads an indication. Total.
    ///
    /// # Errors
    /// [`ControlError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlError> {
        let mut rest = Reader { bytes, at: 0 };
        match rest.u8("its kind")? {
            ANSWER => {}
            STOPPED => {
                let known = bytes[1..].iter().filter_map(|m| Measurement::from_number(*m));
                return Ok(Self::Stopped(known.collect()));
            }
            found => return Err(ControlError::Unknown { field: "kind", found }),
        }
        let (op, measurement) = (rest.op()?, rest.measurement()?);
        let status = Status::from_number(rest.u8("the status")?);
        // What follows a refusal means nothing.
        let succeeded = status == Status::Success && rest.left() > 0;
        let more = succeeded && rest.u8("whether more follows")? != 0;
        let settings = if succeeded { rest.settings()? } else { Vec::new() };
        Ok(Self::Answer(Response { op, measurement, status, more, settings }))
    }

    /// The bytes to indicate.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Answer(answer) => {
                let mut bytes = vec![
                    ANSWER,
                    answer.op as u8,
                    answer.measurement as u8,
                    answer.status.number(),
                    u8::from(answer.more),
                ];
                push_settings(&mut bytes, &answer.settings);
                bytes
            }
            Self::Stopped(streams) => {
                std::iter::once(STOPPED).chain(streams.iter().map(|m| *m as u8)).collect()
            }
        }
    }
}

/// The streams a device has: what reading its control point gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    bits: u16,
}

impl Features {
    /// A device with these streams.
    #[must_use]
    pub fn of(streams: &[Measurement]) -> Self {
        Self { bits: streams.iter().fold(0, |bits, m| bits | 1 << *m as u8) }
    }

    /// Whether the device has a stream.
    #[must_use]
    pub const fn has(self, measurement: Measurement) -> bool {
        self.bits >> measurement as u8 & 1 == 1
    }

    /// Reads the value of the control point; longer values of newer devices are read as far as
    /// they are known.
    ///
    /// # Errors
    /// [`ControlError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlError> {
        let mut rest = Reader { bytes, at: 0 };
        match rest.u8("its kind")? {
            FEATURES => {}
            found => return Err(ControlError::Unknown { field: "kind", found }),
        }
        let low = rest.u8("the features")?;
        let high = if rest.left() > 0 { rest.u8("the features")? } else { 0 };
        Ok(Self { bits: u16::from_le_bytes([low, high]) })
    }

    /// The value to give.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let [low, high] = self.bits.to_le_bytes();
        vec![FEATURES, low, high]
    }
}

fn push_settings(bytes: &mut Vec<u8>, settings: &[Setting]) {
    for setting in settings {
        let values = &setting.values[..setting.values.len().min(usize::from(u8::MAX))];
        bytes.extend_from_slice(&[setting.kind as u8, values.len() as u8]);
        let width = setting.kind.width();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(width)));
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

    fn u8(&mut self, field: &'static str) -> Result<u8, ControlError> {
        self.number(1, field).map(|value| value as u8)
    }

    /// An unsigned number of up to four bytes.
    fn number(&mut self, width: usize, field: &'static str) -> Result<u32, ControlError> {
        let bytes = self.bytes[self.at..]
            .get(..width)
            .ok_or(ControlError::Truncated { length: self.bytes.len(), field })?;
        self.at += width;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn op(&mut self) -> Result<Op, ControlError> {
        let found = self.u8("the op code")?;
        Op::from_number(found).ok_or(ControlError::Unknown { field: "op code", found })
    }

    fn measurement(&mut self) -> Result<Measurement, ControlError> {
        let found = self.u8("the measurement")?;
        let known = Measurement::from_number(found);
        known.ok_or(ControlError::Unknown { field: "measurement", found })
    }

    fn settings(&mut self) -> Result<Vec<Setting>, ControlError> {
        let mut settings = Vec::new();
        while self.left() > 0 {
            let found = self.u8("a setting")?;
            let kind = SettingKind::ALL.into_iter().find(|kind| *kind as u8 == found);
            let kind = kind.ok_or(ControlError::Unknown { field: "setting", found })?;
            let count = self.u8("a setting's count")?;
            let values = (0..count).map(|_| self.number(kind.width(), "a setting's values"));
            settings.push(Setting { kind, values: values.collect::<Result<_, _>>()? });
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SettingKind::{Factor, Range, ResolutionBits, SampleRateHz};
    use proptest::prelude::*;

    #[test]
    fn commands() {
        let check = |bytes: &[u8], command: Command| {
            assert_eq!(Command::parse(bytes).as_ref(), Ok(&command), "{bytes:02x?}");
            assert_eq!(command.encode(), bytes);
        };
        check(&[1, 0], Command::GetSettings(Measurement::Ecg));
        check(&[3, 2], Command::Stop(Measurement::Acceleration));
        check(&[2, 3], Command::Start { measurement: Measurement::Ppi, settings: vec![] });
        check(
            &[2, 0, 0, 1, 0x82, 0, 1, 1, 14, 0],
            Command::Start {
                measurement: Measurement::Ecg,
                settings: vec![Setting::one(SampleRateHz, 130), Setting::one(ResolutionBits, 14)],
            },
        );
    }

    #[test]
    fn messages() {
        let check = |bytes: &[u8], message: Message| {
            assert_eq!(Message::parse(bytes).as_ref(), Ok(&message), "{bytes:02x?}");
            assert_eq!(message.encode(), bytes);
        };
        let answer = |op, measurement, settings| {
            let status = Status::Success;
            Message::Answer(Response { op, measurement, status, more: false, settings })
        };
        check(
            &[0xF0, 1, 2, 0, 0, 0, 3, 50, 0, 100, 0, 200, 0, 1, 1, 16, 0, 2, 2, 2, 0, 8, 0],
            answer(
                Op::GetSettings,
                Measurement::Acceleration,
                vec![
                    Setting { kind: SampleRateHz, values: vec![50, 100, 200] },
                    Setting::one(ResolutionBits, 16),
                    Setting { kind: Range, values: vec![2, 8] },
                ],
            ),
        );
        let half = 0.5f32.to_bits();
        let started =
            answer(Op::Start, Measurement::Acceleration, vec![Setting::one(Factor, half)]);
        check(&[0xF0, 2, 2, 0, 0, 5, 1, 0, 0, 0, 0x3F], started);
        check(&[1, 0, 2], Message::Stopped(vec![Measurement::Ecg, Measurement::Acceleration]));
    }

    #[test]
    fn refusals() {
        for (number, text) in
            [(3, "not supported"), (6, "already in that state"), (99, "unknown status 99")]
        {
            for bytes in [&[0xF0, 2, 0, number][..], &[0xF0, 2, 0, number, 0, 77]] {
                let Ok(Message::Answer(answer)) = Message::parse(bytes) else {
                    panic!("{bytes:?}")
                };
                assert_eq!(answer.status.to_string(), text);
                assert_eq!(answer.status.number(), number);
            }
        }
    }

    #[test]
    fn a_factor_can_be_multiplied_with() {
        let factor = |settings| {
            let (op, measurement, status) = (Op::Start, Measurement::Ppg, Status::Success);
            Response { op, measurement, status, more: false, settings }.factor()
        };
        assert_eq!(factor(vec![]), 1.0);
        assert_eq!(factor(vec![Setting::one(Factor, 0.25f32.to_bits())]), 0.25);
        for absurd in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
            assert_eq!(factor(vec![Setting::one(Factor, absurd.to_bits())]), 1.0);
        }
    }

    #[test]
    fn errors_name_the_field() {
        let truncated = |length, field| ControlError::Truncated { length, field };
        let unknown = |field, found| ControlError::Unknown { field, found };
        assert_eq!(Command::parse(&[]), Err(truncated(0, "the op code")));
        assert_eq!(Command::parse(&[9, 0]), Err(unknown("op code", 9)));
        assert_eq!(Command::parse(&[3, 44]), Err(unknown("measurement", 44)));
        assert_eq!(Command::parse(&[3, 0, 1]), Err(ControlError::Trailing { count: 1 }));
        assert_eq!(Command::parse(&[2, 0, 0, 2, 1]), Err(truncated(5, "a setting's values")));
        assert_eq!(Command::parse(&[2, 0, 88, 0]), Err(unknown("setting", 88)));
        assert_eq!(Message::parse(&[0x0E]), Err(unknown("kind", 0x0E)));
        assert_eq!(Features::parse(&[0xF0]), Err(unknown("kind", 0xF0)));
    }

    #[test]
    fn features() {
        let h10 = Features::parse(&[0x0F, 0b101, 0, 0]).unwrap();
        assert_eq!(h10, Features::of(&[Measurement::Ecg, Measurement::Acceleration]));
        assert!(h10.has(Measurement::Ecg) && !h10.has(Measurement::Ppg));
        let sdk = Features::of(&[Measurement::SdkMode]);
        assert_eq!(sdk.encode(), [0x0F, 0, 2]);
        assert_eq!(Features::parse(&sdk.encode()), Ok(sdk));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            head in prop::sample::select(vec![0xF0u8, 1, 2, 3, 0x0F]),
        ) {
            let bytes: Vec<u8> = std::iter::once(head).chain(bytes).collect();
            let _ = (Message::parse(&bytes), Features::parse(&bytes));
            if let Ok(command) = Command::parse(&bytes) {
                prop_assert_eq!(command.encode(), bytes);
            }
        }
    }
}
