//! The database: the only module that knows SQL.
//!
//! SQLite in one file, write-ahead log, full sync: what was acknowledged survives a power cut. All
//! writing goes through one connection and starts with `BEGIN IMMEDIATE`, so that a check and the
//! write it allows see the same data; reading has its own, read-only connections.
//!
//! **Invariant.** Nothing here decides. Whether an item may be stored is the business of
//! [`crate::ingest`], which asks and writes through one [`Writing`].

mod read;
mod write;

pub use read::Totals;
pub use write::{Digest, Writing};

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

/// The name of the database inside the data folder.
pub const FILE_NAME: &str = "attune.sqlite3";
/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Read-only connections: enough for the page and a few readers beside the writer.
const READERS: u32 = 4;

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
    #[error("cannot bring the database up to date: {0}; was it written by a newer version?")]
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
}

impl Store {
    /// Opens the database in a folder, making both if they are not there, and brings its tables up
    /// to date.
    ///
    /// # Errors
    /// [`StoreError`] when the folder, the file or its tables cannot be used.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        private_folder(folder)?;
        let path = folder.join(FILE_NAME);
        let failed = |source| StoreError::Open { path: path.clone(), source };

        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        // Only this first connection may create the file: one that does so later would silently
        // replace a database that went away by an empty one.
        let first = options.clone().create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&first).await.map_err(failed)?;
        sqlx::migrate!().run(&mut connection).await?;
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
        Ok(Self { path, writer, readers })
    }

    /// Starts a transaction that nobody else can write beside.
    ///
    /// # Errors
    /// [`StoreError::Query`] when the database is locked or broken.
    pub async fn begin(&self) -> Result<Writing, StoreError> {
        Ok(Writing::new(self.writer.begin_with("BEGIN IMMEDIATE").await?))
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
    }
}

/// Makes a folder that only its owner can enter.
fn private_folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| StoreError::Folder { path: path.to_owned(), source })
}
