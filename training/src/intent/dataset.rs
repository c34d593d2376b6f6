//! Sessions to learn from: signals with labels.

use protocol::intent::IntentClass;
use sdk_core::sensor::recording::{Recording, RecordingError};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// What was true for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// Begin, seconds of the recording.
    pub start_s: f64,
    /// End, seconds of the recording.
    pub end_s: f64,
    /// State of mind, where known: only a simulator's script knows it.
    pub intent: Option<IntentClass>,
    /// Whether the person was under laboratory stress, where known.
    pub arousal: Option<bool>,
}

/// One person's session.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSession {
    /// Who. Sessions of one subject are never split between training and test.
    pub subject: String,
    /// The signals.
    pub recording: Recording,
    /// What was true when; gaps are unlabelled time.
    pub labels: Vec<Label>,
    /// How long the person is known to be at rest at the beginning, seconds: the baseline learns
    /// for so long. `None` = as configured.
    pub rest_s: Option<f64>,
}

/// Why a dataset cannot be read.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// The labels cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the labels is not what it must be.
    #[error(
        "{path}, line {line}: expected subject,phase,label (0 or 1),start_epoch_s,end_epoch_s, \
         found {found:?}"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is there.
        found: String,
    },
    /// A recording cannot be read.
    #[error("subject {subject}: {source}")]
    Recording {
        /// Who.
        subject: String,
        /// Why.
        source: RecordingError,
    },
}

/// Reads the labelled subjects of a folder of Empatica E4 recordings, in the order of their names.
///
/// `labels` is CSV with a header and `subject,phase,label,start_epoch_s,end_epoch_s`; label 1 is
/// laboratory stress, 0 is calm. A labelled subject without a folder is an error.
///
/// # Errors
/// [`DatasetError`] names the file and line, or the subject.
pub fn load_e4(recordings: &Path, labels: &Path) -> Result<Vec<TrainingSession>, DatasetError> {
    let text = fs::read_to_string(labels)
        .map_err(|source| DatasetError::Read { path: labels.to_owned(), source })?;
    let mut phases: BTreeMap<&str, Vec<(bool, f64, f64)>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate().skip(1).filter(|(_, l)| !l.trim().is_empty()) {
        let (subject, phase) = parse_line(line).ok_or_else(|| DatasetError::Line {
            path: labels.to_owned(),
            line: index + 1,
            found: line.chars().take(80).collect(),
        })?;
        phases.entry(subject).or_default().push(phase);
    }
    phases.into_iter().map(|(subject, phases)| load_subject(recordings, subject, &phases)).collect()
}

fn parse_line(line: &str) -> Option<(&str, (bool, f64, f64))> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [subject, _, label, start, end] = fields[..] else { return None };
    let stressed = match label {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    let (start, end): (f64, f64) = (start.parse().ok()?, end.parse().ok()?);
    let ordered = start.is_finite() && end.is_finite() && start < end;
    // A subject names a folder: nothing that leads elsewhere.
    let plain = !subject.is_empty() && subject.chars().all(|c| c.is_ascii_alphanumeric());
    (ordered && plain).then_some((subject, (stressed, start, end)))
}

fn load_subject(
    recordings: &Path,
    subject: &str,
    phases: &[(bool, f64, f64)],
) -> Result<TrainingSession, DatasetError> {
    let recording = Recording::open(&recordings.join(subject))
        .map_err(|source| DatasetError::Recording { subject: subject.to_owned(), source })?;
    let labels = phases
        .iter()
        .map(|&(stressed, start, end)| Label {
            start_s: start - recording.start_unix_s,
            end_s: end - recording.start_unix_s,
            intent: None,
            arousal: Some(stressed),
        })
        .collect();
    Ok(TrainingSession { subject: subject.to_owned(), recording, labels, rest_s: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_lines() {
        assert_eq!(parse_line("S1,stroop,1,10,20.5"), Some(("S1", (true, 10.0, 20.5))));
        for bad in ["", "S1,stroop,2,10,20", "S1,x,1,20,10", "../S1,x,1,1,2", "S1,x,1,NaN,2"] {
            assert_eq!(parse_line(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let labels = folder.path().join("labels.csv");
        fs::write(&labels, "subject,phase,label,start,end\nS1,a,7,1,2\n").unwrap();
        let error = load_e4(folder.path(), &labels).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
