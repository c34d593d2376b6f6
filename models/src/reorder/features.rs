//! Numbers that tell whether a person needs a category soon: one function for fitting and running.

use super::{
    Category,
    profile::{mean_gap, spread},
    purchases::{Purchase, gaps, median, weekday},
};

/// Windows, in days back, that purchases and visits are counted in.
const WINDOWS_DAYS: [i32; 4] = [7, 14, 30, 60];
/// Half-lives, in days, of decayed counts.
const HALF_LIVES_DAYS: [f64; 3] = [7.0, 21.0, 60.0];
/// Visits that count as the latest.
const LATEST: usize = 5;
/// Visits that everybody's weekdays weigh as much as, beside the person's own.
const WEEKDAY_STRENGTH: f64 = 4.0;

/// Names of [`features`], in their order.
const NAMES: [&str; FEATURES] = [
    "purchases",
    "since",
    "gap_last",
    "gap_mean",
    "gap_median",
    "gap_min",
    "gap_max",
    "gap_sd",
    "since_by_gap_mean",
    "since_by_gap_median",
    "since_by_gap_drawn",
    "count_7",
    "count_14",
    "count_30",
    "count_60",
    "decayed_7",
    "decayed_21",
    "decayed_60",
    "age",
    "rate",
    "share_of_visits",
    "share_since_first",
    "visits_since",
    "in_latest_visits",
    "quantity_last",
    "quantity_mean",
    "supply_left",
    "weekend_share",
    "visits",
    "visit_rate",
    "visit_since",
    "visit_gap_latest",
    "visits_7",
    "visits_14",
    "visits_30",
    "visits_60",
    "visit_decayed_21",
    "basket_mean",
    "basket_last",
    "person_repeat_share",
    "person_weekend_share",
    "visits_ahead",
    "category_people",
    "category_frequency",
    "category_repeat_share",
    "category_recent_share",
    "category_gap",
];
/// Values of a row of [`features`].
pub const FEATURES: usize = 47;

/// Names of [`ahead`], in their order.
const AHEAD_NAMES: [&str; AHEAD] = [
    "days_ahead",
    "due_by_gap_mean",
    "due_by_gap_drawn",
    "visit_due",
    "visit_gap_ahead",
    "weekday_of_person",
    "weekday_of_pair",
    "weekday_of_category",
    "weekday_ahead",
];
/// Values of a row of [`ahead`].
pub const AHEAD: usize = 9;

/// What [`features`] gives, by name.
#[must_use]
pub fn feature_names() -> [&'static str; FEATURES] {
    NAMES
}

/// What [`ahead`] gives, by name.
#[must_use]
pub fn ahead_names() -> [&'static str; AHEAD] {
    AHEAD_NAMES
}

/// A person's visits, as far as features ask: made once for all categories of the person.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    days: Vec<i32>,
    /// Expected share of the visits on each weekday, Monday first.
    weekday_shares: [f64; 7],
    visit_since: f64,
    visit_gap: f64,
    own: [f32; 13],
}

impl Person {
    /// Sums up visits known at the end of `day`: on each the number of categories bought stands as
    /// its quantity. `owned` is the number of categories that the person ever bought;
    /// `usual_weekdays` are everybody's shares of the weekdays.
    #[must_use]
    pub fn at(visits: &[Purchase], owned: usize, usual_weekdays: &[f64; 7], day: i32) -> Self {
        let count = visits.len() as f64;
        let mut weekday_shares = usual_weekdays.map(|share| share * WEEKDAY_STRENGTH);
        visits.iter().for_each(|visit| weekday_shares[weekday(visit.day)] += 1.0);
        weekday_shares.iter_mut().for_each(|share| *share /= count + WEEKDAY_STRENGTH);
        let bought: f64 = visits.iter().map(|visit| f64::from(visit.quantity)).sum();
        let since = |visit: Option<&Purchase>| {
            visit.map_or(f64::NAN, |visit| f64::from(day.saturating_sub(visit.day)))
        };
        let known_days = since(visits.first()) + 1.0;
        let rate = count / known_days;
        let visit_since = since(visits.last());
        let latest = &visits[visits.len().saturating_sub(LATEST + 1)..];
        let windows = counts(visits, day);
        let own = [
            count,
            rate,
            visit_since,
            mean_gap(latest).unwrap_or(f64::NAN),
            windows[0],
            windows[1],
            windows[2],
            windows[3],
            decayed(visits, day, HALF_LIVES_DAYS[1]),
            bought / count,
            visits.last().map_or(f64::NAN, |visit| f64::from(visit.quantity)),
            1.0 - owned as f64 / bought,
            weekend(visits),
        ]
        .map(|value| value as f32);
        Self {
            days: visits.iter().map(|visit| visit.day).collect(),
            weekday_shares,
            visit_since,
            visit_gap: 1.0 / rate,
            own,
        }
    }

    /// Visits after the end of a day.
    fn visits_after(&self, day: i32) -> usize {
        self.days.len() - self.days.partition_point(|visit| *visit <= day)
    }
}

/// Appends the row of a person and a category at the end of `day`: [`FEATURES`] values, NaN where
/// something is not known. `bought` are the person's purchases of the category up to then, in the
/// order of days. Nothing is infinite.
pub fn features(
    bought: &[Purchase],
    person: &Person,
    category: &Category,
    day: i32,
    out: &mut Vec<f32>,
) {
    let count = bought.len() as f64;
    let ago = |purchase: Option<&Purchase>| {
        purchase.map_or(f64::NAN, |p| f64::from(day.saturating_sub(p.day)))
    };
    let (since, age) = (ago(bought.last()), ago(bought.first()));
    let mean = mean_gap(bought).unwrap_or(f64::NAN);
    let middle = median(gaps(bought).collect());
    let extreme = |pick: fn(f64, f64) -> f64| gaps(bought).fold(f64::NAN, pick);
    let windows = counts(bought, day);
    let decay = HALF_LIVES_DAYS.map(|half_life| decayed(bought, day, half_life));
    let visits = person.days.len() as f64;
    let since_first = bought.first().map_or(0, |p| person.visits_after(p.day.saturating_sub(1)));
    let since_last = bought.last().map_or(person.days.len(), |p| person.visits_after(p.day));
    let latest = person.days.iter().rev().take(LATEST);
    let in_latest =
        latest.filter(|visit| bought.binary_search_by_key(*visit, |p| p.day).is_ok()).count();
    let units: f64 = bought.iter().map(|p| f64::from(p.quantity)).sum();
    let last_units = bought.last().map_or(f64::NAN, |p| f64::from(p.quantity));
    // Days that what was bought last still holds, in mean gaps.
    let supply = last_units / (units / count) - since / mean;
    let pair = [
        count,
        since,
        gaps(bought).last().unwrap_or(f64::NAN),
        mean,
        middle,
        extreme(f64::min),
        extreme(f64::max),
        spread(bought).unwrap_or(f64::NAN),
        since / mean,
        since / middle,
        since / drawn_gap(bought, category),
        windows[0],
        windows[1],
        windows[2],
        windows[3],
        decay[0],
        decay[1],
        decay[2],
        age,
        count / (age + 1.0),
        count / visits,
        count / since_first as f64,
        since_last as f64,
        in_latest as f64,
        last_units,
        units / count,
        supply,
        weekend(bought),
    ];
    out.extend(pair.map(finite));
    out.extend(person.own.map(|value| finite(f64::from(value))));
    let ratio = count / visits;
    let people = category.people as f64;
    let of_category = [
        // Visits to come in a fortnight, of which this share would bring the category.
        ratio * f64::from(person.own[1]),
        people.ln_1p(),
        category.purchases as f64 / people,
        category.repeat_share,
        category.recent_share,
        category.gap_days,
    ];
    out.extend(of_category.map(finite));
}

/// Appends what tells one day ahead from another: [`AHEAD`] values for the day `days_ahead` after
/// `day`, to stand after those of [`features`].
pub fn ahead(
    bought: &[Purchase],
    person: &Person,
    category: &Category,
    day: i32,
    days_ahead: i32,
    out: &mut Vec<f32>,
) {
    let then = day.saturating_add(days_ahead);
    let since = bought.last().map_or(f64::NAN, |p| f64::from(then.saturating_sub(p.day)));
    let ahead = f64::from(days_ahead);
    let on = weekday(then);
    let same = bought.iter().filter(|p| weekday(p.day) == on).count() as f64;
    let of_pair = (same + WEEKDAY_STRENGTH * person.weekday_shares[on])
        / (bought.len() as f64 + WEEKDAY_STRENGTH);
    let row = [
        ahead,
        since / mean_gap(bought).unwrap_or(f64::NAN),
        since / drawn_gap(bought, category),
        (person.visit_since + ahead) / person.visit_gap,
        person.visit_since + ahead,
        person.weekday_shares[on],
        of_pair,
        category.weekday_shares[on],
        on as f64,
    ];
    out.extend(row.map(finite));
}

/// Mean gap drawn towards the category's, as if by one more: a single gap says little.
fn drawn_gap(bought: &[Purchase], category: &Category) -> f64 {
    let gaps = bought.len().saturating_sub(1) as f64;
    (mean_gap(bought).unwrap_or(0.0) * gaps + category.gap_days) / (gaps + 1.0)
}

/// How many lie in each window that ends with `day`.
fn counts(bought: &[Purchase], day: i32) -> [f64; 4] {
    WINDOWS_DAYS.map(|window| {
        let from = bought.partition_point(|p| p.day <= day.saturating_sub(window));
        (bought.len() - from) as f64
    })
}

/// How many, each weighing half after a half-life.
fn decayed(bought: &[Purchase], day: i32, half_life_days: f64) -> f64 {
    let weight =
        |p: &Purchase| (-f64::from(day.saturating_sub(p.day)).max(0.0) / half_life_days).exp2();
    bought.iter().map(weight).sum()
}

/// Share on Saturdays and Sundays.
fn weekend(bought: &[Purchase]) -> f64 {
    const SATURDAY: usize = 5;
    let there = bought.iter().filter(|p| weekday(p.day) >= SATURDAY).count();
    there as f64 / bought.len() as f64
}

/// What is infinite is not known.
fn finite(value: f64) -> f32 {
    let value = value as f32;
    if value.is_finite() { value } else { f32::NAN }
}
