//! How far an import is: a bar for people, and a small file beside the input to go on from.

use crate::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use protocol::{digest::Digest, intake::RequestStatus};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Bytes before the place to go on from, and at the beginning, that must be the same.
const COMPARED_BYTES: u64 = 64 << 10;

/// Where an import is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Where to.
    url: String,
    /// Up to where the file was answered for.
    pub(super) offset: u64,
    /// How many rows that is.
    pub(super) rows: u64,
    /// Of the bytes before.
    digest: Option<Digest>,
    /// The counts up to now.
    pub(super) status: RequestStatus,
}

impl State {
    pub(super) fn new(url: &str) -> Self {
        let status = RequestStatus::default();
        Self { url: url.to_owned(), offset: 0, rows: 0, digest: None, status }
    }

    /// What an earlier import of the file left; `None` if nothing.
    pub(super) fn load(file: &Path, url: &str) -> Result<Option<Self>, Failure> {
        let path = path_of(file);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        };
        let wrong = |what: &str| -> Failure {
            let path = path.display();
            format!("{path}: {what}; delete it to begin anew, which stores nothing twice").into()
        };
        let state: Self =
            serde_json::from_slice(&text).map_err(|_| wrong("not a place to go on"))?;
        if state.url != url {
            return Err(wrong("it is of an import to another place"));
        }
        if state.digest != Some(digest(file, state.offset)?) {
            return Err(wrong("the file has changed since"));
        }
        Ok(Some(state))
    }

    /// Keeps the place: all of it or the one before, whatever happens meanwhile.
    pub(super) fn save(&mut self, file: &Path) -> Result<(), Failure> {
        self.digest = Some(digest(file, self.offset)?);
        let path = path_of(file);
        let fresh = path.with_extension("attune-import-new");
        let write = || {
            let mut out = File::create(&fresh)?;
            out.write_all(&serde_json::to_vec(self)?)?;
            out.sync_all()?;
            fs::rename(&fresh, &path)
        };
        let written: std::io::Result<()> = write();
        Ok(written.map_err(|error| format!("cannot write {}: {error}", path.display()))?)
    }

    /// Forgets the place: the import is complete.
    pub(super) fn remove(file: &Path) -> Result<(), Failure> {
        let path = path_of(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(format!("cannot delete {}: {error}", path.display()).into())
            }
            _ => Ok(()),
        }
    }
}

/// A bar over the bytes of the file, on standard error.
pub(super) fn bar(size: u64, offset: u64) -> ProgressBar {
    let bar = ProgressBar::new(size).with_position(offset);
    let text = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}  {msg}";
    match ProgressStyle::with_template(text) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn path_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".attune-import");
    name.into()
}

/// Of the beginning of a file and of what stands before a place in it.
fn digest(path: &Path, offset: u64) -> Result<Digest, Failure> {
    let failed = |error| format!("cannot read {}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let from = offset.saturating_sub(COMPARED_BYTES);
    for (start, length) in [(0, offset.min(COMPARED_BYTES)), (from, offset - from)] {
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        (&mut file).take(length).read_to_end(&mut bytes).map_err(failed)?;
    }
    bytes.extend_from_slice(&offset.to_be_bytes());
    Ok(Digest::of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_of_the_same_file_and_server() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("rows.csv");
        fs::write(&file, "a,b\nc,d\n").unwrap();
        assert_eq!(State::load(&file, "here").unwrap(), None);
        let mut state = State { offset: 4, rows: 1, ..State::new("here") };
        state.save(&file).unwrap();
        assert_eq!(State::load(&file, "here").unwrap(), Some(state));
        assert!(State::load(&file, "there").is_err());
        fs::write(&file, "a,b\nc,d\ne,f\n").unwrap();
        assert!(State::load(&file, "here").unwrap().is_some(), "more after it does not matter");
        fs::write(&file, "a,c\nc,d\n").unwrap();
        assert!(State::load(&file, "here").is_err());
        State::remove(&file).unwrap();
        State::remove(&file).unwrap();
    }
}
