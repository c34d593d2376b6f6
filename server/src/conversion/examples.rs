//! What a model learns from: people at weekly cuts, from a database that a server may be using.

use crate::store::{Location, Store, StoreError};
use models::profile::{Cuts, CutsError, Definitions, Snapshots};
use protocol::{digest::Digest, offer::Currency};
use thiserror::Error;
use uuid::Uuid;

/// Groups read at once.
const AT_ONCE: u32 = 500;
const DAY_MS: i64 = 24 * 3_600_000;
/// Time between two cuts: each weekday keeps its share of the labels.
pub(super) const CUT_EVERY_DAYS: u32 = 7;

/// Which examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Nothing that became known later is seen, Unix milliseconds.
    pub as_of_unix_ms: i64,
    /// How far labels look ahead, days.
    pub horizon_days: u16,
    /// Weekly cuts at most; the newest is one horizon before `as_of_unix_ms`.
    pub cuts: u16,
    /// About as many examples at most: beyond, people are left out by a hash of theirs, as many as
    /// the people known at the newest cut ask for.
    pub most: u64,
    /// Of the values; those in others are left out.
    pub currency: Currency,
}

/// Why there are none.
#[derive(Debug, Error)]
pub enum ExamplesError {
    /// No cut can be made.
    #[error(transparent)]
    Cuts(#[from] CutsError),
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Everybody, or as many as are wanted, at the cuts at which something was known of them. Of the
/// same facts the same examples, whatever else has become known since.
///
/// # Errors
/// [`ExamplesError`].
pub async fn examples(
    location: Location,
    definitions: &Definitions,
    wanted: &Wanted,
) -> Result<Snapshots, ExamplesError> {
    let Wanted { as_of_unix_ms, horizon_days, cuts, most, currency } = *wanted;
    let newest = as_of_unix_ms.saturating_sub(i64::from(horizon_days).saturating_mul(DAY_MS));
    let back =
        |week: u16| newest.saturating_sub(i64::from(week) * i64::from(CUT_EVERY_DAYS) * DAY_MS);
    let times: Vec<i64> = (0..cuts).map(back).collect();
    let cuts = Cuts::new(&times, horizon_days, as_of_unix_ms, Some(currency))?;
    let store = Store::open(location).await?;
    let surroundings = store.surroundings().await?;
    // Not of today: who comes later must not change who was learnt from.
    let people = store.people_known_by(newest).await?;
    let share = Share::of(most / times.len().max(1) as u64, people);
    let (mut snapshots, mut after) = (Snapshots::default(), Uuid::nil());
    loop {
        let mut roots = store.roots_after(after, AT_ONCE).await?;
        let Some(last) = roots.last() else { break };
        after = *last;
        roots.retain(|root| share.has(*root));
        for facts in store.facts_by_root(&roots).await?.values() {
            snapshots.add(definitions, &cuts, &surroundings, facts);
        }
    }
    store.close().await;
    Ok(snapshots)
}

/// The people whose hash is low enough.
struct Share(u64);

impl Share {
    fn of(wanted: u64, people: u64) -> Self {
        let below = u128::from(u64::MAX) * u128::from(wanted) / u128::from(people.max(1));
        Self(u64::try_from(below).unwrap_or(u64::MAX))
    }

    fn has(&self, person: Uuid) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(person.as_bytes()).0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h]) <= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewFact, Subject};
    use models::profile::{Fact, Snapshot, Source};
    use std::ops::Range;

    /// People with one purchase each, known since a day.
    async fn put(store: &Store, people: Range<u128>, day: i64) {
        let people: Vec<Uuid> = people.map(Uuid::from_u128).collect();
        let subject =
            |person: &Uuid| Subject { person: *person, root: *person, first_seen_unix_ms: 0 };
        let bought = |person: &Uuid| NewFact {
            id: Uuid::now_v7(),
            person: *person,
            fact: Fact {
                source: Source::Conversion,
                name: "store_purchase".into(),
                at_unix_ms: day * DAY_MS,
                known_unix_ms: day * DAY_MS,
                count: 1,
                value: None,
                number: None,
                item: None,
                category: None,
            },
        };
        let mut writing = store.begin().await.unwrap();
        writing.put_subjects(&people.iter().map(subject).collect::<Vec<_>>()).await.unwrap();
        writing.put_facts(&people.iter().map(bought).collect::<Vec<_>>()).await.unwrap();
        writing.commit().await.unwrap();
    }

    #[tokio::test]
    async fn who_comes_later_does_not_change_who_was_learnt_from() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::standard().unwrap();
        let wanted = Wanted {
            as_of_unix_ms: 40 * DAY_MS,
            horizon_days: 7,
            cuts: 2,
            most: 100,
            currency: Currency::EUR,
        };
        let rows = async || -> Vec<Snapshot> {
            let location = Location { folder: folder.path().to_owned(), database: None };
            examples(location, &definitions, &wanted).await.unwrap().rows().to_vec()
        };
        let store = Store::open(folder.path()).await.unwrap();
        put(&store, 1..201, 10).await;
        let before = rows().await;
        assert!((50..150).contains(&before.len()), "{}", before.len());
        put(&store, 1_001..2_001, 50).await;
        let people = |rows: &[Snapshot]| -> Vec<_> {
            rows.iter().map(|row| (row.cut_unix_ms, row.converted)).collect()
        };
        assert_eq!(people(&rows().await), people(&before));
    }
}
