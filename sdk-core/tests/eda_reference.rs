//! Skin conductance against SciPy and neurokit2, on the recordings both were run on, and the
//! stream's features against the recording's.
//!
//! The recordings lie in `$ATTUNE_DATA` or `../shared/data` and are no part of the project;
//! `reference/eda_fixture.py` says how the numbers came about.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod eda_support;

use eda_support::{Record, floats, records};
use sdk_core::signal::eda::{EdaAnalysis, Options, Threshold, analyze};

/// Raw converter counts are no microsiemens; for the reference they are taken as they are.
fn reference_options() -> Options<'static> {
    Options {
        plausible_microsiemens: 0.0..=1e6,
        steepest_microsiemens_per_s: 1e6,
        threshold: Threshold::Relative(0.1),
        ..Options::default()
    }
}

fn analysis(record: &Record) -> EdaAnalysis {
    let options = reference_options();
    let analysis = analyze(&record.values, record.rate_hz, &options);
    assert_eq!(analysis.unusable, None, "{}", record.name);
    analysis
}

/// Largest difference from a thinned series, its sums included, relative to its largest value.
fn difference(ours: &[f64], fixture: &serde_json::Value) -> f64 {
    let step = fixture["step"].as_u64().unwrap() as usize;
    let expected = floats(&fixture["values"]);
    let scale = expected.iter().fold(1.0f64, |a, v| a.max(v.abs()));
    let n = ours.len() as f64;
    let moments: f64 = (0..).zip(ours).map(|(i, v)| f64::from(i) * v).sum::<f64>() / n;
    let sums = [
        (ours.iter().sum::<f64>() / n, fixture["sum"].as_f64().unwrap() / n),
        (moments / n, fixture["sum_of_moments"].as_f64().unwrap() / n),
        (
            ours.iter().map(|v| v * v).sum::<f64>() / n / scale,
            fixture["sum_of_squares"].as_f64().unwrap() / n / scale,
        ),
    ];
    let points = expected.iter().zip(ours.iter().step_by(step)).map(|(a, b)| (*b, *a));
    points.chain(sums).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}

#[test]
fn tonic_and_phasic_are_those_of_scipy() {
    for record in records() {
        let series = analysis(&record).series;
        let tonic = difference(&series.tonic_microsiemens, &record.fixture["tonic"]);
        let phasic = difference(&series.phasic_microsiemens, &record.fixture["phasic"]);
        println!("{}: tonic {tonic:.1e}, phasic {phasic:.1e}", record.name);
        assert!(tonic < 1e-6 && phasic < 1e-6, "{}", record.name);

        let nk = &record.reference["nk.eda_process(x,fs)  [clean=neurokit; phasic=highpass 0.05 \
                                    Hz Butter-2 filtfilt; peaks=neurokit amp_min=0.1]"];
        let first = |ours: &[f64], key| {
            let pairs = floats(&nk[key]).into_iter().zip(ours.to_vec());
            pairs.map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f64::max)
        };
        assert!(first(&series.tonic_microsiemens, "tonic_first20") < 1e-6);
        assert!(first(&series.phasic_microsiemens, "phasic_first20") < 1e-6);
        let ours = analysis(&record);
        let near = |a: f64, b: &serde_json::Value| (a / b.as_f64().unwrap() - 1.0).abs() < 1e-6;
        assert!(near(ours.scl_mean_microsiemens, &nk["tonic_mean"]), "{}", record.name);
        assert!(near(ours.phasic_sd_microsiemens, &nk["phasic_sd"]), "{}", record.name);
    }
}

#[test]
fn responses_are_those_of_neurokit2() {
    for record in records() {
        let nk = &record.reference["nk.eda_phasic(highpass) + nk.eda_peaks"]["peaks_neurokit"];
        let theirs = floats(&nk["peaks"]);
        let ours = analysis(&record).scrs;
        let peaks: Vec<f64> = ours.iter().map(|r| r.peak_s * record.rate_hz).collect();
        let hits = |a: &[f64], b: &[f64]| {
            a.iter().filter(|x| b.iter().any(|y| (*x - y).abs() <= 1.0 + 1e-6)).count() as f64
        };
        let (precision, recall) = (
            hits(&peaks, &theirs) / peaks.len() as f64,
            hits(&theirs, &peaks) / theirs.len() as f64,
        );
        let f1 = 2.0 * precision * recall / (precision + recall);
        println!("{}: F1 {f1:.4}, {} of {}", record.name, peaks.len(), theirs.len());
        assert!(f1 >= 0.98, "{}: {peaks:?} instead of {theirs:?}", record.name);
    }
}

#[test]
fn amplitudes_rise_and_recovery_are_those_of_neurokit2() {
    let key = "nk.eda_process(x,fs)  [clean=neurokit; phasic=highpass 0.05 Hz Butter-2 filtfilt; \
               peaks=neurokit amp_min=0.1]";
    let mut recoveries = (0, 0);
    for record in records() {
        let nk = &record.reference[key];
        let (amplitude, rise, recovery) = (
            floats(&nk["SCR_Amplitude"]),
            floats(&nk["SCR_RiseTime"]),
            floats(&nk["SCR_RecoveryTime"]),
        );
        let ours = analysis(&record).scrs;
        assert_eq!(ours.len(), amplitude.len(), "{}", record.name);
        for (i, scr) in ours.iter().enumerate() {
            let same = |a: Option<f64>, b: f64, tolerance: f64| match a {
                Some(a) => (a - b).abs() <= tolerance,
                None => b.is_nan(),
            };
            assert!(same(scr.amplitude_microsiemens, amplitude[i], 1e-6 * amplitude[i].abs()));
            assert!(same(scr.rise_time_s, rise[i], 1e-9), "{}: {scr:?}", record.name);
            recoveries.1 += 1;
            match scr.recovery_s {
                Some(ours) => {
                    assert!(recovery[i].is_nan() || ours <= recovery[i] + 1e-9, "{scr:?}");
                    recoveries.0 += i32::from(recovery[i].is_finite());
                }
                None => recoveries.0 += i32::from(recovery[i].is_nan()),
            }
        }
    }
    // They take the closest value below half wherever it comes, we the first: never later.
    println!("half recovery found in the same {} of {} responses", recoveries.0, recoveries.1);
    assert!(f64::from(recoveries.0) >= 0.95 * f64::from(recoveries.1));
}
