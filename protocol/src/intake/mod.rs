//! What operators' programs report: what people did where no device of ours was looking.
//!
//! Requests are shaped after `events.ingest` of Google's Data Manager API, and take its field names
//! in camelCase beside our own. A request is taken row by row: what is wrong with one row never
//! costs another.
//!
//! # Hashes of identifiers
//! E-mail addresses and phone numbers come as SHA-256 only, in hexadecimal or Base64 as `encoding`
//! says. Before hashing, an address is trimmed and written in lower case; a number is written in
//! E.164: `+`, country code, digits, nothing else. [`normal_email`] and [`normal_phone`] do that.

mod cloud;
mod contact;
mod event;
mod reason;
mod reply;

pub use cloud::{BehaviourData, CLOUDEVENTS, CLOUDEVENTS_BATCH, CloudEvent};
pub use contact::{normal_email, normal_phone};
pub use event::{
    AdIdentifiers, Adjustment, CartData, CartItem, Circumstance, Consent, ConsentStatus,
    Destination, Encoding, Ingest, Reported, Retraction, Scope, Statement, UserData,
    UserIdentifier,
};
pub use reason::Reason;
pub use reply::{IntakeReply, QuarantinePage, RequestState, RequestStatus, RowError};

/// Most rows a server takes in one JSON request.
pub const MAX_ROWS: usize = 2_000;
/// Most bytes a server takes in one JSON request.
pub const MAX_INTAKE_BYTES: usize = 8 << 20;
/// Most identifiers in one row (the limit of Data Manager).
pub const MAX_IDENTIFIERS: usize = 10;
/// Most items in one cart.
pub const MAX_CART_ITEMS: usize = 100;
/// Most bytes in a transaction id or an identifier that is not a hash.
pub const MAX_ID_BYTES: usize = 512;
/// Most bytes in a name or an operator's code.
pub const MAX_NAME_BYTES: usize = 200;
