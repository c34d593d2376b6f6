//! LightGBM's Python package on the same rows, folds and settings, in the same run.

use crate::Failure;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};
use training::{
    boosting::{Matrix, Settings},
    metrics::Metrics,
    tabular::Table,
};

const SCRIPT: &str = include_str!("peer.py");

/// What it did.
#[derive(Debug, Serialize)]
pub struct Peer {
    /// Of the package.
    pub version: String,
    /// As ours are computed.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// All folds, one thread.
    pub fit_seconds: f64,
    /// One thread, many rows at once: the best of as many passes as ours.
    pub score_rows_per_second: f64,
}

#[derive(Deserialize)]
struct Answer {
    version: String,
    probabilities: Vec<f64>,
    fit_seconds: f64,
    score_rows_per_second: f64,
}

/// Runs it.
///
/// # Errors
/// When there is no Python with the package, or it fails.
pub fn lightgbm(table: &Table, folds: &[u32], settings: &Settings) -> Result<Peer, Failure> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("rows"), bytes(&table.rows))?;
    let question = json!({
        "width": table.rows.width(),
        "labels": table.labels,
        "folds": folds,
        "rounds": settings.rounds,
        "leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "least_rows": settings.least_rows,
        "row_share": settings.row_share,
        "feature_share": settings.feature_share,
        "shrinkage": settings.shrinkage,
        "seed": settings.seed,
    });
    fs::write(folder.path().join("question.json"), question.to_string())?;
    let python = python()?;
    let output = Command::new(&python)
        .args(["-c", SCRIPT])
        .arg(folder.path())
        .env("OMP_NUM_THREADS", "1")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", python.display()))?;
    if !output.status.success() {
        return Err("LightGBM in Python failed, its words stand above; `cargo xtask bench boost` \
                    installs it"
            .into());
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)?;
    Ok(Peer {
        version: answer.version,
        metrics: Metrics::of(&answer.probabilities, &table.labels),
        fit_seconds: answer.fit_seconds,
        score_rows_per_second: answer.score_rows_per_second,
    })
}

fn bytes(rows: &Matrix) -> Vec<u8> {
    rows.values().iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The interpreter that the benches installed their peers for.
fn python() -> Result<PathBuf, Failure> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let python = cache.map(|cache| cache.join("attune/peers/bin/python"));
    python.filter(|python| python.is_file()).ok_or_else(|| {
        "--peer needs LightGBM's Python package: run `cargo xtask bench boost` once, which installs \
         it"
        .into()
    })
}
