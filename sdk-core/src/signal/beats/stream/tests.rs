use super::*;
use crate::signal::ecg;
use proptest::prelude::*;
use std::{f64::consts::TAU, time::Duration};

/// Session time runs ahead of the stream's by this.
const AHEAD: Duration = Duration::from_millis(1_500);

/// Where in its beat `t` seconds is, of one beat after another, each a little longer or shorter:
/// `(seconds since its foot, its length)`.
fn beat_at(t: f64) -> (f64, f64) {
    let mut foot = 0.0;
    for k in 0.. {
        let length = 0.8 + 0.03 * f64::from(k % 5);
        if t < foot + length {
            return (t - foot, length);
        }
        foot += length;
    }
    (0.0, 1.0)
}

/// A pulse with a dicrotic wave, lowest where the beat begins.
fn pulse(t: f64) -> f64 {
    let (since, length) = beat_at(t);
    let wave = |at: f64, width: f64| (-((since - at) / width).powi(2)).exp();
    1_000.0 - 15.0 * (TAU * since / length).cos() + 80.0 * wave(0.2, 0.09) + 25.0 * wave(0.48, 0.1)
}

/// P, QRS and T waves, microvolts.
fn complex(t: f64) -> f64 {
    let (since, _) = beat_at(t);
    let wave = |at: f64, width: f64| (-((since - at) / width).powi(2)).exp();
    90.0 * wave(0.1, 0.02) - 120.0 * wave(0.225, 0.008) + 1_100.0 * wave(0.25, 0.009)
        - 200.0 * wave(0.275, 0.008)
        + 250.0 * wave(0.5, 0.04)
}

fn samples(signal: Signal, rate_hz: f64, seconds: f64) -> Vec<Sample> {
    (0..(seconds * rate_hz) as usize)
        .map(|i| {
            let t = i as f64 / rate_hz;
            let stream_at = Nanos::from_secs_f64(t);
            Sample {
                modality: Modality::Hrv,
                signal,
                stream_at,
                at: stream_at + AHEAD,
                value: if signal == Signal::Ecg { complex(t) } else { pulse(t) },
                quality: Quality::Good,
                contiguous: i > 0,
            }
        })
        .collect()
}

fn run(signal: Signal, samples: &[Sample]) -> Vec<Sample> {
    let mut stream = BeatStream::new(signal);
    samples.iter().flat_map(|sample| stream.push(sample)).collect()
}

/// The lengths a body of [`beat_at`] has, ms: 800 to 920 in steps of 30.
fn is_a_length(ms: f64, tolerance_ms: f64) -> bool {
    (0..5).any(|k| (ms - 800.0 - 30.0 * f64::from(k)).abs() <= tolerance_ms)
}

#[test]
fn intervals_at_every_rate() {
    for (signal, rate_hz, tolerance_ms) in [
        (Signal::Ppg, 25.0, 8.0),
        (Signal::Ppg, 64.0, 6.0),
        (Signal::Ppg, 128.0, 6.0),
        (Signal::Ecg, 100.0, 2.0),
        (Signal::Ecg, 130.0, 1.5),
        (Signal::Ecg, 360.0, 1.0),
    ] {
        let rr = run(signal, &samples(signal, rate_hz, 30.0));
        assert!((33..=35).contains(&rr.len()), "{signal:?} {rate_hz} Hz: {} beats", rr.len());
        for (k, s) in rr.iter().enumerate().skip(4) {
            assert!(is_a_length(s.value, tolerance_ms), "{signal:?} {rate_hz} Hz: {}", s.value);
            assert_eq!(s.quality, Quality::Good, "{k} of {rate_hz} Hz");
            assert!(s.contiguous || k == 4, "{k} of {rate_hz} Hz");
            assert_eq!((s.signal, s.modality), (Signal::RrInterval, Modality::Hrv));
        }
        for pair in rr.windows(2) {
            let apart_ms = pair[1].stream_at.since(pair[0].stream_at).as_secs_f64() * 1e3;
            assert!((apart_ms - pair[1].value).abs() < 1e-3, "times and lengths agree");
            let ahead = pair[1].at.since(pair[1].stream_at);
            assert!(ahead.abs_diff(AHEAD) < Duration::from_micros(1), "{ahead:?}");
        }
    }
}

#[test]
fn jitter_of_the_session_time_does_not_touch_the_intervals() {
    let steady = samples(Signal::Ecg, 130.0, 20.0);
    let mut jittery = steady.clone();
    for (i, s) in jittery.iter_mut().enumerate() {
        s.at = s.at + Duration::from_millis((i as u64 * 7919) % 40);
    }
    let values = |rr: Vec<Sample>| rr.iter().map(|s| s.value).collect::<Vec<_>>();
    assert_eq!(values(run(Signal::Ecg, &jittery)), values(run(Signal::Ecg, &steady)));
}

#[test]
fn a_gap_is_no_interval_and_breaks_the_run() {
    for signal in [Signal::Ppg, Signal::Ecg] {
        let mut lossy = samples(signal, 130.0, 30.0);
        lossy.drain(1_300..2_000);
        let rr = run(signal, &lossy);
        assert!(rr.iter().all(|s| s.value < 930.0), "{signal:?} across the gap");
        let after: Vec<_> = rr.iter().filter(|s| s.stream_at.as_secs_f64() > 15.0).collect();
        assert!(!after[0].contiguous && after[1..].iter().all(|s| s.contiguous), "{signal:?}");
    }
}

#[test]
fn a_reset_without_a_gap_breaks_the_run() {
    let mut reset = samples(Signal::Ecg, 130.0, 20.0);
    reset[1_300].contiguous = false;
    let broken = run(Signal::Ecg, &reset).iter().skip(1).filter(|s| !s.contiguous).count();
    assert_eq!(broken, 1);
}

#[test]
fn an_interval_over_missing_or_saturated_samples_is_an_artefact() {
    for (quality, value) in [(Quality::Missing, f64::NAN), (Quality::Saturated, 1_150.0)] {
        let mut poor = samples(Signal::Ppg, 64.0, 30.0);
        for s in &mut poor[1_000..1_003] {
            (s.quality, s.value) = (quality, value);
        }
        let rr = run(Signal::Ppg, &poor);
        let at_s = 1_000.0 / 64.0;
        let (artefacts, good): (Vec<&Sample>, Vec<&Sample>) =
            rr.iter().skip(4).partition(|s| s.quality == Quality::Artefact);
        assert!((1..=2).contains(&artefacts.len()), "{quality:?}: {artefacts:?}");
        assert!(artefacts.iter().all(|s| (s.stream_at.as_secs_f64() - at_s).abs() < 2.0));
        assert_eq!(good.iter().filter(|s| !s.contiguous).count(), 1, "after the artefact");
    }
}

#[test]
fn one_lost_sample_is_bridged() {
    let mut lossy = samples(Signal::Ecg, 130.0, 30.0);
    lossy.remove(2_000);
    lossy[2_000].contiguous = true;
    let whole = run(Signal::Ecg, &samples(Signal::Ecg, 130.0, 30.0));
    assert_eq!(run(Signal::Ecg, &lossy).len(), whole.len());
}

#[test]
fn duplicates_change_nothing() {
    let once = samples(Signal::Ppg, 64.0, 20.0);
    let twice: Vec<Sample> = once.iter().flat_map(|s| [*s, *s]).collect();
    assert_eq!(run(Signal::Ppg, &twice), run(Signal::Ppg, &once));
}

#[test]
fn time_that_jumps_back_starts_afresh() {
    let record = samples(Signal::Ppg, 64.0, 20.0);
    let mut stream = BeatStream::new(Signal::Ppg);
    let mut run = || -> Vec<Sample> { record.iter().flat_map(|s| stream.push(s)).collect() };
    assert_eq!(run(), run());
}

#[test]
fn a_changed_rate_is_learned_again() {
    let mut record = samples(Signal::Ecg, 130.0, 15.0);
    let turn = Duration::from_secs(15);
    record.extend(samples(Signal::Ecg, 250.0, 15.0).into_iter().map(|s| Sample {
        stream_at: s.stream_at + turn,
        at: s.at + turn,
        contiguous: true,
        ..s
    }));
    let rr = run(Signal::Ecg, &record);
    let late: Vec<_> = rr.iter().filter(|s| s.stream_at.as_secs_f64() > 20.0).collect();
    assert!(late.len() >= 10, "{}", late.len());
    assert!(late.iter().all(|s| is_a_length(s.value, 1.0) && s.quality == Quality::Good));
}

#[test]
fn a_sine_of_movement_is_not_good_for_long() {
    // A hand that swings at 1 Hz, then at 2.3 Hz, then at random: no heart does that.
    let mut noise = 1u64;
    let mut record = samples(Signal::Ppg, 64.0, 40.0);
    for s in record.iter_mut().skip(640) {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        s.value =
            1_000.0 + (noise >> 40) as f64 / 1e5 + 30.0 * (s.stream_at.as_secs_f64() * TAU).sin();
    }
    let rr = run(Signal::Ppg, &record);
    let noisy: Vec<_> = rr.iter().filter(|s| s.stream_at.as_secs_f64() > 11.0).collect();
    let good = noisy.iter().filter(|s| s.quality == Quality::Good).count();
    assert!(good * 4 <= noisy.len(), "{good} of {}", noisy.len());
}

#[test]
fn other_signals_give_nothing() {
    let ppg = samples(Signal::Ppg, 64.0, 10.0);
    assert_eq!(run(Signal::Ecg, &ppg), []);
    assert_eq!(run(Signal::SkinConductance, &ppg), []);
}

#[test]
fn the_stream_gives_the_beats_of_the_batch() {
    let record = samples(Signal::Ecg, 250.0, 20.0);
    let values: Vec<f64> = record.iter().map(|s| s.value).collect();
    let batch: Vec<f64> = ecg::analyze(&values, 250.0).unwrap().rr.iter().map(|r| r.ms).collect();
    for (s, ms) in run(Signal::Ecg, &record).iter().zip(&batch) {
        assert!((s.value - ms).abs() < 1e-3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_samples_are_survived(
        ecg in any::<bool>(),
        interval_ns in prop_oneof![Just(15_625_000u64), Just(7_692_308), any::<u64>()],
        steps in prop::collection::vec(
            (0..40u8, prop_oneof![any::<f64>(), -100.0..100.0], any::<u64>()), 0..1_500),
    ) {
        let signal = if ecg { Signal::Ecg } else { Signal::Ppg };
        let mut stream = BeatStream::new(signal);
        let mut now = 0u64;
        for (kind, value, jump) in steps {
            now = match kind {
                0 => jump,
                1 => now,
                2 => now.saturating_add(jump % 3_000_000_000),
                _ => now.saturating_add(interval_ns),
            };
            let quality = match kind {
                3 => Quality::Missing,
                4 => Quality::Saturated,
                5 => Quality::OffBody,
                6 => Quality::Artefact,
                _ => Quality::Good,
            };
            let (modality, stream_at) = (Modality::Hrv, Nanos(now));
            let contiguous = kind != 7;
            let sample = Sample { modality, signal, stream_at, at: Nanos(jump), value, quality, contiguous };
            for rr in stream.push(&sample) {
                prop_assert!(rr.value.is_finite() && rr.value > 0.0);
                prop_assert!(rr.stream_at <= Nanos(now));
            }
        }
    }
}
