//! Scores of all items while they are added up.

use super::{
    Sparse,
    neighbours::{Neighbours, Weighted},
    similar::falling,
};

/// Weights of all items, of which few are not zero.
#[derive(Debug, Default)]
pub(super) struct Dense {
    weights: Vec<f64>,
    pub(super) touched: Vec<u32>,
}

impl Dense {
    pub(super) fn clear(&mut self, items: usize) {
        for item in self.touched.drain(..) {
            self.weights[item as usize] = 0.0;
        }
        self.weights.resize(items, 0.0);
    }

    pub(super) fn add(&mut self, item: u32, weight: f64) {
        if let Some(sum) = self.weights.get_mut(item as usize) {
            if *sum == 0.0 {
                self.touched.push(item);
            }
            *sum += weight;
        }
    }

    pub(super) fn get(&self, item: u32) -> f64 {
        self.weights.get(item as usize).copied().unwrap_or(0.0)
    }

    /// The items with the highest weights.
    pub(super) fn top(&self, count: usize) -> Vec<u32> {
        let mut all: Sparse =
            self.touched.iter().map(|item| (*item, self.get(*item) as f32)).collect();
        if count < all.len() {
            all.select_nth_unstable_by(count, falling);
            all.truncate(count);
        }
        all.into_iter().map(|(item, _)| item).collect()
    }
}

/// The weighted mean of people's vectors.
pub(super) fn mean(
    all: &Neighbours,
    people: &[Weighted],
    scale: impl Fn(u32) -> f64,
    out: &mut Dense,
) {
    let share = 1.0 / people.len().max(1) as f64;
    for (person, weight) in people {
        let weight = weight * scale(*person) * share;
        for (item, value) in all.vector(*person) {
            out.add(*item, weight * f64::from(*value));
        }
    }
}
