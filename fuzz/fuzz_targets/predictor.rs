//! Any bytes as a model of conversions, and any row asked of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::{conversion::Predictor, customer_base::RepeatHistory};

fuzz_target!(|parts: (&[u8], Vec<f32>, u32, f64, f64)| {
    let (file, features, repeats, recency_weeks, age_weeks) = parts;
    if let Ok(predictor) = Predictor::from_json(file) {
        let history = RepeatHistory { repeats, recency_weeks, age_weeks };
        let said = predictor.predict(&features, Some(history));
        assert!((0.0..=1.0).contains(&said.probability));
    }
});
