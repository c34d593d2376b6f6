//! How much is kept while the server cannot be reached.

use protocol::event::{MAX_BATCH_EVENTS, MAX_BODY_BYTES};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a batch that are not events: brackets, the clocks, the counter.
const ENVELOPE_BYTES: usize = 512;
/// Bytes of events in one request at most, their commas included.
pub(super) const MAX_BATCH_BYTES: usize = MAX_BODY_BYTES - ENVELOPE_BYTES;
/// Events of a batch at most.
pub(super) const MAX_BATCH: usize = MAX_BATCH_EVENTS;

/// The caps of an outbox. What is beyond them is dropped, the oldest first, and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Items waiting.
    pub items: usize,
    /// Bytes waiting, as JSON.
    pub bytes: usize,
    /// How long an item waits, by a wall clock that never moves back.
    pub age: Duration,
    /// Dead letters kept.
    pub dead_items: usize,
    /// Bytes of dead letters kept, as JSON; the newest is kept whatever its size.
    pub dead_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: 50_000, bytes: 16 << 20, age: 30 * DAY, dead_items: 100, dead_bytes: 1 << 20 }
    }
}
