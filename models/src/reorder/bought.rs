//! What one person bought of one category, told apart from what orders brought them.
//!
//! Who approves an order has goods that they would have bought by themselves later: some soon, some
//! only after a long time. Learned from as if it were a purchase of their own, each approval makes the
//! next need look nearer, until a server asks for what it brought itself. So an order counts from the
//! day on which the stock before it was used up, not from the day it came. A purchase of one's own
//! tells when that was: by then everything from the one before it on had been used.

use super::purchases::{MAX_QUANTITY, Purchase, Purchases};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Stretches between purchases of one's own that tell how fast things are used, the newest.
const STRETCHES: usize = 8;

/// A person's purchases of a category, and which of them orders brought.
///
/// # Examples
/// ```
/// use models::reorder::Bought;
///
/// let mut milk = Bought::default();
/// for day in [0, 7, 14, 21] {
///     milk.add(day, 2.0, false);
/// }
/// // Approved at once, and again a day later: enough until day 42.
/// milk.add(22, 2.0, true);
/// milk.add(23, 2.0, true);
/// let days: Vec<i32> = milk.at_own_pace(23).iter().map(|purchase| purchase.day).collect();
/// assert_eq!(days, [0, 7, 14, 21, 28, 35]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bought {
    all: Purchases,
    /// Those units of it that orders brought.
    #[serde(default, skip_serializing_if = "is_empty")]
    ordered: Purchases,
}

fn is_empty(purchases: &Purchases) -> bool {
    purchases.all().is_empty()
}

impl From<Purchases> for Bought {
    fn from(all: Purchases) -> Self {
        Self { all, ordered: Purchases::default() }
    }
}

impl Bought {
    /// Adds units bought on a day, days since 1970-01-01.
    pub fn add(&mut self, day: i32, units: f64, ordered: bool) {
        self.all.add(day, units);
        if ordered {
            self.ordered.add(day, units);
        }
    }

    /// Takes units away that were given back.
    pub fn take_back(&mut self, day: i32, units: f64) {
        let less = |on: i32, had: f64| if on == day { had - units } else { had };
        self.all = Purchases::new(
            days(&self.all).map(|(on, had)| (on, less(on, had))).collect::<Vec<_>>(),
        );
        let left = |on: i32| f64::from(quantity(&self.all, on));
        let ordered = days(&self.ordered).map(|(on, had)| (on, had.min(left(on))));
        self.ordered = Purchases::new(ordered.collect::<Vec<_>>());
    }

    /// All days with a purchase.
    #[must_use]
    pub fn all(&self) -> &Purchases {
        &self.all
    }

    /// The first day on which an order brought something.
    #[must_use]
    pub fn served_from(&self) -> Option<i32> {
        self.ordered.all().first().map(|purchase| purchase.day)
    }

    /// The first purchase after the end of a day, if it is the person's own.
    #[must_use]
    pub fn next_own_after(&self, day: i32) -> Option<Purchase> {
        self.all.next_after(day).filter(|next| self.is_own(*next))
    }

    /// Whether the first purchase after the end of a day is an order's alone.
    #[must_use]
    pub fn is_served_after(&self, day: i32) -> bool {
        self.all.next_after(day).is_some_and(|next| !self.is_own(next))
    }

    fn is_own(&self, purchase: Purchase) -> bool {
        purchase.quantity > quantity(&self.ordered, purchase.day)
    }

    /// What is known at the end of a day, as if no order had come before it was needed: orders stand
    /// on the day by which the stock before them is used up, which may be after `day`. In the order
    /// of days.
    ///
    /// Between two purchases of one's own, everything from the first on was used up in that time.
    /// After the last one, it is used as fast as in the newest eight such stretches; without any,
    /// orders stand where they are.
    #[must_use]
    pub fn at_own_pace(&self, day: i32) -> Cow<'_, [Purchase]> {
        let known = self.all.until(day);
        if self.ordered.until(day).is_empty() {
            return Cow::Borrowed(known);
        }
        let own: Vec<usize> = (0..known.len()).filter(|at| self.is_own(known[*at])).collect();
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            return Cow::Borrowed(known);
        };
        let stretches = own.windows(2).map(|ends| &known[ends[0]..=ends[1]]);
        let mut moved: Vec<(i32, f64)> = known[..*first].iter().map(told).collect();
        stretches.clone().for_each(|stretch| moved.extend(evenly(stretch)));
        let newest = stretches.rev().take(STRETCHES);
        let (units, over) = newest.fold((0.0, 0.0), |(units, over), stretch| {
            let (own, next) = (&stretch[0], &stretch[stretch.len() - 1]);
            let used = &stretch[..stretch.len() - 1];
            (units + used.iter().map(quantity_of).sum::<f64>(), over + between(own, next))
        });
        let mut empty_on = f64::from(known[*last].day);
        for purchase in &known[*last..] {
            let on = empty_on.max(f64::from(purchase.day));
            moved.push((on as i32, quantity_of(purchase)));
            empty_on = on + if units > 0.0 { quantity_of(purchase) * over / units } else { 0.0 };
        }
        Cow::Owned(Purchases::new(moved).all().to_vec())
    }
}

/// What was bought from one purchase of one's own to the next, without that: each where the stock
/// before it was used up.
fn evenly(stretch: &[Purchase]) -> impl Iterator<Item = (i32, f64)> + '_ {
    let used = &stretch[..stretch.len() - 1];
    let units: f64 = used.iter().map(quantity_of).sum();
    let over = between(&stretch[0], &stretch[stretch.len() - 1]);
    used.iter().scan(0.0, move |before, purchase| {
        let on = f64::from(stretch[0].day) + over * *before / units;
        *before += quantity_of(purchase);
        Some((on as i32, quantity_of(purchase)))
    })
}

fn between(from: &Purchase, to: &Purchase) -> f64 {
    f64::from(to.day) - f64::from(from.day)
}

fn told(purchase: &Purchase) -> (i32, f64) {
    (purchase.day, quantity_of(purchase))
}

fn quantity_of(purchase: &Purchase) -> f64 {
    f64::from(purchase.quantity.min(MAX_QUANTITY))
}

fn days(purchases: &Purchases) -> impl Iterator<Item = (i32, f64)> + '_ {
    purchases.all().iter().map(told)
}

/// Units of a day.
fn quantity(purchases: &Purchases, day: i32) -> u32 {
    let all = purchases.all();
    all.binary_search_by_key(&day, |one| one.day).map_or(0, |place| all[place].quantity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(own: &[(i32, f64)], ordered: &[(i32, f64)]) -> Bought {
        let mut bought = Bought::default();
        own.iter().for_each(|(day, units)| bought.add(*day, *units, false));
        ordered.iter().for_each(|(day, units)| bought.add(*day, *units, true));
        bought
    }

    fn days_of(bought: &Bought, day: i32) -> Vec<i32> {
        bought.at_own_pace(day).iter().map(|purchase| purchase.day).collect()
    }

    #[test]
    fn without_orders_everything_stands_where_it_is() {
        let bought = of(&[(3, 1.0), (9, 2.0), (12, 1.0)], &[]);
        assert!(matches!(bought.at_own_pace(11), Cow::Borrowed(_)));
        assert_eq!(days_of(&bought, 11), [3, 9]);
        assert_eq!(bought.served_from(), None);
        assert_eq!(bought.next_own_after(9).map(|next| next.day), Some(12));
    }

    #[test]
    fn what_one_bought_again_says_when_the_orders_before_were_used_up() {
        // Twelve days' worth came on days 1 and 2; it lasted until day 30 with what was there.
        let bought = of(&[(0, 1.0), (30, 1.0)], &[(1, 1.0), (2, 4.0)]);
        assert_eq!(days_of(&bought, 40), [0, 5, 10, 30]);
        // On the day before, nothing of that was known: orders stand where they are.
        assert_eq!(days_of(&bought, 29), [0, 1, 2]);
        assert_eq!(bought.next_own_after(0), None, "an order came first");
        assert!(bought.is_served_after(0) && !bought.is_served_after(2));
        assert_eq!(bought.served_from(), Some(1));
    }

    #[test]
    fn an_order_that_came_after_all_was_used_up_stays() {
        let bought = of(&[(0, 1.0), (10, 1.0), (20, 1.0)], &[(35, 1.0), (36, 1.0)]);
        assert_eq!(days_of(&bought, 36), [0, 10, 20, 35, 45]);
    }

    #[test]
    fn what_is_given_back_is_no_order_any_more() {
        let mut bought = of(&[(0, 2.0)], &[(5, 2.0)]);
        bought.take_back(5, 2.0);
        assert_eq!(bought, of(&[(0, 2.0)], &[]));
        // A day with both keeps what is left.
        let mut both = of(&[(5, 1.0)], &[(5, 2.0)]);
        assert_eq!(both.next_own_after(0).map(|next| next.quantity), Some(3));
        both.take_back(5, 2.0);
        assert_eq!(both.all().all().len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_was_bought_no_units_are_lost_and_days_ascend(
            own in prop::collection::vec((any::<i32>(), 1..9_u8), 0..20),
            ordered in prop::collection::vec((any::<i32>(), 1..9_u8), 0..20), day in any::<i32>(),
        ) {
            let units = |all: &[(i32, u8)]| -> Vec<(i32, f64)> {
                all.iter().map(|(day, units)| (*day, f64::from(*units))).collect()
            };
            let bought = of(&units(&own), &units(&ordered));
            let moved = bought.at_own_pace(day);
            let sum = |all: &[Purchase]| all.iter().map(|p| u64::from(p.quantity)).sum::<u64>();
            prop_assert_eq!(sum(&moved), sum(bought.all().until(day)));
            prop_assert!(moved.windows(2).all(|pair| pair[0].day < pair[1].day));
            let json = serde_json::to_string(&bought).unwrap();
            prop_assert_eq!(serde_json::from_str::<Bought>(&json).unwrap(), bought);
        }
    }
}
