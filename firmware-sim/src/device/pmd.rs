//! A Polar's control point: which streams there are, and what it answers.

use protocol::polar_pmd::{
    Measurement,
    control::{
        Command, ControlError, Features, Message, Op, Response, Setting, SettingKind, Status,
    },
};

use super::channel::{Channel, Sensor, Told};
use crate::{
    fault::{Injected, Signal},
    spec::DeviceKind,
};

/// One stream and the settings it can have: the first value of each is what it has by itself.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) measurement: Measurement,
    pub(super) signal: Signal,
    settings: &'static [(SettingKind, &'static [u32])],
    /// Bytes of a sample at most, which bound what a notification holds.
    sample_bytes: u64,
}

/// What the clock of a Polar shows that nobody has set: 2019-01-01, in ns since 2000-01-01.
const UNSET_NS: u64 = 599_616_000_000_000_000;
/// Bytes of samples in a notification of 244: less its header, and less the block headers of a
/// compressed frame.
const FRAME_BYTES: u64 = 220;
/// What one count of a Verity Sense's acceleration is, in milli-g: 8 g in 15 bits.
pub(super) const MILLI_G_PER_COUNT: f32 = 0.244_140_63;

/// An H10 sends its ECG in notifications of so many samples at so many a second.
const H10_ECG_FRAME: (u64, u64) = (73, 130);

const H10: [Stream; 2] = [
    Stream {
        measurement: Measurement::Ecg,
        signal: Signal::Ecg,
        settings: &[(SettingKind::SampleRateHz, &[130]), (SettingKind::ResolutionBits, &[14])],
        sample_bytes: 3,
    },
    Stream {
        measurement: Measurement::Acceleration,
        signal: Signal::Acceleration,
        settings: &[
            (SettingKind::SampleRateHz, &[25, 50, 100, 200]),
            (SettingKind::ResolutionBits, &[16]),
            (SettingKind::Range, &[2, 4, 8]),
        ],
        sample_bytes: 6,
    },
];
const SENSE: [Stream; 3] = [
    Stream {
        measurement: Measurement::Ppg,
        signal: Signal::Ppg,
        settings: &[
            (SettingKind::SampleRateHz, &[55]),
            (SettingKind::ResolutionBits, &[22]),
            (SettingKind::Channels, &[4]),
        ],
        sample_bytes: 12,
    },
    Stream {
        measurement: Measurement::Acceleration,
        signal: Signal::Acceleration,
        settings: &[
            (SettingKind::SampleRateHz, &[52]),
            (SettingKind::ResolutionBits, &[16]),
            (SettingKind::Range, &[8]),
            (SettingKind::Channels, &[3]),
        ],
        sample_bytes: 6,
    },
    Stream { measurement: Measurement::Ppi, signal: Signal::Ppi, settings: &[], sample_bytes: 6 },
];

/// The streams of a kind of device.
pub(super) fn streams(kind: DeviceKind) -> &'static [Stream] {
    match kind {
        DeviceKind::PolarH10 => &H10,
        DeviceKind::PolarSense => &SENSE,
        _ => &[],
    }
}

impl Stream {
    /// Samples a second, before anyone chooses; 1 where they are not evenly spaced.
    pub(super) fn hz(&self) -> u64 {
        let rates = self.settings.iter().find(|(kind, _)| *kind == SettingKind::SampleRateHz);
        rates.and_then(|(_, rates)| rates.first()).map_or(1, |hz| u64::from(*hz))
    }

    /// Samples a notification: what fits, but nothing waits longer than the ECG of an H10.
    pub(super) fn batch(&self, hz: u64) -> u64 {
        let (samples, per_second) = H10_ECG_FRAME;
        (FRAME_BYTES / self.sample_bytes).min(hz * samples / per_second).max(1)
    }
}

/// A PMD timestamp for what the device clock shows.
pub(super) fn timestamp_ns(shown_ns: u64) -> u64 {
    UNSET_NS.saturating_add(shown_ns)
}

/// What the control point reads as: the streams there are.
pub(super) fn features(kind: DeviceKind) -> Vec<u8> {
    let measurements: Vec<Measurement> = streams(kind).iter().map(|s| s.measurement).collect();
    Features::of(&measurements).encode()
}

/// Obeys what was written to the control point; gives what it indicates. Every input has an
/// answer.
pub(super) fn command(
    bytes: &[u8],
    kind: DeviceKind,
    channels: &mut [Channel],
    now_ns: u64,
    counts: &mut Injected,
) -> Vec<u8> {
    let command = match Command::parse(bytes) {
        Ok(command) => command,
        Err(error) => return refusal(bytes, status(error)),
    };
    let (op, measurement) = match &command {
        Command::GetSettings(measurement) => (Op::GetSettings, *measurement),
        Command::Start { measurement, .. } => (Op::Start, *measurement),
        Command::Stop(measurement) => (Op::Stop, *measurement),
    };
    let done = match find(measurement, kind, channels) {
        None => Err(Status::NotSupported),
        Some((stream, channel)) => match command {
            Command::GetSettings(_) => Ok(stream.options()),
            Command::Start { settings, .. } => start(stream, &settings, channel, now_ns, counts),
            Command::Stop(_) => stop(channel),
        },
    };
    let (status, settings) = match done {
        Ok(settings) => (Status::Success, settings),
        Err(status) => (status, Vec::new()),
    };
    Message::Answer(Response { op, measurement, status, more: false, settings }).encode()
}

fn find(
    measurement: Measurement,
    kind: DeviceKind,
    channels: &mut [Channel],
) -> Option<(&'static Stream, &mut Channel)> {
    let stream = streams(kind).iter().find(|stream| stream.measurement == measurement)?;
    let channel = channels.iter_mut().find(|channel| channel.signal == stream.signal)?;
    Some((stream, channel))
}

fn start(
    stream: &Stream,
    settings: &[Setting],
    channel: &mut Channel,
    now_ns: u64,
    counts: &mut Injected,
) -> Result<Vec<Setting>, Status> {
    if channel.told == Told::Running {
        return Err(Status::AlreadyInState);
    }
    settings.iter().try_for_each(|setting| stream.check(setting))?;
    let rate = settings.iter().find(|setting| setting.kind == SettingKind::SampleRateHz);
    let chosen = rate.and_then(|rate| rate.values.first()).map(|hz| u64::from(*hz));
    // A stream that is sampled must be told how fast.
    if matches!(channel.sensor, Sensor::Frames(_)) && chosen.is_none() {
        return Err(Status::InvalidParameter);
    }
    channel.start(now_ns, counts);
    if let (Sensor::Frames(frames), Some(hz)) = (&mut channel.sensor, chosen) {
        frames.set_rate(hz, stream.batch(hz), now_ns);
    }
    let factor = (stream.sends_factor()).then(|| MILLI_G_PER_COUNT.to_bits());
    Ok(factor.map(|bits| Setting::one(SettingKind::Factor, bits)).into_iter().collect())
}

/// A stream that ended with its link does not run: that is what its samples go on to be missing
/// from.
fn stop(channel: &mut Channel) -> Result<Vec<Setting>, Status> {
    if channel.told != Told::Running {
        return Err(Status::AlreadyInState);
    }
    channel.told = Told::Idle;
    Ok(Vec::new())
}

impl Stream {
    fn options(&self) -> Vec<Setting> {
        let option = |(kind, values): &(SettingKind, &[u32])| Setting {
            kind: *kind,
            values: values.to_vec(),
        };
        self.settings.iter().map(option).collect()
    }

    /// Whether a setting of a start command is possible.
    fn check(&self, setting: &Setting) -> Result<(), Status> {
        let options = self.settings.iter().find(|(kind, _)| *kind == setting.kind);
        let (_, possible) = options.ok_or(Status::InvalidParameter)?;
        if matches!(setting.values.as_slice(), [value] if possible.contains(value)) {
            return Ok(());
        }
        Err(match setting.kind {
            SettingKind::SampleRateHz => Status::InvalidSampleRate,
            SettingKind::ResolutionBits => Status::InvalidResolution,
            SettingKind::Range | SettingKind::RangeMilli => Status::InvalidRange,
            SettingKind::Channels => Status::InvalidChannels,
            SettingKind::Factor => Status::InvalidParameter,
        })
    }

    /// A Verity Sense compresses its acceleration and says what a count is.
    fn sends_factor(&self) -> bool {
        self.settings.iter().any(|(kind, _)| *kind == SettingKind::Channels)
            && self.measurement == Measurement::Acceleration
    }
}

/// The status for bytes that are no command.
fn status(error: ControlError) -> Status {
    match error {
        ControlError::Truncated { .. } | ControlError::Trailing { .. } => Status::InvalidLength,
        ControlError::Unknown { field: "op code", .. } => Status::InvalidOp,
        ControlError::Unknown { field: "measurement", .. } => Status::InvalidMeasurement,
        ControlError::Unknown { .. } => Status::InvalidParameter,
    }
}

/// A refusal names the bytes it refuses, whatever they are.
fn refusal(bytes: &[u8], status: Status) -> Vec<u8> {
    let (op, measurement) = (Op::GetSettings, Measurement::Ecg);
    let response = Response { op, measurement, status, more: false, settings: Vec::new() };
    let mut answer = Message::Answer(response).encode();
    if let [_, op, measurement, ..] = answer.as_mut_slice() {
        *op = bytes.first().copied().unwrap_or(0);
        *measurement = bytes.get(1).copied().unwrap_or(0);
    }
    answer
}
