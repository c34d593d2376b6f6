//! Any bytes as a boosted forest, or as a calibration: refused, or used without harm.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::{
    booster::Forest,
    calibration::{Calibrator, OnlinePlatt},
};

/// Rows that are scored at most: a block of them and one beside it.
const ROWS: usize = 9;
/// Forests that are wider only cost memory.
const WIDTH: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(forest) = serde_json::from_slice::<Forest>(bytes)
        && forest.features() <= WIDTH
    {
        let words = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let values = words.cycle().take(ROWS * forest.features());
        let rows: Vec<f32> = values.collect();
        let (mut all, mut one) = (Vec::new(), Vec::new());
        forest.score_rows(&rows, &mut all);
        let outputs = forest.objective().outputs();
        for (row, scores) in rows.chunks(forest.features()).zip(all.chunks(outputs)) {
            forest.scores(row, &mut one);
            assert_eq!(one, scores);
            let usual = forest.contributions(row, 0, &mut one);
            let sum = usual + one.iter().sum::<f64>();
            // Terms of up to the greatest magnitude may cancel.
            let most = one.iter().map(|v| v.abs()).fold(1.0 + usual.abs(), f64::max);
            assert!((sum - scores[0]).abs() <= 1e-6 * most, "{sum} {scores:?}");
        }
    }
    if let Ok(calibrator) = serde_json::from_slice::<Calibrator>(bytes) {
        for score in [f64::NEG_INFINITY, -1.0, 0.0, 1.0, f64::NAN] {
            assert!((0.0..=1.0).contains(&calibrator.probability(score)));
        }
    }
    if let Ok(mut calibration) = serde_json::from_slice::<OnlinePlatt>(bytes) {
        for (score, label) in [(1e300, true), (-1.0, false), (f64::NAN, true), (0.5, false)] {
            calibration.learn(score, label);
            assert!((0.0..=1.0).contains(&calibration.probability(score)));
        }
    }
});
