use super::*;
use sdk_core::sensor::recording::{Beat, Recording};

/// Two minutes in which skin and heart plainly tell the states apart.
fn session(person: usize, arousal: bool) -> TrainingSession {
    let state = |t: f64| (t / 15.0) as usize % 4;
    let eda = (0..480).map(|k| {
        let t = f64::from(k) / 4.0;
        2.0 + person as f64 * 0.1 + state(t) as f64 + 0.05 * (t * 2.0).sin()
    });
    let mut beats = Vec::new();
    let mut at_s = 0.0;
    while at_s < 120.0 {
        let rr_s = 0.9 - 0.1 * state(at_s) as f64;
        at_s += rr_s;
        beats.push(Beat { at_s, rr_s });
    }
    let labels = (0..8)
        .map(|i| {
            let start_s = 15.0 * f64::from(i);
            let class = IntentClass::ALL[state(start_s)];
            let stressed = arousal.then_some(class == IntentClass::Stressed);
            Label { start_s, end_s: start_s + 15.0, intent: Some(class), arousal: stressed }
        })
        .collect();
    let recording =
        Recording { eda_hz: 4.0, eda_microsiemens: eda.collect(), beats, ..Recording::default() };
    TrainingSession { subject: format!("s{person}"), recording, labels, rest_s: None }
}

fn small() -> TrainConfig {
    TrainConfig { hidden: 8, epochs: 2, nulls: false, ..TrainConfig::new("2026-01-01") }
}

fn simulated() -> Vec<TrainingSession> {
    (0..10).map(|person| session(person, false)).collect()
}

#[test]
fn same_data_same_bytes_and_the_bundle_loads() {
    let train = || train(&small(), &[], &simulated(), &ProgressBar::hidden()).unwrap();
    let (a, b) = (train(), train());
    assert_eq!(a.onnx, b.onnx);
    assert_eq!(a.manifest_json, b.manifest_json);
    assert_eq!(a.report, b.report);

    let folder = tempfile::tempdir().unwrap();
    a.write(folder.path()).unwrap();
    // Loading checks candle's own results (the golden vectors) against tract's.
    let model = IntentModel::new(&Bundle::load(folder.path()).unwrap()).unwrap();
    assert_eq!(model.id(), a.report().model_id);
    assert_eq!(model.manifest().golden.len(), 2);
}

#[test]
fn nobody_is_trained_on_and_scored() {
    let sequences = sequences(&small(), &simulated()).unwrap();
    let people = People::split(&sequences);
    let sizes = (people.training.len(), people.calibration.len(), people.test.len());
    assert_eq!(sizes, (7, 1, 2));
}

#[test]
fn too_little_data_is_an_error() {
    let hidden = ProgressBar::hidden();
    assert!(matches!(train(&small(), &[], &[], &hidden), Err(TrainError::NoData)));
    let few = [session(0, true)];
    assert!(matches!(
        evaluate(&small(), &few, &[], &hidden),
        Err(TrainError::TooFewSubjects { subjects: 1, folds: 5 })
    ));
}

#[test]
fn moved_labels_belong_to_another_time() {
    let sequences = sequences(&small(), &[session(0, true)]).unwrap();
    let moved = shifted(&sequences, 0.5);
    for (before, after) in sequences[0].moments.iter().zip(moved[0].moments.iter().skip(30)) {
        assert_eq!(before.label, after.label);
    }
    assert!(moved[0].moments[0].label.is_none());
}

#[test]
fn the_card_says_what_it_cannot_know() {
    let trained = train(&small(), &[], &simulated(), &ProgressBar::hidden()).unwrap();
    let card = trained.report().model_card();
    assert!(card.contains("our assumption") && card.contains("no purchase"), "{card}");
}
