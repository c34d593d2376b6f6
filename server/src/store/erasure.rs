//! Erasure: first the tombstone, then the rows, then the key. Each step is durable before the next;
//! [`Store::finish_erasures`] takes up what a crash cut short or a restored backup brought back.

use super::{
    Actor, Holds, Removed, Store, StoreError, TABLES, Writing,
    audit::{Action, Entry},
    bytes, id_of,
    keys::Keys,
    seal::person_hash,
};
use protocol::digest::Digest;
use sqlx::AssertSqlSafe;
use std::collections::HashSet;
use uuid::Uuid;

/// What was left to do of erasures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finished {
    /// People with a tombstone who had rows: erased again.
    pub people: u64,
    /// Keys that had outlived their rows.
    pub keys: u64,
}

/// A person's rows are marked for deletion in an open transaction.
#[derive(Debug)]
#[must_use = "nothing is erased before commit"]
pub struct Erasing {
    writing: Writing,
    keys: Keys,
    hash: Digest,
    removed: Removed,
}

impl Writing {
    /// Buries a person and deletes their rows.
    ///
    /// # Errors
    /// [`StoreError`]. The tombstone may stand then: repeat the erasure, or restart the server.
    pub async fn erase(
        mut self,
        person: Uuid,
        actor: Actor,
        now_unix_ms: i64,
    ) -> Result<Erasing, StoreError> {
        let (hash, keys) = (person_hash(person), self.keys.clone());
        keys.bury(&hash, now_unix_ms).await?;
        let outcomes: i64 =
            sqlx::query_scalar("SELECT count(*) FROM events WHERE person = ? AND kind = 'outcome'")
                .bind(bytes(&person))
                .fetch_one(&mut *self.transaction)
                .await?;
        let mut removed = Removed { outcomes: outcomes.unsigned_abs(), ..Removed::default() };
        for table in TABLES {
            let Holds::Rows { erased, .. } = table.holds else { continue };
            let delete = AssertSqlSafe(format!("DELETE FROM {} WHERE {erased}", table.name));
            let deleted =
                sqlx::query(delete).bind(bytes(&person)).execute(&mut *self.transaction).await?;
            match table.name {
                "events" => removed.events = deleted.rows_affected(),
                "receipts" => removed.receipts = deleted.rows_affected(),
                _ => {}
            }
        }
        let Removed { events, receipts, .. } = removed;
        let result = format!("erased {events} events and {receipts} receipts");
        let entry = Entry { actor, action: Action::Erasure, about: Some(hash), result };
        self.audit(&entry, now_unix_ms).await?;
        Ok(Erasing { writing: self, keys, hash, removed })
    }
}

impl Erasing {
    /// Makes the erasure durable and shreds the person's key.
    ///
    /// # Errors
    /// [`StoreError`]. The tombstone stands: repeat the erasure, or restart the server.
    pub async fn commit(self) -> Result<Removed, StoreError> {
        self.writing.commit().await?;
        self.keys.shred(&self.hash).await?;
        Ok(self.removed)
    }
}

impl Store {
    /// Takes up erasures that were cut short, and repeats those that a restored backup undid.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_erasures(&self, now_unix_ms: i64) -> Result<Finished, StoreError> {
        let mut finished = Finished::default();
        let holders: HashSet<Digest> = self.keys.holders().await?.into_iter().collect();
        for hash in self.keys.tombstones().await? {
            let person: Option<Vec<u8>> =
                sqlx::query_scalar("SELECT person FROM people WHERE hash = ?")
                    .bind(&hash.0[..])
                    .fetch_optional(&self.readers)
                    .await?;
            if let Some(person) = person {
                let writing = self.begin().await?;
                let erasing = writing.erase(id_of(&person)?, Actor::Server, now_unix_ms).await?;
                erasing.commit().await?;
                finished.people += 1;
            } else if holders.contains(&hash) {
                self.keys.shred(&hash).await?;
                finished.keys += 1;
            }
        }
        if finished.people > 0 {
            self.checkpoint().await?;
        }
        Ok(finished)
    }

    /// Moves the write-ahead log into the database and empties it, so that no deleted row lives on
    /// in it. Gives false if a reader is in the way: try again later.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn checkpoint(&self) -> Result<bool, StoreError> {
        let (busy, _, _): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.writer).await?;
        Ok(busy == 0)
    }

    /// Sealed rows of people whose key is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unreadable_rows(&self) -> Result<u64, StoreError> {
        let holders: HashSet<Digest> = self.keys.holders().await?.into_iter().collect();
        let people: Vec<(Vec<u8>, Vec<u8>)> =
            sqlx::query_as("SELECT person, hash FROM people").fetch_all(&self.readers).await?;
        let mut rows = 0;
        for (person, hash) in people {
            if !holders.contains(&Digest(super::fixed(&hash)?)) {
                let count: i64 = sqlx::query_scalar(
                    "SELECT (SELECT count(*) FROM events WHERE person = ?1)
                         + (SELECT count(*) FROM receipts WHERE person = ?1)",
                )
                .bind(person)
                .fetch_one(&self.readers)
                .await?;
                rows += count.unsigned_abs();
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EventTimes;
    use protocol::{
        event::{Event, EventBody},
        key::PublicKey,
        signing::Signer,
    };

    #[tokio::test]
    async fn c15_rows_without_a_key_are_counted_and_kept_until_a_tombstone_says_otherwise() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let signer = Signer { key: PublicKey([7; 32]), request_number: 1 };
        let (person, device) = (Uuid::from_u128(1), signer.key.device_id());
        let event = Event {
            id: Uuid::from_u128(2),
            sequence: 1,
            device,
            person,
            session: Uuid::from_u128(3),
            consent_record: Uuid::from_u128(4),
            consent_epoch: 1,
            modalities: vec![],
            at_unix_ms: 0,
            at_session_ms: 0,
            body: EventBody::SessionEnded { samples_lost: 0 },
        };
        let mut writing = store.begin().await.unwrap();
        writing.put_device(&signer, 0).await.unwrap();
        writing.put_person(person, device, 0).await.unwrap();
        let times = EventTimes { corrected_unix_ms: 0, received_unix_ms: 0 };
        writing.put_event(&event, times).await.unwrap();
        writing.commit().await.unwrap();
        assert_eq!(store.unreadable_rows().await.unwrap(), 0);
        assert_eq!(store.recent_events(9).await.unwrap().len(), 1);

        let hash = person_hash(person);
        store.keys.shred(&hash).await.unwrap();
        assert_eq!(store.unreadable_rows().await.unwrap(), 1);
        assert!(store.recent_events(9).await.unwrap().is_empty());
        assert!(matches!(store.rows_of(person).await, Err(StoreError::Sealed)));
        assert_eq!(store.finish_erasures(0).await.unwrap(), Finished::default());

        store.keys.bury(&hash, 0).await.unwrap();
        let finished = Finished { people: 1, keys: 0 };
        assert_eq!(store.finish_erasures(0).await.unwrap(), finished);
        assert_eq!(store.unreadable_rows().await.unwrap(), 0);
        assert_eq!(store.verify_audit().await.unwrap(), 1);
    }
}
