//! What one person bought, basket by basket.

use serde::{Deserialize, Serialize};

/// Most items of a population; an item is a number below it.
pub const MAX_ITEMS: usize = 1 << 22;
/// Baskets that are kept of a person, the latest: years of shopping.
pub const MAX_BASKETS: usize = 1_000;
/// Items that are kept of a basket, those with the lowest numbers: more is a wholesaler's.
pub const MAX_BASKET_ITEMS: usize = 1_000;

/// What was bought at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basket {
    /// The day, counted from anywhere, but for everybody from the same day. Where only the order
    /// is known, the number of the basket.
    pub day: i32,
    /// The items, ascending, each once.
    pub items: Vec<u32>,
}

/// A person's baskets in the order of time, as known on a day.
///
/// # Examples
/// ```
/// use models::basket::History;
///
/// // Two visits on day 3 are one basket; what comes on the day of asking or later is not known.
/// let history = History::new(7, [(3, vec![1, 5]), (3, vec![2]), (1, vec![5]), (9, vec![8])]);
/// assert_eq!(history.baskets().len(), 2);
/// assert_eq!(history.baskets()[1].items, [1, 2, 5]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct History {
    now: i32,
    baskets: Vec<Basket>,
}

/// A history as JSON: the day, then day and items of each basket.
#[derive(Serialize, Deserialize)]
struct Stored(i32, Vec<(i32, Vec<u32>)>);

impl From<Stored> for History {
    fn from(Stored(now, baskets): Stored) -> Self {
        Self::new(now, baskets)
    }
}

impl From<History> for Stored {
    fn from(history: History) -> Self {
        let baskets = history.baskets.into_iter().map(|basket| (basket.day, basket.items));
        Self(history.now, baskets.collect())
    }
}

impl History {
    /// The baskets before the day `now`, in any order. Those of one day are one; empty ones, items
    /// beyond [`MAX_ITEMS`], and what exceeds [`MAX_BASKETS`] and [`MAX_BASKET_ITEMS`] is left out.
    #[must_use]
    pub fn new(now: i32, baskets: impl IntoIterator<Item = (i32, Vec<u32>)>) -> Self {
        let known = baskets.into_iter().filter(|(day, _)| *day < now);
        let mut baskets: Vec<Basket> = known.map(|(day, items)| Basket { day, items }).collect();
        baskets.sort_by_key(|basket| basket.day);
        baskets.dedup_by(|later, kept| {
            let same = later.day == kept.day;
            if same {
                kept.items.append(&mut later.items);
            }
            same
        });
        for basket in &mut baskets {
            basket.items.retain(|item| (*item as usize) < MAX_ITEMS);
            basket.items.sort_unstable();
            basket.items.dedup();
            basket.items.truncate(MAX_BASKET_ITEMS);
        }
        baskets.retain(|basket| !basket.items.is_empty());
        baskets.drain(..baskets.len().saturating_sub(MAX_BASKETS));
        Self { now, baskets }
    }

    /// The same person as known on an earlier day.
    #[must_use]
    pub fn at(&self, now: i32) -> Self {
        let now = now.min(self.now);
        let known = self.baskets.partition_point(|basket| basket.day < now);
        Self { now, baskets: self.baskets[..known].to_vec() }
    }

    /// The day on which it is asked what comes next.
    #[must_use]
    pub fn now(&self) -> i32 {
        self.now
    }

    /// The baskets, the earliest first; none is empty.
    #[must_use]
    pub fn baskets(&self) -> &[Basket] {
        &self.baskets
    }

    /// Days from a day up to now, at least 1 for days in the history.
    #[must_use]
    pub fn days_since(&self, day: i32) -> f64 {
        f64::from(self.now) - f64::from(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn earlier_days_know_less() {
        let history = History::new(10, [(1, vec![1]), (4, vec![2]), (9, vec![3])]);
        assert_eq!(history.at(9).baskets().len(), 2);
        assert_eq!(history.at(99), history);
        assert_eq!(history.at(i32::MIN).baskets(), []);
    }

    proptest! {
        #[test]
        fn any_baskets_make_a_history(
            now in any::<i32>(),
            baskets in prop::collection::vec(
                (any::<i32>(), prop::collection::vec(any::<u32>(), 0..9)), 0..30),
        ) {
            let history = History::new(now, baskets);
            prop_assert!(history.baskets().windows(2).all(|pair| pair[0].day < pair[1].day));
            for basket in history.baskets() {
                prop_assert!(basket.day < now && !basket.items.is_empty());
                prop_assert!(history.days_since(basket.day) >= 1.0);
                prop_assert!(basket.items.windows(2).all(|pair| pair[0] < pair[1]));
            }
            let text = serde_json::to_string(&history).unwrap();
            prop_assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
        }
    }
}
