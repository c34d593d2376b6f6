//! Which database the tests run on: the test binary `postgres` is the whole suite on PostgreSQL,
//! `timescale` on TimescaleDB, and every other runs on SQLite.

use super::postgres::{Kind, Postgres};
use server::{DATABASE_FILE_NAME, DatabaseUrl, KEYS_FILE_NAME, Location};
use sqlx::{AnyConnection, Connection, any::install_default_drivers};
use std::path::Path;

/// Whether the main database is a file in the server's folder.
pub fn embedded() -> bool {
    kind().is_none()
}

fn kind() -> Option<Kind> {
    match env!("CARGO_CRATE_NAME") {
        "postgres" => Some(Kind::Plain),
        "timescale" => Some(Kind::Timescale),
        _ => None,
    }
}

/// Where the data of a server is that has this folder: it is the same place each time.
pub fn location(folder: &Path) -> Location {
    let database = kind().map(|kind| {
        let Some(postgres) = Postgres::shared(kind) else {
            // There is nothing that this binary could test.
            std::process::exit(0);
        };
        let name = folder.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        DatabaseUrl(postgres.database(&name))
    });
    Location { folder: folder.to_owned(), database }
}

/// A connection to the main database of a server that has this folder.
pub async fn database(folder: &Path) -> AnyConnection {
    match location(folder).database {
        Some(url) => connect(&url.0).await,
        None => file(&folder.join(DATABASE_FILE_NAME)).await,
    }
}

/// A connection to the keys in this folder.
pub async fn keys(folder: &Path) -> AnyConnection {
    file(&folder.join(KEYS_FILE_NAME)).await
}

/// A connection to an SQLite file.
pub async fn file(path: &Path) -> AnyConnection {
    connect(&format!("sqlite:{}", path.display())).await
}

async fn connect(url: &str) -> AnyConnection {
    install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

/// The tables of a database that are ours.
pub async fn tables(database: &mut AnyConnection) -> Vec<String> {
    let query = if database.backend_name() == "SQLite" {
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')
             AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations' ORDER BY name"
    } else {
        // The parts of a table are not tables of their own.
        "SELECT CAST(c.relname AS TEXT) AS name FROM pg_class AS c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
             AND NOT c.relispartition AND c.relname <> '_sqlx_migrations' ORDER BY 1"
    };
    sqlx::query_scalar(query).fetch_all(database).await.unwrap()
}

/// The columns of a table.
pub async fn columns(database: &mut AnyConnection, table: &str) -> Vec<String> {
    let query = if database.backend_name() == "SQLite" {
        "SELECT name FROM pragma_table_info($1) ORDER BY cid"
    } else {
        "SELECT CAST(attname AS TEXT) FROM pg_attribute
         WHERE attrelid = CAST($1 AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    };
    sqlx::query_scalar(query).bind(table.to_owned()).fetch_all(database).await.unwrap()
}
