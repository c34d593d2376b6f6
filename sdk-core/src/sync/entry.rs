//! What the outbox keeps on disk: one change an entry, as JSON in a frame of its own.
//!
//! JSON, so that a later version may add fields; what this version cannot read it skips.

use protocol::{event::Event, problem::ErrorCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One change of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(super) enum Entry {
    /// Queued.
    Queued {
        /// What was queued.
        event: Box<Event>,
        /// When, Unix milliseconds by the outbox's wall clock, which never moves back.
        kept_unix_ms: i64,
    },
    /// The server has it, or consent to it is gone.
    Done {
        /// The item.
        id: Uuid,
    },
    /// The server will never take it.
    Rejected {
        /// What is kept of it.
        letter: Box<DeadLetter>,
    },
    /// Items were dropped.
    Dropped {
        /// Those of them that were queued.
        ids: Vec<Uuid>,
        /// Items dropped, ever, with these: read twice it counts once.
        dropped: Drops,
    },
    /// What outlives everything else: stands first in a rewritten outbox.
    Sequence {
        /// The highest sequence number handed out.
        last: u64,
        /// Items dropped, ever.
        dropped: Drops,
        /// The latest wall time seen, Unix milliseconds.
        latest_unix_ms: i64,
    },
}

/// An item the server will never take, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The item.
    pub event: Event,
    /// Why, for programs.
    pub code: ErrorCode,
    /// Why, for people.
    pub detail: String,
}

/// Why an item was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DropReason {
    Items,
    Bytes,
    Age,
    Overrun,
}

/// Items dropped, ever, by reason. Kept over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Drops {
    /// The queue held as many items as it may.
    pub items: u64,
    /// The queue held as many bytes as it may.
    pub bytes: u64,
    /// Waited longer than anything may.
    pub age: u64,
    /// Came faster than the disk takes them.
    pub overrun: u64,
}

impl Drops {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let queued = self.items.saturating_add(self.bytes).saturating_add(self.age);
        queued.saturating_add(self.overrun)
    }

    pub(super) const fn count(&mut self, reason: DropReason, count: u64) {
        let counter = match reason {
            DropReason::Items => &mut self.items,
            DropReason::Bytes => &mut self.bytes,
            DropReason::Age => &mut self.age,
            DropReason::Overrun => &mut self.overrun,
        };
        *counter = counter.saturating_add(count);
    }
}

impl Entry {
    /// The frame. `None` for what has no JSON form, which every entry has.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// Reads a frame; `None` when it is damaged, or of a later version.
    pub(super) fn decode(frame: &[u8]) -> Option<Self> {
        serde_json::from_slice(frame).ok()
    }
}
