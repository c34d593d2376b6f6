//! The outbox on disk: an append-only file of framed, checksummed entries.
//!
//! A frame is `length: u32`, `CRC-32: u32` (both little endian), then `length` bytes of JSON. A
//! torn tail, left by a crash within a write, is cut off on opening; everything before it stands.
//! Encryption at rest comes with the vault.

use super::outbox::Item;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;
use uuid::Uuid;

/// Largest frame that is believed: a damaged length must not ask for gigabytes.
const MAX_FRAME_BYTES: usize = 1 << 20;
const HEADER_BYTES: usize = 8;
/// The file is rewritten once it holds this many entries that no longer matter.
const COMPACT_AFTER: usize = 1_000;

/// One change of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// Queued.
    Queued {
        /// What was queued.
        item: Item,
    },
    /// Acknowledged or refused by the server: gone from the queue.
    Done {
        /// The item.
        id: Uuid,
    },
    /// The highest sequence number handed out, kept over a rewrite of the file.
    Sequence {
        /// The number.
        last: u64,
    },
}

/// The file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    entries: usize,
}

/// Why the journal cannot be used.
#[derive(Debug, Error)]
#[error("the outbox {path} cannot be {doing}: {source}")]
pub struct JournalError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

impl Journal {
    /// Opens or creates the file; gives what it holds and how many bytes of torn tail were cut.
    ///
    /// # Errors
    /// [`JournalError`] names the file and what the system said.
    pub fn open(path: &Path) -> Result<(Self, Vec<Entry>, usize), JournalError> {
        let failed = |doing| move |source| JournalError { path: path.to_owned(), doing, source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed("created"))?;
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read")(error)),
        };
        let (entries, good) = decode(&bytes);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(failed("opened for writing"))?;
        if good < bytes.len() {
            file.set_len(good as u64).map_err(failed("cut to its last whole entry"))?;
        }
        let count = entries.len();
        Ok((Self { path: path.to_owned(), file, entries: count }, entries, bytes.len() - good))
    }

    /// Appends entries and waits until they are on disk.
    ///
    /// # Errors
    /// [`JournalError`]; nothing may be taken as queued then.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let frames = encode(entries).map_err(self.failed("written"))?;
        self.file.write_all(&frames).map_err(self.failed("written"))?;
        self.file.sync_data().map_err(self.failed("written through"))?;
        self.entries += entries.len();
        Ok(())
    }

    /// Whether a rewrite would make the file much smaller.
    #[must_use]
    pub fn wants_compaction(&self, live: usize) -> bool {
        self.entries > live + COMPACT_AFTER
    }

    /// Replaces the content, whole or not at all.
    ///
    /// # Errors
    /// [`JournalError`]; the old content stands then.
    pub fn rewrite(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let frames = encode(entries).map_err(self.failed("rewritten"))?;
        let fresh = self.path.with_extension("new");
        let written = File::create(&fresh)
            .and_then(|mut file| {
                file.write_all(&frames)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&fresh, &self.path))
            .and_then(|()| OpenOptions::new().append(true).open(&self.path));
        self.file = written.map_err(self.failed("rewritten"))?;
        self.entries = entries.len();
        Ok(())
    }

    fn failed(&self, doing: &'static str) -> impl Fn(io::Error) -> JournalError + use<> {
        let path = self.path.clone();
        move |source| JournalError { path: path.clone(), doing, source }
    }
}

fn encode(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut frames = Vec::new();
    for entry in entries {
        let payload = serde_json::to_vec(entry)?;
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        frames.extend_from_slice(&length.to_le_bytes());
        frames.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        frames.extend_from_slice(&payload);
    }
    Ok(frames)
}

/// Reads frames up to the first that is not whole; gives the entries and where it stopped.
fn decode(bytes: &[u8]) -> (Vec<Entry>, usize) {
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some((entry, length)) = frame(&bytes[at..]) {
        entries.push(entry);
        at += length;
    }
    (entries, at)
}

fn frame(bytes: &[u8]) -> Option<(Entry, usize)> {
    let ([l0, l1, l2, l3, c0, c1, c2, c3], body) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    let payload = body.get(..length).filter(|_| length <= MAX_FRAME_BYTES)?;
    if crc32fast::hash(payload) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
        return None;
    }
    Some((serde_json::from_slice(payload).ok()?, HEADER_BYTES + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(count: u128) -> Vec<Entry> {
        (0..count).map(|k| Entry::Done { id: Uuid::from_u128(k) }).collect()
    }

    #[test]
    fn s7_a_torn_tail_is_cut_and_the_rest_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        Journal::open(&path).unwrap().0.append(&entries(3)).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 1..whole.len() / 3 {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (mut journal, found, torn) = Journal::open(&path).unwrap();
            assert_eq!(found, entries(2));
            assert_eq!(torn, whole.len() / 3 - cut);
            journal.append(&entries(1)).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1.len(), 3);
        }
    }

    #[test]
    fn rewriting_replaces_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        let mut journal = Journal::open(&path).unwrap().0;
        journal.append(&entries(9)).unwrap();
        journal.rewrite(&entries(2)).unwrap();
        journal.append(&entries(1)).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1.len(), 3);
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let error = Journal::open(Path::new("/dev/null/outbox")).unwrap_err().to_string();
        assert!(error.contains("/dev/null/outbox"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_, good) = decode(&bytes);
            prop_assert!(good <= bytes.len());
        }
    }
}
