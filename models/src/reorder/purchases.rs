//! What one person bought of one category, day by day.

use crate::profile::calendar::{clamp_day, weekday_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days of purchase that are kept, the newest: many years of weekly shopping.
pub const MAX_PURCHASES: usize = 1_024;
/// Units of one day above which no more are counted.
pub const MAX_QUANTITY: u32 = 1_000_000;
/// Days since 1970-01-01 are kept within this of it, so that no difference overflows.
pub const FARTHEST_DAY: i32 = 1_000_000;

/// One day's purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Days since 1970-01-01, where the person is.
    pub day: i32,
    /// Units, at least 1.
    pub quantity: u32,
}

/// A person's purchases of a category: one a day at most, in the order of days, at most
/// [`MAX_PURCHASES`].
///
/// # Examples
/// ```
/// use models::reorder::Purchases;
///
/// let milk = Purchases::new([(12, 2.0), (0, 2.0), (12, 1.0), (20, -1.0)]);
/// let days: Vec<(i32, u32)> = milk.all().iter().map(|p| (p.day, p.quantity)).collect();
/// assert_eq!(days, [(0, 2), (12, 3)]); // What was given back is no purchase.
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<i32>", into = "Vec<i32>")]
pub struct Purchases(Vec<Purchase>);

impl Purchases {
    /// Takes days since 1970-01-01 with units, in any order; those of one day are added up.
    ///
    /// Units that are no number or not above zero are left out: they are returns, or nonsense.
    /// Fractions count as the nearest whole number, at least 1.
    #[must_use]
    pub fn new(bought: impl IntoIterator<Item = (i32, f64)>) -> Self {
        let mut by_day: BTreeMap<i32, u32> = BTreeMap::new();
        for (day, units) in bought {
            let Some(units) = whole(units) else { continue };
            let own = by_day.entry(day.clamp(-FARTHEST_DAY, FARTHEST_DAY)).or_default();
            *own = own.saturating_add(units).min(MAX_QUANTITY);
            if by_day.len() > MAX_PURCHASES {
                by_day.pop_first();
            }
        }
        Self(by_day.into_iter().map(|(day, quantity)| Purchase { day, quantity }).collect())
    }

    /// Adds units to a day, as [`Purchases::new`] takes them.
    pub fn add(&mut self, day: i32, units: f64) {
        let Some(quantity) = whole(units) else { return };
        let day = day.clamp(-FARTHEST_DAY, FARTHEST_DAY);
        match self.0.binary_search_by_key(&day, |one| one.day) {
            Ok(place) => {
                let own = &mut self.0[place].quantity;
                *own = own.saturating_add(quantity).min(MAX_QUANTITY);
            }
            Err(place) => {
                self.0.insert(place, Purchase { day, quantity });
                if self.0.len() > MAX_PURCHASES {
                    self.0.remove(0);
                }
            }
        }
    }

    /// All, oldest first.
    #[must_use]
    pub fn all(&self) -> &[Purchase] {
        &self.0
    }

    /// Those known at the end of a day.
    #[must_use]
    pub fn until(&self, day: i32) -> &[Purchase] {
        &self.0[..self.0.partition_point(|purchase| purchase.day <= day)]
    }

    /// The first one after the end of a day.
    #[must_use]
    pub fn next_after(&self, day: i32) -> Option<Purchase> {
        self.0.get(self.until(day).len()).copied()
    }
}

/// Units as they are counted; `None` for returns and nonsense.
fn whole(units: f64) -> Option<u32> {
    (units > 0.0).then(|| units.round().clamp(1.0, f64::from(MAX_QUANTITY)) as u32)
}

/// Days and quantities in turn, each day but the first as days since the one before: a row for each
/// would take four times the room, and everybody's are read every day.
impl From<Vec<i32>> for Purchases {
    fn from(numbers: Vec<i32>) -> Self {
        let mut all: Vec<Purchase> = Vec::with_capacity(numbers.len() / 2);
        let mut day = 0_i32;
        let mut sound = numbers.len() <= 2 * MAX_PURCHASES;
        for (place, pair) in numbers.chunks_exact(2).enumerate() {
            day = day.saturating_add(pair[0]);
            let quantity = pair[1].clamp(0, MAX_QUANTITY.cast_signed()).unsigned_abs();
            sound &= quantity > 0 && day.unsigned_abs() <= FARTHEST_DAY.unsigned_abs();
            sound &= place == 0 || pair[0] > 0;
            all.push(Purchase { day, quantity });
        }
        if sound {
            return Self(all);
        }
        Self::new(all.into_iter().map(|one| (one.day, f64::from(one.quantity))))
    }
}

impl From<Purchases> for Vec<i32> {
    fn from(purchases: Purchases) -> Self {
        let mut before = 0;
        let pair = |one: &Purchase| {
            let since = one.day - std::mem::replace(&mut before, one.day);
            [since, one.quantity.cast_signed()]
        };
        purchases.0.iter().flat_map(pair).collect()
    }
}

/// Days between purchases, in their order.
pub(super) fn gaps(bought: &[Purchase]) -> impl ExactSizeIterator<Item = f64> + '_ {
    bought.windows(2).map(|pair| f64::from(pair[1].day.saturating_sub(pair[0].day)))
}

/// 0 = Monday ... 6 = Sunday.
#[must_use]
pub fn weekday(day: i32) -> usize {
    usize::from(weekday_of(clamp_day(i64::from(day))))
}

/// The middle value; of an even number the mean of the two. NaN without values.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(value), 1) => *value,
        (Some(value), _) => f64::midpoint(values[middle - 1], *value),
        (None, _) => f64::NAN,
    }
}
