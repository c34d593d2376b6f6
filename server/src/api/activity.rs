//! `/v1/activity`: how much of what happened, day by day, about nobody.

use super::{
    ApiError,
    operator::{Allowed, scope},
};
use crate::{
    app::{App, unix_ms},
    store::DaySum,
};
use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use jiff::{ToSpan, civil::Date};
use models::profile::Source;
use protocol::problem::{ErrorCode, Problem};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Facts that are told apart; fewer would speak of single people.
const FEWEST: i64 = 10;
/// Days of an answer, if nothing else is asked for, and at most.
const DEFAULT_DAYS: i64 = 30;
const MOST_DAYS: i64 = 366;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const EPOCH: Date = Date::constant(1970, 1, 1);

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(activity))
}

/// What happened, day by day.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Activity {
    /// Oldest first; days of which nothing can be told are left out.
    days: Vec<Day>,
}

/// A day, by UTC, of when things happened.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Day {
    /// Its date.
    #[schema(examples("2026-11-20"))]
    day: String,
    /// What happened often enough to be told apart.
    groups: Vec<Group>,
    /// Facts of all groups of the day that are too small, whatever their source; absent if they are
    /// too few even together, or if a source is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<i64>,
}

/// Facts of one name.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Group {
    /// Where they came from.
    #[schema(examples("conversion"))]
    source: String,
    /// What happened.
    #[schema(examples("store_purchase"))]
    name: String,
    /// How many: 10 or more.
    facts: i64,
    /// What they are worth, by currency; those of too few facts are left out.
    values: Vec<Worth>,
}

/// A sum in a currency.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Worth {
    /// ISO 4217.
    #[schema(examples("EUR"))]
    currency: String,
    /// In its smallest unit.
    minor: i64,
}

/// How much of what happened
///
/// Facts that came in, by the day on which they happened, by source and name, with the sums of their
/// values. What is fewer than 10 facts of a day is counted together as `other`, without values, and
/// left out if it is fewer than 10 even so. Facts are counted, not people. Sums are made as facts
/// come in: what is retracted, withdrawn or erased later stays counted.
#[utoipa::path(get, path = "/v1/activity", tag = "features",
    security(("api_key" = ["features"])),
    params(
        ("from" = Option<String>, Query, description = "The first day, like 2026-11-01; if absent, \
            so that there are 30"),
        ("to" = Option<String>, Query, description = "The last day; today by UTC, if absent. At \
            most 366 days after the first"),
        ("source" = Option<String>, Query, description = "Only this source: conversion, behaviour, \
            context, demographics, loyalty or third_party"),
    ),
    responses(
        (status = 200, description = "Day by day", body = Activity, example = json!(example())),
        (status = 422, description = "A parameter is outside its range", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn activity(
    State(app): State<App>,
    _: Allowed<scope::Features>,
    asked: Asked,
) -> Result<Json<Activity>, ApiError> {
    let Asked { first, last, source } = asked;
    let last = last.unwrap_or_else(|| unix_ms().div_euclid(DAY_MS));
    let first = first.unwrap_or_else(|| last.saturating_sub(DEFAULT_DAYS - 1));
    if !(0..MOST_DAYS).contains(&last.saturating_sub(first)) {
        let detail = "from is a day before to, or the same, and there are at most 366 of them";
        return Err(ApiError::refused(ErrorCode::Invalid, detail));
    }
    let sums = app.store.day_sums(first, last).await?;
    Ok(Json(Activity { days: days_of(sums, source) }))
}

/// Tells apart what is large enough. What is too small does not depend on the source that is asked
/// for: the difference of two answers would tell it.
fn days_of(sums: Vec<DaySum>, source: Option<Source>) -> Vec<Day> {
    let mut days: BTreeMap<i64, BTreeMap<(String, String), Vec<DaySum>>> = BTreeMap::new();
    for sum in sums {
        let groups = days.entry(sum.day).or_default();
        groups.entry((sum.source.clone(), sum.name.clone())).or_default().push(sum);
    }
    let mut told = Vec::with_capacity(days.len());
    for (day, by_name) in days {
        let (mut groups, mut other) = (Vec::new(), 0_i64);
        for ((of, name), sums) in by_name {
            let facts = sums.iter().fold(0_i64, |all, sum| all.saturating_add(sum.facts));
            if facts < FEWEST {
                other = other.saturating_add(facts);
            } else if source.is_none_or(|source| source.name() == of) {
                groups.push(Group { source: of, name, facts, values: values_of(sums) });
            }
        }
        let other = Some(other).filter(|other| source.is_none() && *other >= FEWEST);
        if !groups.is_empty() || other.is_some() {
            told.push(Day { day: date_of(day), groups, other });
        }
    }
    told
}

fn values_of(sums: Vec<DaySum>) -> Vec<Worth> {
    let large = |sum: &DaySum| !sum.currency.is_empty() && sum.facts >= FEWEST;
    let worth = |sum: DaySum| Worth { currency: sum.currency, minor: sum.value_minor };
    sums.into_iter().filter(large).map(worth).collect()
}

fn date_of(day: i64) -> String {
    EPOCH.saturating_add(day.days()).to_string()
}

/// Days since 1970, and the source.
#[derive(Debug, PartialEq)]
struct Asked {
    first: Option<i64>,
    last: Option<i64>,
    source: Option<Source>,
}

impl FromRequestParts<App> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Asked {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let invalid = |what: &str| ApiError::refused(ErrorCode::Invalid, what);
        let day = |text: &str| {
            let date = Date::strptime("%Y-%m-%d", text).ok().filter(|date| date.year() >= 0);
            let days = date.and_then(|date| EPOCH.until(date).ok());
            days.map(|days| i64::from(days.get_days()))
        };
        let no_day = || invalid("from and to are days, like 2026-11-20");
        let mut asked = Self { first: None, last: None, source: None };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "from" => asked.first = Some(day(&value).ok_or_else(no_day)?),
                "to" => asked.last = Some(day(&value).ok_or_else(no_day)?),
                "source" => {
                    let source = Source::ALL.into_iter().find(|source| source.name() == value);
                    asked.source = Some(source.ok_or_else(|| {
                        invalid(
                            "source is conversion, behaviour, context, demographics, loyalty or \
                             third_party",
                        )
                    })?);
                }
                _ => return Err(invalid("it takes from, to and source, no others")),
            }
        }
        Ok(asked)
    }
}

fn example() -> serde_json::Value {
    serde_json::json!({
        "days": [{
            "day": "2026-11-20",
            "groups": [
                {"source": "behaviour", "name": "visit", "facts": 4_810, "values": []},
                {
                    "source": "conversion", "name": "store_purchase", "facts": 211,
                    "values": [{"currency": "EUR", "minor": 1_844_230}],
                },
            ],
            "other": 17,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(day: i64, of: Source, name: &str, currency: &str, facts: i64) -> DaySum {
        let (source, name) = (of.name().to_owned(), name.to_owned());
        DaySum { day, source, name, currency: currency.to_owned(), facts, value_minor: 100 * facts }
    }

    #[test]
    fn small_groups_are_withheld() {
        use Source::{Behaviour, Conversion};
        let sums = || {
            vec![
                sum(0, Behaviour, "rare", "", 3),
                sum(0, Behaviour, "visit", "", 10),
                sum(0, Conversion, "loan", "EUR", 7),
                sum(0, Conversion, "purchase", "", 1),
                sum(0, Conversion, "purchase", "EUR", 12),
                sum(0, Conversion, "purchase", "SEK", 1),
                // Too few, even together.
                sum(1, Behaviour, "rare", "", 4),
                sum(1, Conversion, "loan", "EUR", 5),
            ]
        };
        let visit = Group {
            source: "behaviour".into(),
            name: "visit".into(),
            facts: 10,
            values: Vec::new(),
        };
        let purchase = || Group {
            source: "conversion".into(),
            name: "purchase".into(),
            facts: 14,
            values: vec![Worth { currency: "EUR".into(), minor: 1_200 }],
        };
        let day = || "1970-01-01".to_owned();
        let all = Day { day: day(), groups: vec![visit, purchase()], other: Some(10) };
        assert_eq!(days_of(sums(), None), [all]);
        // What is left of a day is not told by asking source by source.
        let some = Day { day: day(), groups: vec![purchase()], other: None };
        assert_eq!(days_of(sums(), Some(Conversion)), [some]);
        assert_eq!(days_of(sums(), Some(Source::Loyalty)), []);
    }

    #[track_caller]
    fn check(query: &str, expected: Option<(Option<i64>, Option<i64>, Option<Source>)>) {
        let expected = expected.map(|(first, last, source)| Asked { first, last, source });
        assert_eq!(Asked::parse(query).ok(), expected, "{query}");
    }

    #[test]
    fn days_and_source_are_what_the_query_says_or_refused() {
        check("", Some((None, None, None)));
        let query = "from=1970-01-02&to=1971-01-01&source=third_party";
        check(query, Some((Some(1), Some(365), Some(Source::ThirdParty))));
        check("from=1969-12-31", Some((Some(-1), None, None)));
        for bad in ["from=", "from=1", "to=2026-02-30", "to=2026-02-03T00:00Z", "source=x", "x=1"] {
            check(bad, None);
        }
        assert_eq!(date_of(20_777), "2026-11-20");
    }

    proptest! {
        #[test]
        fn no_query_breaks_it(query: String) {
            let _ = Asked::parse(&query);
        }
    }
}
