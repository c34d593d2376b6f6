//! What operators' programs report: conversions, behaviour, transactions, bands, circumstances.
//!
//! ```text
//!  bytes -> check (each row by itself, pure) -> batch (consent, people, repetitions) -> store
//!                \-> refused rows: reason, detail --------------------------> quarantine
//! ```
//!
//! Rows stand and fall alone: good ones are kept, bad ones are named, none is changed.
//!
//! **Invariants.** Nothing is stored about somebody without a statement of theirs that allows it,
//! and the newest statement counts in whatever order statements and rows arrive. A row is stored
//! once, however often it comes. No reply, log line or table says what stood in a row that was not
//! taken.

mod adjust;
mod bands;
mod batch;
mod check;
mod context;
mod denial;
mod facts;
mod fault;
mod follow;
pub mod fuzzing;
mod identity;
mod people;
mod request;
mod row;
pub mod table;
mod time;

pub(crate) use adjust::{adjustment, retraction};
pub use check::{Frame, Known};
pub(crate) use check::{cloud_event, identifiers, row, statement};
pub(crate) use context::{Folder, circumstance, keep_context};
pub(crate) use denial::{denial, refused};
pub use fault::Fault;
pub(crate) use follow::{Effects, Follow};
pub(crate) use people::{IdentityError, Person, link, resolve, split};
pub(crate) use request::{Request, Rows};
pub(crate) use row::transaction_key;
pub use row::{Identifier, Kind, Refused, Row, Who};
