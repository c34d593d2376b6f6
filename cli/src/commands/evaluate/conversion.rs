//! `attune evaluate conversion`: boosted forests on labelled rows, fold by fold.

use super::{
    peer,
    rows::{Rows, bar, describe, open},
};
use crate::{Failure, output};
use clap::ValueEnum;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};
use training::{
    calibrate::Method,
    crossval::{cross_validate, scoring_rate},
    metrics::Metrics,
    tabular::read_folds,
};

/// Conversion models on labelled rows, by cross-validation on given folds.
///
/// Each fold is judged by a forest that has not seen it; figures are of all rows together. Random
/// folds flatter data that drifts: see `attune evaluate drift`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    rows: Rows,
    /// Which fold each row belongs to: lines `row,fold`, rows from 0.
    #[arg(long, value_name = "FILE")]
    folds: PathBuf,
    /// Calibrate on the other folds, each scored unseen.
    #[arg(long, value_enum, default_value_t)]
    calibrate: Calibration,
    /// Also run LightGBM's Python package on the same rows, folds and settings, one thread each.
    #[arg(long)]
    peer: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Calibration {
    /// Forests are fitted to log-loss: they are nearly calibrated as they are.
    #[default]
    None,
    /// A straight line in log-odds.
    Platt,
    /// A curve that does not fall.
    Isotonic,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let table = args.rows.read(None)?;
    let folds = read_folds(open(&args.folds)?, table.rows.rows())
        .map_err(|e| format!("{}: {e}", args.folds.display()))?;
    let method = match args.calibrate {
        Calibration::None => Method::None,
        Calibration::Platt => Method::Platt,
        Calibration::Isotonic => Method::Isotonic,
    };
    let settings = args.rows.settings();
    let count = folds.iter().collect::<std::collections::BTreeSet<_>>().len();
    let bar = bar(count, "folds")?;
    let outcome = cross_validate(&table, &folds, &settings, method, || bar.inc(1))?;
    bar.finish_and_clear();
    let metrics = Metrics::of(&outcome.probabilities, &table.labels);
    let fit_seconds = outcome.fit_time.as_secs_f64();
    let rate = scoring_rate(&outcome.forest, &table);
    let peer = args.peer.then(|| peer::lightgbm(&table, &folds, &settings)).transpose()?;

    args.rows.draw(
        &describe(&metrics),
        &[("this model", &outcome.probabilities)],
        &table.labels,
    )?;
    if json {
        let mut line = serde_json::to_value(metrics)?;
        line["rows"] = table.rows.rows().into();
        line["folds"] = outcome.folds.into();
        line["fit_seconds"] = fit_seconds.into();
        line["score_rows_per_second"] = rate.into();
        if let Some(peer) = &peer {
            line["peer"] = json!(peer);
            line["fit_ratio"] = (peer.fit_seconds / fit_seconds).into();
            line["score_ratio"] = (rate / peer.score_rows_per_second).into();
        }
        output::line(&line)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::text(&format!(
        "{} rows, {} features, {} folds\n{}\n\
         fitted in {fit_seconds:.1} s, scores {rate:.0} rows/s on one thread",
        table.rows.rows(),
        table.names.len(),
        outcome.folds,
        describe(&metrics)
    ))?;
    if let Some(peer) = peer {
        output::text(&format!(
            "LightGBM {} in Python, the same rows, folds and settings:\n{}\n\
             fitted in {:.1} s (ours takes {:.2} of that), scores {:.0} rows/s (ours {:.1} times)",
            peer.version,
            describe(&peer.metrics),
            peer.fit_seconds,
            fit_seconds / peer.fit_seconds,
            peer.score_rows_per_second,
            rate / peer.score_rows_per_second,
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
