//! The present population: how many people have a value, and how far they are from those that the
//! model learned from.

use super::Features;
use crate::store::{Store, StoreError};
use models::profile::{Drift, Drifted, Present, Reference};
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};
use utoipa::ToSchema;
use uuid::Uuid;

/// People looked at: enough for a stability index that is off by some thousandths.
const PEOPLE: u32 = 5_000;
/// People read from one place of the order.
const PIECE: u32 = 50;
/// How long a look at the population is good for, milliseconds.
const GOOD_FOR_MS: i64 = 5 * 60_000;

/// Some people's features at a time.
#[derive(Debug, Clone)]
pub struct Population {
    /// The time, Unix milliseconds.
    pub at_unix_ms: i64,
    /// How many people.
    pub people: usize,
    /// Their features, row after row.
    pub(super) matrix: Vec<f32>,
    width: usize,
}

impl Population {
    /// The share of people who have a value, column by column; 0 where there is nobody.
    #[must_use]
    pub fn coverage(&self) -> Vec<f64> {
        let mut known = vec![0_usize; self.width];
        for row in self.rows() {
            for (count, value) in known.iter_mut().zip(row) {
                *count += usize::from(!value.is_nan());
            }
        }
        known.into_iter().map(|count| count as f64 / self.people.max(1) as f64).collect()
    }

    fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.matrix.chunks_exact(self.width.max(1))
    }
}

/// How far the present population is from the reference.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DriftReport {
    /// As of when, Unix milliseconds.
    pub at_unix_ms: i64,
    /// People looked at.
    pub people: u64,
    /// The greatest index; 0 where there is nothing to compare.
    pub psi: f64,
    /// What it says: stable below 0.1, moderate up to 0.25, large above.
    #[schema(value_type = String, examples("stable"))]
    pub drift: Drift,
    /// Each number's drift, the greatest first.
    #[schema(value_type = Vec<Object>)]
    pub features: Vec<Drifted>,
}

impl Features {
    /// A look at the population: at everybody, or at five thousand from a hundred places of the
    /// order. The same is given for five minutes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn population(
        &self,
        store: &Store,
        now_unix_ms: i64,
    ) -> Result<Arc<Population>, StoreError> {
        let mut last = self.population.lock().await;
        if let Some(last) = last.as_ref() {
            let age_ms = now_unix_ms.saturating_sub(last.at_unix_ms);
            if (0..GOOD_FOR_MS).contains(&age_ms) {
                return Ok(Arc::clone(last));
            }
        }
        let fresh = Arc::new(self.look(store, now_unix_ms).await?);
        *last = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn look(&self, store: &Store, at_unix_ms: i64) -> Result<Population, StoreError> {
        let width = self.definitions.features().len();
        let mut population = Population { at_unix_ms, people: 0, matrix: vec![], width };
        let Some((first, last)) = store.first_and_last_root().await? else {
            return Ok(population);
        };
        let (starts, piece) = if store.has_profiles(PEOPLE).await? {
            (starts(first, last).collect(), PIECE)
        } else {
            (vec![first], PEOPLE)
        };
        let mut seen = BTreeSet::new();
        let mut values = Vec::with_capacity(width);
        for start in starts {
            let page = store.sealed_profiles_from(start, piece).await?;
            let sealed: Vec<_> = page.into_iter().filter(|one| seen.insert(one.root)).collect();
            for profile in store.open_profiles(&sealed).await?.values() {
                if profile.fits(&self.definitions) {
                    self.values(profile, at_unix_ms, &mut values);
                    population.matrix.extend_from_slice(&values);
                    population.people += 1;
                }
            }
        }
        Ok(population)
    }

    /// How far the present population is from a reference; only what both know is compared.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drift(
        &self,
        store: &Store,
        reference: &Reference,
        now_unix_ms: i64,
    ) -> Result<DriftReport, StoreError> {
        let population = self.population(store, now_unix_ms).await?;
        let columns: Vec<Option<usize>> =
            reference.spreads.iter().map(|spread| self.definitions.column(&spread.name)).collect();
        let known = reference.spreads.iter().zip(&columns).filter(|(_, column)| column.is_some());
        let reference = Reference { spreads: known.map(|(spread, _)| spread.clone()).collect() };
        let mut present = Present::new(&reference);
        for row in population.rows() {
            let values = columns.iter().flatten().filter_map(|column| row.get(*column).copied());
            present.add(values);
        }
        let features = present.drift();
        let psi = features.first().map_or(0.0, |first| first.psi);
        Ok(DriftReport {
            at_unix_ms: population.at_unix_ms,
            people: present.people(),
            psi,
            drift: Drift::of(psi),
            features,
        })
    }
}

/// Places evenly apart between the first and the last root.
fn starts(first: Uuid, last: Uuid) -> impl Iterator<Item = Uuid> {
    let pieces = u128::from(PEOPLE / PIECE);
    let step = last.as_u128().saturating_sub(first.as_u128()) / pieces;
    (0..pieces).map(move |piece| Uuid::from_u128(first.as_u128() + step * piece))
}
