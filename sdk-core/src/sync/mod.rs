//! From the device to the server, at least once, and only what was agreed to.
//!
//! [`Outbox`] is a state machine without I/O: it numbers events, forms batches and takes verdicts;
//! what it holds is written through to the [`Frames`](crate::frames::Frames) it was given.
//! `Client` (feature `http`) is the conversation with the server, without I/O as well: receipts
//! before events, signatures, backoff. `SyncHandle` is what a session holds of the
//! thin task that carries its requests over HTTPS.

mod backoff;
mod dead;
mod draft;
mod entry;
mod held;
mod limits;
mod log;
mod outbox;

#[cfg(feature = "http")]
mod address;
#[cfg(feature = "http")]
mod answer;
#[cfg(feature = "http")]
mod chain;
#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
mod handle;
#[cfg(feature = "http")]
mod retry_after;
#[cfg(feature = "http")]
mod tls;
#[cfg(feature = "http")]
mod trouble;
#[cfg(feature = "http")]
mod uploader;

#[cfg(all(test, feature = "http"))]
mod client_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod testing;
#[cfg(all(test, feature = "http"))]
mod uploader_tests;

pub use backoff::Backoff;
pub use draft::{Draft, QueueError, Sharing};
pub use entry::{DeadLetter, Drops};
pub use limits::Limits;
pub use outbox::{Outbox, OutboxStats, Reply};

#[cfg(feature = "http")]
pub use address::AddressError;
#[cfg(feature = "http")]
pub use answer::Answer;
#[cfg(feature = "http")]
pub use chain::Chain;
#[cfg(feature = "http")]
pub use client::{Client, ClientConfig, Outgoing, SyncStats};
#[cfg(feature = "http")]
pub use handle::{PurgeError, SyncConfig, SyncError, SyncHandle};
#[cfg(feature = "http")]
pub use tls::{Pin, TlsError, Trust};
#[cfg(feature = "http")]
pub use trouble::{Effect, Trouble};
