//! Where the database is and how it is reached: the only module that knows which of the two it is.
//!
//! All SQL elsewhere is written once. What differs is here: how a connection is prepared, how the
//! one writer is made the only one, and what has to be tidied up after a deletion.

use super::StoreError;
use serde::{Deserialize, Serialize};
use sqlx::{
    AnyConnection, AnyPool, Connection,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
    migrate::Migrator,
};
use std::{
    fmt::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// The name of the embedded database inside the data folder.
pub const FILE_NAME: &str = "attune.sqlite3";
/// How long a statement waits for another process's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Read-only connections: enough for the page and a few readers beside the writer.
const READERS: u32 = 4;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// The address of a PostgreSQL database. It may hold a password, and is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(pub String);

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl")
    }
}

/// Where a server's data is. A folder alone means the embedded database in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The folder of the people's keys, the server's own key and the embedded database.
    pub folder: PathBuf,
    /// The main database, if it is PostgreSQL.
    pub database: Option<DatabaseUrl>,
}

impl From<&Path> for Location {
    fn from(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), database: None }
    }
}

impl From<&PathBuf> for Location {
    fn from(folder: &PathBuf) -> Self {
        Self::from(folder.as_path())
    }
}

/// Who opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A server: there is one.
    Server,
    /// A command of the operator's, which may run beside it.
    Tool,
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// How connections to one database are made.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dialect: Dialect,
    role: Role,
    /// What errors call it: never a URL, which may hold a password.
    name: PathBuf,
    writer: AnyConnectOptions,
    reader: AnyConnectOptions,
}

impl Place {
    pub(super) fn new(location: &Location, role: Role) -> Result<Self, StoreError> {
        install_default_drivers();
        let Some(url) = &location.database else {
            let path = location.folder.join(FILE_NAME);
            let (writer, reader) = (sqlite(&path, "rw")?, sqlite(&path, "ro")?);
            return Ok(Self { dialect: Dialect::Sqlite, role, writer, reader, name: path });
        };
        let schemes = ["postgres://", "postgresql://"];
        if !schemes.iter().any(|scheme| url.0.starts_with(scheme)) {
            return Err(StoreError::Url);
        }
        let options: AnyConnectOptions = url.0.parse().map_err(|_| StoreError::Url)?;
        let (dialect, name) = (Dialect::Postgres, PathBuf::from("at the given URL"));
        Ok(Self { dialect, role, writer: options.clone(), reader: options, name })
    }

    /// Makes the database if it is a file that is not there, and brings its tables up to date,
    /// or to an earlier version.
    pub(super) async fn migrate_to(&self, version: Option<i64>) -> Result<(), StoreError> {
        match self.dialect {
            Dialect::Sqlite => {
                // Only this first connection may create the file: one that does so later would
                // silently replace a database that went away by an empty one.
                let options = sqlite(&self.name, "rwc")?;
                let mut connection = self.connect(&options, SQLITE_WRITER).await?;
                run(&SQLITE, version, &mut connection).await?;
                connection.close().await.map_err(|source| self.failed(source))
            }
            Dialect::Postgres => {
                let mut connection = self.connect(&self.writer, "").await?;
                run(&POSTGRES, version, &mut connection).await?;
                connection.close().await.map_err(|source| self.failed(source))
            }
        }
    }

    /// The connection that writes; a server's is the only one of its kind.
    pub(super) async fn writer(&self) -> Result<AnyConnection, StoreError> {
        let Dialect::Postgres = self.dialect else {
            return self.connect(&self.writer, SQLITE_WRITER).await;
        };
        let mut connection = self.connect(&self.writer, POSTGRES_WRITER).await?;
        if self.role == Role::Server {
            // The session of a server that was killed ends a moment after it.
            let locked = sqlx::raw_sql(POSTGRES_SERVER).execute(&mut connection).await;
            locked.map_err(|error| match &error {
                sqlx::Error::Database(said) if said.code().as_deref() == Some(LOCK_TIMED_OUT) => {
                    StoreError::Taken
                }
                _ => self.failed(error),
            })?;
        }
        Ok(connection)
    }

    /// Connections that cannot write; a transaction on one sees one moment.
    pub(super) async fn readers(&self) -> Result<AnyPool, StoreError> {
        let prepare = match self.dialect {
            Dialect::Sqlite => SQLITE_READER,
            Dialect::Postgres => POSTGRES_READER,
        };
        AnyPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A file does not hang up, and asking whether it has is as dear as what is to be read.
            .test_before_acquire(matches!(self.dialect, Dialect::Postgres))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(prepare).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_with(self.reader.clone())
            .await
            .map_err(|source| self.failed(source))
    }

    /// What begins a transaction that nobody else writes beside.
    pub(super) const fn begin(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => POSTGRES_BEGIN,
        }
    }

    /// Whether the database is still where it was.
    pub(super) async fn exists(&self) -> bool {
        // An open SQLite connection keeps answering after its file was removed.
        self.dialect == Dialect::Postgres
            || tokio::fs::try_exists(&self.name).await.unwrap_or(false)
    }

    async fn connect(
        &self,
        options: &AnyConnectOptions,
        prepare: &'static str,
    ) -> Result<AnyConnection, StoreError> {
        let connecting = AnyConnection::connect_with(options);
        let connecting = tokio::time::timeout(ACQUIRE_TIMEOUT, connecting).await;
        let connection = connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let mut connection = connection.map_err(|source| self.failed(source))?;
        let prepared = sqlx::raw_sql(prepare).execute(&mut connection).await;
        prepared.map_err(|source| self.failed(source))?;
        Ok(connection)
    }

    fn failed(&self, source: sqlx::Error) -> StoreError {
        StoreError::Open { path: self.name.clone(), source }
    }
}

async fn run(
    migrations: &Migrator,
    version: Option<i64>,
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    match version {
        Some(version) => migrations.run_to(version, connection).await?,
        None => migrations.run(connection).await?,
    }
    Ok(())
}

/// A file as the driver wants it named. Whatever could mean something in a URL is escaped.
pub(super) fn sqlite(path: &Path, mode: &str) -> Result<AnyConnectOptions, StoreError> {
    let mut url = "sqlite:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        // Writing to a String cannot fail.
        let _ = match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => {
                write!(url, "{}", char::from(*byte))
            }
            byte => write!(url, "%{byte:02X}"),
        };
    }
    let options = format!("{url}?mode={mode}").parse();
    options.map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

/// The timeout comes first: turning the log on may have to wait for a lock. 64 MiB hold the pages
/// that a busy server changes again and again, and the log is emptied every 40 MiB.
const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;
    PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 10000";
const SQLITE_READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON";
const POSTGRES_WRITER: &str = "SET synchronous_commit = on; SET lock_timeout = '5s'";
/// One server a database: the lock is held for the life of the session.
const POSTGRES_SERVER: &str = "SET lock_timeout = '2s';
    SELECT count(pg_advisory_lock(7022365766689554433)); SET lock_timeout = '5s'";
const POSTGRES_READER: &str = "SET default_transaction_read_only = on;
    SET default_transaction_isolation = 'repeatable read'";
/// One transaction that writes at a time, a command beside the server included: what `BEGIN
/// IMMEDIATE` is to SQLite. The number is the one after the
/// server's.
const POSTGRES_BEGIN: &str = "BEGIN; SELECT count(pg_advisory_xact_lock(7022365766689554434))";
/// PostgreSQL's code for a lock that was not had in time (`lock_not_available`).
const LOCK_TIMED_OUT: &str = "55P03";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_what_its_name_says() {
        // The letters are "attune".
        const SERVER_LOCK: i64 = 0x6174_7475_6e65_0001;
        assert!(POSTGRES_SERVER.contains(&SERVER_LOCK.to_string()));
        assert!(POSTGRES_BEGIN.contains(&(SERVER_LOCK + 1).to_string()));
        assert!(SQLITE_WRITER.contains(&BUSY_TIMEOUT.as_millis().to_string()));
        assert!(SQLITE_READER.contains(&BUSY_TIMEOUT.as_millis().to_string()));
        let letters = (SERVER_LOCK >> 16).to_be_bytes();
        assert_eq!(letters[2..], *b"attune");
    }

    #[tokio::test]
    async fn a_folder_may_have_any_name() {
        for name in ["plain", "a b", "100%41", "q?mode=ro", "#1", "[x]", "C:\\d", "ü|^"] {
            let folder = tempfile::TempDir::new().unwrap();
            let folder = folder.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let place = Place::new(&Location::from(&*folder), Role::Server).unwrap();
            place.migrate_to(None).await.unwrap();
            assert!(folder.join(FILE_NAME).is_file() && place.exists().await, "{name}");
        }
    }

    #[test]
    fn a_url_is_never_printed() {
        let url = DatabaseUrl("postgres://attune:secret@localhost/attune".into());
        let location = Location { folder: "data".into(), database: Some(url) };
        let place = Place::new(&location, Role::Server).unwrap();
        assert!(!format!("{location:?}").contains("secret"));
        assert!(!place.failed(sqlx::Error::PoolTimedOut).to_string().contains("secret"));
        let wrong = DatabaseUrl("mysql://attune:secret@localhost".into());
        let wrong = Location { folder: "data".into(), database: Some(wrong) };
        let error = Place::new(&wrong, Role::Server).unwrap_err();
        assert!(error.to_string().contains("postgres://") && !error.to_string().contains("secret"));
    }
}
