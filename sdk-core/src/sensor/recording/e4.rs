//! An Empatica E4 folder: `EDA.csv` (row 1 Unix start, row 2 rate in Hz, then microsiemens) and
//! `IBI.csv` (row 1 Unix start and "IBI", then offset and interval in seconds). Either may be
//! absent; a line that cannot be read becomes a missing reading and is counted.

use super::Marker;
use crate::clock::Nanos;
use crate::sensor::{
    eda, grade, heart_rate,
    sample::{Sample, Signal},
};
use protocol::{
    consent::Modality,
    eda_profile::{interval_ticks, microsiemens, picosiemens},
    heart_rate::RR_TICKS_PER_SECOND,
};
use std::{fs, io, path::Path, path::PathBuf};
use thiserror::Error;

/// Largest file that is read: a day of EDA at 1000 Hz.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A gap of more than this share of an interval between two beats means beats are missing.
const GAP_SHARE: f64 = 0.5;

/// Label of a button press.
pub(super) const TAG: &str = "tag";

/// One heartbeat of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// Seconds since the recording began.
    pub at_s: f64,
    /// The interval that ends here, seconds.
    pub rr_s: f64,
}

/// What a folder held.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recording {
    /// Start of the EDA series, or of the beats where there is none; Unix seconds.
    pub start_unix_s: f64,
    /// Sampling rate of EDA; 0 where there is none.
    pub eda_hz: f64,
    /// Skin conductance; NaN where a line could not be read.
    pub eda_microsiemens: Vec<f64>,
    /// Heartbeats in order of time.
    pub beats: Vec<Beat>,
    /// Lines that could not be read.
    pub rejected_lines: usize,
}

/// Why a folder is not a recording.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// Neither file is there.
    #[error("{0} holds neither EDA.csv nor IBI.csv: name the folder of one Empatica E4 recording")]
    Nothing(PathBuf),
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
    /// The first rows are not what they must be.
    #[error("{file}, line {line}: expected {expected}, found {found:?}")]
    Header {
        /// The file.
        file: &'static str,
        /// The line, from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

impl Recording {
    /// Reads an Empatica E4 folder.
    ///
    /// # Errors
    /// [`RecordingError`] names the file, and the line where there is one.
    pub fn open(folder: &Path) -> Result<Self, RecordingError> {
        let eda = read(&folder.join("EDA.csv"))?;
        let ibi = read(&folder.join("IBI.csv"))?;
        if eda.is_none() && ibi.is_none() {
            return Err(RecordingError::Nothing(folder.to_owned()));
        }
        Self::parse(eda.as_deref(), ibi.as_deref())
    }

    /// Reads the texts of `EDA.csv` and `IBI.csv`. Total: any text gives a recording or an error.
    ///
    /// # Errors
    /// [`RecordingError::Header`] names file and line.
    pub fn parse(eda: Option<&str>, ibi: Option<&str>) -> Result<Self, RecordingError> {
        let mut recording = Self::default();
        if let Some(text) = eda {
            recording.read_eda(text)?;
        }
        if let Some(text) = ibi {
            recording.read_ibi(text, eda.is_none())?;
        }
        Ok(recording)
    }

    /// The button presses of the folder that this recording was opened from; none where there is
    /// no `tags.csv`.
    ///
    /// # Errors
    /// [`RecordingError::Read`], [`RecordingError::TooLarge`].
    pub fn tags(&self, folder: &Path) -> Result<Vec<Marker>, RecordingError> {
        let text = read(&folder.join("tags.csv"))?.unwrap_or_default();
        let at_s = text.lines().filter_map(number).map(|unix_s| unix_s - self.start_unix_s);
        let marker = |s| Marker { label: TAG.to_owned(), at: Nanos::from_secs_f64(s) };
        Ok(at_s.filter(|s| *s >= 0.0).map(marker).collect())
    }

    /// Length in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        let eda =
            if self.eda_hz > 0.0 { self.eda_microsiemens.len() as f64 / self.eda_hz } else { 0.0 };
        self.beats.last().map_or(eda, |beat| eda.max(beat.at_s))
    }

    /// The part from `start_s` on, for at most `length_s`, with its own beginning at 0.
    #[must_use]
    pub fn slice(&self, start_s: f64, length_s: f64) -> Self {
        let end_s = start_s + length_s;
        let index = |s: f64| (s * self.eda_hz).round().max(0.0) as usize;
        let all = &self.eda_microsiemens;
        let (first, last) = (index(start_s).min(all.len()), index(end_s).min(all.len()));
        Self {
            start_unix_s: self.start_unix_s + start_s,
            eda_microsiemens: all[first..last.max(first)].to_vec(),
            beats: self
                .beats
                .iter()
                .filter(|b| b.at_s - b.rr_s >= start_s && b.at_s < end_s)
                .map(|b| Beat { at_s: b.at_s - start_s, ..*b })
                .collect(),
            ..*self
        }
    }

    /// Every sample in order of time: the values, stream times and qualities that the same data
    /// gives live, to the bit.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = self.eda_samples();
        samples.extend(self.rr_samples());
        samples.sort_by_key(|s| s.at);
        samples
    }

    fn eda_samples(&self) -> Vec<Sample> {
        let Some(interval) = interval_ticks(self.eda_hz) else { return Vec::new() };
        (0u64..)
            .zip(&self.eda_microsiemens)
            .map(|(k, &value)| {
                let (value, quality) = grade::eda(picosiemens(value).map(microsiemens));
                let at = eda::stream_time(k * u64::from(interval));
                let contiguous = k > 0;
                Sample {
                    modality: Modality::Eda,
                    signal: Signal::SkinConductance,
                    stream_at: at,
                    at,
                    value,
                    quality,
                    contiguous,
                }
            })
            .collect()
    }

    fn rr_samples(&self) -> Vec<Sample> {
        let ticks = || self.beats.iter().map(|beat| rr_1024ths(beat.rr_s));
        let mut before: Option<f64> = None;
        heart_rate::stream_times(ticks())
            .zip(ticks())
            .zip(&self.beats)
            .map(|((stream_at, rr), beat)| {
                let (value, quality) = grade::rr(rr);
                let contiguous = before.is_some_and(|b| follows(b, beat));
                before = Some(beat.at_s);
                let at = Nanos::from_secs_f64(beat.at_s);
                Sample {
                    modality: Modality::Hrv,
                    signal: Signal::RrInterval,
                    stream_at,
                    at,
                    value,
                    quality,
                    contiguous,
                }
            })
            .collect()
    }

    fn read_eda(&mut self, text: &str) -> Result<(), RecordingError> {
        let mut lines = text.lines();
        self.start_unix_s =
            header("EDA.csv", 1, "a Unix time in seconds", lines.next(), |v| v.is_finite())?;
        self.eda_hz = header("EDA.csv", 2, "a rate between 0.5 and 1000 Hz", lines.next(), |v| {
            (0.5..=1000.0).contains(v) && interval_ticks(*v).is_some()
        })?;
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let value = number(line);
            self.rejected_lines += usize::from(value.is_none());
            self.eda_microsiemens.push(value.unwrap_or(f64::NAN));
        }
        Ok(())
    }

    fn read_ibi(&mut self, text: &str, alone: bool) -> Result<(), RecordingError> {
        let mut lines = text.lines();
        let first = lines.next().map(|line| line.split(',').next().unwrap_or(line));
        let start = header("IBI.csv", 1, "a Unix time in seconds", first, |v| v.is_finite())?;
        if alone {
            self.start_unix_s = start;
        }
        let shift_s = start - self.start_unix_s;
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let beat = line
                .split_once(',')
                .and_then(|(at, rr)| Some(Beat { at_s: number(at)? + shift_s, rr_s: number(rr)? }));
            let last_s = self.beats.last().map_or(0.0, |b| b.at_s);
            match beat.filter(|b| b.rr_s > 0.0 && b.at_s >= last_s) {
                Some(beat) => self.beats.push(beat),
                None => self.rejected_lines += 1,
            }
        }
        Ok(())
    }
}

/// An interval as the Heart Rate profile carries it, in 1/1024 s.
fn rr_1024ths(rr_s: f64) -> u16 {
    (rr_s * f64::from(RR_TICKS_PER_SECOND)).round().min(f64::from(u16::MAX)) as u16
}

fn follows(before_s: f64, beat: &Beat) -> bool {
    beat.at_s - before_s - beat.rr_s <= GAP_SHARE * beat.rr_s
}

fn read(path: &Path) -> Result<Option<String>, RecordingError> {
    let failed = |source| RecordingError::Read { path: path.to_owned(), source };
    let bytes = match fs::metadata(path) {
        Ok(file) => file.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if bytes > MAX_FILE_BYTES {
        return Err(RecordingError::TooLarge { path: path.to_owned(), bytes });
    }
    // Bytes that are not UTF-8 spoil their line, not the file.
    let bytes = fs::read(path).map_err(failed)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn header(
    file: &'static str,
    line: usize,
    expected: &'static str,
    found: Option<&str>,
    fits: impl Fn(&f64) -> bool,
) -> Result<f64, RecordingError> {
    let found = found.unwrap_or("");
    // E4 repeats the value per column ("4.0, 4.0, 4.0") in some files.
    let first = found.split(',').next().and_then(number).filter(fits);
    first.ok_or_else(|| {
        let found = found.chars().take(40).collect();
        RecordingError::Header { file, line, expected, found }
    })
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|v: &f64| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::Quality;
    use proptest::prelude::*;

    const EDA: &str = "1000.0\n4.0\n0.0\n0.830302\nabc\n1.5\n";
    const IBI: &str = "1000.0, IBI\n1.0,0.75\n1.75,0.75\n9.0,0.8\nx,y\n";

    #[test]
    fn lines_that_cannot_be_read_are_missing_and_counted() {
        let recording = Recording::parse(Some(EDA), Some(IBI)).unwrap();
        assert_eq!((recording.eda_hz, recording.eda_microsiemens.len()), (4.0, 4));
        assert_eq!((recording.beats.len(), recording.rejected_lines), (3, 2));
        let eda: Vec<Quality> = recording.eda_samples().iter().map(|s| s.quality).collect();
        use Quality::{Artefact, Good, Missing};
        assert_eq!(eda, [Artefact, Good, Missing, Good]);
        let runs: Vec<bool> = recording.rr_samples().iter().map(|s| s.contiguous).collect();
        assert_eq!(runs, [false, true, false]);
    }

    #[test]
    fn headers_are_named() {
        let error = Recording::parse(Some("1000.0\nfast\n"), None).unwrap_err();
        let text = "EDA.csv, line 2: expected a rate between 0.5 and 1000 Hz, found \"fast\"";
        assert_eq!(error.to_string(), text);
        assert!(Recording::parse(Some(""), None).is_err());
        assert!(Recording::parse(None, Some("")).is_err());
    }

    #[test]
    fn missing_files() {
        let folder = tempfile::tempdir().unwrap();
        let error = Recording::open(folder.path()).unwrap_err();
        assert!(matches!(error, RecordingError::Nothing(_)), "{error}");
        fs::write(folder.path().join("EDA.csv"), EDA).unwrap();
        let recording = Recording::open(folder.path()).unwrap();
        assert!(recording.beats.is_empty(), "one modality is enough");
    }

    #[test]
    fn slices_begin_at_zero() {
        let recording = Recording::parse(Some(EDA), Some(IBI)).unwrap().slice(0.5, 1.3);
        assert_eq!(recording.eda_microsiemens.len(), 2);
        assert_eq!(recording.beats, [Beat { at_s: 1.25, rr_s: 0.75 }]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(eda in "[0-9.,\\-ea\n ]{0,200}", ibi in "\\PC{0,80}") {
            if let Ok(recording) = Recording::parse(Some(&eda), Some(&ibi)) {
                prop_assert_eq!(
                    recording.samples().len(),
                    recording.eda_microsiemens.len() + recording.beats.len()
                );
            }
        }
    }
}
