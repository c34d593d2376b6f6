//! Chunks of a file, and the samples within one.

use super::{
    Data,
    header::{Kind, Scalar, StreamHeader},
};
use crate::sensor::recording::bytes::Bytes;

const MAGIC: &[u8] = b"XDF:";
/// Content of every boundary chunk: where to go on after damage.
const BOUNDARY: [u8; 16] = [
    0x43, 0xA5, 0x46, 0xDC, 0xCB, 0xF5, 0x41, 0x0F, 0xB3, 0x0E, 0xD5, 0x46, 0x73, 0x83, 0xCB, 0xE4,
];
const STREAM_HEADER: u16 = 2;
const SAMPLES: u16 = 3;
const CLOCK_OFFSET: u16 = 4;

pub(super) enum Chunk<'a> {
    StreamHeader {
        stream: u32,
        xml: &'a [u8],
    },
    Samples {
        stream: u32,
        content: &'a [u8],
    },
    ClockOffset {
        stream: u32,
        at_s: f64,
        offset_s: f64,
    },
    Damaged,
    /// File header, boundary, stream footer, and what later versions add.
    Other,
}

/// A chunk and where it begins.
pub(super) struct Found<'a> {
    pub(super) offset: usize,
    pub(super) chunk: Chunk<'a>,
}

pub(super) struct Chunks<'a> {
    file: &'a [u8],
    rest: Bytes<'a>,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(file: &'a [u8]) -> Option<Self> {
        Some(Self { file, rest: Bytes(file.strip_prefix(MAGIC)?) })
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let offset = self.file.len() - self.rest.0.len();
        if self.rest.0.is_empty() {
            return None;
        }
        let mut ahead = self.rest;
        let content = length(&mut ahead).and_then(|length| ahead.take(length));
        let chunk = content.and_then(chunk).unwrap_or(Chunk::Damaged);
        self.rest = match chunk {
            Chunk::Damaged => {
                let at = self.rest.0.windows(BOUNDARY.len()).position(|w| w == BOUNDARY);
                Bytes(at.map_or(&[], |at| &self.rest.0[at + BOUNDARY.len()..]))
            }
            _ => ahead,
        };
        Some(Found { offset, chunk })
    }
}

fn chunk(content: &[u8]) -> Option<Chunk<'_>> {
    let mut bytes = Bytes(content);
    Some(match bytes.u16()? {
        STREAM_HEADER => Chunk::StreamHeader { stream: bytes.u32()?, xml: bytes.0 },
        SAMPLES => Chunk::Samples { stream: bytes.u32()?, content: bytes.0 },
        CLOCK_OFFSET => Chunk::ClockOffset {
            stream: bytes.u32()?,
            at_s: f64::from_bits(bytes.u64()?),
            offset_s: f64::from_bits(bytes.u64()?),
        },
        // Tags of the specification are 1 to 6.
        1..=6 => Chunk::Other,
        _ => return None,
    })
}

/// A length: one byte that says how many bytes it has, 1, 4 or 8, then those.
fn length(bytes: &mut Bytes<'_>) -> Option<usize> {
    match bytes.u8()? {
        1 => bytes.u8().map(usize::from),
        4 => usize::try_from(bytes.u32()?).ok(),
        8 => usize::try_from(bytes.u64()?).ok(),
        _ => None,
    }
}

impl Data {
    /// Reads one chunk of samples; what was read before a damage within it stays.
    pub(super) fn read(
        &mut self,
        header: &StreamHeader,
        content: &[u8],
    ) -> Result<(), &'static str> {
        if matches!(header.kind, Kind::Unused) {
            return Ok(());
        }
        let mut bytes = Bytes(content);
        let count = length(&mut bytes).ok_or("samples without a count")?;
        for _ in 0..count {
            self.sample(header, &mut bytes).ok_or("samples that end too early")?;
        }
        Ok(())
    }

    fn sample(&mut self, header: &StreamHeader, bytes: &mut Bytes<'_>) -> Option<()> {
        let interval_s = if header.rate_hz > 0.0 { 1.0 / header.rate_hz } else { 0.0 };
        let time_s = match bytes.u8()? {
            0 => self.last_s + interval_s,
            8 => f64::from_bits(bytes.u64()?),
            _ => return None,
        };
        let mut text = String::new();
        let mut chosen = [f64::NAN; 3];
        for channel in 0..header.channel_count {
            match header.format {
                Scalar::Text => {
                    let count = length(bytes)?;
                    let part = String::from_utf8_lossy(bytes.take(count)?);
                    if channel == 0 {
                        text = part.into_owned();
                    }
                }
                _ => {
                    let value = number(header.format, bytes)?;
                    if let Some(slot) = header.kind.slot(channel) {
                        chosen[slot] = value;
                    }
                }
            }
        }
        self.last_s = time_s;
        if !time_s.is_finite() {
            return Some(()); // A sample without a time is no use, and no reason to lose the rest.
        }
        match &header.kind {
            Kind::Markers if header.format == Scalar::Text => self.texts.push(text),
            Kind::Markers => self.texts.push(chosen[0].to_string()),
            kind => self.values.push(kind.value(chosen)),
        }
        self.times_s.push(time_s);
        Some(())
    }
}

fn number(format: Scalar, bytes: &mut Bytes<'_>) -> Option<f64> {
    Some(match format {
        Scalar::Int8 => f64::from(i8::from_le_bytes(bytes.array()?)),
        Scalar::Int16 => f64::from(i16::from_le_bytes(bytes.array()?)),
        Scalar::Int32 => f64::from(i32::from_le_bytes(bytes.array()?)),
        Scalar::Int64 => i64::from_le_bytes(bytes.array()?) as f64,
        Scalar::Float32 => f64::from(f32::from_le_bytes(bytes.array()?)),
        Scalar::Double64 => f64::from_le_bytes(bytes.array()?),
        Scalar::Text => return None,
    })
}
