//! The outbox's hand on its frames: what could not be written is owed, and written first later.

use super::entry::Entry;
use crate::frames::{Frames, FramesError};

/// The frames are rewritten once this many of them no longer matter.
const COMPACT_AFTER: usize = 1_000;
/// Entries owed to a disk that fails; beyond that the whole is rewritten when it works again.
const MAX_OWED: usize = 1_000;

/// Where entries go.
#[derive(Debug)]
pub(super) struct Log {
    frames: Box<dyn Frames>,
    /// Frames there are, those included that no longer matter.
    written: usize,
    /// Entries that the disk did not take.
    owed: Vec<Entry>,
    /// What is on disk is not what should be: only a rewrite mends it.
    stale: bool,
    /// Rewriting has failed: not again before there are this many frames.
    threshold: usize,
}

impl Log {
    pub(super) fn new(frames: Box<dyn Frames>, written: usize) -> Self {
        Self { frames, written, owed: Vec::new(), stale: false, threshold: 0 }
    }

    /// Writes entries through to disk, those owed before them. `whole` gives all that the frames
    /// must hold, should they have to be rewritten.
    ///
    /// # Errors
    /// [`FramesError`]: none of `entries` is on disk.
    pub(super) fn append(
        &mut self,
        entries: &[Entry],
        whole: impl FnOnce() -> Vec<Entry>,
    ) -> Result<(), FramesError> {
        if self.stale {
            let all: Vec<Entry> = whole().into_iter().chain(entries.iter().cloned()).collect();
            return self.replace(&all);
        }
        let frames = encode(self.owed.iter().chain(entries));
        if frames.is_empty() {
            return Ok(());
        }
        self.frames.append(&slices(&frames))?;
        self.written += frames.len();
        self.owed.clear();
        Ok(())
    }

    /// What to write with, and before, the next entries.
    pub(super) fn owe(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.owed.extend(entries);
        if self.owed.len() > MAX_OWED {
            self.owed.clear();
            self.stale = true;
        }
    }

    /// Replaces everything.
    ///
    /// # Errors
    /// [`FramesError`]: what was there stands, and is replaced as soon as the disk works.
    pub(super) fn replace(&mut self, entries: &[Entry]) -> Result<(), FramesError> {
        self.stale = true;
        let frames = encode(entries);
        self.frames.replace(&slices(&frames))?;
        (self.stale, self.written) = (false, frames.len());
        self.owed.clear();
        Ok(())
    }

    /// Whether something is still to be written.
    pub(super) const fn owes(&self) -> bool {
        self.stale || !self.owed.is_empty()
    }

    /// Rewrites the frames where that makes them much fewer. A disk that has no room for it keeps
    /// them as they are, until there are many more.
    pub(super) fn compact(&mut self, live: usize, whole: impl FnOnce() -> Vec<Entry>) {
        if self.written <= self.threshold.max(live.saturating_mul(2).saturating_add(COMPACT_AFTER))
            || self.stale
        {
            return;
        }
        let frames = encode(&whole());
        self.threshold = match self.frames.replace(&slices(&frames)) {
            Ok(()) => {
                self.written = frames.len();
                self.owed.clear();
                0
            }
            Err(_) => self.written.saturating_mul(2),
        };
    }
}

fn encode<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Vec<u8>> {
    entries.into_iter().filter_map(Entry::encode).collect()
}

fn slices(frames: &[Vec<u8>]) -> Vec<&[u8]> {
    frames.iter().map(Vec::as_slice).collect()
}
