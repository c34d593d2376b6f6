//! On people made up here: each buys at a rate of their own until they stop, and those who look at
//! pages buy more. What is expected is known, and so is what must not be found.

use super::*;
use models::{
    conversion::{Feature, Predictor},
    customer_base::RepeatHistory,
};
use protocol::{digest::Digest, offer::Currency};

const DAY_MS: i64 = 24 * 3_600_000;
const WEEKS: i64 = 12;

/// A small generator (Steele, Lea & Flood 2014, SplitMix64): the tests need no more.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn schema() -> Schema {
    let feature = |name: &str, phrase: &str| Feature {
        name: name.to_owned(),
        phrase: phrase.to_owned(),
        missing: "not known".to_owned(),
    };
    Schema {
        features: vec![
            feature("buys", "bought {times} so far"),
            feature("pages_7d", "looked at {n} pages in the last 7 days"),
            feature("noise", "was born on day {n}"),
        ],
        definitions: Digest::of(b"test"),
        horizon_days: 7,
        kinds: vec!["store_purchase".to_owned(), "service_request".to_owned()],
        currency: Currency::EUR,
    }
}

/// Weekly cuts of `people`; in each week one buys with a probability that rises with pages.
pub(super) fn set(people: u32) -> TrainingSet {
    let mut dice = Dice(7);
    let mut set = TrainingSet::new(schema());
    for person in 0..people {
        let keen = dice.roll();
        let born = (dice.roll() * 28.0) as f32;
        let mut purchases: Vec<i64> = Vec::new();
        for week in 1..=WEEKS {
            let cut_unix_ms = week * 7 * DAY_MS;
            let pages = (dice.roll() * 10.0).floor() as f32;
            let p = 0.02 + 0.25 * keen * keen + if pages >= 7.0 { 0.3 } else { 0.0 };
            let converted = dice.roll() < p;
            // Those who look at many pages ask for service, and pay twice as much for it.
            let kind = u16::from(pages >= 7.0);
            // Four rolls are nearly normal.
            let normal = (0..4).map(|_| dice.roll() - 0.5).sum::<f64>();
            let value = 2_000.0 * f64::from(1 + kind) * (0.4 * normal).exp();
            let row = Row {
                person,
                cut_unix_ms,
                converted,
                kind: Some(kind),
                value_minor: Some(value as i64),
                history: RepeatHistory::at(cut_unix_ms, &purchases),
            };
            set.push(row, &[purchases.len() as f32, pages, born]).unwrap();
            if converted {
                purchases.push(cut_unix_ms + 3 * DAY_MS);
            }
        }
    }
    set
}

fn settings() -> Settings {
    let mut settings = Settings::new(11);
    settings.boosting.rounds = 80;
    settings.boosting.learning_rate = 0.1;
    settings
}

#[test]
fn what_can_be_known_is_found_and_means_what_it_says() {
    let set = set(1_500);
    let (predictor, report) = fit(&set, &settings()).unwrap();
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    let Scores { auc, log_loss, ece10 } = report.probability;
    assert!(auc.unwrap() > 0.72, "{auc:?}");
    assert!(auc > report.customer_base.auc && report.customer_base.auc > Some(0.5));
    assert!(log_loss < report.base_rate.log_loss && log_loss < report.customer_base.log_loss);
    assert!(ece10 < 0.03, "{ece10}");
    assert!(report.kind.by_features && report.kind.log_loss < 0.2, "{:?}", report.kind);
    let value = report.value.unwrap();
    assert!((0.7..0.9).contains(&value.within_interval), "{value:?}");
    assert!((0.95..1.05).contains(&value.expected_over_actual), "{value:?}");

    let history = RepeatHistory { repeats: 6, recency_weeks: 9.0, age_weeks: 9.5 };
    let keen = predictor.predict(&[7.0, 9.0, 3.0], Some(history));
    let idle = predictor.predict(&[1.0, 0.0, 3.0], Some(history));
    assert!(keen.probability > 2.0 * idle.probability);
    assert!(keen.reasons.iter().any(|r| r.text == "looked at 9 pages in the last 7 days"));
    assert_eq!(keen.kinds[0].kind, "service_request");
    assert!(keen.value.unwrap().expected_minor > idle.value.unwrap().expected_minor);
    assert_eq!(report.model, predictor.id());
    assert_eq!(predictor.parts().lineage.scores["auc"], auc.unwrap());
}

#[test]
fn the_same_rows_and_seed_give_the_same_bytes() {
    let rows = set(300);
    let mut shuffled = TrainingSet::new(schema());
    for index in (0..rows.rows().len()).rev() {
        shuffled.push(rows.rows()[index], rows.features(index)).unwrap();
    }
    let bytes = |set: &TrainingSet| -> Vec<u8> {
        let (predictor, _): (Predictor, Report) = fit(set, &settings()).unwrap();
        predictor.to_json().unwrap()
    };
    let first = bytes(&rows);
    assert_eq!(first, bytes(&rows));
    assert_eq!(first, bytes(&shuffled));
    assert_eq!(Predictor::from_json(&first).unwrap().to_json().unwrap(), first);
}

#[test]
fn slices_follow_each_other_and_no_label_reaches_into_the_next() {
    let set = set(4);
    let slices = slices::Slices::of(&set).unwrap();
    let cuts = |rows: &[usize]| {
        let cuts = rows.iter().map(|index| set.rows()[*index].cut_unix_ms / (7 * DAY_MS));
        (cuts.clone().min().unwrap(), cuts.max().unwrap())
    };
    assert_eq!(cuts(&slices.fit), (1, 8));
    assert_eq!(cuts(&slices.calibrate), (9, 10));
    assert_eq!(cuts(&slices.judge), (11, 12));

    // Daily cuts with a horizon of 7 days: 6 cuts between the slices are nobody's.
    let mut daily = TrainingSet::new(schema());
    for day in 0..40 {
        let row = Row { cut_unix_ms: day * DAY_MS, ..set.rows()[0] };
        daily.push(row, set.features(0)).unwrap();
    }
    let slices = slices::Slices::of(&daily).unwrap();
    let last = |rows: &[usize]| daily.rows()[*rows.last().unwrap()].cut_unix_ms;
    let first = |rows: &[usize]| daily.rows()[rows[0]].cut_unix_ms;
    assert!(last(&slices.fit) + 7 * DAY_MS <= first(&slices.calibrate));
    assert!(last(&slices.calibrate) + 7 * DAY_MS <= first(&slices.judge));
}

#[test]
fn too_little_to_learn_from_is_said() {
    let mut few = TrainingSet::new(schema());
    assert!(matches!(fit(&few, &settings()), Err(TrainError::Cuts { found: 0, .. })));
    let never = set(3);
    for index in 0..never.rows().len() {
        let row = Row { converted: false, ..never.rows()[index] };
        few.push(row, never.features(index)).unwrap();
    }
    let error = fit(&few, &settings()).unwrap_err().to_string();
    assert!(error.contains("0 of 24 rows"), "{error}");
    assert!(few.rows().iter().all(|row| row.kind.is_none() && row.value_minor.is_none()));
    let wrong = few.push(never.rows()[0], &[1.0]).unwrap_err();
    assert_eq!(wrong, RowError::Width { expected: 3, found: 1 });
    let odd = Row { kind: Some(9), ..never.rows()[0] };
    assert!(matches!(few.push(odd, &[0.0; 3]), Err(RowError::Kind { found: 9, known: 2 })));
}
