//! What customer-base models know of a person: how often, when last, since when.

use serde::{Deserialize, Serialize};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// A person's purchases up to a time, reduced to what the models need: (x, t_x, T) of Fader, Hardie
/// & Lee (2005). Times are in weeks since the first purchase, as in that literature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatHistory {
    /// x: purchases after the first, those of one day counted once.
    pub repeats: u32,
    /// t_x: from the first purchase to the last, weeks; 0 without repeats.
    pub recency_weeks: f64,
    /// T: from the first purchase to now, weeks.
    pub age_weeks: f64,
}

impl RepeatHistory {
    /// The history at `now_unix_ms` of someone who bought at these times, in any order; purchases
    /// after now are not seen. `None` for who has not bought yet.
    ///
    /// # Examples
    /// ```
    /// use models::customer_base::RepeatHistory;
    /// const DAY: i64 = 86_400_000;
    /// let history = RepeatHistory::at(21 * DAY, &[0, 14 * DAY, 14 * DAY + 1, 30 * DAY]).unwrap();
    /// assert_eq!((history.repeats, history.recency_weeks, history.age_weeks), (1, 2.0, 3.0));
    /// ```
    #[must_use]
    pub fn at(now_unix_ms: i64, purchases_unix_ms: &[i64]) -> Option<Self> {
        let seen = purchases_unix_ms.iter().filter(|at| **at <= now_unix_ms);
        let mut days: Vec<i64> = seen.map(|at| at.div_euclid(DAY_MS)).collect();
        days.sort_unstable();
        days.dedup();
        let (first, last) = (*days.first()?, *days.last()?);
        let weeks = |from_day: i64, to_day: i64| to_day.saturating_sub(from_day) as f64 / 7.0;
        let now_day = now_unix_ms.div_euclid(DAY_MS);
        Some(Self {
            repeats: u32::try_from(days.len() - 1).unwrap_or(u32::MAX),
            recency_weeks: weeks(first, last),
            age_weeks: weeks(first, now_day),
        })
    }

    /// The nearest history that can be: times finite, 0 <= t_x <= T, no recency without repeats.
    /// The models take this first, so that they answer for any input.
    #[must_use]
    pub fn plausible(self) -> Self {
        let age_weeks = weeks(self.age_weeks);
        let recency_weeks =
            if self.repeats == 0 { 0.0 } else { weeks(self.recency_weeks).min(age_weeks) };
        Self { repeats: self.repeats, recency_weeks, age_weeks }
    }
}

/// Longest time anyone was a customer, weeks: 200 years.
const MOST_WEEKS: f64 = 200.0 * 52.18;

/// A time the models can work with; not a number is no time.
pub(super) fn weeks(weeks: f64) -> f64 {
    if weeks.is_nan() { 0.0 } else { weeks.clamp(0.0, MOST_WEEKS) }
}
