//! People as nodes, the identifiers that lead to them, and what they said: read and written a batch
//! at a time.

use super::{
    StoreError, Writing, bytes, fixed, id_of,
    seal::person_hash,
    sql::{MOST_ROWS, list},
};
use crate::intake::{Identifier, Kind};
use protocol::{
    consent::{ConsentRecord, Receipt},
    digest::Digest,
    intake::Scope,
};
use sqlx::AssertSqlSafe;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
};
use uuid::Uuid;

/// A node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Its pseudonym.
    pub person: Uuid,
    /// The node that its group is named by.
    pub root: Uuid,
    /// When it was made, Unix milliseconds.
    pub first_seen_unix_ms: i64,
}

/// The newest Yes and the newest No, Unix milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// When the newest Yes was said.
    pub granted_unix_ms: Option<i64>,
    /// When the newest No was said.
    pub denied_unix_ms: Option<i64>,
}

impl Said {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            granted_unix_ms: self.granted_unix_ms.max(other.granted_unix_ms),
            denied_unix_ms: self.denied_unix_ms.max(other.denied_unix_ms),
        }
    }
}

/// What a device says of the consent of its person.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The record that counts.
    pub in_force: ConsentRecord,
    /// When the last withdrawal arrived.
    pub withdrawn_unix_ms: Option<i64>,
}

type ReceiptColumns = (Vec<u8>, Vec<u8>, i64, String, Vec<u8>, Vec<u8>, Vec<u8>, i64);

/// The receipt of a chain that counts, sealed.
struct Newest {
    rank: (i64, bool, Reverse<Vec<u8>>),
    nonce: Vec<u8>,
    sealed: Vec<u8>,
}

/// Ids in groups of a few sizes, filled up by repetition: so a handful of statements serves all.
fn groups<T: Clone>(ids: &[T]) -> impl Iterator<Item = Vec<T>> + '_ {
    ids.chunks(MOST_ROWS).map(|chunk| {
        let mut group = chunk.to_vec();
        if let Some(last) = chunk.last() {
            group.resize(chunk.len().next_power_of_two().min(MOST_ROWS), last.clone());
        }
        group
    })
}

impl Writing {
    /// The nodes that identifiers lead to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn nodes_of(
        &mut self,
        identifiers: &HashSet<Identifier>,
    ) -> Result<HashMap<Identifier, Uuid>, StoreError> {
        let mut nodes = HashMap::new();
        for kind in Kind::ALL {
            let hashes: Vec<Digest> =
                identifiers.iter().filter(|one| one.kind == kind).map(|one| one.hash).collect();
            for group in groups(&hashes) {
                let text = format!(
                    "SELECT hash, person FROM identifiers WHERE kind = $1 AND hash IN {}",
                    list(2, group.len())
                );
                let mut query = sqlx::query_as(AssertSqlSafe(text)).bind(kind.name());
                for hash in &group {
                    query = query.bind(&hash.0[..]);
                }
                let found: Vec<(Vec<u8>, Vec<u8>)> =
                    query.fetch_all(&mut *self.transaction).await?;
                for (hash, person) in found {
                    nodes.insert(Identifier { kind, hash: Digest(fixed(&hash)?) }, id_of(&person)?);
                }
            }
        }
        Ok(nodes)
    }

    /// Every node of every group that one of these nodes is in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn groups_of(&mut self, people: &[Uuid]) -> Result<Vec<Subject>, StoreError> {
        let mut subjects = BTreeMap::new();
        for group in groups(people) {
            let text = format!(
                "SELECT person, root, first_seen_unix_ms FROM subjects WHERE root IN
                     (SELECT root FROM subjects WHERE person IN {})",
                list(1, group.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for person in &group {
                query = query.bind(bytes(person));
            }
            let found: Vec<(Vec<u8>, Vec<u8>, i64)> =
                query.fetch_all(&mut *self.transaction).await?;
            for (person, root, first_seen_unix_ms) in found {
                let (person, root) = (id_of(&person)?, id_of(&root)?);
                subjects.insert(person, Subject { person, root, first_seen_unix_ms });
            }
        }
        Ok(subjects.into_values().collect())
    }

    /// How many identifiers lead to each node.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn identifier_counts(
        &mut self,
        people: &[Uuid],
    ) -> Result<HashMap<Uuid, usize>, StoreError> {
        let mut counts = HashMap::new();
        for group in groups(people) {
            let text = format!(
                "SELECT person, count(*) FROM identifiers WHERE person IN {} GROUP BY person",
                list(1, group.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for person in &group {
                query = query.bind(bytes(person));
            }
            let found: Vec<(Vec<u8>, i64)> = query.fetch_all(&mut *self.transaction).await?;
            for (person, count) in found {
                counts.insert(id_of(&person)?, usize::try_from(count).unwrap_or(usize::MAX));
            }
        }
        Ok(counts)
    }

    /// Of these pseudonyms those that devices brought, with the device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn devices_of(&mut self, people: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
        let mut devices = Vec::new();
        for group in groups(people) {
            let text = format!(
                "SELECT person, device FROM people WHERE person IN {}",
                list(1, group.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for person in &group {
                query = query.bind(bytes(person));
            }
            let found: Vec<(Vec<u8>, Vec<u8>)> = query.fetch_all(&mut *self.transaction).await?;
            for (person, device) in found {
                devices.push((id_of(&person)?, id_of(&device)?));
            }
        }
        Ok(devices)
    }

    /// What devices say of the consent of the people they are of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chains(
        &mut self,
        devices: &[(Uuid, Uuid)],
    ) -> Result<HashMap<Uuid, Chain>, StoreError> {
        self.load_keys(devices.iter().map(|(person, _)| *person)).await?;
        let brought: HashMap<Uuid, Uuid> = devices.iter().copied().collect();
        let mut newest: HashMap<Uuid, Newest> = HashMap::new();
        let mut withdrawn: HashMap<Uuid, i64> = HashMap::new();
        let people: Vec<Uuid> = brought.keys().copied().collect();
        for group in groups(&people) {
            let text = format!(
                "SELECT person, device, epoch, state, digest, nonce, sealed, received_unix_ms
                 FROM receipts WHERE person IN {}",
                list(1, group.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for person in &group {
                query = query.bind(bytes(person));
            }
            let found: Vec<ReceiptColumns> = query.fetch_all(&mut *self.transaction).await?;
            for (person, device, epoch, state, digest, nonce, sealed, received) in found {
                let person = id_of(&person)?;
                if brought.get(&person) != Some(&id_of(&device)?) {
                    continue;
                }
                let withdrawal = state == "withdrawn";
                if withdrawal {
                    let last = withdrawn.entry(person).or_insert(received);
                    *last = (*last).max(received);
                }
                // As of a single chain: see `receipts::in_force_row`.
                let rank = (epoch, withdrawal, Reverse(digest));
                if newest.get(&person).is_none_or(|known| known.rank < rank) {
                    newest.insert(person, Newest { rank, nonce, sealed });
                }
            }
        }
        let mut chains = HashMap::new();
        for (person, Newest { rank: (_, _, Reverse(digest)), nonce, sealed }) in newest {
            let receipt: Receipt = self.key(person).await?.open(&digest, &nonce, &sealed)?;
            let withdrawn_unix_ms = withdrawn.get(&person).copied();
            chains.insert(person, Chain { in_force: receipt.record, withdrawn_unix_ms });
        }
        Ok(chains)
    }

    /// Deletes the behaviour that is stored about somebody up to a time, under every pseudonym of
    /// theirs: their device has withdrawn. Gives the root of their group if any was there.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn forget_behaviour(
        &mut self,
        person: Uuid,
        up_to_unix_ms: i64,
    ) -> Result<Option<Uuid>, StoreError> {
        let group = self.groups_of(&[person]).await?;
        let nodes: Vec<Uuid> = group.iter().map(|node| node.person).collect();
        let removed = self.remove_source(&nodes, Scope::Behaviour.name(), up_to_unix_ms).await?;
        Ok(group.first().filter(|_| removed > 0).map(|node| node.root))
    }

    /// What was said by these nodes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn statements_of(
        &mut self,
        people: &[Uuid],
    ) -> Result<HashMap<(Uuid, Scope), Said>, StoreError> {
        let mut statements: HashMap<_, Said> = HashMap::new();
        for group in groups(people) {
            let text = format!(
                "SELECT person, scope, granted, at_unix_ms FROM statements WHERE person IN {}",
                list(1, group.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for person in &group {
                query = query.bind(bytes(person));
            }
            let found: Vec<(Vec<u8>, String, i64, i64)> =
                query.fetch_all(&mut *self.transaction).await?;
            for (person, scope, granted, at_unix_ms) in found {
                let Some(scope) = Scope::ALL.into_iter().find(|one| one.name() == scope) else {
                    continue;
                };
                let said = statements.entry((id_of(&person)?, scope)).or_default();
                match granted {
                    0 => said.denied_unix_ms = Some(at_unix_ms),
                    _ => said.granted_unix_ms = Some(at_unix_ms),
                }
            }
        }
        Ok(statements)
    }

    /// Makes nodes, each the root of its own group, and their keys.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_subjects(&mut self, made: &[Subject]) -> Result<(), StoreError> {
        let hashes: Vec<Digest> = made.iter().map(|one| person_hash(one.person)).collect();
        // Before the rows that they seal: a key without rows is of no use to anybody.
        let people: Vec<Uuid> = made.iter().map(|one| one.person).collect();
        self.make_keys(&people).await?;
        for (chunk, hashes) in made.chunks(MOST_ROWS).zip(hashes.chunks(MOST_ROWS)) {
            let text = format!(
                "INSERT INTO subjects (person, hash, root, first_seen_unix_ms) VALUES {}",
                self.rows(chunk.len(), 4)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (one, hash) in chunk.iter().zip(hashes) {
                query = query
                    .bind(bytes(&one.person))
                    .bind(&hash.0[..])
                    .bind(bytes(&one.root))
                    .bind(one.first_seen_unix_ms);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Lets identifiers lead to nodes.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_identifiers(
        &mut self,
        linked: &[(Identifier, Uuid)],
        now_unix_ms: i64,
    ) -> Result<(), StoreError> {
        for chunk in linked.chunks(MOST_ROWS) {
            let text = format!(
                "INSERT INTO identifiers (kind, hash, person, linked_unix_ms) VALUES {}
                 ON CONFLICT (kind, hash) DO UPDATE
                     SET person = excluded.person, linked_unix_ms = excluded.linked_unix_ms",
                self.rows(chunk.len(), 4)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (identifier, person) in chunk {
                query = query
                    .bind(identifier.kind.name())
                    .bind(&identifier.hash.0[..])
                    .bind(bytes(person))
                    .bind(now_unix_ms);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Lets the nodes of one group be of another.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn move_group(&mut self, from: Uuid, into: Uuid) -> Result<(), StoreError> {
        sqlx::query("UPDATE subjects SET root = $1 WHERE root = $2")
            .bind(bytes(&into))
            .bind(bytes(&from))
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Gives a node a root.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn set_root(&mut self, person: Uuid, root: Uuid) -> Result<(), StoreError> {
        sqlx::query("UPDATE subjects SET root = $1 WHERE person = $2")
            .bind(bytes(&root))
            .bind(bytes(&person))
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Keeps what was said: of each kind the newest.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_statements(
        &mut self,
        statements: &[(Uuid, Scope, bool, i64)],
        received_unix_ms: i64,
    ) -> Result<(), StoreError> {
        for chunk in statements.chunks(MOST_ROWS) {
            let text = format!(
                "INSERT INTO statements (person, scope, granted, at_unix_ms, received_unix_ms)
                 VALUES {} ON CONFLICT (person, scope, granted) DO UPDATE
                     SET at_unix_ms = excluded.at_unix_ms,
                         received_unix_ms = excluded.received_unix_ms
                     WHERE excluded.at_unix_ms > statements.at_unix_ms",
                self.rows(chunk.len(), 5)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (person, scope, granted, at_unix_ms) in chunk {
                query = query
                    .bind(bytes(person))
                    .bind(scope.name())
                    .bind(i64::from(*granted))
                    .bind(*at_unix_ms)
                    .bind(received_unix_ms);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// The identifiers of nodes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn identifiers_of(
        &mut self,
        people: &[Uuid],
    ) -> Result<Vec<(Identifier, Uuid)>, StoreError> {
        let mut identifiers = Vec::new();
        for group in groups(people) {
            let text = format!(
                "SELECT kind, hash, person FROM identifiers WHERE person IN {}",
                list(1, group.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for person in &group {
                query = query.bind(bytes(person));
            }
            let found: Vec<(String, Vec<u8>, Vec<u8>)> =
                query.fetch_all(&mut *self.transaction).await?;
            for (kind, hash, person) in found {
                if let Some(kind) = Kind::of_name(&kind) {
                    let identifier = Identifier { kind, hash: Digest(fixed(&hash)?) };
                    identifiers.push((identifier, id_of(&person)?));
                }
            }
        }
        Ok(identifiers)
    }

    /// When these were erased, of those that were: hashes of pseudonyms and tombstones of
    /// identifiers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erased_of(
        &mut self,
        hashes: &[Digest],
    ) -> Result<HashMap<Digest, i64>, StoreError> {
        self.keys.erased_of(hashes).await
    }
}
