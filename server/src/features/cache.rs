//! Profiles that were opened of late. A profile is taken from here only if its version is the one
//! that lies in the database, so that nothing that was changed, withdrawn or erased is served from
//! memory. Which version lies there is read anew whenever the database was written, and every
//! [`FRESH`](crate::store::FRESH) for what was written by another process.

use super::Known;
use crate::store::Moment;
use models::profile::Profile;
use std::{collections::HashMap, mem, sync::Arc};
use uuid::Uuid;

/// Profiles kept in each half: some kilobytes each.
const HALF: usize = 4_096;

/// Two halves: what is asked for moves to the young one; when that is full, the old one goes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    young: HashMap<Uuid, Version>,
    old: HashMap<Uuid, Version>,
}

type Version = ([u8; 12], Arc<Profile>);

impl Cache {
    /// The profile of a root, if it is that version.
    pub(super) fn get(&mut self, root: Uuid, version: &[u8; 12]) -> Option<Arc<Profile>> {
        if let Some((known, profile)) = self.young.get(&root) {
            return (known == version).then(|| Arc::clone(profile));
        }
        let (known, profile) = self.old.remove(&root)?;
        let current = (known == *version).then(|| Arc::clone(&profile));
        if current.is_some() {
            self.put(root, known, profile);
        }
        current
    }

    pub(super) fn put(&mut self, root: Uuid, version: [u8; 12], profile: Arc<Profile>) {
        if self.young.len() >= HALF && !self.young.contains_key(&root) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(root, (version, profile));
    }
}

/// The latest of everybody who was asked for since the database was last written.
#[derive(Debug, Default)]
pub(super) struct Latest {
    moment: Option<Moment>,
    people: HashMap<Uuid, (i64, Known)>,
}

impl Latest {
    /// What is known of a person, and since when.
    pub(super) fn get(&mut self, moment: Moment, person: Uuid) -> Option<(i64, Known)> {
        if self.moment != Some(moment) {
            self.people.clear();
            self.moment = Some(moment);
        }
        self.people.get(&person).cloned()
    }

    /// Keeps what was read after a moment, while it is the latest.
    pub(super) fn put(&mut self, moment: Moment, person: Uuid, changed_unix_ms: i64, known: Known) {
        if self.moment == Some(moment) && self.people.len() < HALF {
            self.people.insert(person, (changed_unix_ms, known));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_asked_for_comes_back_and_the_longest_unused_go() {
        let mut cache = Cache::default();
        let profile = Arc::new(Profile::default());
        for n in 0..(HALF as u128 * 2) {
            cache.put(Uuid::from_u128(n), [1; 12], Arc::clone(&profile));
            assert!(cache.get(Uuid::from_u128(0), &[1; 12]).is_some(), "it is always in use");
        }
        assert!(cache.get(Uuid::from_u128(0), &[2; 12]).is_none());
        assert!(cache.get(Uuid::from_u128(1), &[1; 12]).is_none(), "long unused");
        assert!(cache.get(Uuid::from_u128(HALF as u128 * 2 - 1), &[1; 12]).is_some());
        assert!(cache.young.len() + cache.old.len() <= 2 * HALF);
    }
}
