//! A person's use of a category, as far as purchases tell it.

use super::purchases::{Purchase, Purchases, gaps, median, weekday};
use crate::profile::calendar::month_and_day_of;
use serde::Serialize;

/// How a person uses a category, known at the end of a day.
///
/// # Examples
/// ```
/// use models::reorder::{Language, Profile, Purchases};
///
/// let coffee = Purchases::new([(0, 2.0), (11, 2.0), (24, 2.0)]);
/// let profile = Profile::at(&coffee, 35).ok_or("nothing bought")?;
/// assert_eq!(
///     profile.explain(Language::English),
///     "you buy this about every 12 days, 2 at a time; last 11 days ago"
/// );
/// assert_eq!(profile.used_up_on, Some(36));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The day it tells of, since 1970-01-01.
    pub day: i32,
    /// Days with a purchase.
    pub purchases: usize,
    /// Of the first that is kept, days since 1970-01-01.
    pub first_day: i32,
    /// Of the last.
    pub last_day: i32,
    /// Days since the last.
    pub since_days: i32,
    /// Mean days between purchases; from the second purchase on.
    pub gap_mean_days: Option<f64>,
    /// Median of the same.
    pub gap_median_days: Option<f64>,
    /// Their standard deviation over that of a sample; from the third purchase on.
    pub gap_spread_days: Option<f64>,
    /// Units a day, from the first purchase to the last, whose own are still to be used.
    pub units_per_day: Option<f64>,
    /// Median units of a purchase, rounded up.
    pub typical_quantity: u32,
    /// Units of the last.
    pub last_quantity: u32,
    /// Share of the purchases on each weekday, Monday first.
    pub weekday_shares: [f64; 7],
    /// Share of the purchases in each month, January first.
    pub month_shares: [f64; 12],
    /// The first day on which what was bought last is used up, if it is used as before and nothing
    /// was left from earlier. Days since 1970-01-01.
    pub used_up_on: Option<i32>,
}

impl Profile {
    /// What purchases up to the end of a day tell; `None` without any.
    #[must_use]
    pub fn at(purchases: &Purchases, day: i32) -> Option<Self> {
        let bought = purchases.until(day);
        let (first, last) = (bought.first()?, bought.last()?);
        let count = bought.len() as f64;
        let mean = mean_gap(bought);
        let mut weekday_shares = [0.0; 7];
        let mut month_shares = [0.0; 12];
        for purchase in bought {
            weekday_shares[weekday(purchase.day)] += 1.0 / count;
            month_shares[usize::from(month_and_day_of(purchase.day).0) - 1] += 1.0 / count;
        }
        let units_per_day = units_per_day(bought);
        let quantities = bought.iter().map(|purchase| f64::from(purchase.quantity)).collect();
        Some(Self {
            day,
            purchases: bought.len(),
            first_day: first.day,
            last_day: last.day,
            since_days: day.saturating_sub(last.day),
            gap_mean_days: mean,
            gap_median_days: mean.map(|_| median(gaps(bought).collect())),
            gap_spread_days: spread(bought),
            units_per_day,
            typical_quantity: median(quantities).ceil() as u32,
            last_quantity: last.quantity,
            weekday_shares,
            month_shares,
            used_up_on: units_per_day.map(|use_| {
                // At most a million units of at least one in two million days.
                let lasts = (f64::from(last.quantity) / use_).ceil();
                last.day.saturating_add(lasts as i32)
            }),
        })
    }
}

/// Mean days between purchases, from the second on.
pub(super) fn mean_gap(bought: &[Purchase]) -> Option<f64> {
    let (first, last) = (bought.first()?, bought.last()?);
    let gaps = bought.len() - 1;
    (gaps > 0).then(|| f64::from(last.day.saturating_sub(first.day)) / gaps as f64)
}

/// Standard deviation of the gaps, of a sample: from two gaps on.
pub(super) fn spread(bought: &[Purchase]) -> Option<f64> {
    let mean = mean_gap(bought)?;
    let count = gaps(bought).len();
    let squares: f64 = gaps(bought).map(|gap| (gap - mean) * (gap - mean)).sum();
    (count > 1).then(|| (squares / (count - 1) as f64).sqrt())
}

/// What was bought before the last purchase was used until then.
fn units_per_day(bought: &[Purchase]) -> Option<f64> {
    let (last, before) = bought.split_last()?;
    let days = f64::from(last.day.saturating_sub(before.first()?.day));
    let units: f64 = before.iter().map(|purchase| f64::from(purchase.quantity)).sum();
    (days > 0.0).then(|| units / days)
}
