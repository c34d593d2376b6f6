//! `attune evaluate`: judging models on data they have not seen.

mod baskets;
mod conversion;
mod drift;
mod peer;
mod reorder;
mod repeat;
mod rows;

use super::train::{Data, bar};
use crate::{Failure, output};
use clap::Subcommand;
use models::{Bundle, IntentModel};
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};
use training::intent::{ArousalReport, TrainConfig, evaluate, evaluate_model};

/// Judge a model.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    model: Model,
}

#[derive(Debug, Subcommand)]
enum Model {
    Intent(Intent),
    Conversion(conversion::Args),
    Drift(drift::Args),
    Repeat(repeat::Repeat),
    Baskets(baskets::Args),
    Reorder(reorder::Args),
}

/// Arousal on recorded people, subject by subject: 60-s windows, step 30 s, the first 5 minutes
/// calibrate.
///
/// Without --model, networks are trained anew, each without the subjects it is judged on. With
/// --model, that model is judged as it is: no evidence on people it was trained on.
#[derive(Debug, clap::Args)]
struct Intent {
    #[command(flatten)]
    data: Data,
    /// The folder of a bundle.
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
}

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    match args.model {
        Model::Intent(args) => intent(args, json),
        Model::Conversion(args) => conversion::run(&args, json),
        Model::Drift(args) => drift::run(&args, json),
        Model::Repeat(args) => repeat::run(&args, json),
        Model::Baskets(args) => baskets::run(&args, json),
        Model::Reorder(args) => reorder::run(&args, json),
    }
}

fn intent(args: Intent, json: bool) -> Result<ExitCode, Failure> {
    if args.data.recordings.is_none() {
        return Err("evaluating needs people: give --recordings FOLDER and --labels FILE".into());
    }
    let config = TrainConfig::new("");
    let (real, simulated) = args.data.load()?;
    let report = match &args.model {
        Some(folder) => evaluate_model(&config, &IntentModel::new(&Bundle::load(folder)?)?, &real)?,
        None => {
            let bar = bar()?;
            let report = evaluate(&config, &real, &simulated, &bar)?;
            bar.finish_and_clear();
            report
        }
    };
    if json {
        output::line(&line(&report)?)?
    } else {
        output::text(&describe(&report))?
    }
    Ok(ExitCode::SUCCESS)
}

/// The report with the mean of its nulls.
fn line(report: &ArousalReport) -> Result<serde_json::Value, Failure> {
    let (balanced_accuracy, auc) = null(report);
    let mut line = serde_json::to_value(report)?;
    line["null"] = json!({"balanced_accuracy": balanced_accuracy, "auc": auc});
    Ok(line)
}

fn null(report: &ArousalReport) -> (f64, f64) {
    let count = report.nulls.len().max(1) as f64;
    let sum = |pick: fn(&training::intent::NullScore) -> f64| {
        report.nulls.iter().map(pick).sum::<f64>() / count
    };
    (sum(|n| n.balanced_accuracy), sum(|n| n.auc))
}

fn describe(report: &ArousalReport) -> String {
    let (null_accuracy, null_auc) = null(report);
    format!(
        "{} subjects, {} windows ({} abstained)\n\
         balanced accuracy {:.3} (null {null_accuracy:.3}), AUC {:.3} (null {null_auc:.3})",
        report.subjects, report.windows, report.abstained, report.balanced_accuracy, report.auc
    )
}
