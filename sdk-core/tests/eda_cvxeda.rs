//! cvxEDA against neurokit2's, on the recordings of the reference.
#![cfg(feature = "offline")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod eda_support;

use eda_support::{correlation, floats, records};
use sdk_core::signal::eda::{Method, Options, analyze};

#[test]
fn cvxeda_agrees_with_neurokit2() {
    for record in records() {
        let options = Options {
            method: Method::CvxEda,
            plausible_microsiemens: 0.0..=1e6,
            steepest_microsiemens_per_s: 1e6,
            ..Options::default()
        };
        let analysis = analyze(&record.values, record.rate_hz, &options);
        assert_eq!(analysis.unusable, None, "{}", record.name);
        let compare = |ours: &[f64], key: &str| {
            let fixture = &record.fixture[key];
            let step = fixture["step"].as_u64().unwrap() as usize;
            let theirs = floats(&fixture["values"]);
            let pairs: Vec<(f64, f64)> = ours.iter().copied().step_by(step).zip(theirs).collect();
            let largest = pairs.iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let mean = ours.iter().sum::<f64>() / ours.len() as f64;
            let their_mean = fixture["sum"].as_f64().unwrap() / ours.len() as f64;
            println!(
                "{} {key}: correlation {:.9}, largest difference {largest:.2e}, means differ by {:.1e}",
                record.name,
                correlation(&pairs),
                (mean - their_mean).abs()
            );
            assert!(correlation(&pairs) >= 0.99, "{} {key}", record.name);
            let level = record.values.iter().sum::<f64>() / record.values.len() as f64;
            assert!(largest < 1e-3 * level, "{} {key}: {largest}", record.name);
        };
        compare(&analysis.series.tonic_microsiemens, "cvxeda_tonic");
        compare(&analysis.series.phasic_microsiemens, "cvxeda_phasic");
    }
}
