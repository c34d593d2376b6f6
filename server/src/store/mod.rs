//! The database: the only module that knows SQL.
//!
//! SQLite, write-ahead log, full sync: what was acknowledged survives a power cut. All writing goes
//! through one connection and starts with `BEGIN IMMEDIATE`, so that a check and the write it
//! allows see the same data; reading has its own, read-only connections.
//!
//! Bodies are sealed under a key of the person's own, and the keys live in a second file: with the
//! key, every copy of a body ends, the backups' included.
//!
//! **Invariant.** Nothing here decides. Whether an item may be stored is the business of
//! [`crate::ingest`], which asks and writes through one [`Writing`].

mod audit;
mod erasure;
mod export;
mod inventory;
mod keys;
mod read;
mod receipts;
mod retention;
mod seal;
mod write;

pub use audit::{Action, Actor, AuditError, Entry};
pub use erasure::Finished;
pub use inventory::{Database, Holds, TABLES, Table};
pub use keys::KEYS_FILE_NAME;
pub use read::{ReceivedEvent, Totals};
pub use receipts::{StoredReceipt, Tip};
pub use retention::{Cutoffs, Expired};
pub use seal::person_hash;
pub use write::{Admission, EventTimes, Removed, Writing};

use keys::Keys;
use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::DirBuilder,
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use thiserror::Error;
use uuid::Uuid;

/// The name of the database inside the data folder.
pub const FILE_NAME: &str = "attune.sqlite3";
/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Read-only connections: enough for the page and a few readers beside the writer.
const READERS: u32 = 4;

/// Messages of SQLite name statements and files, never a bound value.
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
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: nothing can be sealed")]
    Random,
    /// A number that SQLite cannot hold.
    #[error("{0} is above 2^63-1, the most that the database can hold")]
    Range(&'static str),
}

/// A handle on the database; clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    keys: Keys,
}

impl Store {
    /// Opens the database in a folder, making both if they are not there, and brings its tables up
    /// to date.
    ///
    /// # Errors
    /// [`StoreError`] when the folder, the file or its tables cannot be used.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        private_folder(folder)?;
        let keys = Keys::open(folder).await?;
        let path = folder.join(FILE_NAME);
        let failed = |source| StoreError::Open { path: path.clone(), source };

        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .foreign_keys(true);
        // Only this first connection may create the file: one that does so later would silently
        // replace a database that went away by an empty one.
        let first = options.clone().create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&first).await.map_err(failed)?;
        sqlx::migrate!("migrations/main").run(&mut connection).await?;
        connection.close().await.map_err(failed)?;

        let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        let writer = pool()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let read_only = options.read_only(true);
        let readers =
            pool().max_connections(READERS).connect_with(read_only).await.map_err(failed)?;
        Ok(Self { path, writer, readers, keys })
    }

    /// Starts a transaction that nobody else can write beside.
    ///
    /// # Errors
    /// [`StoreError::Query`] when the database is locked or broken.
    pub async fn begin(&self) -> Result<Writing, StoreError> {
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Writing::new(transaction, self.keys.clone()))
    }

    /// Whether the database can be written now.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    pub async fn ready(&self) -> Result<(), StoreError> {
        // An open SQLite connection keeps answering after its file was removed.
        if !tokio::fs::try_exists(&self.path).await.unwrap_or(false) {
            return Err(StoreError::Gone);
        }
        self.begin().await?.rollback().await
    }

    /// Finishes what runs and closes every connection.
    pub async fn close(&self) {
        self.readers.close().await;
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
