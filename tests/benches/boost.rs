//! What boosted forests cost, beside LightGBM's Python package on the same rows and settings in one
//! run: `cargo xtask bench boost`.
//!
//! CPU time, one thread each, the best of several rounds in which ours and the peer's take turns:
//! what else the machine does then falls on both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement")]

#[path = "peers/environment.rs"]
mod environment;
#[path = "peers/peer.rs"]
mod peer;

use models::booster::Objective;
use peer::Peer;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::{
    env,
    fs::{self, File},
    hint::black_box,
    path::{Path, PathBuf},
    process::ExitCode,
};
use training::{
    boosting::{Settings, fit},
    tabular::{Options, Table},
};

/// Rounds of ours and the peer's: fits take seconds, scores milliseconds.
const FITS: usize = 3;
const SCORES: usize = 15;

fn main() -> ExitCode {
    let path = data().join("online_shoppers/online_shoppers_intention.csv");
    let Ok(file) = File::open(&path) else {
        println!("skipped: no data (no {}; set ATTUNE_DATA)", path.display());
        return ExitCode::SUCCESS;
    };
    let table = Table::read(file, &Options::new("Revenue")).unwrap();
    let settings = Settings::new(Objective::Binary);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &table, &settings);
    let mut peer = Peer::start("boost.py", folder.path());

    let (mut our_fit, mut their_fit) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..FITS {
        our_fit = our_fit.min(cpu_us_of(|| {
            black_box(fit(&table.rows, &table.labels, &settings).unwrap());
        }));
        their_fit = their_fit.min(peer.cpu_us("fit"));
    }
    let forest = fit(&table.rows, &table.labels, &settings).unwrap();
    let mut out = Vec::new();
    let (mut our_score, mut their_score) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..SCORES {
        our_score = our_score.min(cpu_us_of(|| {
            forest.score_rows(black_box(table.rows.values()), &mut out);
            black_box(&out);
        }));
        their_score = their_score.min(peer.cpu_us("score"));
    }
    let rows = table.rows.rows() as f64;
    let result = json!({
        "bench": "boost", "rows": rows, "trees": forest.trees().len(),
        "fit_s": our_fit / 1e6, "lightgbm_fit_s": their_fit / 1e6, "fit_ratio": their_fit / our_fit,
        "score_rows_per_s": rows / our_score * 1e6,
        "lightgbm_score_rows_per_s": rows / their_score * 1e6,
        "score_ratio": their_score / our_score,
    });
    println!("{result}");
    ExitCode::SUCCESS
}

/// The rows and settings, for the peer.
fn write(folder: &Path, table: &Table, settings: &Settings) {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    fs::write(folder.join("rows"), bytes(table.rows.values())).unwrap();
    fs::write(folder.join("labels"), bytes(&table.labels)).unwrap();
    let parameters = json!({
        "width": table.rows.width(),
        "num_boost_round": settings.rounds,
        "objective": "binary",
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.least_rows,
        "bagging_fraction": settings.row_share,
        "bagging_freq": 1,
        "feature_fraction_bynode": settings.feature_share,
        "lambda_l2": settings.shrinkage,
        "seed": settings.seed,
        "deterministic": true,
        "force_row_wise": true,
        "num_threads": 1,
        "verbosity": -1,
    });
    fs::write(folder.join("parameters.json"), parameters.to_string()).unwrap();
}

fn cpu_us_of(job: impl FnOnce()) -> f64 {
    let begun = cpu_us();
    job();
    cpu_us() - begun
}

fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn data() -> PathBuf {
    env::var_os("ATTUNE_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}
