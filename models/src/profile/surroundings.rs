//! The weather and what goes on at places: about nobody, until a person's place is known.

use super::{Definitions, Profile, calendar::DAY_MS};
use std::collections::HashMap;

/// What is known of places, at every time.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// By name, then place; each in order of when it held, then of when it was known.
    series: HashMap<String, HashMap<String, Vec<Measurement>>>,
}

#[derive(Debug, Clone, Copy)]
struct Measurement {
    at_unix_ms: i64,
    known_unix_ms: i64,
    number: f64,
}

impl Surroundings {
    /// Takes in what held at a place at a time. Later knowledge of the same time replaces what was
    /// known before, from then on.
    pub fn add(
        &mut self,
        place: &str,
        name: &str,
        at_unix_ms: i64,
        known_unix_ms: i64,
        number: f64,
    ) {
        let places = self.series.entry(name.to_owned()).or_default();
        let series = places.entry(place.to_owned()).or_default();
        let key = (at_unix_ms, known_unix_ms);
        let position = series.partition_point(|m| (m.at_unix_ms, m.known_unix_ms) <= key);
        series.insert(position, Measurement { at_unix_ms, known_unix_ms, number });
    }

    /// What was known at a time to hold at a place then: the newest, if it is no older than
    /// `fresh_days`. Forecasts do not count.
    #[must_use]
    pub fn value(
        &self,
        place: &str,
        name: &str,
        at_unix_ms: i64,
        fresh_days: Option<u16>,
    ) -> Option<f64> {
        let series = self.series.get(name)?.get(place)?;
        let past = &series[..series.partition_point(|m| m.at_unix_ms <= at_unix_ms)];
        let newest = past.iter().rev().find(|m| m.known_unix_ms <= at_unix_ms)?;
        let age_ms = at_unix_ms.saturating_sub(newest.at_unix_ms);
        let fresh = fresh_days.is_none_or(|days| age_ms <= i64::from(days) * DAY_MS);
        fresh.then_some(newest.number)
    }

    /// Fills in the columns of [`Definitions::surroundings`] that
    /// [`Profile::features`] left missing.
    pub fn fill(
        &self,
        definitions: &Definitions,
        profile: &Profile,
        at_unix_ms: i64,
        features: &mut [f32],
    ) {
        if self.series.is_empty() {
            return;
        }
        let Some(place) = profile.place(at_unix_ms) else { return };
        for (column, name) in definitions.surroundings() {
            let fresh_days = definitions.features().get(column).and_then(|f| f.fresh_days);
            let value = self.value(place, name, at_unix_ms, fresh_days);
            if let (Some(value), Some(feature)) = (value, features.get_mut(column)) {
                *feature = if value.is_finite() { value as f32 } else { f32::NAN };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_known_then_of_then_counts() {
        let mut weather = Surroundings::default();
        for (day, known, number) in [(10, 10, 20.0), (12, 11, 25.0), (10, 14, 19.0), (5, 5, 8.0)] {
            weather.add("115", "temperature_c", day * DAY_MS, known * DAY_MS, number);
        }
        let check = |day: i64, fresh_days: Option<u16>, expected: Option<f64>| {
            let found = weather.value("115", "temperature_c", day * DAY_MS, fresh_days);
            assert_eq!(found, expected, "day {day}");
        };
        check(4, None, None);
        check(5, None, Some(8.0));
        check(9, None, Some(8.0));
        check(9, Some(3), None);
        check(10, Some(3), Some(20.0));
        check(11, Some(3), Some(20.0)); // the forecast for day 12 does not count yet
        check(12, Some(3), Some(25.0));
        assert_eq!(weather.value("221", "temperature_c", 12 * DAY_MS, None), None);
        assert_eq!(weather.value("115", "rain", 12 * DAY_MS, None), None);
        weather.add("115", "temperature_c", 12 * DAY_MS, 13 * DAY_MS, 24.0);
        let at = |day: i64| weather.value("115", "temperature_c", day * DAY_MS, None);
        assert_eq!((at(12), at(13)), (Some(25.0), Some(24.0)));
    }
}
