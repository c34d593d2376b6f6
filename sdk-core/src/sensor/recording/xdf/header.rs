//! What a stream says about itself: which of its channels is used, and in which unit.

use crate::sensor::sample::Signal;
use quick_xml::{Reader, events::Event};

/// Deepest nesting that is read; LSL's own metadata has five levels.
const MAX_DEPTH: usize = 32;
/// Rates that are believed, Hz; 0 is an irregular stream.
const MAX_RATE_HZ: f64 = 100_000.0;
/// Channels that are believed: more than any amplifier has.
const MAX_CHANNELS: u32 = 4_096;
/// Standard gravity, m/s².
const GRAVITY: f64 = 9.806_65;

/// Type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Double64,
    Text,
}

/// What becomes of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Samples: the channels that make the value, and how it is brought to the signal's unit.
    Signal {
        signal: Signal,
        channels: Vec<u32>,
        unit: Unit,
    },
    Markers,
    Unused,
}

/// From the stream's unit to ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unit {
    Times(f64),
    /// Resistance: ours is that many over the value.
    Over(f64),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct StreamHeader {
    pub(super) channel_count: u32,
    pub(super) rate_hz: f64,
    pub(super) format: Scalar,
    pub(super) kind: Kind,
    /// The times of a stream that may drop samples are not straightened.
    pub(super) drops_samples: bool,
    /// What a person should know.
    pub(super) finding: Option<String>,
}

/// What the XML holds, as far as it is read.
#[derive(Debug, Default)]
struct Info {
    name: String,
    kind: String,
    channel_count: String,
    rate: String,
    format: String,
    drops_samples: String,
    channels: Vec<Channel>,
}

#[derive(Debug, Default)]
struct Channel {
    label: String,
    kind: String,
    unit: String,
}

impl StreamHeader {
    pub(super) fn parse(xml: &[u8]) -> Result<Self, &'static str> {
        let info = Info::parse(&String::from_utf8_lossy(xml)).ok_or("a header that is not XML")?;
        let channel_count = info.channel_count.trim().parse().ok();
        let channel_count = channel_count
            .filter(|count| (1..=MAX_CHANNELS).contains(count))
            .ok_or("a header without a channel_count between 1 and 4096")?;
        let rate_hz = info.rate.trim().parse().ok();
        let rate_hz = rate_hz
            .filter(|rate| (0.0..=MAX_RATE_HZ).contains(rate))
            .ok_or("a header without a nominal_srate between 0 and 100 kHz")?;
        let format = match info.format.trim() {
            "int8" => Scalar::Int8,
            "int16" => Scalar::Int16,
            "int32" => Scalar::Int32,
            "int64" => Scalar::Int64,
            "float32" => Scalar::Float32,
            "double64" => Scalar::Double64,
            "string" => Scalar::Text,
            _ => return Err("a header with an unknown channel_format"),
        };
        let (kind, finding) = kind(&info, channel_count, format);
        let name = &info.name;
        let finding = finding.map(|what| format!("stream {name:?}: {what}"));
        let drops_samples = info.drops_samples.trim().eq_ignore_ascii_case("true");
        Ok(Self { channel_count, rate_hz, format, kind, drops_samples, finding })
    }
}

impl Kind {
    /// Which part of the value a channel is, if any.
    pub(super) fn slot(&self, channel: u32) -> Option<usize> {
        match self {
            Self::Signal { channels, .. } => channels.iter().position(|c| *c == channel),
            Self::Markers => (channel == 0).then_some(0),
            Self::Unused => None,
        }
    }

    /// The parts as one value in the signal's unit.
    pub(super) fn value(&self, parts: [f64; 3]) -> f64 {
        let Self::Signal { channels, unit, .. } = self else { return f64::NAN };
        let value = match channels.len() {
            1 => parts[0],
            _ => parts.iter().map(|v| v * v).sum::<f64>().sqrt(),
        };
        match unit {
            Unit::Times(factor) => value * factor,
            Unit::Over(numerator) => numerator / value,
        }
    }
}

/// What the stream is used for, and what a person should know about that choice.
fn kind(info: &Info, channel_count: u32, format: Scalar) -> (Kind, Option<String>) {
    let stream = info.kind.to_ascii_lowercase();
    if matches!(stream.as_str(), "markers" | "marker" | "events" | "stim") {
        return (Kind::Markers, None);
    }
    if format == Scalar::Text {
        return (Kind::Unused, None);
    }
    // By the type of the stream, or of one of its channels, or a channel's label.
    let named = |channel: &Channel| of_name(&channel.kind).or_else(|| of_name(&channel.label));
    let found = info.channels.iter().position(|c| named(c).is_some());
    let by_channel = found.and_then(|k| named(&info.channels[k]));
    let Some(signal) = of_name(&stream).or(by_channel) else { return (Kind::Unused, None) };
    let mine = |channel: &Channel| named(channel) == Some(signal);
    let first = info.channels.iter().position(mine).unwrap_or(0);
    let channels: Vec<u32> = match signal {
        Signal::Acceleration if channel_count >= 3 => (0..3).map(|k| k + first as u32).collect(),
        _ => vec![first as u32],
    };
    if channels.last().is_some_and(|last| *last >= channel_count) {
        return (Kind::Unused, Some("more channels are described than there are; left out".into()));
    }
    let text = info.channels.get(first).map_or("", |channel| channel.unit.trim());
    match unit(signal, text) {
        Some(unit) => {
            let finding = text.is_empty().then(|| format!("no unit given, {}", assumed(signal)));
            (Kind::Signal { signal, channels, unit }, finding)
        }
        None => (Kind::Unused, Some(format!("unit {text:?} is not known for it; left out"))),
    }
}

fn of_name(name: &str) -> Option<Signal> {
    match name.trim().to_ascii_lowercase().as_str() {
        "eda" | "gsr" | "sc" | "skin conductance" | "skinconductance" => {
            Some(Signal::SkinConductance)
        }
        "ecg" | "ekg" => Some(Signal::Ecg),
        "ppg" | "bvp" => Some(Signal::Ppg),
        "rr" | "ibi" | "rri" | "rr interval" => Some(Signal::RrInterval),
        "acc" | "accelerometer" | "acceleration" | "accx" | "acc_x" => Some(Signal::Acceleration),
        _ => None,
    }
}

fn assumed(signal: Signal) -> &'static str {
    match signal {
        Signal::SkinConductance => "microsiemens assumed",
        Signal::RrInterval => "milliseconds assumed",
        Signal::Ecg => "microvolts assumed",
        Signal::Ppg => "taken as it is",
        Signal::Acceleration => "g assumed",
    }
}

fn unit(signal: Signal, text: &str) -> Option<Unit> {
    let text = text.replace(['µ', 'μ'], "u").to_ascii_lowercase();
    let times = |factor| Some(Unit::Times(factor));
    match (signal, text.as_str()) {
        (Signal::Ppg, _) | (_, "") => times(1.0),
        (Signal::SkinConductance, "us" | "usiemens" | "microsiemens" | "microsiemen") => times(1.0),
        (Signal::SkinConductance, "s" | "siemens") => times(1e6),
        (Signal::SkinConductance, "ns" | "nanosiemens") => times(1e-3),
        (Signal::SkinConductance, "kohm" | "kohms" | "kiloohm") => Some(Unit::Over(1e3)),
        (Signal::SkinConductance, "ohm" | "ohms") => Some(Unit::Over(1e6)),
        (Signal::RrInterval, "ms" | "milliseconds") => times(1.0),
        (Signal::RrInterval, "s" | "seconds") => times(1e3),
        (Signal::Ecg, "uv" | "microvolt" | "microvolts") => times(1.0),
        (Signal::Ecg, "mv" | "millivolt" | "millivolts") => times(1e3),
        (Signal::Ecg, "v" | "volt" | "volts") => times(1e6),
        (Signal::Acceleration, "g") => times(1.0),
        (Signal::Acceleration, "mg") => times(1e-3),
        (Signal::Acceleration, "m/s2" | "m/s^2" | "m/s²") => times(1.0 / GRAVITY),
        _ => None,
    }
}

impl Info {
    /// `None` where the text is not well-formed.
    fn parse(xml: &str) -> Option<Self> {
        let mut reader = Reader::from_str(xml);
        let mut info = Self::default();
        let mut path: Vec<String> = Vec::new();
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => {
                    let name = start.name().as_ref().to_owned();
                    path.push(name.to_string());
                    if path.len() > MAX_DEPTH {
                        return None;
                    }
                    if path == ["info", "desc", "channels", "channel"] {
                        info.channels.push(Channel::default());
                    }
                }
                Event::End(_) => drop(path.pop()),
                Event::Text(text) => info.text(&path, &text.xml10_content()),
                Event::GeneralRef(reference) => {
                    if let Ok(Some(c)) = reference.resolve_char_ref() {
                        info.text(&path, c.encode_utf8(&mut [0; 4]));
                    }
                }
                Event::Eof => return Some(info),
                _ => {}
            }
        }
    }

    fn text(&mut self, path: &[String], text: &str) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let field = match path[..] {
            ["info", "name"] => &mut self.name,
            ["info", "type"] => &mut self.kind,
            ["info", "channel_count"] => &mut self.channel_count,
            ["info", "nominal_srate"] => &mut self.rate,
            ["info", "channel_format"] => &mut self.format,
            ["info", "desc", "synchronization", "can_drop_samples"] => &mut self.drops_samples,
            ["info", "desc", "channels", "channel", leaf] => {
                let Some(channel) = self.channels.last_mut() else { return };
                match leaf {
                    "label" => &mut channel.label,
                    "type" => &mut channel.kind,
                    "unit" => &mut channel.unit,
                    _ => return,
                }
            }
            _ => return,
        };
        field.push_str(text);
    }
}
