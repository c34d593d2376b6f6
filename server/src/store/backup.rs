//! A copy of everything a server keeps, taken while it runs, and the way back.
//!
//! A backup is a folder: the main database, the keys, the server's own key, and a manifest with
//! their digests. The database is copied before the keys: a key is made before the first row that
//! it seals, so that every row in the copy has its key in the other. Whoever was erased in between
//! has a tombstone there, and is erased again after a restore: **tombstones win**.
//!
//! Keep the copies of the keys for days, not years: with the last of them ends what they seal.
//!
//! A database with TimescaleDB is brought back to one that has the extension in the same version; it
//! is told before and after, so that it takes its own tables as they come.

use super::{
    Location, Store, StoreError,
    db::{DatabaseUrl, FILE_NAME, sqlite},
    erasure::Finished,
    fixed,
    keys::KEYS_FILE_NAME,
    private_folder,
};
use crate::server_key::SERVER_KEY_FILE_NAME;
use protocol::digest::Digest;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Connection, any::install_default_drivers};
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
};
use thiserror::Error;
use tokio::process::Command;

/// The name of the manifest.
const MANIFEST: &str = "manifest.json";
/// The name of a copy of a PostgreSQL database.
const DUMP_FILE_NAME: &str = "attune.pgdump";
/// What the manifest looks like.
const VERSION: u32 = 1;
/// Read at once when a file is copied or hashed.
const CHUNK_BYTES: usize = 1 << 16;

/// Why nothing was copied.
#[derive(Debug, Error)]
pub enum BackupError {
    /// There is no server's data.
    #[error("there is no server's data in {0}: name its data folder")]
    NoData(PathBuf),
    /// Something is there already.
    #[error("{0} is there already, and is not overwritten: name a new folder, or move it away")]
    Occupied(PathBuf),
    /// Another database has tables.
    #[error("the database has tables already, and is not overwritten: name an empty one")]
    NotEmpty,
    /// Something is no backup.
    #[error("{0} is no backup: {1}")]
    NoBackup(PathBuf, String),
    /// A file is not what was written.
    #[error("{0} was damaged or changed since the backup: take another one")]
    Damaged(PathBuf),
    /// The keys are of another database.
    #[error(
        "{0} people of the database have no key: the two files are not of the same server and \
         day; restore the keys that belong to it"
    )]
    OtherKeys(usize),
    /// The backup is of the other kind of database.
    #[error("the backup is of {0}: {1}")]
    OtherDatabase(&'static str, &'static str),
    /// The backup needs an extension.
    #[error(
        "the backup is of a database with TimescaleDB, which this PostgreSQL has not loaded: \
         install it in the same version, and add timescaledb to shared_preload_libraries"
    )]
    NoTimescale,
    /// A program of PostgreSQL.
    #[error("{program} failed: {said}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it said last.
        said: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}; is there room, and may it be written?")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of this description.
    pub version: u32,
    /// When it was taken, Unix milliseconds.
    pub created_unix_ms: i64,
    /// The files, by name.
    pub files: BTreeMap<String, Copied>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copied {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// What a restore found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// People whom the database knows.
    pub people: usize,
    /// What had been erased since the backup, and was erased again.
    pub erased_again: Finished,
}

/// What is being done, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The main database is copied.
    Database,
    /// The keys are.
    Keys,
    /// Everything is read again and compared.
    Check,
}

/// Copies everything to a new folder; the server may run meanwhile.
///
/// # Errors
/// [`BackupError`]; what there is of the folder then is no backup.
pub async fn backup(
    at: &Location,
    to: &Path,
    created_unix_ms: i64,
    stage: impl FnMut(Stage),
) -> Result<Manifest, BackupError> {
    backup_by(&Programs::default(), at, to, created_unix_ms, stage).await
}

async fn backup_by(
    programs: &Programs,
    at: &Location,
    to: &Path,
    created_unix_ms: i64,
    mut stage: impl FnMut(Stage),
) -> Result<Manifest, BackupError> {
    install_default_drivers();
    let main = at.folder.join(FILE_NAME);
    let keys = at.folder.join(KEYS_FILE_NAME);
    if !keys.is_file() || (at.database.is_none() && !main.is_file()) {
        return Err(BackupError::NoData(at.folder.clone()));
    }
    if to.exists() {
        return Err(BackupError::Occupied(to.to_owned()));
    }
    private_folder(to)?;
    stage(Stage::Database);
    let mut names = vec![KEYS_FILE_NAME];
    if let Some(url) = &at.database {
        names.push(DUMP_FILE_NAME);
        let file = to.join(DUMP_FILE_NAME);
        let mut dump = programs.on("pg_dump", url)?;
        dump.args(["--format=custom", "--no-owner", "--no-privileges", "--file"]).arg(&file);
        finish("pg_dump", dump).await?;
    } else {
        names.push(FILE_NAME);
        copy_sqlite(&main, &to.join(FILE_NAME)).await?;
    }
    stage(Stage::Keys);
    copy_sqlite(&keys, &to.join(KEYS_FILE_NAME)).await?;
    let server_key = at.folder.join(SERVER_KEY_FILE_NAME);
    if server_key.is_file() {
        names.push(SERVER_KEY_FILE_NAME);
        copy(&server_key, &to.join(SERVER_KEY_FILE_NAME))?;
    }
    stage(Stage::Check);
    let mut files = BTreeMap::new();
    for name in names {
        let path = to.join(name);
        check_integrity(&path).await?;
        files.insert(name.to_owned(), measure(&path)?);
    }
    let manifest = Manifest { version: VERSION, created_unix_ms, files };
    let json = serde_json::to_vec_pretty(&manifest).map_err(StoreError::from)?;
    // Last: without it the folder is no backup.
    write_new(&to.join(MANIFEST), &mut &json[..])?;
    Ok(manifest)
}

/// Brings a backup back to where there is no database. Keys and tombstones that are there stay, and
/// count more than the backup's.
///
/// # Errors
/// [`BackupError`]; the files that are there already are as they were.
pub async fn restore(
    from: &Path,
    at: &Location,
    now_unix_ms: i64,
    stage: impl FnMut(Stage),
) -> Result<Restored, BackupError> {
    restore_by(&Programs::default(), from, at, now_unix_ms, stage).await
}

async fn restore_by(
    programs: &Programs,
    from: &Path,
    at: &Location,
    now_unix_ms: i64,
    mut stage: impl FnMut(Stage),
) -> Result<Restored, BackupError> {
    install_default_drivers();
    stage(Stage::Check);
    let manifest = read_manifest(from)?;
    for (name, copied) in &manifest.files {
        let path = from.join(name);
        if measure(&path)? != *copied {
            return Err(BackupError::Damaged(path));
        }
        check_integrity(&path).await?;
    }
    let has = |name: &str| manifest.files.contains_key(name);
    match &at.database {
        None if !has(FILE_NAME) => {
            return Err(BackupError::OtherDatabase("PostgreSQL", "name one with --database"));
        }
        Some(_) if !has(DUMP_FILE_NAME) => {
            return Err(BackupError::OtherDatabase("SQLite", "leave --database out"));
        }
        _ => {}
    }
    let main = at.folder.join(FILE_NAME);
    if at.database.is_none() && main.exists() {
        return Err(BackupError::Occupied(main));
    }
    private_folder(&at.folder)?;

    stage(Stage::Keys);
    let keys = at.folder.join(KEYS_FILE_NAME);
    let copied_keys = from.join(KEYS_FILE_NAME);
    if at.database.is_none() {
        let missing = without_key(&from.join(FILE_NAME), &[&copied_keys, &keys]).await?;
        if missing > 0 {
            return Err(BackupError::OtherKeys(missing));
        }
    }
    if keys.exists() {
        merge_keys(&copied_keys, &keys).await?;
    } else {
        copy(&copied_keys, &keys)?;
    }
    let server_key = at.folder.join(SERVER_KEY_FILE_NAME);
    if has(SERVER_KEY_FILE_NAME) && !server_key.exists() {
        copy(&from.join(SERVER_KEY_FILE_NAME), &server_key)?;
    }

    stage(Stage::Database);
    if let Some(url) = &at.database {
        restore_dump(programs, &from.join(DUMP_FILE_NAME), url).await?;
    } else {
        // Whole, or not there.
        let part = main.with_extension("restoring");
        remove_if_there(&part)?;
        copy(&from.join(FILE_NAME), &part)?;
        let failed = |source| BackupError::File { path: main.clone(), source };
        fs::rename(&part, &main).map_err(failed)?;
    }
    stage(Stage::Check);
    let store = Store::open_as_server(at).await?;
    let checked = async {
        let erased_again = store.finish_erasures(now_unix_ms).await?;
        let unreadable = store.unreadable_rows().await?;
        let people = store.known_people().await?.len();
        Ok::<_, StoreError>((Restored { people, erased_again }, unreadable))
    };
    let checked = checked.await;
    store.close().await;
    match checked? {
        (restored, 0) => Ok(restored),
        (_, unreadable) => {
            Err(BackupError::OtherKeys(usize::try_from(unreadable).unwrap_or(usize::MAX)))
        }
    }
}

impl Store {
    /// The hash of everybody who may have sealed rows.
    async fn known_people(&self) -> Result<HashSet<Digest>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        hashes(&mut connection, PEOPLE).await
    }
}

const PEOPLE: &str = "SELECT hash FROM people UNION SELECT hash FROM subjects";

async fn hashes(
    connection: &mut AnyConnection,
    query: &'static str,
) -> Result<HashSet<Digest>, StoreError> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(connection).await?;
    rows.iter().map(|hash| Ok(Digest(fixed(hash)?))).collect()
}

/// How many people of a database have neither a key nor a tombstone in any of these files.
async fn without_key(main: &Path, keys: &[&Path]) -> Result<usize, BackupError> {
    let mut known = HashSet::new();
    for file in keys.iter().filter(|file| file.exists()) {
        let mut connection = open(file, "ro").await?;
        let all = "SELECT hash FROM person_keys UNION SELECT hash FROM tombstones";
        known.extend(hashes(&mut connection, all).await?);
        connection.close().await?;
    }
    let mut connection = open(main, "ro").await?;
    let tables = "SELECT name FROM sqlite_master WHERE name = 'subjects'";
    let has_subjects = sqlx::query(tables).fetch_optional(&mut connection).await?.is_some();
    // The first version knew no subjects.
    let query = if has_subjects { PEOPLE } else { "SELECT hash FROM people" };
    let people = hashes(&mut connection, query).await?;
    connection.close().await?;
    Ok(people.difference(&known).count())
}

/// Adds the keys that a backup has and a server has not, but for people with a tombstone there.
async fn merge_keys(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut connection = open(to, "rw").await?;
    let prepare = "PRAGMA busy_timeout = 5000; PRAGMA secure_delete = ON";
    sqlx::raw_sql(prepare).execute(&mut connection).await?;
    let attach = sqlx::query("ATTACH $1 AS copied").bind(from.to_string_lossy().into_owned());
    attach.execute(&mut connection).await?;
    let merge = "BEGIN IMMEDIATE;
        INSERT OR IGNORE INTO tombstones SELECT * FROM copied.tombstones;
        INSERT OR IGNORE INTO person_keys SELECT * FROM copied.person_keys
            WHERE hash NOT IN (SELECT hash FROM tombstones);
        DELETE FROM person_keys WHERE hash IN (SELECT hash FROM copied.tombstones);
        COMMIT";
    sqlx::raw_sql(merge).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn open(path: &Path, mode: &str) -> Result<AnyConnection, BackupError> {
    Ok(AnyConnection::connect_with(&sqlite(path, mode)?).await?)
}

/// A copy as one moment has it; whoever writes goes on.
async fn copy_sqlite(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut connection = open(from, "ro").await?;
    sqlx::raw_sql("PRAGMA busy_timeout = 60000").execute(&mut connection).await?;
    let copy = sqlx::query("VACUUM INTO $1").bind(to.to_string_lossy().into_owned());
    copy.execute(&mut connection).await?;
    connection.close().await?;
    sync(to)
}

async fn check_integrity(path: &Path) -> Result<(), BackupError> {
    if path.extension().is_none_or(|kind| kind != "sqlite3") {
        return Ok(());
    }
    let damaged = |_| BackupError::Damaged(path.to_owned());
    let mut connection = open(path, "ro").await?;
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut connection)
        .await
        .map_err(damaged)?;
    connection.close().await?;
    if said == ["ok"] { Ok(()) } else { Err(BackupError::Damaged(path.to_owned())) }
}

async fn check_empty(url: &DatabaseUrl) -> Result<(), BackupError> {
    let mut connection = AnyConnection::connect(&url.0).await?;
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace
             AND relkind IN ('r', 'p')",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    if tables == 0 { Ok(()) } else { Err(BackupError::NotEmpty) }
}

fn read_manifest(folder: &Path) -> Result<Manifest, BackupError> {
    let no_backup = |why: &dyn ToString| BackupError::NoBackup(folder.to_owned(), why.to_string());
    let path = folder.join(MANIFEST);
    let json = fs::read(&path).map_err(|error| no_backup(&error))?;
    let manifest: Manifest = serde_json::from_slice(&json).map_err(|error| no_backup(&error))?;
    let known = [FILE_NAME, DUMP_FILE_NAME, KEYS_FILE_NAME, SERVER_KEY_FILE_NAME];
    if manifest.version != VERSION {
        return Err(no_backup(&"it is of another version of attune"));
    }
    if !manifest.files.contains_key(KEYS_FILE_NAME)
        || manifest.files.keys().any(|name| !known.contains(&name.as_str()))
    {
        return Err(no_backup(&"its manifest names other files"));
    }
    Ok(manifest)
}

fn measure(path: &Path) -> Result<Copied, BackupError> {
    let failed = |source| BackupError::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut bytes, mut chunk) = (Context::new(&SHA256), 0, vec![0; CHUNK_BYTES]);
    loop {
        let read = file.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            return Ok(Copied { bytes, sha256: Digest(fixed(hasher.finish().as_ref())?) });
        }
        hasher.update(&chunk[..read]);
        bytes += read as u64;
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::File { path: from.to_owned(), source };
    write_new(to, &mut File::open(from).map_err(failed)?)
}

/// Writes a file that is not there, for its owner alone, and sees it on the disk.
fn write_new(path: &Path, content: &mut impl Read) -> Result<(), BackupError> {
    let failed = |source| BackupError::File { path: path.to_owned(), source };
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    io::copy(content, &mut file).map_err(failed)?;
    file.flush().map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// What a restore that was cut short has left.
fn remove_if_there(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| BackupError::File { path: path.to_owned(), source })
}

/// Brings a dump back to an empty database: whole, or not at all.
async fn restore_dump(
    programs: &Programs,
    dump: &Path,
    url: &DatabaseUrl,
) -> Result<(), BackupError> {
    let extended = programs.has_timescale(dump).await?;
    check_empty(url).await?;
    let mut restore = programs.on("pg_restore", url)?;
    restore.args(["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]);
    restore.arg(dump);
    if !extended {
        return finish("pg_restore", restore).await.map(drop);
    }
    prepare_timescale(url).await?;
    let restored = finish("pg_restore", restore).await;
    // Also after a failure: the database would refuse to work until it is told.
    let mut connection = AnyConnection::connect(&url.0).await?;
    sqlx::raw_sql("SELECT timescaledb_post_restore()").execute(&mut connection).await?;
    connection.close().await?;
    restored.map(drop)
}

/// Makes the extension, and lets its tables come as they are. What is set holds for sessions that
/// begin later.
async fn prepare_timescale(url: &DatabaseUrl) -> Result<(), BackupError> {
    let mut connection = AnyConnection::connect(&url.0).await?;
    let loaded: Option<String> =
        sqlx::query_scalar("SELECT current_setting('timescaledb.disable_load', true)")
            .fetch_one(&mut connection)
            .await?;
    if loaded.is_none() {
        return Err(BackupError::NoTimescale);
    }
    for statement in
        ["CREATE EXTENSION IF NOT EXISTS timescaledb", "SELECT timescaledb_pre_restore()"]
    {
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Where PostgreSQL's programs are: wherever the system has them, if nothing is said.
#[derive(Debug, Default)]
struct Programs(Option<PathBuf>);

impl Programs {
    fn command(&self, program: &'static str) -> Command {
        let path = self.0.as_ref().map_or_else(|| program.into(), |folder| folder.join(program));
        let mut command = Command::new(path);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A program for a database. The password goes by the environment: arguments can be read by
    /// everybody on the machine.
    fn on(&self, program: &'static str, url: &DatabaseUrl) -> Result<Command, BackupError> {
        let (public, password) = without_password(&url.0);
        if public.contains("password=") {
            let said = "write the password as postgres://user:password@host/name".to_owned();
            return Err(BackupError::Program { program, said });
        }
        let mut command = self.command(program);
        command.arg("--dbname").arg(public);
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        Ok(command)
    }

    /// Whether a dump is of a database with TimescaleDB.
    async fn has_timescale(&self, dump: &Path) -> Result<bool, BackupError> {
        let mut list = self.command("pg_restore");
        list.arg("--list").arg(dump);
        let listed = finish("pg_restore", list).await?;
        Ok(listed.lines().any(|line| line.contains(" EXTENSION - timescaledb ")))
    }
}

/// Waits for a program's end; gives what it said.
async fn finish(program: &'static str, mut command: Command) -> Result<String, BackupError> {
    let run = command.output().await;
    let run = run.map_err(|error| BackupError::Program {
        program,
        said: format!("{error}; install PostgreSQL's client programs (postgresql-client)"),
    })?;
    if run.status.success() {
        return Ok(String::from_utf8_lossy(&run.stdout).into_owned());
    }
    let mut said = String::from_utf8_lossy(&run.stderr).trim().to_owned();
    if said.contains("server version mismatch") || said.contains("unsupported version") {
        said.push_str("; install PostgreSQL's client programs of the server's version or newer");
    }
    Err(BackupError::Program { program, said })
}

/// A URL without its password, and that.
fn without_password(url: &str) -> (String, Option<String>) {
    let whole = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return whole() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some((user, host)) = authority.rsplit_once('@') else { return whole() };
    let Some((user, password)) = user.split_once(':') else { return whole() };
    (format!("{scheme}://{user}@{host}{path}"), Some(percent_decoded(password)))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
