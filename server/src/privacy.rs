//! A person's rights as the operator serves them, on a server's data; the server need not run.
//!
//! While one runs on the same data, it sees the erasure at once, except for its page, which
//! forgets the person with the next start.

use crate::{
    server_key::{self, ServerKeyError},
    store::{
        Action, Actor, AuditError, Entry, FILE_NAME, FRESH, KEYS_FILE_NAME, Location, Removed,
        Store, StoreError, TABLES, Table, person_hash,
    },
};
use protocol::{consent::Head, key::SigningKey};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use thiserror::Error;
use uuid::Uuid;

/// Why the operator's request was not served.
#[derive(Debug, Error)]
pub enum PrivacyError {
    /// No database there.
    #[error("there is no database in {0}: name the server's data folder")]
    NoData(PathBuf),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server's key cannot be used.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
    /// The audit log was changed.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// What an erasure deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// Events, outcomes among them.
    pub events: u64,
    /// Consent receipts.
    pub receipts: u64,
    /// Whether deleted rows are gone from the database's log, too. If not, a server is reading it:
    /// its next hourly run empties it.
    pub log_emptied: bool,
}

/// Everything that is stored about a person, as JSON; `None` if nothing is.
///
/// # Errors
/// [`PrivacyError`].
pub async fn export(
    at: impl Into<Location>,
    person: Uuid,
    now_unix_ms: i64,
) -> Result<Option<Value>, PrivacyError> {
    let at = at.into();
    let store = open(&at).await?;
    let key = server_key::load_or_make(&at.folder)?;
    let exported = async {
        if store.pseudonyms_of(person).await?.is_empty() {
            return Ok(None);
        }
        let entry = Entry {
            actor: Actor::Operator,
            action: Action::Export,
            about: Some(person_hash(person)),
            result: "exported".to_owned(),
        };
        store.audit(&entry, now_unix_ms).await?;
        document(&store, &key, person, now_unix_ms).await.map(Some)
    };
    let exported: Result<_, StoreError> = exported.await;
    store.close().await;
    Ok(exported?)
}

/// Erases a person; `None` if nothing is stored about them. Afterwards the server refuses whatever
/// arrives about them, and one that runs beside has forgotten what it read.
///
/// # Errors
/// [`PrivacyError`]. Repeat the call then, or start the server: either finishes it.
pub async fn erase(
    at: impl Into<Location>,
    person: Uuid,
    now_unix_ms: i64,
) -> Result<Option<Erased>, PrivacyError> {
    let store = open(&at.into()).await?;
    let erased = async {
        if store.pseudonyms_of(person).await?.is_empty() {
            return Ok(None);
        }
        let erasing = store.begin().await?.erase(person, Actor::Operator, now_unix_ms).await?;
        let Removed { events, receipts, .. } = erasing.commit().await?;
        tokio::time::sleep(FRESH).await;
        Ok(Some(Erased { events, receipts, log_emptied: store.checkpoint().await? }))
    };
    let erased: Result<_, StoreError> = erased.await;
    store.close().await;
    Ok(erased?)
}

/// Checks the audit log's chain; gives the number of its lines.
///
/// # Errors
/// [`PrivacyError::Audit`] names the first line that does not follow.
pub async fn verify_audit(at: impl Into<Location>) -> Result<u64, PrivacyError> {
    let store = open(&at.into()).await?;
    let lines = store.verify_audit().await;
    store.close().await;
    Ok(lines?)
}

/// Every table of the server, and what it holds about people.
#[must_use]
pub const fn inventory() -> &'static [Table] {
    TABLES
}

/// The export: rows by table, and the server's signature under the chain.
pub(crate) async fn document(
    store: &Store,
    server_key: &SigningKey,
    person: Uuid,
    now_unix_ms: i64,
) -> Result<Value, StoreError> {
    let tables: Map<String, Value> = store.rows_of(person).await?;
    let mut heads = Vec::new();
    for person in store.pseudonyms_of(person).await? {
        if let Some(device) = store.owner(person).await?
            && let Some(newest) = store.in_force(person, device).await?
            && let Ok(head) = Head::sign(&newest.receipt, newest.received_unix_ms, server_key)
        {
            heads.push(head);
        }
    }
    Ok(json!({
        "person": person,
        "exported_unix_ms": now_unix_ms,
        "tables": tables,
        "heads": heads,
    }))
}

async fn open(at: &Location) -> Result<Store, PrivacyError> {
    // Wherever the main database is, the keys are here.
    let file = if at.database.is_some() { KEYS_FILE_NAME } else { FILE_NAME };
    if !at.folder.join(file).is_file() {
        return Err(PrivacyError::NoData(at.folder.clone()));
    }
    Ok(Store::open(at.clone()).await?)
}
