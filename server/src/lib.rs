//! The slim server: takes what devices report, as far as people agreed to it.
//!
//! ```text
//!  HTTP -> api (routes, limits, errors) -> ingest (check, recognise, ask consent) -> store (SQLite)
//!            \-> live (page, stream) <------- what was stored
//! ```
//!
//! # What it promises
//! * **No grant, no row.** An item is stored only under a known, unwithdrawn consent record that
//!   permits sharing each of its modalities with the operator, and while the record in force does
//!   too.
//! * **A withdrawal beats late data,** in any order of arrival: nothing made under its epoch or a
//!   lower one is stored after it, even if consent is given again. What was stored *before* it
//!   arrived leaves the page at once but **stays in the database for now**: erasure is not built
//!   yet.
//! * **At least once is enough.** Every item has an id; repeating it changes nothing.
//! * **What is acknowledged is on disk.**
//!
//! # What it does not do yet
//! **Devices are not authenticated.** Whoever reaches the server can report under any pseudonym,
//! withdraw for anybody, and read the page. It therefore listens on loopback unless told
//! otherwise; see [`Config::listen`].
//!
//! **Invariants.** `ingest` and `consent` never import `api`; only `store` knows SQL; no log line
//! carries a body, an id or a path with values in it.

mod api;
mod app;
mod config;
mod consent;
mod counters;
mod ingest;
mod live;
mod server;
mod store;

pub use config::Config;
pub use counters::{Counters, Refused};
pub use server::{Monitor, Server, ServerError, serve};
pub use store::{FILE_NAME as DATABASE_FILE_NAME, StoreError};
