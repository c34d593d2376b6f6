//! The slim server: takes what devices report, as far as people agreed to it.
//!
//! ```text
//!  HTTP -> api (routes, limits, signatures) -> ingest (check, ask consent) -> store (SQLite)
//!            \-> live (page, stream) <------------ what was stored
//! ```
//!
//! # What it promises
//! * **No grant, no row.** An item is stored only under a known, unwithdrawn consent record that
//!   permits sharing each of its modalities with the operator, and while the record in force does
//!   too. Records come as receipts in a chain that the device signed.
//! * **Nobody speaks for another.** Requests are signed by the device they are about, and each only
//!   counts once; a pseudonym belongs to the device that brought it first.
//! * **A withdrawal beats late data,** in any order of arrival: what was made under its epoch or a
//!   lower one is deleted with it, and nothing made under them is stored after it.
//! * **At least once is enough.** Every item has an id; repeating it changes nothing.
//! * **What is acknowledged is on disk,** and bodies lie there sealed under a key of the person's
//!   own. Erasure destroys the key: [`privacy`].
//! * **Everything ends:** [`RetentionConfig`].
//!
//! # What it does not do
//! **The page is not protected.** Whoever reaches the server can read it. It therefore listens on
//! loopback unless told otherwise; see [`Config::listen`].
//!
//! **Invariants.** `ingest` and `consent` never import `api`; only `store` knows SQL; no log line
//! carries a body, an id, a key or a path with values in it.

mod api;
mod app;
mod config;
mod consent;
mod counters;
mod guard;
mod ingest;
mod live;
pub mod privacy;
mod retention;
mod server;
mod server_key;
mod store;

pub use config::Config;
pub use counters::{Counters, Refused};
pub use retention::RetentionConfig;
pub use server::{Monitor, Server, ServerError, serve};
pub use server_key::{SERVER_KEY_FILE_NAME, ServerKeyError};
pub use store::{
    AuditError, Database, Expired, FILE_NAME as DATABASE_FILE_NAME, Holds, KEYS_FILE_NAME,
    StoreError, Table,
};
