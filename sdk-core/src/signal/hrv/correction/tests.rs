use super::*;
use proptest::prelude::*;

/// A heart at rest with respiratory sinus arrhythmia of 25 ms and a little noise.
fn resting(n: usize) -> Vec<f64> {
    let mut state = 7u64;
    (0..n)
        .map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
            850.0 + 25.0 * (i as f64 * 1.3).sin() + 10.0 * noise
        })
        .collect()
}

fn check(rr_ms: &[f64], artefacts: &[(usize, BeatClass)]) -> Correction {
    let found = correct(rr_ms).unwrap();
    let flagged: Vec<_> = found
        .classes
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, class)| *class != BeatClass::Normal)
        .collect();
    assert_eq!(flagged, artefacts);
    let (before, after): (f64, f64) = (rr_ms.iter().sum(), found.nn_ms.iter().sum());
    assert!((before - after).abs() < 1e-6, "{before} ms became {after} ms");
    found
}

#[test]
fn a_normal_heart_is_left_alone_to_the_bit() {
    let rr = resting(300);
    assert_eq!(check(&rr, &[]).nn_ms, rr);
}

#[test]
fn a_premature_beat_with_its_pause_is_ectopic() {
    let mut rr = resting(300);
    rr[150] -= 300.0;
    rr[151] += 300.0;
    let found = correct(&rr).unwrap();
    let classes = &found.classes[150..=151];
    assert_eq!(classes, [BeatClass::Short, BeatClass::Ectopic], "the beat and its pause");
    assert_eq!(found.counts.artefacts(), 2);
    // What was 550 and 1150 ms is within a quarter of 850.
    assert!(found.nn_ms.iter().all(|nn| (nn - 850.0).abs() < 212.0), "{:?}", found.nn_ms);
}

#[test]
fn an_undetected_beat_is_put_back() {
    let mut rr = resting(300);
    let lost = rr.remove(120);
    rr[120] += lost;
    let found = check(&rr, &[(120, BeatClass::Missed)]);
    assert_eq!(found.nn_ms.len(), 300);
    assert_eq!(found.nn_ms[120], rr[120] / 2.0);
}

#[test]
fn a_detection_too_many_is_taken_out() {
    let mut rr = resting(300);
    let whole = rr[200];
    rr[200] = 0.3 * whole;
    rr.insert(201, 0.7 * whole);
    // The rest of the interval is judged on its own, as in the reference; merged, it is realigned.
    let found = check(&rr, &[(200, BeatClass::Extra), (201, BeatClass::Short)]);
    assert_eq!(found.nn_ms.len(), 300);
    assert!((found.nn_ms[200] - whole).abs() < 25.0, "{} ms, was {whole}", found.nn_ms[200]);
}

#[test]
fn a_premature_beat_among_equal_ones_is_seen() {
    // Half of the differences are 0: the quartiles the thresholds come from coincide.
    let mut rr = vec![800.0; 200];
    (rr[100], rr[101]) = (450.0, 1150.0);
    let found = correct(&rr).unwrap();
    assert!(found.counts.artefacts() > 0);
    assert!(found.nn_ms.iter().all(|nn| (nn - 800.0).abs() <= 180.0), "{:?}", found.nn_ms);
}

#[test]
fn few_beats_are_not_judged() {
    for n in 0..4 {
        assert_eq!(correct(&vec![800.0; n]).unwrap().nn_ms, vec![800.0; n]);
    }
}

proptest! {
    #[test]
    fn any_numbers_are_corrected_or_refused(
        rr in prop::collection::vec(prop_oneof![4 => 1.0..3000.0f64, 1 => Just(800.0)], 0..300),
        odd in prop::option::of((any::<f64>(), any::<prop::sample::Index>())),
    ) {
        let mut rr = rr;
        if let (Some((value, at)), false) = (odd, rr.is_empty()) {
            let at = at.index(rr.len());
            rr[at] = value;
        }
        match correct(&rr) {
            Ok(found) => {
                prop_assert_eq!(found.classes.len(), rr.len());
                prop_assert_eq!(found.nn_ms.len() + found.counts.extra, rr.len() + found.counts.missed);
                let (before, after): (f64, f64) = (rr.iter().sum(), found.nn_ms.iter().sum());
                prop_assert!((before - after).abs() < 1e-6);
                prop_assert!(found.nn_ms.iter().all(|nn| *nn > 0.0), "{:?}", found.nn_ms);
            }
            Err(refusal) => {
                let not_one = matches!(refusal, Refusal::NotAnInterval { .. });
                prop_assert!(not_one, "{}", refusal);
            }
        }
    }
}
