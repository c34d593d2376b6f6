//! Recordings: what was measured before, as the samples a live device gives.
//!
//! [`open`] knows four kinds by what is in them: a folder of an Empatica E4 ([`Recording`]),
//! Attune's own format ([`attune`]), and with the cargo feature `offline` the Avro files of an
//! Empatica EmbracePlus and XDF files of LabRecorder.

pub mod attune;
mod bytes;
mod e4;
#[cfg(feature = "offline")]
pub mod embrace_plus;
#[cfg(feature = "offline")]
mod series;
#[cfg(feature = "offline")]
pub mod xdf;

pub use e4::{Beat, Recording, RecordingError};

use super::sample::Sample;
use crate::clock::Nanos;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use thiserror::Error;

/// Largest file that is read: a day of EDA at 1000 Hz.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Findings that are kept of one file; [`Opened::rejected`] counts them all.
#[cfg(feature = "offline")]
const MAX_FINDINGS: usize = 100;

/// Kinds of recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A folder of an Empatica E4.
    EmpaticaE4,
    /// Attune's own.
    Attune,
    /// Avro of an Empatica EmbracePlus.
    EmbracePlus,
    /// XDF of LabRecorder.
    Xdf,
}

/// A moment that somebody marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// What it was.
    pub label: String,
    /// When.
    pub at: Nanos,
}

/// The samples around one marker.
#[derive(Debug, Clone, Copy)]
pub struct Epoch<'a> {
    /// The marker.
    pub marker: &'a Marker,
    /// Samples of all streams, in order of session time.
    pub samples: &'a [Sample],
}

/// A recording of any kind, ready to replay.
#[derive(Debug, Clone)]
pub struct Opened {
    format: Format,
    start_unix_s: f64,
    samples: Vec<Sample>,
    markers: Vec<Marker>,
    rejected: u64,
    findings: Vec<String>,
}

/// Why a path is not a recording.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Of an E4 folder.
    #[error(transparent)]
    E4(#[from] RecordingError),
    /// Nothing known is there.
    #[error(
        "{0} is no recording: expected a folder with recording.attune, EDA.csv or IBI.csv or .avro files, or a .attune, .avro or .xdf file"
    )]
    Unknown(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is larger than any recording.
    #[error("{path} has {bytes} bytes, more than a recording can have ({MAX_FILE_BYTES})")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Not a recording of Attune.
    #[error("{path}, {source}")]
    Attune {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: attune::HeaderError,
    },
    /// Not a file of an EmbracePlus.
    #[cfg(feature = "offline")]
    #[error("{path}: {source}")]
    EmbracePlus {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: embrace_plus::EmbracePlusError,
    },
    /// Not XDF.
    #[cfg(feature = "offline")]
    #[error("{path}, {source}")]
    Xdf {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: xdf::XdfError,
    },
    /// This build reads only its own format and E4 folders.
    #[error("{0} needs a build with the cargo feature `offline`: add --features offline")]
    NotBuilt(PathBuf),
}

/// Opens a recording of any kind.
///
/// # Errors
/// [`OpenError`] names the file, the place in it, and what to do.
pub fn open(path: &Path) -> Result<Opened, OpenError> {
    let own = path.join(attune::FILE_NAME);
    if own.is_file() {
        return open_attune(&own);
    }
    if path.is_dir() {
        let avro = files_ending(path, "avro")?;
        if !avro.is_empty() && !path.join("EDA.csv").exists() {
            return open_embrace_plus(path, &avro);
        }
        return open_e4(path);
    }
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("attune") => open_attune(path),
        Some("avro") => open_embrace_plus(path, &[path.to_owned()]),
        Some("xdf") => open_xdf(path),
        _ => Err(OpenError::Unknown(path.to_owned())),
    }
}

/// Cuts the samples around each marker of a label: from `before` it up to `after` it.
///
/// `samples` are in order of session time, as [`Opened::samples`] has them.
#[must_use]
pub fn epochs<'a>(
    samples: &'a [Sample],
    markers: &'a [Marker],
    label: &str,
    before: Duration,
    after: Duration,
) -> Vec<Epoch<'a>> {
    let cut = |marker: &'a Marker| {
        let first = samples.partition_point(|s| s.at < marker.at - before);
        let end = samples.partition_point(|s| s.at <= marker.at + after);
        Epoch { marker, samples: &samples[first..end.max(first)] }
    };
    markers.iter().filter(|marker| marker.label == label).map(cut).collect()
}

impl Opened {
    fn new(
        format: Format,
        start_unix_s: f64,
        mut samples: Vec<Sample>,
        mut markers: Vec<Marker>,
        rejected: u64,
        findings: Vec<String>,
    ) -> Self {
        samples.sort_by_key(|sample| sample.at);
        markers.sort_by_key(|marker| marker.at);
        Self { format, start_unix_s, samples, markers, rejected, findings }
    }

    /// What kind it is.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Wall time of session time zero, Unix seconds; 0 where the file does not say.
    #[must_use]
    pub fn start_unix_s(&self) -> f64 {
        self.start_unix_s
    }

    /// Every sample, in order of session time.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Every marker, in order of time.
    #[must_use]
    pub fn markers(&self) -> &[Marker] {
        &self.markers
    }

    /// Time of the last sample, in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.samples.last().map_or(0.0, |sample| sample.at.as_secs_f64())
    }

    /// Lines, frames or chunks that could not be read.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// What a person should know of this file: damage with its offset, streams left out and why. At
    /// most about a hundred.
    #[must_use]
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// The part from `start_s` on, for at most `length_s`, with its own beginning at 0. Stream
    /// times stay what they were.
    #[must_use]
    pub fn slice(&self, start_s: f64, length_s: f64) -> Self {
        let start = Nanos::from_secs_f64(start_s);
        let end = Nanos::from_secs_f64(start_s + length_s);
        let within = |at: Nanos| (start..end).contains(&at);
        let shift = |at: Nanos| Nanos(at.0 - start.0);
        let samples = self.samples.iter().filter(|s| within(s.at));
        let markers = self.markers.iter().filter(|m| within(m.at));
        Self {
            start_unix_s: self.start_unix_s + start_s,
            samples: samples.map(|s| Sample { at: shift(s.at), ..*s }).collect(),
            markers: markers.map(|m| Marker { at: shift(m.at), ..m.clone() }).collect(),
            findings: self.findings.clone(),
            ..*self
        }
    }
}

fn open_e4(folder: &Path) -> Result<Opened, OpenError> {
    let recording = Recording::open(folder)?;
    let markers = recording.tags(folder)?;
    let (samples, rejected) = (recording.samples(), recording.rejected_lines as u64);
    let start = recording.start_unix_s;
    Ok(Opened::new(Format::EmpaticaE4, start, samples, markers, rejected, Vec::new()))
}

fn open_attune(path: &Path) -> Result<Opened, OpenError> {
    let file = read(path)?;
    attune::play(&file).map_err(|source| OpenError::Attune { path: path.to_owned(), source })
}

#[cfg(feature = "offline")]
fn open_embrace_plus(_: &Path, files: &[PathBuf]) -> Result<Opened, OpenError> {
    let mut merged = embrace_plus::Import::default();
    for path in files {
        let failed = |source| OpenError::EmbracePlus { path: path.clone(), source };
        merged.add(&read(path)?).map_err(failed)?;
    }
    Ok(merged.finish())
}

#[cfg(feature = "offline")]
fn open_xdf(path: &Path) -> Result<Opened, OpenError> {
    xdf::import(&read(path)?).map_err(|source| OpenError::Xdf { path: path.to_owned(), source })
}

#[cfg(not(feature = "offline"))]
fn open_embrace_plus(path: &Path, _: &[PathBuf]) -> Result<Opened, OpenError> {
    Err(OpenError::NotBuilt(path.to_owned()))
}

#[cfg(not(feature = "offline"))]
fn open_xdf(path: &Path) -> Result<Opened, OpenError> {
    Err(OpenError::NotBuilt(path.to_owned()))
}

/// The files of a folder with an ending, in order of their names.
fn files_ending(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, OpenError> {
    let failed = |source| OpenError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    let failed = |source| OpenError::Read { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(OpenError::TooLarge { path: path.to_owned(), bytes });
    }
    fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests;
