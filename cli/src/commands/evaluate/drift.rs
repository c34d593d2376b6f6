//! `attune evaluate drift`: boosted forests on rows in the order of time.

use super::rows::{Rows, bar, describe};
use crate::{Failure, output};
use std::process::ExitCode;
use training::{drift::prequential, metrics::Metrics};

/// Conversion models on labelled rows in the order of time: fitted to the past, scored on what
/// comes next, fitted anew.
///
/// Each row is scored before its label is known; then its label moves the online calibration. The
/// first model is scored beside it, never fitted again: what neglect costs.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    rows: Rows,
    /// Rows that the first model is fitted to.
    #[arg(long, value_name = "N")]
    start: usize,
    /// Rows between one fit and the next.
    #[arg(long, value_name = "N")]
    every: usize,
    /// The column that tells the time: numbers, dates, or months' names. It is then no feature
    /// [default: rows stand in order].
    #[arg(long, value_name = "COLUMN")]
    order: Option<String>,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let table = args.rows.read(args.order.as_ref())?;
    let bar = bar(table.rows.rows(), "rows")?;
    let drift = prequential(&table, &args.rows.settings(), args.start, args.every, |row| {
        bar.set_position(row as u64);
    })?;
    bar.finish_and_clear();
    let labels = &table.labels[args.start..];
    let of = |probabilities: &[f64]| Metrics::of(probabilities, labels);
    let (online, retrained, frozen) = (of(&drift.online), of(&drift.retrained), of(&drift.frozen));

    let series = [("fitted anew", &drift.online[..]), ("frozen", &drift.frozen[..])];
    args.rows.draw(&describe(&online), &series, labels)?;
    if json {
        let mut line = serde_json::to_value(online)?;
        line["rows"] = labels.len().into();
        line["fits"] = drift.fits.into();
        line["uncalibrated"] = serde_json::to_value(retrained)?;
        line["frozen"] = serde_json::to_value(frozen)?;
        output::line(&line)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::text(&format!(
        "{} rows scored before their labels were known, {} fits\n\
         fitted anew, calibrated online: {}\n\
         fitted anew:                    {}\n\
         frozen:                         {}",
        labels.len(),
        drift.fits,
        describe(&online),
        describe(&retrained),
        describe(&frozen),
    ))?;
    Ok(ExitCode::SUCCESS)
}
