use super::*;
use proptest::prelude::*;
use std::{env, fs, path::PathBuf};

const HR: usize = 0;
const TREND: usize = 1;
const RMSSD: usize = 2;
const SDNN: usize = 3;
const PNN50: usize = 4;
const COHERENCE: usize = 5;

fn run(rrs: impl IntoIterator<Item = (f64, bool)>) -> FeatureVector {
    let mut features = HrvFeatures::new();
    let mut at_s = 0.0;
    let vectors = rrs.into_iter().filter_map(|(value, contiguous)| {
        at_s += value.clamp(0.0, 60e3) / 1e3;
        let at = Nanos::from_secs_f64(at_s);
        let (modality, quality) = (Modality::Hrv, Quality::Good);
        features.push(&Sample {
            modality,
            signal: Signal::RrInterval,
            stream_at: at,
            at,
            value,
            quality,
            contiguous,
        })
    });
    vectors.last().unwrap()
}

fn steady(rrs: &[f64]) -> FeatureVector {
    run(rrs.iter().enumerate().map(|(i, &rr)| (rr, i > 0)))
}

fn check(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
}

#[test]
fn alternating_beats_by_hand() {
    // 790, 850, 790 ...: every difference is 60 ms.
    let rrs: Vec<f64> = (0..60).map(|i| if i % 2 == 0 { 790.0 } else { 850.0 }).collect();
    let v = steady(&rrs);
    check(v.values()[RMSSD], 60.0, 1e-9);
    check(v.values()[PNN50], 100.0, 1e-9);
    // 36 beats fit into 30 s: 18 of each, 30 ms from their mean; ddof 1.
    check(v.values()[SDNN], (36.0 * 900.0 / 35.0f64).sqrt(), 1e-9);
    check(v.values()[HR], 60_000.0 / 820.0, 1e-9);
    check(f64::from(v.coverage), 1.0, 0.03);
}

#[test]
fn the_trend_is_the_last_5_seconds_against_30() {
    let rrs: Vec<f64> = [vec![1000.0; 40], vec![800.0; 6]].concat();
    let v = steady(&rrs);
    // 6 beats of 800 ms fit into 5 s; 30 s hold them and 25 of 1000 ms.
    check(v.values()[TREND], 75.0 - 60_000.0 * 31.0 / 29_800.0, 1e-9);
}

#[test]
fn an_ectopic_beat_is_rejected_and_breaks_the_differences_around_it() {
    let mut rrs = vec![800.0; 40];
    rrs[30] = 450.0;
    rrs[31] = 1150.0;
    let v = steady(&rrs);
    check(v.values()[RMSSD], 0.0, 1e-9);
    check(v.values()[SDNN], 0.0, 1e-9);
    assert!(v.coverage < 0.97, "{}", v.coverage);
}

#[test]
fn differences_are_not_taken_across_a_loss() {
    let halves = [vec![800.0; 20], vec![700.0; 20]].concat();
    let lost = run(halves.iter().enumerate().map(|(i, &rr)| (rr, i != 20)));
    check(lost.values()[RMSSD], 0.0, 1e-9);
    assert!(steady(&halves).values()[RMSSD] > 10.0);
}

#[test]
fn the_gate_follows_a_heart_that_has_moved() {
    let v = steady(&[vec![1000.0; 30], vec![600.0; 60]].concat());
    check(v.values()[HR], 100.0, 1e-9);
    check(v.values()[SDNN], 0.0, 1e-9);
}

#[test]
fn too_few_beats_are_missing_values() {
    let v = steady(&[800.0; 5]);
    check(v.values()[HR], 75.0, 1e-9);
    for feature in [TREND, RMSSD, SDNN, PNN50, COHERENCE] {
        assert!(v.values()[feature].is_nan());
    }
}

#[test]
fn a_long_break_starts_afresh() {
    let mut features = HrvFeatures::new();
    let mut push = |at_s: f64| {
        let at = Nanos::from_secs_f64(at_s);
        let (modality, quality, value) = (Modality::Hrv, Quality::Good, 800.0);
        let s = Sample {
            modality,
            signal: Signal::RrInterval,
            stream_at: at,
            at,
            value,
            quality,
            contiguous: true,
        };
        features.push(&s).unwrap()
    };
    let before = (1..60).map(|k| push(f64::from(k) * 0.8)).last().unwrap();
    assert!(!before.values()[RMSSD].is_nan());
    assert!(push(200.0).values()[RMSSD].is_nan());
}

fn data() -> PathBuf {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    env::var_os("ATTUNE_DATA").map_or(default, PathBuf::from)
}

/// The definitions agree with neurokit2, hrv-analysis and NumPy on whole records.
#[test]
fn whole_records_agree_with_the_references() {
    let path = data().join("reference/hrv_reference.json");
    let Ok(text) = fs::read_to_string(path) else {
        eprintln!("skipped: no data");
        return;
    };
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, record) in reference["records"].as_object().unwrap() {
        let Some(file) = record["file"].as_str() else { continue };
        let text = fs::read_to_string(data().join(file)).unwrap();
        let beats: Vec<Beat> = text
            .lines()
            .map(|line| Beat { nn_ms: line.trim().parse().unwrap(), contiguous: true })
            .collect();
        let direct = &record["direct_numpy"];
        let expected = |key: &str| direct[key].as_f64().unwrap();
        let d = differences_ms(beats.iter());
        check(rmssd(&d), expected("rmssd"), 1e-6);
        check(pnn50(&d), expected("pnn50_over_ndiff"), 1e-6);
        check(sdnn(beats.iter()), expected("sdnn_ddof1"), 1e-6);
        check(heart_rate(beats.iter()), expected("mean_hr_from_mean_rr"), 1e-6);
        eprintln!("{name}: {} beats agree", beats.len());
    }
}

proptest! {
    #[test]
    fn any_samples_give_finite_or_missing(
        samples in prop::collection::vec(
            (0u64..90_000_000_000, prop_oneof![any::<f64>(), 200.0..2200.0], 0..3u8, any::<bool>()),
            0..300,
        ),
    ) {
        let mut features = HrvFeatures::new();
        let mut now = 0u64;
        for (step, value, kind, contiguous) in samples {
            // Mostly plausible steps, else windows would never fill.
            now += if kind == 2 { step } else { 800_000_000 };
            let quality = if kind == 1 { Quality::Artefact } else { Quality::Good };
            let at = Nanos(now);
            let s = Sample { modality: Modality::Hrv, signal: Signal::RrInterval, stream_at: at, at, value, quality, contiguous };
            let v = features.push(&s).unwrap();
            prop_assert!(v.values().iter().all(|x| !x.is_infinite()), "{:?}", v.values());
            prop_assert!((0.0..=1.0).contains(&v.coverage));
        }
    }
}
