//! The list of what the server will never take: bounded, for the app to read.

use super::{entry::DeadLetter, limits::Limits};
use std::collections::VecDeque;

/// Dead letters, oldest first.
#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    letters: VecDeque<(DeadLetter, usize)>,
    bytes: usize,
}

impl DeadLetters {
    /// Keeps a letter; the oldest make room for it.
    pub(super) fn push(&mut self, letter: DeadLetter, limits: &Limits) {
        let bytes = serde_json::to_vec(&letter).map_or(0, |json| json.len());
        self.letters.push_back((letter, bytes));
        self.bytes += bytes;
        while self.letters.len() > limits.dead_items.max(1)
            || (self.bytes > limits.dead_bytes && self.letters.len() > 1)
        {
            if let Some((_, bytes)) = self.letters.pop_front() {
                self.bytes -= bytes;
            }
        }
    }

    /// Keeps those that are wanted; says whether all were.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&DeadLetter) -> bool) -> bool {
        let before = self.letters.len();
        self.letters.retain(|(letter, _)| wanted(letter));
        self.bytes = self.letters.iter().map(|(_, bytes)| bytes).sum();
        self.letters.len() == before
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &DeadLetter> {
        self.letters.iter().map(|(letter, _)| letter)
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }
}
