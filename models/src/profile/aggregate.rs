//! From what is kept to the numbers: one function a kind of feature.

use super::{
    calendar,
    definitions::Aggregation,
    plan::Column,
    track::{Before, Day, Item, Measured, State, from_millionths},
};

/// The value of a column on a day; NaN: missing.
pub(super) fn value(column: &Column, state: &State, today: i32, offset_minutes: i16) -> f64 {
    if column.fresh_days.is_some_and(|most| {
        let newest = newest_day(column.aggregation, state, offset_minutes);
        newest.is_none_or(|day| today.saturating_sub(day) > most)
    }) {
        return f64::NAN;
    }
    let first = today.saturating_sub(column.window_days.saturating_sub(1));
    let days = within(&state.days, first, today);
    // What was put together lies before any window.
    let before = state.before().filter(|before| first <= before.first_day);
    let sum = |of: fn(&Day) -> i64| {
        let older = before.map_or(0, |before| of(&before.sums));
        days.iter().fold(older, |sum, day| sum.wrapping_add(of(day)))
    };
    match column.aggregation {
        Aggregation::Count => sum(|day| day.count) as f64,
        Aggregation::Sum => sum(|day| day.value_minor) as f64,
        Aggregation::Mean => ratio(sum(|day| day.value_minor) as f64, sum(|day| day.valued) as f64),
        Aggregation::Quantity => from_millionths(sum(|day| day.number_millionths)),
        Aggregation::Days => {
            let older = before.map_or(0, |before| before.days);
            (days.iter().filter(|day| day.count > 0).count() as i64 + older) as f64
        }
        Aggregation::DaysSinceLast => since(last_day(days, before), today),
        Aggregation::DaysSinceFirst => since(first_day(days, before), today),
        Aggregation::GapMean => Gaps::of(days).mean(),
        Aggregation::GapSd => Gaps::of(days).sd(),
        Aggregation::DueRatio => ratio(since(last_day(days, before), today), Gaps::of(days).mean()),
        Aggregation::Decayed => decayed(days, column.left_a_day, today),
        Aggregation::WeekdayShare => weekday_share(days, column.ahead_days, today),
        Aggregation::Items => distinct(&state.items, first, today),
        Aggregation::Categories => distinct(&state.categories, first, today),
        Aggregation::Latest => latest(state),
        // Filled in by whoever knows places.
        Aggregation::Surrounding => f64::NAN,
        Aggregation::Weekday => f64::from(calendar::weekday_of(today)),
        Aggregation::Month => f64::from(calendar::month_and_day_of(today).0),
        Aggregation::DayOfMonth => f64::from(calendar::month_and_day_of(today).1),
    }
}

/// The days from one to another, both included.
fn within(days: &[Day], first: i32, last: i32) -> &[Day] {
    // Mostly nothing lies after today.
    let end = match days.last() {
        Some(newest) if newest.day > last => days.partition_point(|day| day.day <= last),
        _ => days.len(),
    };
    let days = &days[..end];
    &days[days.partition_point(|day| day.day < first)..]
}

pub(super) fn first_day(days: &[Day], before: Option<&Before>) -> Option<i32> {
    let kept = || days.iter().find(|day| day.count > 0).map(|day| day.day);
    before.filter(|b| b.days > 0).map(|b| b.first_day).or_else(kept)
}

pub(super) fn last_day(days: &[Day], before: Option<&Before>) -> Option<i32> {
    let kept = days.iter().rev().find(|day| day.count > 0).map(|day| day.day);
    kept.or_else(|| before.filter(|b| b.days > 0).map(|b| b.last_day))
}

fn since(day: Option<i32>, today: i32) -> f64 {
    day.map_or(f64::NAN, |day| f64::from(today.saturating_sub(day)))
}

/// NaN where there is nothing to divide by.
fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator > 0.0 { numerator / denominator } else { f64::NAN }
}

/// Days between days with facts.
#[derive(Default)]
struct Gaps {
    count: f64,
    sum: f64,
    sum_of_squares: f64,
}

impl Gaps {
    fn of(days: &[Day]) -> Self {
        let mut gaps = Self::default();
        let mut last = None;
        for day in days.iter().filter(|day| day.count > 0) {
            if let Some(last) = last.replace(day.day) {
                let gap = f64::from(day.day - last);
                gaps.count += 1.0;
                gaps.sum += gap;
                gaps.sum_of_squares += gap * gap;
            }
        }
        gaps
    }

    fn mean(&self) -> f64 {
        ratio(self.sum, self.count)
    }

    /// Whole days: their squares are exact in an f64, so the short formula is, too.
    fn sd(&self) -> f64 {
        let squares = self.sum_of_squares - self.sum * ratio(self.sum, self.count);
        ratio(squares.max(0.0), self.count - 1.0).sqrt()
    }
}

/// Sum of `left_a_day` to the power of each fact's age in days, by Horner's rule.
fn decayed(days: &[Day], left_a_day: f64, today: i32) -> f64 {
    let mut last = None;
    let sum = days.iter().fold(0.0, |sum, day| {
        let gap = last.replace(day.day).map_or(0, |last| day.day - last);
        sum * left_a_day.powi(gap) + day.count as f64
    });
    last.map_or(0.0, |last| sum * left_a_day.powi(today.saturating_sub(last)))
}

fn weekday_share(days: &[Day], ahead_days: u8, today: i32) -> f64 {
    let tomorrow = calendar::weekday_of(today.saturating_add(1));
    let (mut all, mut ahead) = (0, 0);
    for day in days.iter().filter(|day| day.count > 0) {
        let days_ahead = (calendar::weekday_of(day.day) + 7 - tomorrow) % 7;
        all += 1;
        ahead += i32::from(days_ahead < ahead_days);
    }
    ratio(f64::from(ahead), f64::from(all))
}

fn distinct(items: &[Item], first: i32, last: i32) -> f64 {
    let begin = items.partition_point(|item| item.day < first);
    let end = items.partition_point(|item| item.day <= last);
    let within = items.get(begin..end).unwrap_or_default();
    let mut hashes: Vec<u32> =
        within.iter().filter(|item| item.count > 0).map(|item| item.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes.len() as f64
}

fn newest_number(state: &State) -> Option<&Measured> {
    state.numbers.iter().rev().find(|number| number.count > 0)
}

fn latest(state: &State) -> f64 {
    // Several of one instant: their mean.
    newest_number(state).map_or(f64::NAN, |n| from_millionths(n.number_millionths) / n.count as f64)
}

fn newest_day(aggregation: Aggregation, state: &State, offset_minutes: i16) -> Option<i32> {
    match aggregation {
        Aggregation::Latest => {
            newest_number(state).map(|n| calendar::day_of(n.at_unix_ms, offset_minutes))
        }
        _ => last_day(&state.days, state.before()),
    }
}
