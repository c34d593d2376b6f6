//! Real recordings, where this machine has them.

use sdk_core::sensor::recording::Recording;
use std::{
    env,
    path::{Path, PathBuf},
};

/// The folder of the data sets: `$ATTUNE_DATA`, or `../shared/data` beside the project.
#[must_use]
pub fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    env::var_os("ATTUNE_DATA").map_or(beside, PathBuf::from)
}

/// A recording of the Stress-Predict set; says so and gives `None` where there is none.
#[must_use]
pub fn stress_predict(subject: &str) -> Option<Recording> {
    let path = folder().join("stress_predict/Raw_data").join(subject);
    if !path.exists() {
        println!("skipped: no data at {}", path.display());
        return None;
    }
    Some(Recording::open(&path).unwrap())
}
