//! The simulated body does what bodies do.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::f64::consts::TAU;

use firmware_sim::physiology::{Beat, Person, Script, Segment, Session, State, session};

const HALF_S: f64 = 300.0;

/// Five minutes of each state, long enough for spectra.
fn two_states(seed: u64, first: State, second: State) -> Session {
    let segment = |state| Segment { state, duration_s: HALF_S };
    let script = Script::new(vec![segment(first), segment(second)], false).unwrap();
    session(seed, &script, 2.0 * HALF_S, 4.0)
}

/// Half 0 or 1 of a session, without the half minute in which the body settles.
fn settled(half: usize) -> std::ops::Range<f64> {
    let begin_s = half as f64 * HALF_S;
    begin_s + 30.0..begin_s + HALF_S
}

fn intervals(session: &Session, half: usize) -> Vec<Beat> {
    session.beats.iter().copied().filter(|b| settled(half).contains(&b.at_s)).collect()
}

fn mean_rate_bpm(beats: &[Beat]) -> f64 {
    60.0 * beats.len() as f64 / beats.iter().map(|b| b.rr_s).sum::<f64>()
}

fn rmssd_ms(beats: &[Beat]) -> f64 {
    let squares: f64 = beats.windows(2).map(|w| (w[1].rr_s - w[0].rr_s).powi(2)).sum();
    1000.0 * (squares / (beats.len() - 1) as f64).sqrt()
}

/// Rises of over 0.05 microsiemens within four seconds, each up to its peak.
fn responses(session: &Session, half: usize) -> usize {
    let window = (4.0 * session.eda_hz) as usize;
    let inside = |k: &usize| settled(half).contains(&(*k as f64 / session.eda_hz));
    let (mut count, mut peak) = (0, None::<f64>);
    let mut trough_from = 0;
    for k in (0..session.eda_microsiemens.len()).filter(inside) {
        let value = session.eda_microsiemens[k];
        let since = trough_from.max(k.saturating_sub(window));
        let trough = session.eda_microsiemens[since..=k].iter().copied().fold(f64::MAX, f64::min);
        match peak {
            Some(top) if value < top - 0.01 => (peak, trough_from) = (None, k),
            Some(top) => peak = Some(top.max(value)),
            None if value > trough + 0.05 => (peak, count) = (Some(value), count + 1),
            None => {}
        }
    }
    count
}

fn mean_eda(session: &Session, half: usize) -> f64 {
    let inside = |k: &usize| settled(half).contains(&(*k as f64 / session.eda_hz));
    let values: Vec<f64> = (0..session.eda_microsiemens.len())
        .filter(inside)
        .map(|k| session.eda_microsiemens[k])
        .collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// Power of the interval series at `hz`.
fn power(beats: &[Beat], hz: f64) -> f64 {
    let mean = beats.iter().map(|b| b.rr_s).sum::<f64>() / beats.len() as f64;
    let (mut re, mut im) = (0.0, 0.0);
    for beat in beats {
        let (sin, cos) = (TAU * hz * beat.at_s).sin_cos();
        (re, im) = (re + (beat.rr_s - mean) * cos, im + (beat.rr_s - mean) * sin);
    }
    re * re + im * im
}

fn band_power(beats: &[Beat], center_hz: f64, half_width_hz: f64) -> f64 {
    (-20..=20).map(|k| power(beats, center_hz + half_width_hz * f64::from(k) / 20.0)).sum()
}

#[test]
fn mean_heart_rate_at_rest_is_the_persons() {
    for seed in 0..20 {
        let beats = intervals(&two_states(seed, State::Calm, State::Calm), 0);
        let rate = mean_rate_bpm(&beats) / Person::from_seed(seed).resting_heart_rate_bpm;
        assert!((0.98..1.02).contains(&rate), "seed {seed}: {rate}");
    }
}

#[test]
fn intervals_are_contiguous() {
    let beats = session(5, &Script::demo(), 120.0, 4.0).beats;
    assert!((beats[0].at_s - beats[0].rr_s).abs() < 1e-12);
    for pair in beats.windows(2) {
        assert!((pair[1].at_s - pair[0].at_s - pair[1].rr_s).abs() < 1e-9);
        assert!((0.3..2.0).contains(&pair[1].rr_s), "{pair:?}");
    }
}

#[test]
fn stress_raises_heart_rate_and_skin_and_lowers_vagal_variability_in_everyone() {
    let mut rmssd_at_rest = Vec::new();
    for seed in 0..20 {
        let session = two_states(seed, State::Calm, State::Stressed);
        let (calm, stressed) = (intervals(&session, 0), intervals(&session, 1));
        assert!(mean_rate_bpm(&stressed) > 1.05 * mean_rate_bpm(&calm), "rate, seed {seed}");
        assert!(rmssd_ms(&stressed) < 0.85 * rmssd_ms(&calm), "RMSSD, seed {seed}");
        assert!(responses(&session, 1) > responses(&session, 0), "responses, seed {seed}");
        assert!(mean_eda(&session, 1) > mean_eda(&session, 0), "level, seed {seed}");
        rmssd_at_rest.push(rmssd_ms(&calm));
    }
    rmssd_at_rest.sort_by(f64::total_cmp);
    assert!((25.0..60.0).contains(&rmssd_at_rest[10]), "median RMSSD {}", rmssd_at_rest[10]);
}

#[test]
fn calm_skin_responds_one_to_six_times_a_minute_and_stressed_skin_more() {
    let minutes = (HALF_S - 30.0) / 60.0;
    let mut per_minute: [Vec<f64>; 2] = Default::default();
    for seed in 0..20 {
        let session = two_states(seed, State::Calm, State::Stressed);
        for half in [0, 1] {
            per_minute[half].push(responses(&session, half) as f64 / minutes);
        }
    }
    let mean = |v: &Vec<f64>| v.iter().sum::<f64>() / v.len() as f64;
    assert!((1.0..6.0).contains(&mean(&per_minute[0])), "{per_minute:?}");
    assert!((6.0..25.0).contains(&mean(&per_minute[1])), "{per_minute:?}");
}

#[test]
fn sinus_arrhythmia_stands_at_the_breathing_frequency() {
    for seed in 0..10 {
        let beats = intervals(&two_states(seed, State::Calm, State::Calm), 1);
        let breathing_hz = Person::from_seed(seed).respiration_hz;
        let peak_hz = (0..46)
            .map(|k| 0.15 + 0.005 * f64::from(k))
            .max_by(|a, b| band_power(&beats, *a, 0.02).total_cmp(&band_power(&beats, *b, 0.02)))
            .unwrap();
        assert!((peak_hz - breathing_hz).abs() < 0.035, "seed {seed}: {peak_hz} {breathing_hz}");
        let wave = band_power(&beats, Person::from_seed(seed).low_frequency_hz, 0.02);
        let between = band_power(&beats, 0.155, 0.005) * 4.0;
        assert!(wave > between, "seed {seed}: low-frequency wave {wave}, valley {between}");
    }
}

#[test]
fn interest_and_hesitation_differ_from_calm_where_the_table_says() {
    let (mut interest, mut hesitation) = (0, 0);
    for seed in 0..20 {
        let session = two_states(seed, State::Calm, State::Interested);
        interest += usize::from(responses(&session, 1) > responses(&session, 0));
        let session = two_states(seed, State::Calm, State::Hesitant);
        let (calm, hesitant) = (intervals(&session, 0), intervals(&session, 1));
        hesitation += usize::from(rmssd_ms(&hesitant) < rmssd_ms(&calm));
    }
    assert!(interest >= 18 && hesitation >= 18, "{interest} {hesitation} of 20");
}

#[test]
fn a_seed_is_a_session() {
    let one = |seed| session(seed, &Script::random(seed, 300.0), 300.0, 32.0);
    assert_eq!(one(11), one(11));
    assert_ne!(one(11).beats, one(12).beats);
    assert_eq!(one(11).eda_microsiemens.len(), 9600);
}
