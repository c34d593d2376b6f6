//! The file back end: a simulated session as a folder in the layout of an Empatica E4 export, so
//! that whatever reads recordings reads simulated people too.
//!
//! `EDA.csv`: start (Unix seconds), rate (Hz), then microsiemens, one a row. `IBI.csv`: start and
//! the word `IBI`, then offset and interval in seconds. `labels.csv`: the truth.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::physiology::{Session, State};

/// Where and when a session is said to have been recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording<'a> {
    /// Who, in `labels.csv`. No comma, quote or line break.
    pub subject: &'a str,
    /// Start, in Unix seconds.
    pub start_epoch_s: f64,
}

/// Why a folder cannot be written.
#[derive(Debug, Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The name would break the table.
    #[error("subject {0:?} cannot stand in a CSV row: leave out commas, quotes and line breaks")]
    Subject(String),
}

/// Writes `session` to `folder`, which is made when it is not there.
///
/// # Errors
/// [`FileError`] names the file.
pub fn write(folder: &Path, session: &Session, about: &Recording<'_>) -> Result<(), FileError> {
    if about.subject.contains([',', '"', '\n', '\r']) {
        return Err(FileError::Subject(about.subject.into()));
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| FileError::Io { path, error }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let files = [
        ("EDA.csv", eda_csv(session, about)),
        ("IBI.csv", ibi_csv(session, about)),
        ("labels.csv", labels_csv(session, about)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(failed(&path))?;
    }
    Ok(())
}

fn eda_csv(session: &Session, about: &Recording<'_>) -> String {
    let mut text = format!("{:.6}\n{:.6}\n", about.start_epoch_s, session.eda_hz);
    for value in &session.eda_microsiemens {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{value:.6}");
    }
    text
}

fn ibi_csv(session: &Session, about: &Recording<'_>) -> String {
    let mut text = format!("{:.6}, IBI\n", about.start_epoch_s);
    for beat in &session.beats {
        let _ = writeln!(text, "{:.6},{:.6}", beat.at_s, beat.rr_s);
    }
    text
}

/// Label 1 is stress, 0 everything else.
fn labels_csv(session: &Session, about: &Recording<'_>) -> String {
    let mut text = String::from("subject,phase,label,start_epoch_s,end_epoch_s\n");
    let ends = session.states.iter().skip(1).map(|(onset_s, _)| *onset_s);
    let ends = ends.chain([session.duration_s]);
    for ((onset_s, state), end_s) in session.states.iter().zip(ends) {
        let label = u8::from(*state == State::Stressed);
        let (start, end) = (about.start_epoch_s + onset_s, about.start_epoch_s + end_s);
        let _ = writeln!(text, "{},{},{label},{start:.3},{end:.3}", about.subject, state.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physiology::{Beat, Script, session};

    #[test]
    fn folder_reads_as_an_e4_export() {
        let session = Session {
            eda_hz: 4.0,
            eda_microsiemens: vec![0.830_302, 1.0],
            beats: vec![Beat { at_s: 0.9, rr_s: 0.812_5 }],
            states: vec![(0.0, State::Calm), (10.0, State::Stressed)],
            duration_s: 30.0,
        };
        let folder = tempfile::tempdir().unwrap();
        let about = Recording { subject: "sim-7", start_epoch_s: 1_700_000_000.0 };
        write(folder.path(), &session, &about).unwrap();
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("EDA.csv"), "1700000000.000000\n4.000000\n0.830302\n1.000000\n");
        assert_eq!(read("IBI.csv"), "1700000000.000000, IBI\n0.900000,0.812500\n");
        assert_eq!(
            read("labels.csv"),
            "subject,phase,label,start_epoch_s,end_epoch_s\n\
             sim-7,calm,0,1700000000.000,1700000010.000\n\
             sim-7,stressed,1,1700000010.000,1700000030.000\n"
        );
    }

    #[test]
    fn errors_name_the_file_and_the_subject() {
        let session = session(1, &Script::demo(), 1.0, 4.0);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("taken"), "").unwrap();
        let check = |subject, name: &str, says| {
            let about = Recording { subject, start_epoch_s: 0.0 };
            let error = write(&folder.path().join(name), &session, &about).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        };
        check("a,b", "new", "subject \"a,b\"");
        check("a", "taken", "taken");
    }
}
