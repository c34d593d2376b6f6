//! The database: the only module that knows SQL.
//!
//! SQLite or PostgreSQL, every statement written once for both: places are `$1`, but for long rows
//! of values (`sql::rows`); values are `i64`, `f64`, bytes and text. What was acknowledged survives
//! a power cut. All writing goes through one connection, in turns, so that a check and the write it
//! allows see the same data; turns that wait for each other share a sync of the disk. Reading has
//! its own, read-only connections.
//!
//! Bodies are sealed under a key of the person's own, and the keys live in a file beside: with the
//! key, every copy of a body ends, the backups' included.
//!
//! **Invariant.** Nothing here decides. Whether an item may be stored is the business of
//! [`crate::ingest`], which asks and writes through one [`Writing`].

mod ageing;
mod api_keys;
mod audit;
pub mod backup;
mod db;
mod ending;
mod erasure;
mod export;
mod facts;
mod group;
mod identity;
mod intake;
mod inventory;
mod jobs;
mod keys;
mod load;
mod moment;
mod needs;
mod orders;
mod parts;
mod predictions;
mod profiles;
mod read;
mod receipts;
mod registry;
mod rehearsal;
mod retention;
mod seal;
mod sql;
mod standing;
mod write;

#[cfg(test)]
mod migrations;
#[cfg(test)]
mod testing;

pub use ageing::{AgeCutoffs, Aged};
pub use api_keys::ApiKeyRow;
pub use audit::{Action, Actor, AuditError, Entry};
pub use db::{DatabaseUrl, FILE_NAME, Location};
pub use erasure::Finished;
pub use facts::{DaySum, NewFact};
pub use identity::{Chain, Said, Subject};
pub use intake::{NewCircumstance, Taken};
pub use inventory::{Database, Holds, TABLES, Table};
pub use jobs::Job;
pub use keys::KEYS_FILE_NAME;
pub(crate) use load::Load;
pub use moment::{FRESH, Moment};
pub use orders::{Marks, StoredOrder};
pub use predictions::{Closed, Foretold, Saying, Stored};
pub use profiles::{NewProfile, SealedProfile};
pub use read::{ReceivedEvent, Totals};
pub use receipts::{StoredReceipt, Tip};
pub use registry::{ModelRow, ModelState};
pub use retention::{Cutoffs, Expired};
pub use seal::person_hash;
pub use write::{Admission, EventTimes, Removed, Writing};

use crate::orders::life::{EventFault, ReplayFault};
use db::{Place, Role};
use group::Writer;
use keys::Keys;
use parts::Parts;
use sqlx::AnyPool;
use standing::Standing;
use std::{
    fs::DirBuilder,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use thiserror::Error;
use uuid::Uuid;

/// Messages of databases name statements and files, never a bound value.
impl protocol::log::LogSafe for StoreError {}

/// Why the database did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The data folder cannot be made.
    #[error("cannot create the data folder {path}: {source}; choose a folder you may write to")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The URL is none of PostgreSQL.
    #[error(
        "the database is to be a URL like postgres://user@host/name; without one, SQLite is used"
    )]
    Url,
    /// Another server writes there.
    #[error("another server uses this database: end it, or name another database")]
    Taken,
    /// The writer was not free in time.
    #[error("the database was busy for {} s: try again later", .0.as_secs())]
    Busy(Duration),
    /// The transaction that it was part of failed.
    #[error("nothing was stored: {0}")]
    NotDurable(String),
    /// The store was closed.
    #[error("the database was closed: the server is shutting down")]
    Closed,
    /// The database cannot be opened.
    #[error("cannot open the database {path}: {source}; is it an Attune database, not in use?")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// Its tables cannot be brought up to date.
    #[error(
        "cannot bring the database up to date: {0}; was it written by another version? Then use \
         an empty data folder"
    )]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The file went away while the server runs.
    #[error("the database file is gone: restore it and restart the server")]
    Gone,
    /// A statement failed.
    #[error("the database did not answer: {0}")]
    Query(#[from] sqlx::Error),
    /// A stored record is not what this version wrote.
    #[error("a stored record cannot be read: {0}; restore the database from a backup")]
    Record(#[from] serde_json::Error),
    /// A sealed body that its key does not open, or whose key is gone.
    #[error(
        "a stored body cannot be opened: its key is missing from {KEYS_FILE_NAME}, or the row was \
         changed; restore both databases from backups of the same day"
    )]
    Sealed,
    /// The events of an order are not what this version wrote.
    #[error("the order {id} cannot be read: {fault}; restore the database from a backup")]
    Order {
        /// Which.
        id: Uuid,
        /// Which event, and why not.
        fault: ReplayFault,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: nothing can be sealed")]
    Random,
    /// A number that SQLite cannot hold.
    #[error("{0} is above 2^63-1, the most that the database can hold")]
    Range(&'static str),
}

impl StoreError {
    /// That an event does not follow in an order.
    pub(crate) const fn order(id: Uuid, index: usize, fault: EventFault) -> Self {
        Self::Order { id, fault: ReplayFault { index, fault } }
    }
}

/// A handle on the database; clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Writer,
    readers: AnyPool,
    /// Who is asked for one profile, again and again.
    standing: Standing,
    opened: Instant,
    keys: Keys,
    parts: Parts,
    load: Load,
}

impl Store {
    /// Opens a database beside whoever uses it, making it and its folder if they are not there,
    /// and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError`] when the folder, the database or its tables cannot be used.
    pub async fn open(location: impl Into<Location>) -> Result<Self, StoreError> {
        Self::open_as(&location.into(), Role::Tool).await
    }

    /// The same for a server, of which a PostgreSQL database has one.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Taken`] when there is another.
    pub async fn open_as_server(location: &Location) -> Result<Self, StoreError> {
        Self::open_as(location, Role::Server).await
    }

    async fn open_as(location: &Location, role: Role) -> Result<Self, StoreError> {
        private_folder(&location.folder)?;
        let place = Place::new(location, role)?;
        place.migrate_to(None).await?;
        Self::assemble(location, place).await
    }

    async fn assemble(location: &Location, place: Place) -> Result<Self, StoreError> {
        let keys = Keys::open(&location.folder).await?;
        let readers = place.readers().await?;
        let load = Load::default();
        let standing = Standing::new(place.dialect);
        let writer = Writer::open(place, load.clone()).await?;
        let parts = Parts::load(writer.place().dialect, &readers).await?;
        let opened = Instant::now();
        Ok(Self { writer, readers, standing, opened, keys, parts, load })
    }

    /// Waits for a turn of the writer: a transaction that nobody else can write beside.
    ///
    /// # Errors
    /// [`StoreError`] when the database is locked or broken.
    pub async fn begin(&self) -> Result<Writing, StoreError> {
        let waiting = self.load.wait();
        let turn = self.writer.turn().await?;
        drop(waiting);
        Ok(Writing::new(turn, self.keys.clone(), self.parts.clone()))
    }

    /// Whether the database can be written now.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    pub async fn ready(&self) -> Result<(), StoreError> {
        if !self.writer.place().exists().await {
            return Err(StoreError::Gone);
        }
        self.begin().await?.rollback().await
    }

    /// How busy the writer is.
    pub(crate) const fn load(&self) -> &Load {
        &self.load
    }

    /// Finishes what runs and closes every connection.
    pub async fn close(&self) {
        self.standing.close(&self.readers).await;
        self.writer.close().await;
        self.keys.close().await;
    }
}

fn bytes(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

fn whole(value: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Range(what))
}

/// The schema fixes the lengths of ids and digests.
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Range("the length of an id or digest"))
}

fn id_of(bytes: &[u8]) -> Result<Uuid, StoreError> {
    Ok(Uuid::from_bytes(fixed(bytes)?))
}

/// Makes a folder that only its owner can enter.
fn private_folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| StoreError::Folder { path: path.to_owned(), source })
}
