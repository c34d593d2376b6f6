//! The feature store: what every person's features are, now and at any time.
//!
//! ```text
//!  intake -> facts -> Features::follow (in the same transaction) -> profiles
//!                                                 profiles + time -> values (api, scoring)
//!  facts, replayed as they became known -> snapshots (training)
//! ```
//!
//! **Invariants.** Every number comes out of [`models::profile`], online and for training alike;
//! nothing here computes one. Nothing here imports `api`.

mod cache;
mod follow;
mod population;
mod rebuild;
mod snapshots;
#[cfg(test)]
mod tests;

pub use population::{DriftReport, Population};
pub use snapshots::snapshots;

use crate::store::{SealedProfile, Store, StoreError};
use cache::{Cache, Latest};
use models::profile::{Definitions, DefinitionsError, Profile, Surroundings};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};
use thiserror::Error;
use uuid::Uuid;

/// Why the features are not what the operator wanted.
#[derive(Debug, Error)]
pub enum FeaturesError {
    /// The file cannot be read.
    #[error(
        "cannot read the feature definitions {path}: {source}; leave it out to use the standard ones"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The definitions do not hold together.
    #[error(transparent)]
    Definitions(#[from] DefinitionsError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Definitions from a file, or those that come with Attune.
///
/// # Errors
/// [`FeaturesError`].
pub fn definitions(file: Option<&Path>) -> Result<Definitions, FeaturesError> {
    let Some(path) = file else { return Ok(Definitions::standard()?) };
    let text = fs::read_to_string(path)
        .map_err(|source| FeaturesError::File { path: path.to_owned(), source })?;
    Ok(Definitions::parse(&text)?)
}

/// The feature store of a running server.
#[derive(Debug)]
pub struct Features {
    definitions: Arc<Definitions>,
    /// What is known of places, and from which rows that was read: how many, and the last arrival.
    surroundings: RwLock<((i64, i64), Arc<Surroundings>)>,
    cache: Mutex<Cache>,
    latest: Mutex<Latest>,
    population: tokio::sync::Mutex<Option<Arc<Population>>>,
}

/// Somebody's profile, as of some time.
#[derive(Debug, Clone)]
pub struct Known {
    /// The root of the group that the person is in.
    pub root: Uuid,
    /// What is known.
    pub profile: Arc<Profile>,
}

impl Features {
    /// With what is known of places.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load(store: &Store, definitions: Definitions) -> Result<Self, StoreError> {
        let features = Self {
            definitions: Arc::new(definitions),
            surroundings: RwLock::new(((0, 0), Arc::default())),
            cache: Mutex::default(),
            latest: Mutex::default(),
            population: tokio::sync::Mutex::default(),
        };
        features.refresh_surroundings(store).await?;
        Ok(features)
    }

    /// The definitions.
    #[must_use]
    pub const fn definitions(&self) -> &Arc<Definitions> {
        &self.definitions
    }

    /// Reads what is known of places, if any of it came or went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh_surroundings(&self, store: &Store) -> Result<(), StoreError> {
        let count = store.circumstance_count().await?;
        let known = self.surroundings.read().unwrap_or_else(PoisonError::into_inner).0;
        if count != known {
            let fresh = (count, Arc::new(store.surroundings().await?));
            *self.surroundings.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(())
    }

    /// The features of a profile at a time, all columns: what training sees, and what is served.
    pub fn values(&self, profile: &Profile, at_unix_ms: i64, out: &mut Vec<f32>) {
        profile.features(&self.definitions, at_unix_ms, out);
        self.places().fill(&self.definitions, profile, at_unix_ms, out);
    }

    /// What is known of places.
    pub(crate) fn places(&self) -> Arc<Surroundings> {
        Arc::clone(&self.surroundings.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// What was known of a person at a time; `None` for who is not known at all, or was not then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known(
        &self,
        store: &Store,
        person: Uuid,
        at_unix_ms: i64,
    ) -> Result<Option<Known>, StoreError> {
        let moment = store.moment();
        let latest = self.latest().get(moment, person);
        let (changed_unix_ms, known) = match latest {
            Some(latest) => latest,
            None => match self.read(store, person).await? {
                Some((changed_unix_ms, known)) => {
                    self.latest().put(moment, person, changed_unix_ms, known.clone());
                    (changed_unix_ms, known)
                }
                None => return Ok(None),
            },
        };
        if changed_unix_ms > at_unix_ms {
            return self.known_then(store, known.root, at_unix_ms).await;
        }
        Ok(Some(known))
    }

    /// The latest of a person, and when it changed.
    async fn read(&self, store: &Store, person: Uuid) -> Result<Option<(i64, Known)>, StoreError> {
        let Some(sealed) = store.sealed_profile(person).await? else { return Ok(None) };
        let SealedProfile { root, changed_unix_ms, .. } = sealed;
        let cached = self.cached().get(root, &sealed.version);
        let profile = match cached {
            Some(profile) => Some(profile),
            None => self.open(store, &[sealed]).await?.remove(&root),
        };
        Ok(profile.map(|profile| (changed_unix_ms, Known { root, profile })))
    }

    /// The same of many people, by person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_many(
        &self,
        store: &Store,
        people: &[Uuid],
        at_unix_ms: i64,
    ) -> Result<HashMap<Uuid, Known>, StoreError> {
        if let [person] = people {
            let known = self.known(store, *person, at_unix_ms).await?;
            return Ok(known.map(|known| (*person, known)).into_iter().collect());
        }
        let sealed = store.sealed_profiles(people).await?;
        let mut known = HashMap::with_capacity(sealed.len());
        let mut closed = Vec::new();
        for (person, sealed) in sealed {
            let root = sealed.root;
            if sealed.changed_unix_ms > at_unix_ms {
                let then = self.known_then(store, root, at_unix_ms).await?;
                known.extend(then.map(|then| (person, then)));
            } else if let Some(profile) = self.cached().get(root, &sealed.version) {
                known.insert(person, Known { root, profile });
            } else {
                closed.push((person, sealed));
            }
        }
        let (people, closed): (Vec<_>, Vec<_>) = closed.into_iter().unzip();
        let opened = self.open(store, &closed).await?;
        for (person, SealedProfile { root, .. }) in people.into_iter().zip(closed) {
            if let Some(profile) = opened.get(&root).map(Arc::clone) {
                known.insert(person, Known { root, profile });
            }
        }
        Ok(known)
    }

    /// Opens profiles and keeps them open for the next request. One that other definitions made is
    /// made anew.
    async fn open(
        &self,
        store: &Store,
        sealed: &[SealedProfile],
    ) -> Result<HashMap<Uuid, Arc<Profile>>, StoreError> {
        let mut opened = HashMap::with_capacity(sealed.len());
        let mut profiles = store.open_profiles(sealed).await?;
        for SealedProfile { root, version, .. } in sealed {
            let Some(mut profile) = profiles.remove(root) else { continue };
            if !profile.fits(&self.definitions) {
                let facts = store.facts_by_root(&[*root]).await?;
                profile = Profile::new(&self.definitions);
                for fact in facts.get(root).into_iter().flatten() {
                    profile.apply(&self.definitions, fact);
                }
            }
            let profile = Arc::new(profile);
            self.cached().put(*root, *version, Arc::clone(&profile));
            opened.insert(*root, profile);
        }
        Ok(opened)
    }

    /// What was known at a time in the past: from the facts themselves.
    async fn known_then(
        &self,
        store: &Store,
        root: Uuid,
        at_unix_ms: i64,
    ) -> Result<Option<Known>, StoreError> {
        let facts = store.facts_by_root(&[root]).await?;
        let mut profile = Profile::new(&self.definitions);
        let known = facts.get(&root).into_iter().flatten();
        let mut known = known.take_while(|fact| fact.known_unix_ms <= at_unix_ms).peekable();
        if known.peek().is_none() {
            return Ok(None);
        }
        known.for_each(|fact| profile.apply(&self.definitions, fact));
        Ok(Some(Known { root, profile: Arc::new(profile) }))
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic elsewhere leaves the maps whole.
    fn cached(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
