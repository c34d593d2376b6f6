//! The bars of conversion models, on the public set they are set on: the best figures of LightGBM
//! (learning rate 0.03, 300 trees) on the same rows and folds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use models::booster::Objective;
use std::{env, fs::File, path::Path, path::PathBuf};
use training::{
    boosting::Settings,
    calibrate::Method,
    crossval::cross_validate,
    drift::prequential,
    metrics::Metrics,
    tabular::{Options, Table, read_folds},
};

const SETTINGS: Settings = Settings::new(Objective::Binary);

/// The folder, where this machine has it.
fn folder() -> Option<PathBuf> {
    let data = env::var_os("ATTUNE_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let folder = data.join("online_shoppers");
    if !folder.is_dir() {
        println!("skipped: no data (no {}; set ATTUNE_DATA)", folder.display());
        return None;
    }
    Some(folder)
}

fn table(folder: &Path, order: Option<&str>) -> Table {
    let file = File::open(folder.join("online_shoppers_intention.csv")).unwrap();
    let order = order.map(str::to_owned);
    Table::read(file, &Options { order, ..Options::new("Revenue") }).unwrap()
}

#[test]
fn forests_reach_lightgbms_best() {
    let Some(folder) = folder() else { return };
    let table = table(&folder, None);
    let file = File::open(folder.join("shoppers_5fold_seed42.csv")).unwrap();
    let folds = read_folds(file, table.rows.rows()).unwrap();
    let found = cross_validate(&table, &folds, &SETTINGS, Method::None, || ()).unwrap();
    let metrics = Metrics::of(&found.probabilities, &table.labels);
    assert!(metrics.auc >= 0.9334, "{metrics:?}");
    assert!(metrics.log_loss <= 0.2241, "{metrics:?}");
    assert!(metrics.ece10 <= 0.011, "{metrics:?}");
}

#[test]
fn fitting_anew_beats_the_frozen_model_and_stays_calibrated() {
    let Some(folder) = folder() else { return };
    let table = table(&folder, Some("Month"));
    let (start, every) = (3_000, 1_000);
    let drift = prequential(&table, &SETTINGS, start, every, |_| ()).unwrap();
    let of = |probabilities: &[f64]| Metrics::of(probabilities, &table.labels[start..]);
    let (online, frozen) = (of(&drift.online), of(&drift.frozen));
    assert!(online.auc > frozen.auc && online.log_loss < frozen.log_loss, "{online:?} {frozen:?}");
    assert!(online.ece10 <= 0.02, "{online:?}");
}
