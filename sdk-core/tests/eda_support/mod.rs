//! What the tests of skin conductance read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::Value;
use std::{env, fs, path::PathBuf};

/// A recording with what others made of it.
pub struct Record {
    pub name: String,
    pub rate_hz: f64,
    pub values: Vec<f64>,
    /// Its part of `reference/eda_reference.json` in the data.
    pub reference: Value,
    /// Its part of `reference/eda_fixture.json` here.
    pub fixture: Value,
}

/// `$ATTUNE_DATA`, or the folder beside the project.
pub fn data() -> PathBuf {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    env::var_os("ATTUNE_DATA").map_or(beside, PathBuf::from)
}

/// All recordings of the reference; none, and a word about it, where the data is not.
pub fn records() -> Vec<Record> {
    let Ok(reference) = fs::read_to_string(data().join("reference/eda_reference.json")) else {
        println!("skipped: no data");
        return Vec::new();
    };
    let reference: Value = serde_json::from_str(&reference).unwrap();
    let fixture: Value =
        serde_json::from_str(include_str!("../reference/eda_fixture.json")).unwrap();
    let records = fixture.as_object().unwrap().iter();
    records
        .map(|(name, fixture)| {
            let text = fs::read_to_string(data().join(fixture["file"].as_str().unwrap())).unwrap();
            Record {
                name: name.clone(),
                rate_hz: fixture["fs"].as_f64().unwrap(),
                values: text.lines().map(|line| line.trim().parse().unwrap()).collect(),
                reference: reference["records"][name].clone(),
                fixture: fixture.clone(),
            }
        })
        .collect()
}

/// A list of numbers; what is null is NaN.
pub fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

/// Pearson's correlation.
pub fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (mx, my) =
        (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xy += (x - mx) * (y - my);
        xx += (x - mx).powi(2);
        yy += (y - my).powi(2);
    }
    xy / (xx * yy).sqrt()
}
