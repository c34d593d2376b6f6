use super::*;
use crate::{
    booster::{Forest, Leaf, Objective, Split, Tree},
    calibration::{Calibrator, Line},
    customer_base::{CustomerBase, Kind, RepeatHistory},
    value::Spread,
};
use proptest::prelude::*;
use protocol::{digest::Digest, offer::Currency};
use std::collections::BTreeMap;

fn feature(name: &str, phrase: &str) -> Feature {
    let missing = format!("{name} is not known");
    Feature { name: name.to_owned(), phrase: phrase.to_owned(), missing }
}

/// Who bought more than twice in 30 days comes back, who was away for long does not.
fn parts() -> Parts {
    let tree = |feature, threshold, low, high| Tree {
        splits: vec![Split { feature, threshold, missing_left: true, left: -1, right: -2 }],
        leaves: vec![Leaf { value: low, count: 50 }, Leaf { value: high, count: 50 }],
    };
    let trees = vec![tree(0, 2.0, -1.0, 1.0), tree(1, 20.0, 0.5, -0.5)];
    let forest = Forest::new(Objective::Binary, 2, vec![-2.0], trees).unwrap();
    Parts {
        format: Predictor::FORMAT,
        features: vec![
            feature("buys_30d", "bought {times} in the last 30 days"),
            feature("days_since", "last bought {days} ago"),
        ],
        definitions: Digest::of(b"definitions"),
        horizon_days: 7,
        kinds: vec!["store_purchase".to_owned(), "service_request".to_owned()],
        currency: Currency::EUR,
        forest,
        calibration: Calibrator::Platt(Line::new(0.8, 0.1).unwrap()),
        kind: KindModel::Shares(vec![0.25, 0.75]),
        value: Some(ValueModel {
            positive: 1.0,
            ln_amount: LnAmount::Kinds(vec![8.0, 9.0]),
            spread: Spread::Lognormal { sigma: 0.5 },
        }),
        cold_start: ColdStart {
            base: Some(CustomerBase::new(Kind::MbgNbd, [0.5, 6.0, 0.9, 1.6]).unwrap()),
            calibration: Calibrator::IDENTITY,
            until_weeks: 2.0,
            newcomers: Some(0.01),
        },
        lineage: Lineage {
            from_unix_ms: 0,
            until_unix_ms: 1,
            fitted_rows: 2,
            calibrated_rows: 3,
            judged_rows: 4,
            seed: 5,
            scores: BTreeMap::from([("auc".to_owned(), 0.75)]),
        },
    }
}

fn known(age_weeks: f64) -> Option<RepeatHistory> {
    Some(RepeatHistory { repeats: 3, recency_weeks: age_weeks / 2.0, age_weeks })
}

#[test]
fn a_prediction_with_its_reasons() {
    let predictor = Predictor::new(parts()).unwrap();
    let said = predictor.predict(&[4.0, 12.0], known(30.0));
    // Base -2, trees +1 and +0.5; the usual score is -2.
    let probability = 1.0 / (1.0 + (-(0.8f64 * -0.5 + 0.1)).exp());
    assert!((said.probability - probability).abs() < 1e-12 && !said.cold_start);
    assert_eq!(said.model, predictor.id());
    assert_eq!(said.kinds[0].kind, "service_request");
    let told: Vec<_> = said.reasons.iter().map(|r| (r.text.as_str(), r.direction)).collect();
    assert_eq!(
        told,
        [
            ("bought 4 times in the last 30 days", Direction::Raises),
            ("last bought 12 days ago", Direction::Raises)
        ]
    );
    assert!((said.reasons[0].contribution - 1.0).abs() < 1e-9);
    let value = said.value.unwrap();
    assert_eq!(value.expected_minor, (8.75f64 + 0.125).exp().round() as i64);
    assert!(value.low_minor < value.expected_minor && value.expected_minor < value.high_minor);
    let json = serde_json::to_string(&said).unwrap();
    assert_eq!(serde_json::from_str::<Prediction>(&json).unwrap(), said);
}

#[test]
fn who_is_hardly_known_is_told_from_the_customer_base() {
    let predictor = Predictor::new(parts()).unwrap();
    assert_eq!(predictor.predict(&[4.0, 12.0], None).probability, 0.01);
    let said = predictor.predict(&[4.0, 12.0], known(1.0));
    let base = parts().cold_start.base.unwrap();
    let expected = base.probability_of_purchase(&known(1.0).unwrap(), 1.0);
    assert!((said.probability - expected).abs() < 1e-12);
    assert!(said.cold_start);
    assert_eq!(said.reasons[0].text, "first bought 7 days ago, bought again 3 times");
    assert_eq!(said.reasons[0].direction, Direction::Raises);
    assert!(predictor.predict(&[4.0, 12.0], None).reasons.is_empty());
}

#[test]
fn many_at_once_as_one_by_one() {
    let predictor = Predictor::new(parts()).unwrap();
    let rows = [4.0, 12.0, 0.0, 40.0, f32::NAN, f32::NAN, 9.0, 1.0];
    let histories = [known(30.0), known(1.0), known(9.0), None];
    let mut many = Vec::new();
    predictor.probabilities(&rows, &histories, &mut many);
    let single = rows.chunks(2).zip(histories).map(|(r, h)| predictor.predict(r, h).probability);
    assert_eq!(many, single.collect::<Vec<_>>());
}

#[test]
fn the_file_gives_the_same_predictor_and_the_same_bytes() {
    let predictor = Predictor::new(parts()).unwrap();
    let file = predictor.to_json().unwrap();
    let read = Predictor::from_json(&file).unwrap();
    assert_eq!((read.id(), read.to_json().unwrap()), (predictor.id(), file.clone()));
    assert_eq!(serde_json::from_slice::<Predictor>(&file).unwrap(), predictor);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let check = |says: &str, change: fn(&mut Parts)| {
        let mut parts = parts();
        change(&mut parts);
        let error = Predictor::new(parts).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    check("`format`", |p| p.format = 2);
    check("0 features", |p| p.features.clear());
    check("`forest`", |p| p.features.truncate(1));
    check("it is there twice", |p| p.features[1] = p.features[0].clone());
    check("its phrase takes one of", |p| p.features[0].phrase = "{what}".to_owned());
    check("`kinds`", |p| p.kinds[1] = p.kinds[0].clone());
    check("`horizon_days`", |p| p.horizon_days = 0);
    check("`kind` has", |p| p.kind = KindModel::Shares(vec![0.5, 0.6]));
    check("`kind` predicts", |p| p.kind = KindModel::Forest(Box::new(p.forest.clone())));
    check("`value` has", |p| p.value.as_mut().unwrap().ln_amount = LnAmount::Kinds(vec![1.0]));
    check("the spread of values", |p| {
        p.value.as_mut().unwrap().spread = Spread::Gamma { shape: 0.0 };
    });
    check("`value.positive`", |p| p.value.as_mut().unwrap().positive = f64::NAN);
    check("`cold_start`", |p| p.cold_start.newcomers = Some(1.5));
}

proptest! {
    #[test]
    fn damaged_files_are_refused_or_work(at in 0.0..1.0f64, byte: u8, features in prop::collection::vec(any::<f32>(), 0..4)) {
        let mut file = serde_json::to_vec(&parts()).unwrap();
        let at = (at * file.len() as f64) as usize;
        file[at] = byte;
        if let Ok(predictor) = Predictor::from_json(&file) {
            let said = predictor.predict(&features, known(30.0));
            prop_assert!((0.0..=1.0).contains(&said.probability));
        }
    }

    #[test]
    fn predictions_are_numbers(
        features in prop::collection::vec(any::<f32>(), 0..4),
        repeats: u32, recency_weeks in any::<f64>(), age_weeks in any::<f64>(),
    ) {
        let predictor = Predictor::new(parts()).unwrap();
        let said = predictor.predict(&features, Some(RepeatHistory { repeats, recency_weeks, age_weeks }));
        prop_assert!((0.0..=1.0).contains(&said.probability));
        prop_assert!(said.reasons.iter().all(|r| r.contribution.is_finite()));
    }
}
