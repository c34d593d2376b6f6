use super::*;
use crate::{
    booster::{Forest, Leaf, Objective, Split, Tree},
    calibration::Calibrator,
    confidence::{Adaptive, Judged, Level, Moved, Wanted},
    profile::{Fact, Source},
};
use proptest::prelude::*;

fn bought(days: &[(i32, u32)]) -> Purchases {
    Purchases::new(days.iter().map(|&(day, units)| (day, f64::from(units))))
}

/// Gaps of 10 and 14 days: mean 12, spread sqrt((4 + 4) / 1).
#[test]
fn a_profile_is_that_found_by_hand() {
    let profile = Profile::at(&bought(&[(0, 2), (10, 2), (24, 4), (99, 9)]), 30).unwrap();
    assert_eq!((profile.purchases, profile.last_day, profile.since_days), (3, 24, 6));
    assert_eq!((profile.gap_mean_days, profile.gap_median_days), (Some(12.0), Some(12.0)));
    assert!((profile.gap_spread_days.unwrap() - 8f64.sqrt()).abs() < 1e-12);
    assert_eq!((profile.typical_quantity, profile.last_quantity), (2, 4));
    // 4 units lasted 24 days, so the last 4 last 24 days from day 24 on.
    assert_eq!(profile.units_per_day, Some(4.0 / 24.0));
    assert_eq!(profile.used_up_on, Some(48));
    // Day 0 was a Thursday, 10 a Sunday, 24 a Sunday; all in January.
    assert!((profile.weekday_shares[3] - 1.0 / 3.0).abs() < 1e-12);
    assert!((profile.weekday_shares[6] - 2.0 / 3.0).abs() < 1e-12);
    assert!((profile.month_shares[0] - 1.0).abs() < 1e-12);
}

#[test]
fn one_purchase_tells_no_gap_and_none_nothing() {
    let once = Profile::at(&bought(&[(5, 3)]), 6).unwrap();
    assert_eq!((once.gap_mean_days, once.gap_spread_days, once.used_up_on), (None, None, None));
    assert_eq!(Profile::at(&bought(&[(5, 3)]), 4), None);
}

fn check_words(days: &[(i32, u32)], day: i32, english: &str, german: &str) {
    let profile = Profile::at(&bought(days), day).unwrap();
    assert_eq!(profile.explain(Language::English), english);
    assert_eq!(profile.explain(Language::German), german);
}

#[test]
fn profiles_explain_themselves() {
    check_words(
        &[(0, 2), (10, 2), (24, 4)],
        35,
        "you buy this about every 12 days, 2 at a time; last 11 days ago",
        "Sie kaufen das etwa alle 12 Tage, jeweils 2; zuletzt vor 11 Tagen",
    );
    check_words(
        &[(0, 1), (1, 1)],
        2,
        "you buy this about every day, 1 at a time; last yesterday",
        "Sie kaufen das etwa jeden Tag, jeweils 1; zuletzt gestern",
    );
    check_words(
        &[(7, 1)],
        7,
        "you bought 1 of this once, today",
        "Sie haben davon einmal 1 gekauft, heute",
    );
}

#[test]
fn purchases_are_ordered_bounded_and_without_returns() {
    let hostile = [(i32::MAX, 2.0), (i32::MIN, f64::INFINITY), (0, f64::NAN), (1, -2.0), (2, 0.4)];
    let all = Purchases::new(hostile);
    let days: Vec<(i32, u32)> = all.all().iter().map(|p| (p.day, p.quantity)).collect();
    assert_eq!(days, [(-FARTHEST_DAY, MAX_QUANTITY), (2, 1), (FARTHEST_DAY, 2)]);
    let many = Purchases::new((0..5_000).map(|day| (day, 1.0)));
    assert_eq!((many.all().len(), many.all()[0].day), (MAX_PURCHASES, 5_000 - 1_024));
    assert_eq!(many.next_after(4_000).map(|p| p.day), Some(4_001));
}

/// Counts 7 of one unit and 1 of two, each with one more: shares 8/16, 2/16, 1/16 six times.
#[test]
fn amounts_are_those_found_by_hand() {
    let mut counts = [0; LARGEST];
    (counts[0], counts[1]) = (7, 1);
    let prior = Amounts::of_counts(&counts);
    assert_eq!(prior.median(), 1);
    assert!((prior.shares()[1] - 0.125).abs() < 1e-12);
    // Two purchases of 2: (3/2, 3/8 + 2, 3/16 ...) of 5: half is reached at 2.
    let two = prior.updated(bought(&[(0, 2), (9, 2)]).all());
    assert!((two.shares()[0] - 0.3).abs() < 1e-12 && (two.shares()[1] - 0.475).abs() < 1e-12);
    assert_eq!(two.median(), 2);
    // Nine counts as eight and more.
    let nine = prior.updated(&[Purchase { day: 0, quantity: 9 }; 20]);
    assert_eq!(nine.median(), 8);
    assert!(serde_json::from_str::<Amounts>("[0.5,0.6,0,0,0,0,0,0]").is_err());
}

/// Two people and a horizon of ten days, on day 30.
#[test]
fn categories_count_what_is_followed() {
    let mut counts = CategoryCounts::default();
    counts.add(bought(&[(0, 1), (8, 2), (25, 1)]).until(30), 30, 10);
    counts.add(bought(&[(10, 1)]).until(30), 30, 10);
    let own = counts.category(&counts);
    assert_eq!((own.people, own.purchases), (2, 4));
    // Of those on days 0, 8 and 10, ten days have passed: one was followed.
    assert!((own.repeat_share - 1.0 / 3.0).abs() < 1e-12);
    // Within the last 28 days: all but day 0.
    assert!((own.recent_share - 0.75).abs() < 1e-12);
    assert!((own.gap_days - 12.5).abs() < 1e-12);
    // Nobody has bought it: what holds for all.
    let new = CategoryCounts::default().category(&counts);
    assert!((new.gap_days - own.gap_days).abs() < 1e-12 && new.people == 0);
}

fn named(row: &[f32], name: &str) -> f32 {
    let names: Vec<&str> = feature_names().into_iter().chain(ahead_names()).collect();
    row[names.iter().position(|other| *other == name).unwrap()]
}

#[test]
fn features_are_those_found_by_hand() {
    let milk = bought(&[(0, 2), (10, 1), (24, 3)]);
    let visits = bought(&[(0, 2), (3, 1), (10, 1), (24, 4), (27, 2)]);
    let mut counts = CategoryCounts::default();
    counts.add(milk.until(28), 28, 14);
    let category = counts.category(&counts);
    let person = Person::at(visits.until(28), 4, &[1.0 / 7.0; 7], 28);
    let mut row = Vec::new();
    features(milk.until(28), &person, &category, 28, &mut row);
    assert_eq!(row.len(), FEATURES);
    ahead(milk.until(28), &person, &category, 28, 3, &mut row);
    assert_eq!(row.len(), FEATURES + AHEAD);
    for (name, expected) in [
        ("purchases", 3.0),
        ("since", 4.0),
        ("gap_last", 14.0),
        ("gap_mean", 12.0),
        ("gap_min", 10.0),
        ("gap_max", 14.0),
        ("since_by_gap_mean", 4.0 / 12.0),
        // Two gaps of its own and the category's, 12 as well.
        ("since_by_gap_drawn", 4.0 / 12.0),
        ("count_7", 1.0),
        ("count_30", 3.0),
        ("share_of_visits", 0.6),
        ("share_since_first", 0.6),
        ("visits_since", 1.0),
        ("in_latest_visits", 3.0),
        ("quantity_last", 3.0),
        ("quantity_mean", 2.0),
        ("visits", 5.0),
        ("visit_since", 1.0),
        ("visits_14", 2.0),
        ("basket_mean", 2.0),
        ("basket_last", 2.0),
        // 4 categories in 10 purchases: 6 were repeats.
        ("person_repeat_share", 0.6),
        ("visit_rate", 5.0 / 29.0),
        ("visits_ahead", 0.6 * 5.0 / 29.0),
        ("days_ahead", 3.0),
        ("due_by_gap_mean", 7.0 / 12.0),
        ("visit_gap_ahead", 4.0),
        ("weekday_ahead", 6.0),
    ] {
        assert!((named(&row, name) - expected).abs() < 1e-6, "{name}: {}", named(&row, name));
    }
}

#[test]
fn what_comes_later_changes_no_row() {
    let row = |milk: &Purchases, visits: &Purchases| {
        let category = CategoryCounts::default().category(&CategoryCounts::default());
        let person = Person::at(visits.until(20), 1, &[1.0 / 7.0; 7], 20);
        let mut row = Vec::new();
        features(milk.until(20), &person, &category, 20, &mut row);
        row.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let known = bought(&[(1, 1), (9, 1)]);
    let planted = bought(&[(1, 1), (9, 1), (21, 50), (22, 50)]);
    assert_eq!(row(&known, &known), row(&planted, &planted));
}

/// Hazards of a half each: cumulative ln 2, 2 ln 2; P(2) = 0.9 asks for a = ln 10 / (2 ln 2), so
/// P(1) = 1 - sqrt(0.1).
#[test]
fn probabilities_are_those_found_by_hand() {
    let when = When::new(0.9, &[0.5, 0.5]).unwrap();
    assert_eq!(when.within(0), 0.0);
    assert!((when.within(1) - (1.0 - 0.1f64.sqrt())).abs() < 1e-12);
    assert!((when.within(2) - 0.9).abs() < 1e-12);
    // Beyond, the two days repeat.
    assert!((when.within(3) - (1.0 - 0.1f64.powf(1.5))).abs() < 1e-12);
    assert_eq!((when.median_days(), when.window_days()), (Some(1), (Some(1), Some(2))));
    assert_eq!(When::new(0.5, &[]), Err(ReorderError::Horizon(0)));
}

/// Hazards only on the last day of the week: later ones are a week later.
#[test]
fn beyond_the_horizon_the_last_week_repeats() {
    let mut hazards = [0.0; 14];
    (hazards[6], hazards[13]) = (0.2, 0.2);
    let when = When::new(1.0 - 0.8f64.powi(2), &hazards).unwrap();
    for (days, weeks) in [(6, 0), (7, 1), (13, 1), (14, 2), (20, 2), (21, 3), (700, 100)] {
        let expected = 1.0 - 0.8f64.powi(weeks);
        assert!((when.within(days) - expected).abs() < 1e-9, "{days}");
    }
    assert_eq!(when.median_within(14), 7);
    assert_eq!(When::new(0.0, &hazards).unwrap().median_days(), None);
}

/// A forest that says `low` up to a threshold of a feature, and `high` above.
fn stump(features: usize, feature: u32, threshold: f32, low: f64, high: f64) -> Forest {
    let split = Split { feature, threshold, missing_left: true, left: -1, right: -2 };
    let leaves = vec![Leaf { value: low, count: 1 }, Leaf { value: high, count: 1 }];
    let tree = Tree { splits: vec![split], leaves };
    Forest::new(Objective::Binary, features, vec![0.0], vec![tree]).unwrap()
}

/// Log-odds 3 - 2 ln(1 + purchases) + ln(1 + purchases) ln(1 + since).
fn regression() -> LogLinear {
    let scale = Scale::new(vec![0.0; FEATURES], vec![1.0; FEATURES], vec![0, 1]).unwrap();
    let mut weights = vec![0.0; scale.width()];
    (weights[0], weights[FEATURES], weights[FEATURES + 1]) = (-2.0, 1.0, 3.0);
    LogLinear::new(scale, weights).unwrap()
}

fn model(regression_share: f64) -> ReorderModel {
    let overall = CategoryCounts::default().category(&CategoryCounts::default());
    let categories = Categories { overall, named: [].into() };
    // Likely whoever bought more than twice; on the days after the third.
    let classifier = stump(FEATURES, 0, 2.0, -2.0, 1.0);
    let hazard = stump(FEATURES + AHEAD, FEATURES as u32, 3.0, -6.0, -1.0);
    let parts = Parts { classifier, regression: regression(), hazard };
    ReorderModel::new(7, parts, regression_share, Calibrator::IDENTITY, categories).unwrap()
}

fn asked(model: &ReorderModel, purchases: &Purchases, day: i32) -> (When, Amounts) {
    let own = purchases.until(day);
    let category = model.categories().get("never seen");
    let person = Person::at(own, 1, &category.weekday_shares, day);
    let subject = Subject { bought: own, person: &person, category, day };
    (model.when(&subject), model.amount(&subject))
}

#[test]
fn the_classifier_says_how_likely_and_the_hazards_when() {
    let sure = |log_odds: f64| 1.0 / (1.0 + (-log_odds).exp());
    let often = bought(&[(0, 1), (5, 1), (10, 1)]);
    let (when, _) = asked(&model(0.0), &often, 12);
    assert!((when.within(7) - sure(1.0)).abs() < 1e-9);
    assert!(when.within(3) < 0.02 && when.within(5) > 0.3);
    // Somebody new: nothing is known, and everybody's values answer.
    let (when, amount) = asked(&model(0.0), &Purchases::default(), 12);
    assert!((when.within(7) - sure(-2.0)).abs() < 1e-9);
    assert_eq!(amount.median(), 4);
}

#[test]
fn the_regression_is_that_found_by_hand() {
    let mut row = vec![f32::NAN; FEATURES];
    (row[0], row[1]) = (3.0, -1.0);
    // 3 - 2 ln 4 + ln 4 (-ln 2).
    let (four, two) = (4f64.ln(), 2f64.ln());
    assert!((regression().score(&row) - (3.0 - 2.0 * four - four * two)).abs() < 1e-5);
    // Nothing known: the bias. Far out: no farther than five deviations, ln 2 for the other.
    assert!((regression().score(&[]) - 3.0).abs() < 1e-6);
    (row[0], row[1]) = (f32::INFINITY, 1.0);
    assert!((regression().score(&row) - (3.0 - 10.0 + 5.0 * two)).abs() < 1e-5);
    let often = bought(&[(0, 1), (5, 1), (10, 1)]);
    let expected = 3.0 - 2.0 * four + four * 3f64.ln();
    let (when, _) = asked(&model(1.0), &often, 12);
    assert!((when.within(7) - 1.0 / (1.0 + (-expected).exp())).abs() < 1e-6);
}

/// What is asked of everybody is what is said of the horizon.
#[test]
fn the_probability_needs_no_days() {
    let model = model(0.5);
    let often = bought(&[(0, 1), (5, 1), (10, 1)]);
    let own = often.until(12);
    let person = Person::at(own, 1, &model.categories().overall.weekday_shares, 12);
    let category = &model.categories().overall;
    let subject = Subject { bought: own, person: &person, category, day: 12 };
    assert!((model.probability(&subject) - model.when(&subject).within(7)).abs() < 1e-9);
}

#[test]
fn scales_and_weights_must_fit() {
    let scale = |centre: f64, spread: f64, crossed: &[usize]| {
        Scale::new(vec![centre; 3], vec![spread; 3], crossed.to_vec())
    };
    let good = scale(0.0, 1.0, &[0, 2]).unwrap();
    // Three, one product, the bias.
    assert_eq!((good.features(), good.width()), (3, 5));
    let mut terms = Vec::new();
    good.terms(&[2.0, 3.0, 4.0], &mut terms);
    assert_eq!(terms, [2.0, 3.0, 4.0, 8.0, 1.0]);
    for bad in [
        scale(f64::NAN, 1.0, &[]),
        scale(0.0, 0.0, &[]),
        scale(0.0, 1.0, &[2, 0]),
        scale(0.0, 1.0, &[3]),
    ] {
        assert!(bad.is_err());
    }
    assert!(Scale::new(vec![], vec![], vec![]).is_err());
    assert!(LogLinear::new(good.clone(), vec![0.0; 4]).is_err());
    assert!(LogLinear::new(good, vec![f32::NAN; 5]).is_err());
}

#[test]
fn models_are_stored_and_damage_is_refused() {
    let model = model(0.5);
    let text = serde_json::to_string(&model).unwrap();
    assert_eq!(serde_json::from_str::<ReorderModel>(&text).unwrap(), model);
    for (from, to) in [
        (r#""regression_share":0.5"#, r#""regression_share":1.5"#),
        (r#""horizon_days":7"#, r#""horizon_days":0"#),
        (r#""features":47"#, r#""features":46"#),
        (r#""crossed":[0,1]"#, r#""crossed":[0,2,1]"#),
        (r#""centre":[0.0,"#, r#""centre":["#),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(serde_json::from_str::<ReorderModel>(&text.replace(from, to)).is_err(), "{from}");
    }
}

proptest! {
    #[test]
    fn probabilities_never_fall_as_the_horizon_grows(
        probability in any::<f64>(),
        hazards in prop::collection::vec(prop_oneof![any::<f64>(), 0.0..1.0], 1..40),
        share in any::<f64>(),
    ) {
        let when = When::new(probability, &hazards).unwrap();
        let mut before = 0.0;
        for days in 0..=MAX_DAYS + 1 {
            let p = when.within(days);
            prop_assert!((0.0..=1.0).contains(&p) && p >= before, "{days}: {before} then {p}");
            before = p;
        }
        if (0.0..0.999).contains(&probability) {
            let there = when.within(when.horizon_days());
            prop_assert!((there - probability).abs() < 1e-9);
        }
        if let Some(day) = when.quantile(share) {
            prop_assert!(when.within(day) >= share);
            prop_assert!(day == 0 || when.within(day - 1) < share);
        }
        let middle = when.median_within(14);
        prop_assert!((1..=14).contains(&middle));
    }

    #[test]
    fn any_purchases_are_survived(
        units in prop::collection::vec((any::<i32>(), any::<f64>()), 0..30),
        near in prop::collection::vec((-40..40, 0.0..9.0), 0..30),
        day in prop_oneof![any::<i32>(), -50..50],
        owned in any::<usize>(),
        horizon in any::<i32>(),
    ) {
        for units in [units, near] {
            let all = Purchases::new(units);
            prop_assert!(all.all().windows(2).all(|pair| pair[0].day < pair[1].day));
            let mut counts = CategoryCounts::default();
            counts.add(all.until(day), day, horizon);
            let category = counts.category(&CategoryCounts::default());
            let person = Person::at(all.until(day), owned, &category.weekday_shares, day);
            let mut row = Vec::new();
            features(all.until(day), &person, &category, day, &mut row);
            ahead(all.until(day), &person, &category, day, horizon, &mut row);
            prop_assert_eq!(row.len(), FEATURES + AHEAD);
            prop_assert!(row.iter().all(|value| !value.is_infinite()));
            if let Some(profile) = Profile::at(&all, day) {
                prop_assert!(!profile.explain(Language::English).is_empty());
                prop_assert!(!profile.explain(Language::German).is_empty());
                prop_assert!(profile.used_up_on.is_none_or(|end| end > profile.last_day));
            }
            let (when, amount) = asked(&model(0.5), &all, day);
            prop_assert!((0.0..=1.0).contains(&when.within(7)));
            prop_assert!((1..=LARGEST as u32).contains(&amount.median()));
        }
    }
}

fn judged(probability: f64, came: bool) -> Judged {
    Judged { probability, came }
}

/// A completed cut on which a twentieth of the sure ones was wrong.
fn cut() -> Vec<Judged> {
    (0..2_000).map(|n| judged(if n % 2 == 0 { 0.95 } else { 0.2 }, n % 40 != 0)).collect()
}

#[test]
fn a_bundle_comes_back_and_keeps_its_record() {
    let cut = cut();
    let moved = Moved::between(&cut, &cut);
    let bundle = Bundle::new(model(0.5), 106, moved, &cut).unwrap();
    let bytes = bundle.to_json().unwrap();
    assert_eq!(Bundle::from_json(&bytes).unwrap(), bundle);
    assert_eq!(bundle.id().len(), 16);
    assert_eq!(bundle.calibrated_on(), 106);
    let wanted = Wanted::default();
    let level = bundle.level(&Adaptive::new(&wanted), &wanted);
    let direct = Level::decide(&cut, &moved, &Adaptive::new(&wanted), &wanted);
    assert_eq!(level, direct, "as if all rows had been kept");
    let other = Bundle::new(model(0.4), 106, moved, &cut).unwrap();
    assert_ne!(other.id(), bundle.id());
}

#[test]
fn a_damaged_bundle_is_refused() {
    let cut = cut();
    let bundle = Bundle::new(model(0.5), 1, Moved::between(&cut, &cut), &cut).unwrap();
    let text = String::from_utf8(bundle.to_json().unwrap()).unwrap();
    for (from, to) in [
        ("\"format\":1", "\"format\":2"),
        ("[0.95,true]", "[0.35,true]"),
        ("[0.95,true]", "[1.5,true]"),
        ("\"others\":1000", "\"others\":9999999999999"),
        ("\"horizon_days\":7", "\"horizon_days\":0"),
        ("\"psi\":0.0", "\"psi\":null"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(Bundle::from_json(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
    let nothing = Moved::between(&[], &[]);
    assert!(matches!(Bundle::new(model(0.5), 1, nothing, &[]), Err(BundleError::Record)));
}

proptest! {
    #[test]
    fn any_bytes_are_a_bundle_or_are_not(bytes: Vec<u8>, at in 0..400_usize, byte: u8) {
        prop_assert!(Bundle::from_json(&bytes).is_err());
        let cut = cut();
        let bundle = Bundle::new(model(0.5), 1, Moved::between(&cut, &cut), &cut).unwrap();
        let mut damaged = bundle.to_json().unwrap();
        damaged[at] = byte;
        if let Ok(read) = Bundle::from_json(&damaged) {
            let wanted = Wanted::default();
            let level = read.level(&Adaptive::new(&wanted), &wanted);
            prop_assert!(level.threshold.is_none_or(|threshold| (0.0..=1.0).contains(&threshold)));
        }
    }
}

#[test]
fn needs_are_told_of_what_was_bought_more_than_once() {
    let fact = |day: i64, category: &str| Fact {
        source: Source::Conversion,
        name: "store_purchase".into(),
        at_unix_ms: day * 86_400_000,
        known_unix_ms: 0,
        count: 1,
        value: None,
        number: Some(2.0),
        item: Some("i".into()),
        category: Some(category.into()),
    };
    let mut consumption = Consumption::default();
    for day in [0, 5, 10] {
        consumption.apply(&fact(day, "milk"), 0);
    }
    consumption.apply(&fact(4, "wine"), 0);
    let model = model(0.0);
    let all = needs(&model, &consumption, 12, 2, 0.0);
    assert_eq!(all.len(), 1);
    let milk = &all[0];
    assert_eq!((milk.category, milk.quantity), ("milk", 2));
    let within = milk.when.as_ref().map(|when| when.within(7));
    assert_eq!(within.is_some(), milk.probability >= 0.5);
    assert!(within.is_none_or(|within| (within - milk.probability).abs() < 1e-12));
    assert_eq!(milk.probability, {
        // The visits of the person are those of all categories.
        let own = consumption.categories().map(|(_, own)| own.purchases().all());
        let visits = visits(own, 12);
        let weekdays = model.categories().overall.weekday_shares;
        let person = Person::at(&visits, 2, &weekdays, 12);
        let category = model.categories().get("milk");
        let bought = milk.own.purchases().all();
        model.probability(&Subject { bought, person: &person, category, day: 12 })
    });
    assert!(needs(&model, &consumption, 12, 2, 0.99).is_empty());
    assert_eq!(needs(&model, &consumption, 12, 1, 0.0).len(), 2);
    assert!(needs(&model, &Consumption::default(), 12, 1, 0.0).is_empty());
}

#[test]
fn what_orders_brought_is_no_need_until_it_is_used_up() {
    let fact = |day: i64, name: &str| Fact {
        source: Source::Conversion,
        name: name.into(),
        at_unix_ms: day * 86_400_000,
        known_unix_ms: 0,
        count: 1,
        value: None,
        number: Some(1.0),
        item: Some("i".into()),
        category: Some("milk".into()),
    };
    let mut consumption = Consumption::default();
    for day in [0, 5, 10] {
        consumption.apply(&fact(day, "store_purchase"), 0);
    }
    assert_eq!(consumption.served_from(), None);
    let model = model(0.0);
    let then = |consumption: &Consumption, day: i32| {
        needs(&model, consumption, day, 2, 0.0).first().map(|need| {
            let within = |days| need.when.as_ref().map(|when| when.within(days));
            (need.probability, within(1), within(730))
        })
    };
    let (before, ..) = then(&consumption, 12).unwrap();
    // Enough for ten days more: of the next week the last two days are left.
    consumption.apply(&fact(12, ORDER), 0);
    assert_eq!(consumption.served_from(), Some(12));
    let (after, tomorrow, some_day) = then(&consumption, 12).unwrap();
    assert!(after < before, "{after} {before}");
    assert!(tomorrow == Some(0.0) && some_day > Some(0.9), "{tomorrow:?} {some_day:?}");
    // Enough for longer than the model tells of: nothing is said.
    consumption.apply(&fact(13, ORDER), 0);
    assert_eq!(then(&consumption, 13), None);
}
