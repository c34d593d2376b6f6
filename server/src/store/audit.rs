//! The audit log: append-only by triggers, each row chained to the one before by its SHA-256, so
//! that a changed, missing or inserted row is found. Whoever can write the file can still write a
//! whole new log: keep the newest hash elsewhere if that matters.
//!
//! It names nobody: people stand in it by the hash of their pseudonym.

use super::{Store, StoreError, Writing, fixed};
use futures::TryStreamExt;
use protocol::digest::Digest;
use sqlx::{Row, any::AnyRow};
use thiserror::Error;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person's device.
    Device,
    /// Whoever runs the server.
    Operator,
    /// The server by itself.
    Server,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Receipts were stored.
    Consent,
    /// Consent was taken back.
    Withdrawal,
    /// What was known under several identifiers was found to be of one person.
    Link,
    /// Such a link was taken away.
    Split,
    /// A person's data was exported.
    Export,
    /// A person's data was erased.
    Erasure,
    /// What had reached its age was deleted.
    Retention,
    /// A device sent a second receipt for one place of its chain.
    Fork,
    /// Requests with an old number.
    Replay,
    /// Requests without a valid signature.
    BadSignature,
    /// A model was registered, or changed what it is for.
    Model,
    /// Requests with a key that does not hold.
    BadKey,
    /// An operator's key was made.
    KeyCreated,
    /// One took over from another.
    KeyRotated,
    /// One was ended.
    KeyRevoked,
}

/// One line of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// About whom: the hash of the pseudonym.
    pub about: Option<Digest>,
    /// What came of it, without anything personal.
    pub result: String,
}

/// Why the log is not what was written.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The chain does not hold.
    #[error("the audit log was changed: row {0} does not follow from the row before it")]
    Broken(i64),
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Actor {
    const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Operator => "operator",
            Self::Server => "server",
        }
    }
}

impl Action {
    /// The name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Withdrawal => "withdrawal",
            Self::Link => "link",
            Self::Split => "split",
            Self::Export => "export",
            Self::Erasure => "erasure",
            Self::Retention => "retention",
            Self::Fork => "fork",
            Self::Replay => "replay",
            Self::BadSignature => "bad_signature",
            Self::Model => "model",
            Self::BadKey => "bad_key",
            Self::KeyCreated => "key_created",
            Self::KeyRotated => "key_rotated",
            Self::KeyRevoked => "key_revoked",
        }
    }
}

/// What is hashed of a row.
struct Line<'a> {
    number: i64,
    at_unix_ms: i64,
    actor: &'a str,
    action: &'a str,
    about: Option<&'a [u8]>,
    result: &'a str,
}

impl Line<'_> {
    fn hash(&self, previous: &[u8; 32]) -> Result<Digest, StoreError> {
        let Self { number, at_unix_ms, actor, action, about, result } = self;
        let row = (previous, number, at_unix_ms, actor, action, about, result);
        Ok(Digest::of(&serde_json::to_vec(&row)?))
    }
}

impl Writing {
    /// Appends a line.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn audit(&mut self, entry: &Entry, at_unix_ms: i64) -> Result<(), StoreError> {
        let last = sqlx::query(
            "SELECT number, hash FROM audit UNION ALL SELECT number, hash FROM audit_anchor
             ORDER BY number DESC LIMIT 1",
        )
        .fetch_one(&mut *self.transaction)
        .await?;
        let row = Line {
            number: last.try_get::<i64, _>("number")?.saturating_add(1),
            at_unix_ms,
            actor: entry.actor.name(),
            action: entry.action.name(),
            about: entry.about.as_ref().map(|hash| &hash.0[..]),
            result: &entry.result,
        };
        let hash = row.hash(&fixed(last.try_get("hash")?)?)?;
        sqlx::query("INSERT INTO audit VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(row.number)
            .bind(row.at_unix_ms)
            .bind(row.actor)
            .bind(row.action)
            .bind(row.about)
            .bind(row.result)
            .bind(&hash.0[..])
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}

impl Store {
    /// Appends a line by itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(&self, entry: &Entry, at_unix_ms: i64) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        writing.audit(entry, at_unix_ms).await?;
        writing.commit().await
    }

    /// Checks the chain from the first row that is kept; gives the number of rows.
    ///
    /// # Errors
    /// [`AuditError::Broken`] names the first row that does not follow.
    pub async fn verify_audit(&self) -> Result<u64, AuditError> {
        let mut reading = self.readers.begin().await.map_err(StoreError::from)?;
        let anchor = sqlx::query("SELECT number, hash FROM audit_anchor")
            .fetch_one(&mut *reading)
            .await
            .map_err(StoreError::from)?;
        let (mut number, mut previous) = link_of(&anchor)?;
        let mut rows = sqlx::query("SELECT * FROM audit ORDER BY number").fetch(&mut *reading);
        let mut count = 0;
        while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
            let (found, hash) = link_of(&row)?;
            let expected = row_of(&row, found).and_then(|row| row.hash(&previous))?;
            if found != number.saturating_add(1) || expected.0 != hash {
                return Err(AuditError::Broken(found));
            }
            (number, previous, count) = (found, hash, count + 1);
        }
        Ok(count)
    }
}

fn link_of(row: &AnyRow) -> Result<(i64, [u8; 32]), StoreError> {
    Ok((row.try_get("number")?, fixed(row.try_get("hash")?)?))
}

fn row_of(row: &AnyRow, number: i64) -> Result<Line<'_>, StoreError> {
    Ok(Line {
        number,
        at_unix_ms: row.try_get("at_unix_ms")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        about: row.try_get("about")?,
        result: row.try_get("result")?,
    })
}
