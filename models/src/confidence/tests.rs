use super::{tested::tail, *};
use proptest::prelude::*;

/// So many predictions of a probability, of which so many did not come.
fn rows(probability: f64, count: usize, wrong: usize) -> Vec<Judged> {
    (0..count).map(|n| Judged { probability, came: n >= wrong }).collect()
}

/// Two cuts between which nothing has moved.
const STILL: Moved = Moved { psi: 0.0, calibration_error: 0.0 };

fn adaptive(periods: &[(i32, u64, u64)], day: i32) -> Adaptive {
    let mut adaptive = Adaptive::new(&Wanted::default());
    for &(known_on, proposals, wrong) in periods {
        let realised = Realised { predictions: proposals, proposals, wrong };
        adaptive.record(&Period { known_on, realised });
    }
    adaptive.advance(day);
    adaptive
}

/// By hand: 0.9^10 = 0.34868 without any wrong, 10 * 0.1 * 0.9^9 = 0.38742 with one.
#[test]
fn the_binomial_tail_is_exact() {
    assert!((tail(0, 10, 0.1) - 0.348_678_440_1).abs() < 1e-9);
    assert!((tail(1, 10, 0.1) - 0.736_098_929_1).abs() < 1e-9);
    assert!((tail(10, 10, 0.1) - 1.0).abs() < 1e-12);
    // Of 100 at a tenth, at most 5 wrong in 5.76 % of the cases, at most 6 in 11.72 %.
    assert!((tail(5, 100, 0.1) - 0.0576).abs() < 1e-4);
    assert!((tail(6, 100, 0.1) - 0.1172).abs() < 1e-4);
}

#[test]
fn five_wrong_of_a_hundred_support_a_tenth_and_six_do_not() {
    let wanted = Wanted::default();
    let five = learn_then_test(&rows(0.8, 100, 5), &wanted);
    // The loosest threshold of the ladder holds the same hundred.
    assert_eq!((five.threshold, five.seen.wrong), (Some(0.5), 5));
    let six = learn_then_test(&rows(0.8, 100, 6), &wanted);
    assert_eq!((six.threshold, six.seen.wrong), (None, 6));
    assert!(six.p_value.is_some_and(|p| p > 0.1));
    // One too few is not judged, however good.
    let few = learn_then_test(&rows(0.8, 99, 0), &wanted);
    assert_eq!((few.threshold, few.p_value, few.seen.proposals), (None, None, 99));
}

#[test]
fn the_search_ends_at_the_first_threshold_that_fails() {
    // 200 at .95 are fine; with 100 at .85 too much is wrong; 1,000 right ones at .6 come too late.
    let cut = [rows(0.95, 200, 8), rows(0.85, 100, 60), rows(0.6, 1_000, 0)].concat();
    let found = learn_then_test(&cut, &Wanted::default());
    assert_eq!((found.threshold, found.seen.proposals), (Some(0.86), 200));
}

#[test]
fn late_labels_move_the_aim_only_when_they_are_known() {
    // Half of what is known on day 14 was wrong: 0.1 + 0.1 (0.1 - 0.5) = 0.06.
    let periods = [(14, 10, 5), (15, 10, 10)];
    assert!((adaptive(&periods, 13).aim() - 0.1).abs() < 1e-12);
    assert!((adaptive(&periods, 14).aim() - 0.06).abs() < 1e-12);
    // Then all: 0.06 + 0.1 (0.1 - 1) = -0.03, nothing is proposed any more.
    let paused = adaptive(&periods, 15);
    assert!((paused.aim() + 0.03).abs() < 1e-12);
    let cut = rows(0.9, 500, 0);
    assert_eq!(paused.threshold(&cut, &Wanted::default()), None);
    // Four silent periods bring 0.01 each: back above zero.
    let silent: Vec<_> = (16..20).map(|day| (day, 0, 0)).collect();
    let back = adaptive(&[&periods[..], &silent].concat(), 40);
    assert!((back.aim() - 0.01).abs() < 1e-12);
    assert_eq!(back.threshold(&cut, &Wanted::default()), Some(0.5));
}

/// Proposition 4.1 of Gibbs and Candès, with labels late by two periods, whatever is proposed.
#[test]
fn the_mean_wrong_share_follows_the_wanted_one() {
    let wanted = Wanted::default();
    let mut adaptive = Adaptive::new(&wanted);
    let (late, periods) = (2, 400);
    let mut wrong_shares = Vec::new();
    for period in 0..periods {
        adaptive.advance(period);
        // A crude world: as much is wrong as is aimed at, and half again.
        let wrong = (adaptive.aim() * 1.5).clamp(0.0, 1.0);
        wrong_shares.push(wrong);
        let realised =
            Realised { predictions: 1_000, proposals: 1_000, wrong: (wrong * 1_000.0) as u64 };
        adaptive.record(&Period { known_on: period + late, realised });
    }
    let mean = wrong_shares.iter().sum::<f64>() / f64::from(periods);
    assert!((mean - 0.1).abs() < 0.01, "{mean}");
}

#[test]
fn the_gate_closes_as_cuts_move_apart() {
    let (calm, sure) = (rows(0.3, 1_000, 700), rows(0.9, 1_000, 100));
    let mixed = |of_sure: usize| [&calm[of_sure..], &sure[..of_sure]].concat();
    assert_eq!(Gate::of(&Moved::between(&calm, &calm)), Gate::Open);
    // All moved to another bin.
    assert_eq!(Gate::of(&Moved::between(&sure, &calm)), Gate::Closed);
    assert!(Moved::between(&mixed(100), &mixed(50)).psi < 0.1);
    // The same probabilities, but a tenth less came.
    let off = Moved::between(&rows(0.3, 1_000, 740), &calm);
    assert!((off.calibration_error - 0.04).abs() < 1e-9 && off.psi < 1e-9);
    assert_eq!(Gate::of(&off), Gate::Strict);
    assert_eq!(Gate::of(&Moved::between(&[], &[])), Gate::Closed);
}

fn check(cut: &[Judged], moved: &Moved, adaptive: &Adaptive, expected: (State, Why), says: &str) {
    let level = Level::decide(cut, moved, adaptive, &Wanted::default());
    assert_eq!((level.state, level.why), expected, "{level}");
    assert!(level.to_string().contains(says), "{level}");
    assert_eq!(level.proposes(1.0), level.state != State::SuggestionsOnly);
}

#[test]
fn a_level_says_what_it_is_and_why() {
    use State::{Held, Strict, SuggestionsOnly};
    let calm = adaptive(&[], 0);
    let good = rows(0.92, 1_000, 50);
    check(&good, &STILL, &calm, (Held, Why::Tested), "of 1000 such predictions");
    // A late half of wrong ones lowers the aim to .06; with 70 in 1,100 at .85, only .92 reaches it.
    let both = [&good[..], &rows(0.85, 100, 20)].concat();
    let hurt = adaptive(&[(0, 10, 5)], 0);
    check(&both, &STILL, &hurt, (Held, Why::Adapted), "stricter than the tests ask");
    let gone = adaptive(&[(0, 10, 10), (1, 10, 10)], 1);
    check(&good, &STILL, &gone, (SuggestionsOnly, Why::Pausing), "made up for");
    check(&rows(0.9, 99, 0), &STILL, &calm, (SuggestionsOnly, Why::TooFew), "only 99");
    let poor = rows(0.9, 400, 80);
    check(&poor, &STILL, &calm, (SuggestionsOnly, Why::Unsupported), "20.0 % were wrong");
    let some = Moved { psi: 0.15, ..STILL };
    check(&good, &some, &calm, (Strict, Why::Moved), "proposes from 90 % on");
    let much = Moved { psi: 0.4, ..STILL };
    check(&good, &much, &calm, (SuggestionsOnly, Why::Moved), "0.40");
}

#[test]
fn what_came_is_counted() {
    let cut = [rows(0.9, 10, 2), rows(0.5, 30, 20), rows(f64::NAN, 2, 0)].concat();
    let at = Realised::at(0.8, &cut);
    assert_eq!((at.predictions, at.proposals, at.wrong), (42, 10, 2));
    assert_eq!((at.wrong_share(), at.coverage()), (Some(0.2), Some(10.0 / 42.0)));
    assert_eq!(Realised::default().wrong_share(), None);
}

#[test]
fn wishes_that_cannot_be_met_are_refused() {
    for (wrong, doubt, least) in [(0.0, 0.1, 1), (1.0, 0.1, 1), (0.1, f64::NAN, 1), (0.1, 0.1, 0)] {
        assert!(Wanted::new(wrong, doubt, least).is_err());
    }
    let text = r#"{"wrong_share":7.0,"doubt":0.1,"least_rows":100}"#;
    let error = serde_json::from_str::<Wanted>(text).unwrap_err().to_string();
    assert!(error.contains("above 0 and below 1"), "{error}");
}

proptest! {
    /// Where it finds a threshold, the cut itself has no more wrong than wanted.
    #[test]
    fn a_threshold_found_holds_on_its_cut(
        cut in prop::collection::vec((any::<f64>(), any::<bool>()), 0..300),
        sure in 0usize..400,
    ) {
        let mut cut: Vec<Judged> =
            cut.into_iter().map(|(probability, came)| Judged { probability, came }).collect();
        cut.extend(rows(0.97, sure, sure / 40));
        let wanted = Wanted::default();
        let found = learn_then_test(&cut, &wanted);
        if let Some(threshold) = found.threshold {
            let seen = Realised::at(threshold, &cut);
            prop_assert_eq!((seen.wrong, seen.proposals), (found.seen.wrong, found.seen.proposals));
            prop_assert!(seen.wrong_share().is_some_and(|share| share <= 0.1));
            prop_assert!(seen.proposals >= wanted.least_rows());
        }
        let moved = Moved::between(&cut, &cut);
        let level = Level::decide(&cut, &moved, &Adaptive::new(&wanted), &wanted);
        prop_assert_eq!(level.threshold.is_some(), level.state != State::SuggestionsOnly);
        prop_assert!(!level.to_string().is_empty());
    }

    #[test]
    fn any_periods_are_survived(
        periods in prop::collection::vec((any::<i32>(), any::<u64>(), any::<u64>()), 0..40),
        day in any::<i32>(),
    ) {
        let found = adaptive(&periods, day);
        prop_assert!((-1.0..=1.0).contains(&found.aim()));
    }
}
