//! From the device to the server, at least once, and only what was agreed to.
//!
//! [`Outbox`] is a state machine without I/O: it numbers events, forms batches, takes verdicts and
//! backs off. [`Journal`] keeps it on disk: an event is written through before it counts as
//! queued. `Uploader` (feature `http`) is the thin task that moves batches over HTTPS.

mod backoff;
mod journal;
mod outbox;
#[cfg(feature = "http")]
mod uploader;

pub use backoff::Backoff;
pub use journal::{Entry, Journal, JournalError};
pub use outbox::{DeadLetter, Delivery, Draft, Item, Outbox, OutboxStats, OutcomeDraft, Reply};
#[cfg(feature = "http")]
pub use uploader::{SyncConfig, SyncError, SyncHandle, SyncStats, spawn};
