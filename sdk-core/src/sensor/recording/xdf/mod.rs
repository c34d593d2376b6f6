//! XDF files, as LabRecorder writes them from the Lab Streaming Layer (XDF 1.0 specification,
//! github.com/sccn/xdf/wiki/Specifications).
//!
//! Read here and not by the `xdf` crate (0.1.2), which gives irregular streams, markers among
//! them, no clock offset, does not take the jitter out, and ends at the first damaged chunk.
//! Times are those of pyxdf (with a pause of 1 s as the end of a run): a robust line through the clock offsets, then a
//! straight line through the times of each unbroken run of a regular stream.

mod chunk;
mod header;
mod time;

use super::{Format, MAX_FINDINGS, Marker, Opened, series};
use crate::{clock::Nanos, sensor::sample::Signal};
use chunk::{Chunk, Chunks, Found};
use header::{Kind, StreamHeader};
use std::collections::BTreeMap;
use thiserror::Error;

/// Streams that are believed; LabRecorder numbers them from 1.
const MAX_STREAMS: usize = 1_024;

/// Why bytes are not an XDF file that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum XdfError {
    /// They begin otherwise.
    #[error(
        "offset 0: does not begin with \"XDF:\": is it an XDF file (compressed .xdfz: unpack it)?"
    )]
    NotXdf,
    /// Nothing in it can be used.
    #[error(
        "none of its {streams} streams can be used: expected type EDA or GSR, ECG, PPG, RR, ACC or Markers. {findings}"
    )]
    Nothing {
        /// Streams in the file.
        streams: usize,
        /// What was wrong with them.
        findings: String,
    },
}

/// One stream of the file, as far as it is used.
struct Stream {
    header: StreamHeader,
    data: Data,
    offsets: Vec<(f64, f64)>,
}

/// Samples of a stream: times as recorded, and the one value or text that is used.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) times_s: Vec<f64>,
    pub(super) values: Vec<f64>,
    pub(super) texts: Vec<String>,
    last_s: f64,
}

/// Reads a file. Total: any bytes are read or refused; what is damaged is left out and counted.
///
/// # Errors
/// [`XdfError`].
pub fn import(file: &[u8]) -> Result<Opened, XdfError> {
    let mut chunks = Chunks::new(file).ok_or(XdfError::NotXdf)?;
    let mut streams: BTreeMap<u32, Stream> = BTreeMap::new();
    let (mut rejected, mut findings) = (0u64, Vec::new());
    for Found { offset, chunk } in &mut chunks {
        let taken = match chunk {
            Chunk::StreamHeader { stream, xml } => match StreamHeader::parse(xml) {
                Ok(header) if streams.len() < MAX_STREAMS => {
                    let data = Data::default();
                    streams.insert(stream, Stream { header, data, offsets: Vec::new() });
                    Ok(())
                }
                Ok(_) => Err("too many streams"),
                Err(why) => Err(why),
            },
            Chunk::Samples { stream, content } => match streams.get_mut(&stream) {
                Some(Stream { header, data, .. }) => data.read(header, content),
                None => Err("samples of a stream without a header"),
            },
            Chunk::ClockOffset { stream, at_s, offset_s } => {
                if let Some(stream) = streams.get_mut(&stream)
                    && at_s.is_finite()
                    && offset_s.is_finite()
                {
                    stream.offsets.push((at_s, offset_s));
                }
                Ok(())
            }
            Chunk::Damaged => Err("a damaged chunk"),
            Chunk::Other => Ok(()),
        };
        if let Err(what) = taken {
            rejected += 1;
            if findings.len() < MAX_FINDINGS {
                findings.push(format!("offset {offset}: {what}; left out"));
            }
        }
    }
    findings.extend(streams.values().filter_map(|stream| stream.header.finding.clone()));
    for stream in streams.values_mut() {
        stream.map_times();
    }
    let used = || streams.values().filter(|stream| !stream.data.times_s.is_empty());
    let firsts = used().filter_map(|s| s.data.times_s.iter().copied().reduce(f64::min));
    let Some(start_s) = firsts.reduce(f64::min) else {
        let findings = findings.join("; ");
        return Err(XdfError::Nothing { streams: streams.len(), findings });
    };
    let (mut samples, mut markers) = (Vec::new(), Vec::new());
    for Stream { header, data, .. } in used() {
        let times = data.times_s.iter().map(|t| t - start_s);
        match header.kind {
            Kind::Markers => markers.extend(
                times
                    .zip(&data.texts)
                    .map(|(s, label)| Marker { label: label.clone(), at: Nanos::from_secs_f64(s) }),
            ),
            Kind::Signal { signal, .. } => {
                let values: Vec<(f64, f64)> = times.zip(data.values.iter().copied()).collect();
                let interval_s = if header.rate_hz > 0.0 { 1.0 / header.rate_hz } else { 0.0 };
                samples.extend(series::samples(signal, &values, interval_s));
            }
            Kind::Unused => {}
        }
    }
    let start_unix_s = 0.0; // LSL's clock is not the wall's.
    Ok(Opened::new(Format::Xdf, start_unix_s, samples, markers, rejected, findings))
}

impl Stream {
    fn map_times(&mut self) {
        time::apply_offsets(&mut self.data.times_s, &self.offsets);
        if self.header.rate_hz > 0.0 && !self.header.drops_samples && self.header.kind.is_signal() {
            time::remove_jitter(&mut self.data.times_s, 1.0 / self.header.rate_hz);
        }
    }
}

// The kinds that only differ in what they are measured in share `Kind::Signal`.
impl Kind {
    fn is_signal(&self) -> bool {
        matches!(self, Self::Signal { signal, .. } if *signal != Signal::RrInterval)
    }
}

#[cfg(test)]
mod tests;
