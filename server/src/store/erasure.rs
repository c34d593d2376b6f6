//! Erasure: first the tombstone, then the rows, then the key. Each step is durable before the next;
//! [`Store::finish_erasures`] takes up what a crash cut short or a restored backup brought back.

use super::{
    Actor, Holds, Removed, Store, StoreError, TABLES, Writing,
    audit::{Action, Entry},
    bytes,
    db::Dialect,
    id_of,
    keys::Keys,
    seal::person_hash,
    sql::{MOST_ROWS, list},
};
use protocol::digest::Digest;
use sqlx::{AssertSqlSafe, Row};
use std::collections::{HashMap, HashSet};
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
    people: Vec<Uuid>,
    removed: Removed,
}

impl Writing {
    /// Buries a person, under every pseudonym that is linked to this one, and deletes their rows.
    ///
    /// # Errors
    /// [`StoreError`]. The tombstone may stand then: repeat the erasure, or restart the server.
    pub async fn erase(
        mut self,
        person: Uuid,
        actor: Actor,
        now_unix_ms: i64,
    ) -> Result<Erasing, StoreError> {
        let keys = self.keys.clone();
        let mut people = vec![person];
        let linked = self.groups_of(&[person]).await?.into_iter().map(|node| node.person);
        people.extend(linked.filter(|other| *other != person));
        for person in &people {
            keys.bury(&person_hash(*person), now_unix_ms).await?;
        }
        // What is known of them and arrives late is recognised by these.
        for (identifier, _) in self.identifiers_of(&people).await? {
            keys.bury(&identifier.tombstone(), now_unix_ms).await?;
        }
        let mut removed = Removed::default();
        for person in &people {
            removed.outcomes += self.outcomes_of(*person).await?;
        }
        for table in TABLES {
            let Holds::Rows { erased, .. } = table.holds else { continue };
            for person in &people {
                let delete = AssertSqlSafe(format!("DELETE FROM {} WHERE {erased}", table.name));
                let deleted =
                    sqlx::query(delete).bind(bytes(person)).execute(&mut *self.transaction).await?;
                match table.name {
                    "events" => removed.events += deleted.rows_affected(),
                    "receipts" => removed.receipts += deleted.rows_affected(),
                    _ => {}
                }
            }
        }
        let Removed { events, receipts, .. } = removed;
        let whole = format!("erased {events} events and {receipts} receipts");
        for (place, one) in people.iter().enumerate() {
            let linked = || "erased with a pseudonym that it was linked to".to_owned();
            let result = if place == 0 { whole.clone() } else { linked() };
            let about = Some(person_hash(*one));
            let entry = Entry { actor, action: Action::Erasure, about, result };
            self.audit(&entry, now_unix_ms).await?;
        }
        Ok(Erasing { writing: self, keys, people, removed })
    }

    async fn outcomes_of(&mut self, person: Uuid) -> Result<u64, StoreError> {
        let outcomes: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM events WHERE person = $1 AND kind = 'outcome'",
        )
        .bind(bytes(&person))
        .fetch_one(&mut *self.transaction)
        .await?;
        Ok(outcomes.unsigned_abs())
    }
}

impl Erasing {
    /// Every pseudonym of the person.
    pub fn people(&self) -> &[Uuid] {
        &self.people
    }

    /// Makes the erasure durable and shreds the person's keys.
    ///
    /// # Errors
    /// [`StoreError`]. The tombstone stands: repeat the erasure, or restart the server.
    pub async fn commit(self) -> Result<Removed, StoreError> {
        self.writing.commit().await?;
        for person in &self.people {
            self.keys.shred(&person_hash(*person)).await?;
        }
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
        self.keys.forget_looked_up();
        let holders: HashSet<Digest> = self.keys.holders().await?.into_iter().collect();
        let mut erased: HashSet<Digest> = HashSet::new();
        for hashes in self.keys.tombstones().await?.chunks(MOST_ROWS) {
            let there = self.people_under(hashes).await?;
            for hash in hashes {
                if erased.contains(hash) {
                    // With somebody whom they were linked to.
                    continue;
                }
                if let Some(person) = there.get(hash) {
                    let writing = self.begin().await?;
                    let erasing = writing.erase(*person, Actor::Server, now_unix_ms).await?;
                    erased.extend(erasing.people().iter().map(|person| person_hash(*person)));
                    erasing.commit().await?;
                    finished.people += 1;
                } else if holders.contains(hash) {
                    self.keys.shred(hash).await?;
                    finished.keys += 1;
                }
            }
        }
        if finished.people > 0 {
            self.checkpoint().await?;
        }
        Ok(finished)
    }

    /// Of these hashes of pseudonyms those that have rows, with the pseudonym.
    async fn people_under(&self, hashes: &[Digest]) -> Result<HashMap<Digest, Uuid>, StoreError> {
        let places = list(1, hashes.len());
        let query = format!(
            "SELECT hash, person FROM people WHERE hash IN {places}
             UNION SELECT hash, person FROM subjects WHERE hash IN {places}"
        );
        let full = hashes.len() == MOST_ROWS;
        let mut query = sqlx::query_as(AssertSqlSafe(query)).persistent(full);
        for hash in hashes {
            query = query.bind(&hash.0[..]);
        }
        let rows: Vec<(Vec<u8>, Vec<u8>)> = query.fetch_all(&self.readers).await?;
        let row =
            |(hash, person): &(Vec<u8>, Vec<u8>)| Ok((Digest(super::fixed(hash)?), id_of(person)?));
        rows.iter().map(row).collect()
    }

    /// Moves the write-ahead log into the database and empties it, so that no deleted row lives on
    /// in it. Gives false if a reader is in the way: try again later. PostgreSQL does so by itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn checkpoint(&self) -> Result<bool, StoreError> {
        match self.writer.place().dialect {
            Dialect::Postgres => Ok(true),
            Dialect::Sqlite => {
                let row = self.writer.alone("PRAGMA wal_checkpoint(TRUNCATE)").await?;
                Ok(row.is_some_and(|row| matches!(row.try_get::<i64, _>(0), Ok(0))))
            }
        }
    }

    /// Sealed rows of people whose key is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unreadable_rows(&self) -> Result<u64, StoreError> {
        let holders: HashSet<Digest> = self.keys.holders().await?.into_iter().collect();
        let people: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT person, hash FROM people UNION SELECT person, hash FROM subjects",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut rows = 0;
        for (person, hash) in people {
            if !holders.contains(&Digest(super::fixed(&hash)?)) {
                let count: i64 = sqlx::query_scalar(
                    "SELECT (SELECT count(*) FROM events WHERE person = $1)
                         + (SELECT count(*) FROM receipts WHERE person = $1)
                         + (SELECT count(*) FROM facts WHERE person = $1)",
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
    use crate::store::{
        EventTimes, Subject,
        testing::{Rig, on_each},
    };
    use protocol::{
        event::{Event, EventBody},
        key::PublicKey,
        signing::Signer,
    };

    on_each![c15_many_tombstones_are_looked_up_at_once];

    async fn c15_many_tombstones_are_looked_up_at_once(Rig { store, .. }: Rig) {
        // Two of them linked, one alone, one who was not erased.
        let of = |number: u128, root: u128| Subject {
            person: Uuid::from_u128(number),
            root: Uuid::from_u128(root),
            first_seen_unix_ms: 0,
        };
        let mut writing = store.begin().await.unwrap();
        let people = [of(1, 1), of(2, 1), of(3, 3), of(4, 4)];
        writing.put_subjects(&people).await.unwrap();
        writing.commit().await.unwrap();
        let others = (0..1_200).map(|number| person_hash(Uuid::from_u128(1_000 + number)));
        let hashes = people[..3].iter().map(|one| person_hash(one.person)).chain(others);
        let buried: Vec<_> = hashes.map(|hash| (hash, 7)).collect();
        store.keys.bury_all(&buried).await.unwrap();
        let finished = Finished { people: 2, keys: 0 };
        assert_eq!(store.finish_erasures(9).await.unwrap(), finished);
        assert_eq!(store.finish_erasures(9).await.unwrap(), Finished::default());
        let left: Vec<Vec<u8>> = sqlx::query_scalar("SELECT person FROM subjects")
            .fetch_all(&store.readers)
            .await
            .unwrap();
        assert_eq!(left, [Uuid::from_u128(4).as_bytes()]);
    }

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
