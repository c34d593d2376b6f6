//! Against a reference that remembers every fact and computes from scratch.

use super::*;
use crate::customer_base::RepeatHistory;
use proptest::prelude::*;
use protocol::offer::{Currency, Money};
use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 86_400_000;

/// Every aggregation, windows short and long, two zones' worth of midnight.
fn definitions() -> Definitions {
    let mut text = "utc_offset_minutes = 480\ncurrency = \"EUR\"\n".to_owned();
    let mut add = |name: &str, rest: &str| {
        text += &format!(
            "[[feature]]\nname = \"{name}\"\npurpose = \"test\"\nsays = \"{{n}}\"\n{rest}\n"
        );
    };
    for (window, line) in [("all", ""), ("9", "window_days = 9\n"), ("1", "window_days = 1\n")] {
        for aggregation in [
            "count",
            "sum",
            "mean",
            "quantity",
            "days",
            "days_since_last",
            "days_since_first",
            "gap_mean",
            "gap_sd",
            "due_ratio",
            "decayed",
            "weekday_share",
        ] {
            let parameter = match aggregation {
                "decayed" => "half_life_days = 4.0\n",
                "weekday_share" => "ahead_days = 2\n",
                _ => "",
            };
            let head = format!("aggregation = \"{aggregation}\"\n{line}{parameter}");
            add(&format!("{aggregation}_{window}"), &format!("{head}source = \"conversion\""));
            add(
                &format!("{aggregation}_a_{window}"),
                &format!("{head}source = \"behaviour\"\nnames = [\"b\", \"a\"]"),
            );
        }
    }
    add("items_9", "source = \"conversion\"\naggregation = \"items\"\nwindow_days = 9");
    add("categories_3", "source = \"conversion\"\naggregation = \"categories\"\nwindow_days = 3");
    add("latest", "source = \"demographics\"\naggregation = \"latest\"\nnames = [\"a\"]");
    add("fresh", "source = \"demographics\"\naggregation = \"latest\"\nfresh_days = 5");
    add("fresh_count", "source = \"behaviour\"\naggregation = \"count\"\nfresh_days = 3");
    add("weekday", "aggregation = \"weekday\"");
    Definitions::parse(&text).unwrap()
}

/// The features as the words of [`Aggregation`] say, from all facts.
fn reference(definitions: &Definitions, facts: &[Fact], at: i64) -> Vec<f32> {
    let day_of = |unix_ms: i64| (unix_ms + 480 * 60_000).div_euclid(DAY);
    let counted = |f: &Fact| if f.name == PART { 0 } else { i64::from(f.count) };
    let today = day_of(at);
    let known: Vec<&Fact> =
        facts.iter().filter(|f| f.at_unix_ms <= at && f.known_unix_ms <= at).collect();
    let value = |feature: &Feature| -> Option<f64> {
        let all: Vec<&Fact> = known
            .iter()
            .filter(|f| Some(f.source) == feature.source)
            .filter(|f| feature.names.is_empty() || feature.names.contains(&f.name))
            .copied()
            .collect();
        let window = feature.window_days.map_or(i64::MAX / 2, i64::from);
        let within: Vec<&Fact> =
            all.iter().filter(|f| day_of(f.at_unix_ms) > today - window).copied().collect();
        let net_days = |facts: &[&Fact]| {
            let mut days = BTreeMap::<i64, i64>::new();
            for f in facts {
                *days.entry(day_of(f.at_unix_ms)).or_default() += counted(f);
            }
            days.into_iter().filter(|(_, n)| *n > 0).map(|(day, _)| day).collect::<Vec<_>>()
        };
        let days = net_days(&within);
        if let Some(fresh) = feature.fresh_days {
            let latest = feature.aggregation == Aggregation::Latest;
            let counts = |f: &&&Fact| !latest || f.number.is_some();
            let newest =
                *net_days(&all.iter().filter(counts).copied().collect::<Vec<_>>()).last()?;
            if today - newest > i64::from(fresh) {
                return None;
            }
        }
        let count: i64 = within.iter().map(|f| counted(f)).sum();
        let euros = |f: &&&Fact| f.value.is_some_and(|v| v.currency == Currency::EUR);
        let sum: i64 = within.iter().filter(euros).filter_map(|f| f.value).map(|v| v.minor).sum();
        let valued: i64 = within.iter().filter(euros).map(|f| counted(f)).sum();
        let gaps: Vec<f64> = days.windows(2).map(|d| (d[1] - d[0]) as f64).collect();
        let gap_mean = || (!gaps.is_empty()).then(|| gaps.iter().sum::<f64>() / gaps.len() as f64);
        let since_last = || Some((today - days.last()?) as f64);
        let distinct = |of: fn(&Fact) -> Option<&String>| {
            let mut kept = BTreeMap::<(i64, &String), i64>::new();
            for f in &within {
                if let Some(name) = of(f) {
                    *kept.entry((day_of(f.at_unix_ms), name)).or_default() += i64::from(f.count);
                }
            }
            let held = kept.into_iter().filter(|(_, n)| *n > 0).map(|((_, name), _)| name);
            Some(held.collect::<BTreeSet<_>>().len() as f64)
        };
        match feature.aggregation {
            Aggregation::Count => Some(count as f64),
            Aggregation::Sum => Some(sum as f64),
            Aggregation::Mean => (valued > 0).then(|| sum as f64 / valued as f64),
            Aggregation::Quantity => Some(within.iter().filter_map(|f| f.number).sum()),
            Aggregation::Days => Some(days.len() as f64),
            Aggregation::DaysSinceLast => since_last(),
            Aggregation::DaysSinceFirst => Some((today - days.first()?) as f64),
            Aggregation::GapMean => gap_mean(),
            Aggregation::GapSd => {
                let (mean, n) = (gap_mean()?, gaps.len() as f64);
                let squares: f64 = gaps.iter().map(|gap| (gap - mean).powi(2)).sum();
                (n > 1.0).then(|| (squares / (n - 1.0)).sqrt())
            }
            Aggregation::DueRatio => Some(since_last()? / gap_mean()?),
            Aggregation::Decayed => {
                let weight = |f: &&Fact| {
                    let age = (today - day_of(f.at_unix_ms)) as f64;
                    counted(f) as f64 * 0.5f64.powf(age / feature.half_life_days.unwrap())
                };
                Some(within.iter().map(weight).sum())
            }
            Aggregation::WeekdayShare => {
                let ahead = (1..=i64::from(feature.ahead_days.unwrap()))
                    .map(|d| (today + d).rem_euclid(7))
                    .collect::<Vec<_>>();
                let on = days.iter().filter(|d| ahead.contains(&d.rem_euclid(7))).count();
                (!days.is_empty()).then(|| on as f64 / days.len() as f64)
            }
            Aggregation::Items => distinct(|f| f.item.as_ref()),
            Aggregation::Categories => distinct(|f| f.category.as_ref()),
            Aggregation::Latest => {
                let mut held = BTreeMap::<i64, (i64, f64)>::new();
                for f in all.iter().filter(|f| f.number.is_some()) {
                    let (n, sum) = held.entry(f.at_unix_ms).or_default();
                    *n += i64::from(f.count);
                    *sum += f.number.unwrap_or(0.0);
                }
                let newest = held.values().rev().find(|(n, _)| *n > 0)?;
                Some(newest.1 / newest.0 as f64)
            }
            Aggregation::Weekday => Some((today + 3).rem_euclid(7) as f64),
            _ => None,
        }
    };
    definitions.features().iter().map(|f| value(f).map_or(f32::NAN, |v| v as f32)).collect()
}

/// Facts in the order in which they became known: late ones, some of the future, some that take
/// others back or change them.
fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let new = (0..3usize, 0..3u8, -20 * DAY..3 * DAY, 0..500i64, 0..4u8, 0..3u8, any::<bool>());
    let step = (
        0..2 * DAY,
        proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<bool>())),
        new,
    );
    prop::collection::vec(step, 1..40).prop_map(|steps| {
        let mut known_unix_ms = 100 * DAY;
        let mut facts: Vec<Fact> = vec![];
        let mut open: Vec<usize> = vec![];
        for (later, back, (source, name, at, value, item, category, euros)) in steps {
            known_unix_ms += later;
            if let (Some((which, whole)), false) = (back, open.is_empty()) {
                let position = which.index(open.len());
                let original = facts[open[position]].clone();
                let negative = |v: Money| Money { minor: -v.minor, ..v };
                let change = if whole {
                    open.remove(position);
                    Fact {
                        count: -1,
                        value: original.value.map(negative),
                        number: original.number.map(|n| -n),
                        known_unix_ms,
                        ..original
                    }
                } else {
                    let value = original.value.map(|v| Money { minor: 7, ..v });
                    Fact { count: 0, value, number: None, known_unix_ms, ..original }
                };
                // What was adjusted is not retracted afterwards by its old value.
                if !whole {
                    open.remove(position);
                }
                facts.push(change);
                continue;
            }
            let currency = if euros { Currency::EUR } else { "USD".to_owned().try_into().unwrap() };
            let source = [Source::Conversion, Source::Behaviour, Source::Demographics][source];
            let third = if source == Source::Conversion { PART } else { "c" };
            open.push(facts.len());
            facts.push(Fact {
                source,
                name: ["a", "b", third][usize::from(name)].to_owned(),
                at_unix_ms: known_unix_ms + at,
                known_unix_ms,
                count: 1,
                value: (value % 3 != 0).then_some(Money { minor: value, currency }),
                number: (item > 0).then_some(f64::from(item) / 2.0),
                item: (item > 0).then(|| format!("item {item}")),
                category: (category > 0).then(|| format!("category {category}")),
            });
        }
        facts
    })
}

fn replayed(definitions: &Definitions, facts: &[Fact], up_to: i64) -> Profile {
    let mut profile = Profile::new(definitions);
    for fact in facts.iter().take_while(|fact| fact.known_unix_ms <= up_to) {
        profile.apply(definitions, fact);
    }
    profile
}

fn features(definitions: &Definitions, profile: &Profile, at: i64) -> Vec<f32> {
    let mut out = vec![];
    profile.features(definitions, at, &mut out);
    out
}

fn assert_same(definitions: &Definitions, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for ((feature, found), expected) in definitions.features().iter().zip(found).zip(expected) {
        let near = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
        let same = near || (found.is_nan() && expected.is_nan());
        assert!(same, "{}: {found}, by the reference {expected}", feature.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_kept_up_to_date_equals_what_is_computed_from_scratch(
        facts in facts(), cut in 99 * DAY..130 * DAY,
    ) {
        let definitions = definitions();
        let profile = replayed(&definitions, &facts, cut);
        let json = serde_json::to_string(&profile).unwrap();
        let read: Profile = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &profile);
        let found = features(&definitions, &read, cut);
        assert_same(&definitions, &found, &reference(&definitions, &facts, cut));
        // The same facts, but for those known later: nothing of them shows.
        let known: Vec<Fact> =
            facts.iter().filter(|f| f.known_unix_ms <= cut).cloned().collect();
        let alone = features(&definitions, &replayed(&definitions, &known, cut), cut);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&found), bits(&alone));
    }

    #[test]
    fn the_history_is_that_of_the_purchases_that_hold(facts in facts()) {
        let definitions = definitions();
        let cut = 140 * DAY + 16 * DAY / 24;
        let profile = replayed(&definitions, &facts, cut);
        let mut days = BTreeMap::<i64, i64>::new();
        for fact in facts.iter().filter(|f| f.source == Source::Conversion && f.name != PART && f.at_unix_ms.max(f.known_unix_ms) <= cut) {
            let local = fact.at_unix_ms + 480 * 60_000;
            *days.entry(local - local.rem_euclid(DAY)).or_default() += i64::from(fact.count);
        }
        let bought: Vec<i64> = days.into_iter().filter(|(_, n)| *n > 0).map(|(day, _)| day).collect();
        let expected = RepeatHistory::at(cut + 480 * 60_000, &bought);
        prop_assert_eq!(profile.history(&definitions, cut), expected);
    }

    #[test]
    fn whatever_comes_the_state_stays_small_and_nothing_panics(
        facts in prop::collection::vec(
            (0..6usize, "[a-c]|place", any::<i64>(), any::<i64>(), any::<i32>(), any::<i64>(),
             any::<f64>(), "\\PC{0,80}"), 0..200),
        at in any::<i64>(),
    ) {
        let definitions = definitions();
        let mut profile = Profile::default();
        for (source, name, at_unix_ms, known_unix_ms, count, minor, number, item) in facts {
            let value = Some(Money { minor, currency: Currency::EUR });
            let (source, item) = (Source::ALL[source], Some(item));
            let category = item.clone();
            let number = Some(number);
            profile.apply(&definitions, &Fact {
                source, name, at_unix_ms, known_unix_ms, count, value, number, item, category,
            });
        }
        prop_assert_eq!(features(&definitions, &profile, at).len(), definitions.features().len());
        let _ = (profile.history(&definitions, at), profile.place(at));
        let read: Profile = serde_json::from_slice(&serde_json::to_vec(&profile).unwrap()).unwrap();
        prop_assert_eq!(read, profile);
    }

    #[test]
    fn no_json_panics(
        fits in any::<u64>(), days in prop::collection::vec(any::<i64>(), 0..15),
        items in prop::collection::vec(any::<i64>(), 0..9), before in any::<[i64; 7]>(),
        waiting in prop::collection::vec(any::<[i64; 10]>(), 0..3), at in any::<i64>(),
    ) {
        let definitions = definitions();
        let flat = |width: usize, numbers: &[i64]| {
            let whole = &numbers[..numbers.len() / width * width];
            [&[width as i64], whole].concat()
        };
        let (items, days) = (flat(3, &items), flat(5, &days));
        let waiting = flat(10, &waiting.concat());
        let before = flat(7, &before);
        let track = serde_json::json!({"d": days, "b": before, "i": items, "c": items, "l": items});
        let fits = if fits % 2 == 0 { fits } else { serde_json::from_value(
            serde_json::to_value(Profile::new(&definitions)).unwrap()["f"].clone()).unwrap() };
        let tracks = vec![track; definitions.tracks().len()];
        let json = serde_json::json!({"f": fits, "t": tracks, "w": waiting}).to_string();
        let profile: Profile = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(features(&definitions, &profile, at).len(), definitions.features().len());
        let _ = (profile.history(&definitions, at), profile.place(at));
    }
}

fn conversion(at_unix_ms: i64, known_unix_ms: i64) -> Fact {
    Fact {
        source: Source::Conversion,
        name: "store_purchase".to_owned(),
        at_unix_ms,
        known_unix_ms,
        count: 1,
        value: Some(Money { minor: 1_990, currency: Currency::EUR }),
        number: Some(2.0),
        item: Some(format!("item {}", at_unix_ms / DAY % 300)),
        category: Some(format!("category {}", at_unix_ms / DAY % 20)),
    }
}

#[test]
fn a_thousand_days_stay_within_bounds_and_totals_hold() {
    let definitions = definitions();
    let mut profile = Profile::new(&definitions);
    for day in 0..1_000 {
        for n in 0..3 {
            profile.apply(&definitions, &conversion(day * DAY + n, day * DAY + n));
        }
    }
    // Late, and before everything that is kept apart.
    profile.apply(&definitions, &conversion(-5 * DAY, 999 * DAY + 5));
    let json = serde_json::to_vec(&profile).unwrap();
    assert!(json.len() < 40_000, "{}", json.len());
    let found = features(&definitions, &profile, 999 * DAY + 9);
    let of = |name: &str| found[definitions.column(name).unwrap()];
    assert_eq!(of("count_all"), 3_001.0);
    assert_eq!(of("sum_all"), 3_001.0 * 1_990.0);
    assert_eq!(of("days_all"), 1_000.0);
    assert_eq!(of("days_since_first_all"), 1_004.0);
    assert_eq!((of("count_9"), of("days_9"), of("items_9")), (27.0, 9.0, 9.0));
    let history = profile.history(&definitions, 999 * DAY + 9).unwrap();
    assert_eq!((history.repeats, history.recency_weeks), (999, 1_004.0 / 7.0));
}

#[test]
fn a_place_is_known_from_its_fact_until_the_next_or_its_retraction() {
    let definitions = definitions();
    let mut profile = Profile::new(&definitions);
    let moved = |at: i64, known: i64, code: &str, count: i32| Fact {
        source: Source::Demographics,
        name: PLACE.to_owned(),
        item: Some(code.to_owned()),
        count,
        ..conversion(at * DAY, known * DAY)
    };
    for fact in [moved(1, 1, "115", 1), moved(5, 6, "221", 1), moved(4, 7, "100", 1)] {
        profile.apply(&definitions, &fact);
    }
    let place = |profile: &Profile, day: i64| profile.place(day * DAY).map(str::to_owned);
    assert_eq!(place(&profile, 0), None);
    assert_eq!(place(&profile, 8).as_deref(), Some("221"));
    profile.apply(&definitions, &moved(5, 8, "221", -1));
    assert_eq!(place(&profile, 8).as_deref(), Some("100"));
}

#[test]
fn a_profile_of_other_definitions_does_not_fit() {
    let (ours, others) = (definitions(), Definitions::standard().unwrap());
    let mut profile = Profile::new(&ours);
    profile.apply(&ours, &conversion(DAY, DAY));
    assert!(profile.fits(&ours) && !profile.fits(&others));
    let found = features(&others, &profile, 2 * DAY);
    assert_eq!(found[others.column("conversions_ever").unwrap()], 0.0);
    assert_eq!(found.len(), others.features().len());
}
