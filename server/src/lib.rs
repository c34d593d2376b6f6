//! The server: takes what devices and an operator's own sources tell of people, as far as they agreed
//! to it, and predicts their conversions. It keeps all in SQLite, or in PostgreSQL.
//!
//! ```text
//!  HTTP -> api (routes, limits, keys, signatures)
//!            |-> ingest (devices: check, ask consent) -> store -> live (page, stream)
//!            |-> intake (sources: check, who it is) ---> store -> features (profiles)
//!            \-> conversion (models, scoring) <------------------/
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
//! * **Nobody asks for the operator without a key** that has the scope: [`keys`]. The page is open to
//!   the server's own machine until the first key is made.
//!
//! **Invariants.** `ingest` and `consent` never import `api`; only `store` knows SQL; no log line
//! carries a body, an id, a key or a path with values in it.

mod api;
mod app;
mod config;
mod consent;
mod conversion;
mod counters;
pub mod delivery;
pub mod features;
mod guard;
mod ingest;
mod intake;
mod live;
mod ops;
pub mod orders;
mod page;
pub mod privacy;
#[doc(hidden)]
pub mod rehearsal;
mod retention;
mod server;
mod server_key;
mod store;
mod work;

pub use store::backup;

pub use config::{Config, LimitsConfig, ShutdownConfig};
pub use conversion::{
    ConversionConfig, Crossing, Evidence, ExamplesError, LoadError, Outcome, Paired, Quality,
    TrainingConfig, TrainingReport, Wanted, examples,
};
pub use counters::{Counters, Refused};
pub use delivery::DeliveryConfig;
#[doc(hidden)]
pub use intake::fuzzing;
pub use intake::table;
pub use ops::{keys, limits::Rate, scope, settings, telemetry};
pub use orders::{
    config::{OrdersConfig, OrdersTrainingConfig},
    model::OrdersReport,
    need::LEAST_PURCHASES,
    shop::WebhookConfig,
    sweep::consumption,
};
pub use retention::{FactsRetention, RetentionConfig};
pub use server::{Monitor, Server, ServerError, serve};
pub use server_key::{SERVER_KEY_FILE_NAME, ServerKeyError};
pub use store::{
    AuditError, Database, DatabaseUrl, Expired, FILE_NAME as DATABASE_FILE_NAME, Holds,
    KEYS_FILE_NAME, Location, StoreError, Table,
};
