//! A person's rights as the operator serves them, on a data folder; the server need not run.
//!
//! While one runs on the same folder, it sees the erasure at once, except for its page, which
//! forgets the person with the next start.

use crate::{
    server_key::{self, ServerKeyError},
    store::{
        Action, Actor, AuditError, Entry, FILE_NAME, Removed, Store, StoreError, TABLES, Table,
        person_hash,
    },
};
use protocol::{consent::Head, key::SigningKey};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
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
    folder: &Path,
    person: Uuid,
    now_unix_ms: i64,
) -> Result<Option<Value>, PrivacyError> {
    let store = open(folder).await?;
    let key = server_key::load_or_make(folder)?;
    let exported = async {
        if store.owner(person).await?.is_none() {
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
/// arrives about them.
///
/// # Errors
/// [`PrivacyError`]. Repeat the call then, or start the server: either finishes it.
pub async fn erase(
    folder: &Path,
    person: Uuid,
    now_unix_ms: i64,
) -> Result<Option<Erased>, PrivacyError> {
    let store = open(folder).await?;
    let erased = async {
        if store.owner(person).await?.is_none() {
            return Ok(None);
        }
        let erasing = store.begin().await?.erase(person, Actor::Operator, now_unix_ms).await?;
        let Removed { events, receipts, .. } = erasing.commit().await?;
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
pub async fn verify_audit(folder: &Path) -> Result<u64, PrivacyError> {
    let store = open(folder).await?;
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
    if let Some(device) = store.owner(person).await?
        && let Some(newest) = store.in_force(person, device).await?
        && let Ok(head) = Head::sign(&newest.receipt, newest.received_unix_ms, server_key)
    {
        heads.push(head);
    }
    Ok(json!({
        "person": person,
        "exported_unix_ms": now_unix_ms,
        "tables": tables,
        "heads": heads,
    }))
}

async fn open(folder: &Path) -> Result<Store, PrivacyError> {
    if !folder.join(FILE_NAME).is_file() {
        return Err(PrivacyError::NoData(folder.to_owned()));
    }
    Ok(Store::open(folder).await?)
}
