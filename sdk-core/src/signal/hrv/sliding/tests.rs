use super::*;
use proptest::prelude::*;

fn check_equal(found: TimeDomain, batch: TimeDomain) -> Result<(), TestCaseError> {
    let pairs = [
        ("mean", found.mean_nn_ms, batch.mean_nn_ms),
        ("median", found.median_nn_ms, batch.median_nn_ms),
        ("sdnn", found.sdnn_ms, batch.sdnn_ms),
        ("rmssd", found.rmssd_ms, batch.rmssd_ms),
        ("pnn50", found.pnn50_percent, batch.pnn50_percent),
        ("pnn20", found.pnn20_percent, batch.pnn20_percent),
        ("heart rate", found.heart_rate_bpm, batch.heart_rate_bpm),
        ("sd1", found.sd1_ms, batch.sd1_ms),
        ("sd2", found.sd2_ms, batch.sd2_ms),
        ("baevsky", found.baevsky_si, batch.baevsky_si),
    ];
    prop_assert_eq!(found.intervals, batch.intervals);
    for (name, found, batch) in pairs {
        let same = (found - batch).abs() <= 1e-9 * batch.abs().max(1.0);
        prop_assert!(same || found.is_nan() && batch.is_nan(), "{}: {} and {}", name, found, batch);
    }
    Ok(())
}

/// Pushes `count` beats of a heart that wanders, and compares now and then, and at the end.
fn check_drift(seed: u64, count: usize, window_s: f64) -> Result<(), TestCaseError> {
    let mut sliding = SlidingHrv::new(window_s).unwrap();
    let mut state = seed;
    let mut nn = 800.0;
    for i in 1..=count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let noise = (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
        nn = (nn + 120.0 * noise - 0.02 * (nn - 800.0)).clamp(300.0, 1_900.0);
        sliding.push(nn, true);
        if i % (count / 4) == 0 {
            let window: Vec<f64> = sliding.nn_ms().collect();
            let batch = TimeDomain::of(&window);
            check_equal(sliding.time_domain(), batch)?;
            prop_assert!(window.iter().sum::<f64>() <= window_s * 1e3);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn a_million_beats_later_it_still_equals_the_batch(
        seed in any::<u64>(),
        window_s in 20.0..400.0f64,
    ) {
        check_drift(seed, 1_000_000, window_s)?;
    }
}

proptest! {
    #[test]
    fn any_beats_with_losses_equal_the_definition(
        beats in prop::collection::vec(
            (prop_oneof![20 => 270.0..2000.0f64, 5 => Just(800.0), 1 => any::<f64>()], prop::bool::weighted(0.9)),
            0..120,
        ),
        window_s in 1.0..90.0f64,
    ) {
        let mut sliding = SlidingHrv::new(window_s).unwrap();
        let mut taken: Vec<(f64, bool)> = Vec::new();
        for (nn, contiguous) in beats {
            if sliding.push(nn, contiguous) {
                taken.push((nn, contiguous));
            }
        }
        let window = &taken[taken.len() - sliding.nn_ms().len()..];
        let nn: Vec<f64> = window.iter().map(|beat| beat.0).collect();
        let found = sliding.time_domain();
        let whole = window.iter().skip(1).all(|beat| beat.1);
        if whole {
            check_equal(found, TimeDomain::of(&nn))?;
        }
        let squares: Vec<f64> = window
            .windows(2)
            .filter(|pair| pair[1].1)
            .map(|pair| (pair[1].0 - pair[0].0).powi(2))
            .collect();
        let rmssd = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        let same = (found.rmssd_ms - rmssd).abs() <= 1e-9 * rmssd.max(1.0);
        prop_assert!(same || found.rmssd_ms.is_nan() && rmssd.is_nan());
        let is_gap = matches!(sliding.welch(), Err(Refusal::Gap { .. }));
        prop_assert_eq!(is_gap, !whole);
    }
}

#[test]
fn a_window_says_where_beats_were_lost_until_they_have_left_it() {
    let mut sliding = SlidingHrv::new(70.0).unwrap();
    for i in 0..80 {
        assert!(sliding.push(800.0 + f64::from(i % 3), i != 40));
    }
    let reason = sliding.usability().reason;
    assert!(matches!(reason, Some(Refusal::Gap { index: 40, .. })), "{reason:?}");
    for i in 0..80 {
        sliding.push(800.0 + f64::from(i % 3), true);
    }
    assert!(sliding.usability().usable, "{:?}", sliding.usability());
    assert!(sliding.welch().is_ok());
}

#[test]
fn windows_that_cannot_be_kept_are_refused() {
    for window_s in [0.0, -1.0, f64::NAN, f64::INFINITY, 4_000.0] {
        assert!(SlidingHrv::new(window_s).is_err());
    }
}
