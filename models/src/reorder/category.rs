//! What everybody's purchases of a category have in common: the prior of each person, and all there
//! is for somebody new.

use super::{
    amount::{Amounts, LARGEST},
    purchases::{Purchase, gaps, weekday},
};
use serde::{Deserialize, Serialize};

/// Days that count as the latest.
const RECENT_DAYS: i32 = 28;
/// How many purchases everybody's values weigh as much as, where a category has few of its own.
const STRENGTH: f64 = 50.0;
/// The gap that is assumed where nobody has bought anything twice, in days.
const UNKNOWN_GAP_DAYS: f64 = 30.0;

/// Counts over many people's purchases of one category, or of all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CategoryCounts {
    people: u64,
    purchases: u64,
    recent: u64,
    /// Purchases long enough ago to know whether another followed in time, and those it did.
    old: u64,
    followed: u64,
    gaps: u64,
    gap_days: f64,
    weekdays: [u64; 7],
    amounts: [u64; LARGEST],
}

impl CategoryCounts {
    /// Adds what one person bought up to the end of `day`. Whether a purchase was followed by
    /// another is asked within `horizon_days`.
    pub fn add(&mut self, bought: &[Purchase], day: i32, horizon_days: i32) {
        if bought.is_empty() {
            return;
        }
        self.people += 1;
        self.purchases += bought.len() as u64;
        for (index, purchase) in bought.iter().enumerate() {
            let age = day.saturating_sub(purchase.day);
            self.recent += u64::from(age < RECENT_DAYS);
            if age >= horizon_days {
                let next = bought.get(index + 1);
                let soon = |next: &Purchase| next.day.saturating_sub(purchase.day) <= horizon_days;
                self.old += 1;
                self.followed += u64::from(next.is_some_and(soon));
            }
            self.weekdays[weekday(purchase.day)] += 1;
            self.amounts[Amounts::place(purchase.quantity)] += 1;
        }
        self.gaps += gaps(bought).len() as u64;
        self.gap_days += gaps(bought).sum::<f64>();
    }

    /// Adds another count.
    pub fn merge(&mut self, other: &Self) {
        self.people += other.people;
        self.purchases += other.purchases;
        self.recent += other.recent;
        self.old += other.old;
        self.followed += other.followed;
        self.gaps += other.gaps;
        self.gap_days += other.gap_days;
        self.weekdays.iter_mut().zip(other.weekdays).for_each(|(own, more)| *own += more);
        self.amounts.iter_mut().zip(other.amounts).for_each(|(own, more)| *own += more);
    }

    /// The values of a category: its own, drawn towards `all` as if by fifty more purchases of the
    /// usual kind (the smaller the category, the nearer it is to all).
    #[must_use]
    pub fn category(&self, all: &Self) -> Category {
        let drawn = |own: f64, of: f64, all: f64, all_of: f64, unknown: f64| {
            let usual = if all_of > 0.0 { all / all_of } else { unknown };
            (own + STRENGTH * usual) / (of + STRENGTH)
        };
        let shares = std::array::from_fn(|weekday| {
            let (own, all_own) = (self.weekdays[weekday] as f64, all.weekdays[weekday] as f64);
            drawn(own, self.purchases as f64, all_own, all.purchases as f64, 1.0 / 7.0)
        });
        let n = |count: u64| count as f64;
        Category {
            people: self.people,
            purchases: self.purchases,
            repeat_share: drawn(n(self.followed), n(self.old), n(all.followed), n(all.old), 0.0),
            recent_share: drawn(
                n(self.recent),
                n(self.purchases),
                n(all.recent),
                n(all.purchases),
                0.0,
            ),
            gap_days: drawn(
                self.gap_days,
                n(self.gaps),
                all.gap_days,
                n(all.gaps),
                UNKNOWN_GAP_DAYS,
            ),
            weekday_shares: shares,
            amounts: Amounts::of_counts(&self.amounts),
        }
    }
}

/// Values of a category that hold for somebody of whom nothing is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// How many have bought it.
    pub people: u64,
    /// On how many of their days.
    pub purchases: u64,
    /// Share of the purchases that another followed within the horizon.
    pub repeat_share: f64,
    /// Share of the purchases in the last 28 days.
    pub recent_share: f64,
    /// Mean days between two purchases of a person.
    pub gap_days: f64,
    /// Share of the purchases on each weekday, Monday first.
    pub weekday_shares: [f64; 7],
    /// Units of a purchase.
    pub amounts: Amounts,
}
