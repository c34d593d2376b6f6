//! Profiles follow facts, in the transaction that stores them.

use super::Features;
use crate::{
    intake::{Effects, Follow},
    store::{NewProfile, StoreError, Writing},
};
use futures::future::BoxFuture;
use models::{
    profile::{Fact, Profile},
    reorder::Consumption,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

impl Follow for Features {
    fn follow<'a>(
        &'a self,
        writing: &'a mut Writing,
        effects: &'a Effects,
        _now_unix_ms: i64,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let gone: Vec<Uuid> = effects.gone.iter().copied().collect();
            writing.remove_profiles(&gone).await?;
            let forgotten: Vec<Uuid> = effects.forgotten.iter().copied().collect();
            writing.remove_said(&forgotten).await?;
            self.apply(writing, &effects.facts, &effects.rebuild).await
        })
    }
}

impl Features {
    /// Takes new facts into the profiles of their groups, by root, and makes others anew. The facts
    /// are stored already: who has no profile yet, or one of other definitions, gets it from them.
    /// Whoever changed is due to be scored.
    pub(super) async fn apply(
        &self,
        writing: &mut Writing,
        new: &BTreeMap<Uuid, Vec<Fact>>,
        anew: &BTreeSet<Uuid>,
    ) -> Result<(), StoreError> {
        let roots: Vec<Uuid> = new.keys().filter(|root| !anew.contains(root)).copied().collect();
        let mut known = writing.profiles_of(&roots).await?;
        known.retain(|_, (_, profile)| profile.fits(&self.definitions));
        let without = roots.iter().filter(|root| !known.contains_key(root));
        let without: Vec<Uuid> = without.chain(anew).copied().collect();

        self.consume(writing, &known, new).await?;
        let mut profiles = Vec::with_capacity(roots.len() + anew.len());
        for (root, (changed_unix_ms, mut profile)) in known {
            let facts = new.get(&root).map(Vec::as_slice).unwrap_or_default();
            facts.iter().for_each(|fact| profile.apply(&self.definitions, fact));
            let changed_unix_ms = newest(facts).max(Some(changed_unix_ms));
            profiles.extend(changed_unix_ms.map(|at| due(root, at, profile)));
        }
        profiles.extend(self.rebuilt(writing, &without).await?);
        // In one order in every transaction, whatever the map's.
        profiles.sort_unstable_by_key(|new| new.root);
        writing.put_profiles(&profiles).await
    }

    /// Takes new purchases into what people buy, of those whose profile goes on.
    async fn consume(
        &self,
        writing: &mut Writing,
        known: &HashMap<Uuid, (i64, Profile)>,
        new: &BTreeMap<Uuid, Vec<Fact>>,
    ) -> Result<(), StoreError> {
        let bought = |root: &&Uuid| {
            new.get(root).is_some_and(|facts| facts.iter().any(Consumption::is_about))
        };
        let mut roots: Vec<Uuid> = known.keys().filter(bought).copied().collect();
        roots.sort_unstable();
        let mut before = writing.consumption_of(&roots).await?;
        let offset = self.definitions.utc_offset_minutes();
        let mut changed = Vec::with_capacity(roots.len());
        for root in roots {
            let mut consumption = before.remove(&root).unwrap_or_default();
            let mut any = false;
            for fact in new.get(&root).into_iter().flatten() {
                any |= consumption.apply(fact, offset);
            }
            if any {
                changed.push((root, consumption));
            }
        }
        writing.put_consumption(&changed).await
    }

    /// Profiles made from all facts of groups, and what they buy, which is stored at once. Those of groups without any are deleted.
    pub(super) async fn rebuilt(
        &self,
        writing: &mut Writing,
        roots: &[Uuid],
    ) -> Result<Vec<NewProfile>, StoreError> {
        let facts = writing.facts_by_root(roots).await?;
        let empty: Vec<Uuid> =
            roots.iter().filter(|root| !facts.contains_key(root)).copied().collect();
        writing.remove_profiles(&empty).await?;
        let offset = self.definitions.utc_offset_minutes();
        let consumed = facts.iter().map(|(root, facts)| {
            let mut consumption = Consumption::default();
            facts.iter().for_each(|fact| {
                consumption.apply(fact, offset);
            });
            (*root, consumption)
        });
        writing.put_consumption(&consumed.collect::<Vec<_>>()).await?;
        let made = facts.into_iter().filter_map(|(root, facts)| {
            let mut profile = Profile::new(&self.definitions);
            facts.iter().for_each(|fact| profile.apply(&self.definitions, fact));
            newest(&facts).map(|at| due(root, at, profile))
        });
        Ok(made.collect())
    }
}

fn newest(facts: &[Fact]) -> Option<i64> {
    facts.iter().map(|fact| fact.known_unix_ms).max()
}

fn due(root: Uuid, changed_unix_ms: i64, profile: Profile) -> NewProfile {
    NewProfile { root, changed_unix_ms, due_unix_ms: changed_unix_ms, profile }
}
