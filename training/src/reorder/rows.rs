//! What cuts teach: a row for each pair, and one for each day ahead of it.

use super::{Ledger, Pair, Recipe, ReorderFitError, Snapshot};
use models::reorder::{Bought, ahead, features};

/// Most pairs a model is fitted to: a gigabyte of numbers, while it grows. Of more, a share is
/// drawn.
const MOST_PAIRS: usize = 500_000;

/// Rows of pairs, for the classifier and the regression, and of days, for the hazards.
pub(super) struct Rows<'a> {
    ledger: &'a Ledger,
    horizon_days: i32,
    least_purchases: usize,
    one_quiet_day_in: u64,
    /// Of the pairs, one in so many is taken.
    one_pair_in: u64,
    pub(super) pairs: Vec<f32>,
    pub(super) pair_labels: Vec<f32>,
    pub(super) days: Vec<f32>,
    pub(super) day_labels: Vec<f32>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        ledger: &'a Ledger,
        cuts: &[i32],
        horizon_days: i32,
        least_purchases: usize,
        recipe: &Recipe,
    ) -> Self {
        let bought = || ledger.customers.iter().flat_map(|customer| &customer.categories);
        let on = |cut: &i32| {
            let known =
                |own: &&(usize, Bought)| own.1.all().until(*cut).len() >= least_purchases.max(1);
            bought().filter(known).count()
        };
        let all: usize = cuts.iter().map(on).sum();
        Self {
            ledger,
            horizon_days,
            least_purchases,
            one_quiet_day_in: recipe.one_quiet_day_in.max(1),
            one_pair_in: all.div_ceil(MOST_PAIRS).max(1) as u64,
            pairs: Vec::new(),
            pair_labels: Vec::new(),
            days: Vec::new(),
            day_labels: Vec::new(),
        }
    }

    /// Adds what a cut teaches.
    pub(super) fn add(&mut self, cut: i32) -> Result<(), ReorderFitError> {
        let snapshot = Snapshot::at(self.ledger, cut, self.horizon_days);
        let mut pairs = snapshot.pairs(self.least_purchases);
        if pairs.is_empty() {
            let day = cut.saturating_sub(self.ledger.first_day);
            return Err(ReorderFitError::NoRows { day, least: self.least_purchases });
        }
        pairs.retain(|pair| draw(*pair, cut, 0).is_multiple_of(self.one_pair_in));
        snapshot.each(&pairs, |pair, subject| {
            let outcome = snapshot.outcome(pair, self.horizon_days);
            let begin = self.pairs.len();
            let (bought, person, category) = (subject.bought, subject.person, subject.category);
            features(bought, person, category, cut, &mut self.pairs);
            self.pair_labels.push(f32::from(u8::from(outcome.is_some())));

            let came_on = outcome.map(|outcome| outcome.days as i32);
            for day in 1..=came_on.unwrap_or(self.horizon_days) {
                let came = came_on == Some(day);
                if came || draw(pair, cut, day).is_multiple_of(self.one_quiet_day_in) {
                    self.days.extend_from_slice(&self.pairs[begin..]);
                    ahead(bought, person, category, cut, day, &mut self.days);
                    self.day_labels.push(f32::from(u8::from(came)));
                }
            }
        });
        Ok(())
    }
}

/// The same number each time for the same pair, cut and day, and no pattern among them: SplitMix64
/// (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn draw(pair: Pair, cut: i32, day: i32) -> u64 {
    let mix = |mut z: u64| {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let of_pair = mix(mix(pair.customer as u64) ^ pair.slot as u64);
    mix(mix(of_pair ^ i64::from(cut) as u64) ^ i64::from(day) as u64)
}
