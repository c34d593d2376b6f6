use super::*;
use proptest::prelude::*;

const LEVEL: usize = 0;
const SLOPE: usize = 1;
const AREA: usize = 2;
const DEVIATION: usize = 3;
const SCR_SUM: usize = 4;
const SCR_RATE: usize = 5;
const SCR_AMPLITUDE: usize = 6;

fn sample(at_s: f64, value: f64, quality: Quality) -> Sample {
    let at = Nanos::from_secs_f64(at_s);
    Sample {
        modality: Modality::Eda,
        signal: Signal::SkinConductance,
        stream_at: at,
        at,
        value,
        quality,
        contiguous: at_s > 0.0,
    }
}

/// Feeds `seconds` of a signal; the last vector.
fn run(hz: f64, seconds: f64, signal: impl Fn(f64) -> f64) -> FeatureVector {
    let mut features = EdaFeatures::new();
    (0..(hz * seconds) as usize)
        .map(|k| k as f64 / hz)
        .filter_map(|t| features.push(&sample(t, signal(t), Quality::Good)))
        .last()
        .unwrap()
}

fn check(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
}

#[test]
fn a_constant_has_a_level_and_nothing_else() {
    for hz in [4.0, 64.0, 1000.0] {
        let v = run(hz, 40.0, |_| 3.25);
        check(v.values()[LEVEL], 3.25, 1e-9);
        for (i, &value) in v.values().iter().enumerate().skip(1) {
            check(value, 0.0, 1e-9);
            assert!(!value.is_nan(), "{i}");
        }
        check(f64::from(v.coverage), 1.0, 1e-6);
    }
}

#[test]
fn a_ramp_has_its_slope() {
    let v = run(4.0, 40.0, |t| 2.0 + 0.03 * t);
    check(v.values()[SLOPE], 0.03, 1e-9);
    // Samples at 35, 35.25 .. 39.75 s: the mean lies at 37.375 s.
    check(v.values()[LEVEL], 2.0 + 0.03 * 37.375, 1e-3);
}

#[test]
fn a_fast_sine_passes_the_filter_whole_at_any_rate() {
    for hz in [4.0, 32.0, 500.0] {
        let amplitude = 0.2;
        let v = run(hz, 60.0, |t| 5.0 + amplitude * (std::f64::consts::TAU * 0.3 * t).sin());
        check(v.values()[DEVIATION], amplitude / std::f64::consts::SQRT_2, 0.004);
        // Half of a sine's absolute area: amplitude * 10 s / pi.
        // The newest seconds are not revised yet: 6 % here.
        check(v.values()[AREA], amplitude * 10.0 / std::f64::consts::PI, 0.04);
    }
}

/// A response as skin gives it: 1.5 s up, slowly down.
fn response(t: f64, onset: f64, amplitude: f64) -> f64 {
    let x = t - onset;
    if x < 0.0 {
        0.0
    } else if x < 1.5 {
        amplitude * x / 1.5
    } else {
        amplitude * (-(x - 1.5) / 4.0).exp()
    }
}

#[test]
fn responses_are_counted_and_measured_at_any_rate() {
    for hz in [4.0, 25.0, 1000.0] {
        let signal = |t| 4.0 + response(t, 10.0, 0.3) + response(t, 40.0, 0.5);
        let v = run(hz, 46.0, signal);
        // The high-pass takes some of a rise of 1.5 s.
        check(v.values()[SCR_SUM], 0.5, 0.06);
        check(v.values()[SCR_RATE], 2.0 * 60.0 / 46.0, 0.05);
        check(v.values()[SCR_AMPLITUDE], 0.4, 0.05);
    }
}

#[test]
fn at_most_one_vector_in_20_ms_of_stream_time() {
    let mut features = EdaFeatures::new();
    let vectors = (0..1000)
        .filter(|k| features.push(&sample(f64::from(*k) / 1000.0, 2.0, Quality::Good)).is_some());
    assert_eq!(vectors.count(), 50);
}

#[test]
fn session_time_changes_nothing() {
    let (mut a, mut b) = (EdaFeatures::new(), EdaFeatures::new());
    for k in 0..200 {
        let s = sample(f64::from(k) / 4.0, 2.0 + (f64::from(k) * 0.7).sin(), Quality::Good);
        let late = Sample { at: Nanos::from_millis(123_456 + 17 * k as u64), ..s };
        let (va, vb) = (a.push(&s).unwrap(), b.push(&late).unwrap());
        let bits = |v: &FeatureVector| v.values().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&va), bits(&vb));
        assert_eq!(va.coverage.to_bits(), vb.coverage.to_bits());
        assert_eq!(vb.at, late.at);
    }
}

#[test]
fn bad_samples_cost_coverage_and_nothing_else() {
    for bad in [
        (f64::NAN, Quality::Missing),
        (0.0, Quality::OffBody),
        (100.0, Quality::Saturated),
        (1e300, Quality::Good),
        (f64::INFINITY, Quality::Good),
        (-3.0, Quality::Good),
    ] {
        let mut features = EdaFeatures::new();
        let mut last = None;
        for k in 0..160 {
            let t = f64::from(k) / 4.0;
            let odd = k % 2 == 1 && t >= 30.0;
            let s = if odd { sample(t, bad.0, bad.1) } else { sample(t, 2.0, Quality::Good) };
            last = features.push(&s).or(last);
        }
        let v = last.unwrap();
        check(f64::from(v.coverage), 0.5, 1e-6);
        check(v.values()[LEVEL], 2.0, 1e-9);
        check(v.values()[SCR_SUM], 0.0, 1e-9);
    }
}

#[test]
fn a_gap_leaves_no_transient() {
    let mut features = EdaFeatures::new();
    let mut last = None;
    for k in (0..80).chain(200..260) {
        let t = f64::from(k) / 4.0;
        let level = if k < 100 { 2.0 } else { 9.0 };
        last = features.push(&sample(t, level, Quality::Good)).or(last);
    }
    let v = last.unwrap();
    check(v.values()[DEVIATION], 0.0, 1e-9);
    check(v.values()[SCR_SUM], 0.0, 1e-9);
    check(v.values()[LEVEL], 9.0, 1e-9);
}

#[test]
fn a_jump_is_left_out_and_a_new_level_is_a_new_beginning() {
    let mut features = EdaFeatures::new();
    let mut last = None;
    for k in 0..240 {
        let t = f64::from(k) / 4.0;
        // One spike at 30 s; from 45 s on another level for good.
        let level = if k == 120 {
            8.0
        } else if k < 180 {
            2.0
        } else {
            9.0
        };
        last = features.push(&sample(t, level, Quality::Good)).or(last);
        if k == 179 {
            let v = last.as_ref().unwrap();
            check(v.values()[SCR_RATE], 0.0, 1e-9);
            check(v.values()[DEVIATION], 0.0, 1e-9);
        }
    }
    let v = last.unwrap();
    check(v.values()[LEVEL], 9.0, 1e-9);
    check(v.values()[SCR_RATE], 0.0, 1e-9);
    check(v.values()[DEVIATION], 0.0, 1e-9);
}

#[test]
fn what_is_measured_in_motion_is_left_out() {
    let level = |t: f64| if (20.0..22.5).contains(&t) { 3.0 } else { 2.0 };
    let run = |acceleration_g: f64| {
        let mut features = EdaFeatures::new();
        let mut last = None;
        for k in 0..120 {
            let t = f64::from(k) / 4.0;
            if (19.9..22.5).contains(&t) {
                let moving = Sample {
                    signal: Signal::Acceleration,
                    value: acceleration_g,
                    ..sample(t, 0.0, Quality::Good)
                };
                assert!(features.push(&moving).is_none());
            }
            last = features.push(&sample(t, level(t), Quality::Good)).or(last);
        }
        last.unwrap()
    };
    let (rest, motion) = (run(1.05), run(1.8));
    assert!(rest.values()[SCR_RATE] > 0.0);
    check(motion.values()[SCR_RATE], 0.0, 1e-9);
    check(f64::from(rest.coverage - motion.coverage), 0.35, 0.06);
}

#[test]
fn without_data_features_are_missing() {
    let mut features = EdaFeatures::new();
    let v = features.push(&sample(0.0, f64::NAN, Quality::Missing)).unwrap();
    assert!(v.values().iter().all(|x| x.is_nan()));
    assert_eq!(v.coverage, 0.0);
}

pub(super) fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        4 => Just(Quality::Good),
        1 => Just(Quality::Missing),
        1 => Just(Quality::OffBody),
        1 => Just(Quality::Saturated),
        1 => Just(Quality::Artefact),
    ]
}

proptest! {
    #[test]
    fn any_samples_give_finite_or_missing(
        samples in prop::collection::vec(
            (
                0u64..3_000_000_000,
                prop_oneof![any::<f64>(), 0.0..70.0],
                quality(),
                any::<bool>(),
                prop_oneof![4 => Just(Signal::SkinConductance), 1 => Just(Signal::Acceleration)],
            ),
            0..200,
        ),
        backwards in any::<bool>(),
    ) {
        let mut features = EdaFeatures::new();
        let mut now = 0;
        for (step, value, quality, contiguous, signal) in samples {
            now = if backwards { step } else { now + step };
            let at = Nanos(now);
            let s = Sample { modality: Modality::Eda, signal, stream_at: at, at, value, quality, contiguous };
            if let Some(v) = features.push(&s) {
                prop_assert!(v.values().iter().all(|x| !x.is_infinite()), "{:?}", v.values());
                prop_assert!((0.0..=1.0).contains(&v.coverage));
            }
        }
    }
}
