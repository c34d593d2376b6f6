//! Profiles: the feature store's state of everybody, sealed, and the facts that it can be made anew
//! from.
//!
//! A profile belongs to the root of a group. Its nonce is random and names one version of it: who
//! has opened that version before need not open it again.

use super::{
    Store, StoreError, Writing, bytes, fixed, id_of,
    seal::{PersonKey, Sealed, person_hash},
    sql::{MOST_ROWS, list},
};
use models::profile::{Fact, Profile, Surroundings};
use protocol::digest::Digest;
use ring::aead::NONCE_LEN;
use sqlx::{AssertSqlSafe, FromRow, Row};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// The row of `jobs` that says by which definitions all profiles were made.
const DEFINITIONS: Uuid = Uuid::from_u128(0x6174_7475_6e65_8000_8000_6465_6669_6e65);
const DEFINITIONS_KIND: &str = "definitions";

/// A profile as it lies in the database.
#[derive(Debug, Clone)]
pub struct SealedProfile {
    /// Whose: the root of a group.
    pub root: Uuid,
    /// When the newest fact in it became known, Unix milliseconds.
    pub changed_unix_ms: i64,
    /// Names this version of it.
    pub version: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

/// A profile to be stored.
#[derive(Debug, Clone)]
pub struct NewProfile {
    /// Whose: the root of a group.
    pub root: Uuid,
    /// When the newest fact in it became known, Unix milliseconds.
    pub changed_unix_ms: i64,
    /// By when it is to be scored, Unix milliseconds.
    pub due_unix_ms: i64,
    /// The state.
    pub profile: Profile,
}

type ProfileRow = (Vec<u8>, i64, Vec<u8>, Vec<u8>);
type FactRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

impl SealedProfile {
    fn of((root, changed_unix_ms, nonce, sealed): ProfileRow) -> Result<Self, StoreError> {
        Ok(Self { root: id_of(&root)?, changed_unix_ms, version: fixed(&nonce)?, sealed })
    }

    fn open(&self, key: &PersonKey) -> Result<Profile, StoreError> {
        key.open(self.root.as_bytes(), &self.version, &self.sealed)
    }
}

impl Writing {
    /// The profiles of roots, as this turn sees them; left out are who has none, and who has one
    /// that says more than the facts that are left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn profiles_of(
        &mut self,
        roots: &[Uuid],
    ) -> Result<HashMap<Uuid, (i64, Profile)>, StoreError> {
        self.load_keys(roots.iter().copied()).await?;
        let mut profiles = HashMap::with_capacity(roots.len());
        for some in roots.chunks(MOST_ROWS) {
            let text = format!(
                "SELECT person, changed_unix_ms, nonce, sealed FROM profiles
                 WHERE stale = 0 AND person IN {}",
                list(1, some.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for root in some {
                query = query.bind(bytes(root));
            }
            let found: Vec<ProfileRow> = query.fetch_all(&mut *self.transaction).await?;
            for row in found {
                let sealed = SealedProfile::of(row)?;
                let profile = sealed.open(&self.key(sealed.root).await?)?;
                profiles.insert(sealed.root, (sealed.changed_unix_ms, profile));
            }
        }
        Ok(profiles)
    }

    /// Stores profiles, in the place of those that are there.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_profiles(&mut self, profiles: &[NewProfile]) -> Result<(), StoreError> {
        for some in profiles.chunks(MOST_ROWS) {
            let mut sealed = Vec::with_capacity(some.len());
            for new in some {
                let json = serde_json::to_vec(&new.profile)?;
                sealed.push(self.key(new.root).await?.seal(new.root.as_bytes(), &json)?);
            }
            let text = format!(
                "INSERT INTO profiles (person, changed_unix_ms, due_unix_ms, nonce, sealed)
                 VALUES {} ON CONFLICT (person) DO UPDATE
                     SET changed_unix_ms = excluded.changed_unix_ms,
                         due_unix_ms = excluded.due_unix_ms, stale = 0,
                         nonce = excluded.nonce, sealed = excluded.sealed",
                self.rows(some.len(), 5)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (new, Sealed { nonce, bytes: body }) in some.iter().zip(&sealed) {
                query = query
                    .bind(bytes(&new.root))
                    .bind(new.changed_unix_ms)
                    .bind(new.due_unix_ms)
                    .bind(&nonce[..])
                    .bind(&body[..]);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Deletes the profiles and predictions of groups that are no more, or of which nothing is
    /// known any more.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn remove_profiles(&mut self, roots: &[Uuid]) -> Result<(), StoreError> {
        self.delete_of(&["predictions", "suggestions", "needs", "consumption", "profiles"], roots)
            .await
    }

    /// Deletes what models said of groups of whom less is known than before.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn remove_said(&mut self, roots: &[Uuid]) -> Result<(), StoreError> {
        self.delete_of(&["predictions", "forecasts", "suggestions", "needs"], roots).await
    }

    pub(super) async fn delete_of(
        &mut self,
        tables: &[&'static str],
        roots: &[Uuid],
    ) -> Result<(), StoreError> {
        for some in roots.chunks(MOST_ROWS) {
            for table in tables {
                let text = format!("DELETE FROM {table} WHERE person IN {}", list(1, some.len()));
                let mut query = sqlx::query(AssertSqlSafe(text));
                for root in some {
                    query = query.bind(bytes(root));
                }
                query.execute(&mut *self.transaction).await?;
            }
        }
        Ok(())
    }

    /// Every fact of whole groups, by root, in the order in which they became known. Facts whose key
    /// is gone cannot be read, and are left out; so are groups whose root has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facts_by_root(
        &mut self,
        roots: &[Uuid],
    ) -> Result<BTreeMap<Uuid, Vec<Fact>>, StoreError> {
        let mut facts = Facts::default();
        for some in roots.chunks(MOST_ROWS) {
            let mut query = sqlx::query_as(AssertSqlSafe(facts_query(some.len())));
            for root in some {
                query = query.bind(bytes(root));
            }
            let found: Vec<FactRow> = query.fetch_all(&mut *self.transaction).await?;
            let nodes = nodes_of(&found)?;
            self.load_keys(nodes.iter().chain(some).copied()).await?;
            for (row, node) in found.iter().zip(nodes) {
                let (Some(key), Some(_)) = (self.known_key(node), self.known_key(id_of(&row.0)?))
                else {
                    continue;
                };
                facts.add(row, key)?;
            }
        }
        facts.in_order()
    }

    /// Remembers that all profiles were made by the definitions of a digest.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_definitions(
        &mut self,
        digest: Digest,
        now_unix_ms: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO jobs (id, kind, payload, due_unix_ms, done_unix_ms)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE
                 SET payload = excluded.payload, done_unix_ms = excluded.done_unix_ms",
        )
        .bind(bytes(&DEFINITIONS))
        .bind(DEFINITIONS_KIND)
        .bind(serde_json::to_string(&digest)?)
        .bind(now_unix_ms)
        .bind(now_unix_ms)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}

impl Store {
    /// The profile of the group that a node is in, closed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sealed_profile(&self, node: Uuid) -> Result<Option<SealedProfile>, StoreError> {
        let query = sqlx::query_as(
            "SELECT p.person, p.changed_unix_ms, p.nonce, p.sealed FROM subjects AS s
             JOIN profiles AS p ON p.person = s.root WHERE s.person = $1",
        )
        .bind(bytes(&node));
        let row: Option<ProfileRow> = self.standing.fetch_optional(&self.readers, query).await?;
        row.map(SealedProfile::of).transpose()
    }

    /// The same of many nodes, by node; who has none is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sealed_profiles(
        &self,
        nodes: &[Uuid],
    ) -> Result<HashMap<Uuid, SealedProfile>, StoreError> {
        let mut profiles = HashMap::with_capacity(nodes.len());
        for some in nodes.chunks(MOST_ROWS) {
            let text = format!(
                "SELECT p.person, p.changed_unix_ms, p.nonce, p.sealed, s.person
                 FROM subjects AS s JOIN profiles AS p ON p.person = s.root WHERE s.person IN {}",
                list(1, some.len())
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for node in some {
                query = query.bind(bytes(node));
            }
            for row in query.fetch_all(&self.readers).await? {
                let node: Vec<u8> = row.try_get(4)?;
                profiles.insert(id_of(&node)?, SealedProfile::of(ProfileRow::from_row(&row)?)?);
            }
        }
        Ok(profiles)
    }

    /// Some profiles in the order of their people, from one on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sealed_profiles_from(
        &self,
        root: Uuid,
        most: u32,
    ) -> Result<Vec<SealedProfile>, StoreError> {
        let rows: Vec<ProfileRow> = sqlx::query_as(
            "SELECT person, changed_unix_ms, nonce, sealed FROM profiles WHERE person >= $1
             ORDER BY person LIMIT $2",
        )
        .bind(bytes(&root))
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(SealedProfile::of).collect()
    }

    /// Opens profiles; those whose key is gone are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_profiles(
        &self,
        sealed: &[SealedProfile],
    ) -> Result<HashMap<Uuid, Profile>, StoreError> {
        let hashes: Vec<Digest> = sealed.iter().map(|one| person_hash(one.root)).collect();
        let keys = self.keys.find_all(&hashes).await?;
        let mut profiles = HashMap::with_capacity(sealed.len());
        for (one, hash) in sealed.iter().zip(&hashes) {
            if let Some(key) = keys.get(hash) {
                profiles.insert(one.root, one.open(key)?);
            }
        }
        Ok(profiles)
    }

    /// Whether at least so many people have a profile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_profiles(&self, count: u32) -> Result<bool, StoreError> {
        let counted: i64 =
            sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM profiles LIMIT $1) AS few")
                .bind(i64::from(count))
                .fetch_one(&self.readers)
                .await?;
        Ok(counted >= i64::from(count))
    }

    /// The first and the last root that has a profile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn first_and_last_root(&self) -> Result<Option<(Uuid, Uuid)>, StoreError> {
        let mut ends = Vec::with_capacity(2);
        for query in [
            "SELECT person FROM profiles ORDER BY person LIMIT 1",
            "SELECT person FROM profiles ORDER BY person DESC LIMIT 1",
        ] {
            let end: Option<Vec<u8>> =
                sqlx::query_scalar(query).fetch_optional(&self.readers).await?;
            ends.extend(end.map(|end| id_of(&end)).transpose()?);
        }
        Ok(match ends[..] {
            [first, last] => Some((first, last)),
            _ => None,
        })
    }

    /// The root of the group that a node is in; `None` for a node that there is not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn root_of(&self, node: Uuid) -> Result<Option<Uuid>, StoreError> {
        let root: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT root FROM subjects WHERE person = $1")
                .bind(bytes(&node))
                .fetch_optional(&self.readers)
                .await?;
        root.map(|root| id_of(&root)).transpose()
    }

    /// Roots whose profile says more than the facts that are left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stale_roots(&self, most: u32) -> Result<Vec<Uuid>, StoreError> {
        let roots: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT person FROM profiles WHERE stale = 1 LIMIT $1")
                .bind(i64::from(most))
                .fetch_all(&self.readers)
                .await?;
        roots.iter().map(|root| id_of(root)).collect()
    }

    /// Roots in their order, after one of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn roots_after(&self, after: Uuid, most: u32) -> Result<Vec<Uuid>, StoreError> {
        let roots: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT person FROM subjects WHERE person > $1 AND root = person
             ORDER BY person LIMIT $2",
        )
        .bind(bytes(&after))
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        roots.iter().map(|root| id_of(root)).collect()
    }

    /// Every fact of whole groups, by root, in the order in which they became known. Facts whose key
    /// is gone cannot be read, and are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facts_by_root(
        &self,
        roots: &[Uuid],
    ) -> Result<BTreeMap<Uuid, Vec<Fact>>, StoreError> {
        let mut facts = Facts::default();
        for some in roots.chunks(MOST_ROWS) {
            let mut query = sqlx::query_as(AssertSqlSafe(facts_query(some.len())));
            for root in some {
                query = query.bind(bytes(root));
            }
            let found: Vec<FactRow> = query.fetch_all(&self.readers).await?;
            let hashes: Vec<Digest> = nodes_of(&found)?.into_iter().map(person_hash).collect();
            let keys = self.keys.find_all(&hashes).await?;
            for (row, hash) in found.iter().zip(&hashes) {
                if let Some(key) = keys.get(hash) {
                    facts.add(row, key)?;
                }
            }
        }
        facts.in_order()
    }

    /// How many circumstances of places there are, and when the last arrived: another pair, if any
    /// came or went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn circumstance_count(&self) -> Result<(i64, i64), StoreError> {
        let count = sqlx::query_as(
            "SELECT count(*), coalesce(max(received_unix_ms), 0) FROM circumstances",
        );
        Ok(count.fetch_one(&self.readers).await?)
    }

    /// What is known of places.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn surroundings(&self) -> Result<Surroundings, StoreError> {
        let rows: Vec<(String, String, i64, i64, f64)> = sqlx::query_as(
            "SELECT place, name, at_unix_ms, known_unix_ms, number FROM circumstances
             ORDER BY place, name, at_unix_ms, known_unix_ms",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut surroundings = Surroundings::default();
        for (place, name, at_unix_ms, known_unix_ms, number) in rows {
            surroundings.add(&place, &name, at_unix_ms, known_unix_ms, number);
        }
        Ok(surroundings)
    }

    /// The digest of the definitions that all profiles were made by, if it was ever said.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn definitions(&self) -> Result<Option<Digest>, StoreError> {
        let digest: Option<String> = sqlx::query_scalar("SELECT payload FROM jobs WHERE id = $1")
            .bind(bytes(&DEFINITIONS))
            .fetch_optional(&self.readers)
            .await?;
        Ok(digest.map(|digest| serde_json::from_str(&digest)).transpose()?)
    }
}

fn facts_query(roots: usize) -> String {
    format!(
        "SELECT s.root, f.id, f.person, f.nonce, f.sealed FROM subjects AS s
         JOIN facts AS f ON f.person = s.person WHERE s.root IN {}",
        list(1, roots)
    )
}

fn nodes_of(rows: &[FactRow]) -> Result<Vec<Uuid>, StoreError> {
    rows.iter().map(|(_, _, node, ..)| id_of(node)).collect()
}

/// Facts as they are opened: root, when known, id.
#[derive(Default)]
struct Facts(Vec<(Uuid, i64, Uuid, Fact)>);

impl Facts {
    fn add(&mut self, row: &FactRow, key: &PersonKey) -> Result<(), StoreError> {
        let (root, id, _, nonce, sealed) = row;
        let fact: Fact = key.open(id, nonce, sealed)?;
        self.0.push((id_of(root)?, fact.known_unix_ms, id_of(id)?, fact));
        Ok(())
    }

    fn in_order(mut self) -> Result<BTreeMap<Uuid, Vec<Fact>>, StoreError> {
        self.0.sort_unstable_by_key(|(root, known, id, _)| (*root, *known, *id));
        let mut by_root: BTreeMap<Uuid, Vec<Fact>> = BTreeMap::new();
        for (root, _, _, fact) in self.0 {
            by_root.entry(root).or_default().push(fact);
        }
        Ok(by_root)
    }
}
