//! `attune evaluate repeat`: who buys again, by customer-base models.

use crate::{
    Failure, output,
    plot::{self, RepeatPicture},
};
use jiff::civil::Date;
use serde_json::Value;
use std::{fmt::Write, fs::File, io::Read, path::PathBuf, process::ExitCode};
use training::customer_base::{Report, Transactions, day_number, judge};

/// Repeat purchases by BG/NBD, MBG/NBD and Pareto/NBD.
///
/// All are fitted on what was known at the end of --calibration-end. One is picked by how they fared
/// at earlier cuts of that time, and then judged on what came until the end of --holdout-end.
#[derive(Debug, clap::Args)]
pub struct Repeat {
    /// Purchases: CSV with columns customer,date,amount, or the CDNOW format.
    #[arg(long, value_name = "FILE")]
    transactions: PathBuf,
    /// The last day that is learned from, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    calibration_end: Date,
    /// The last day that is forecast, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    holdout_end: Date,
    /// Show every model, and how one was picked.
    #[arg(long)]
    all: bool,
    /// Draw purchases as they came and as they were expected (SVG).
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// What is read at once at most: some ten million purchases.
const MAX_FILE_BYTES: u64 = 1 << 29;

/// Judges, prints, draws.
pub fn run(args: &Repeat, json: bool) -> Result<ExitCode, Failure> {
    if args.holdout_end <= args.calibration_end {
        return Err("nothing to forecast: --holdout-end must be after --calibration-end".into());
    }
    let path = args.transactions.display();
    let file = File::open(&args.transactions).map_err(|e| format!("cannot read {path}: {e}"))?;
    let bytes = file.metadata().map_or(0, |about| about.len());
    if bytes > MAX_FILE_BYTES {
        let problem = format!("{path} has {bytes} bytes, more than is read at once");
        return Err(format!("{problem} ({MAX_FILE_BYTES}): take a sample of its customers").into());
    }
    let transactions =
        Transactions::read(file.take(MAX_FILE_BYTES + 1)).map_err(|e| format!("{path}: {e}"))?;
    let (from, until) = (day_number(args.calibration_end), day_number(args.holdout_end));
    let report = judge(&transactions, from, until).map_err(|e| format!("{path}: {e}"))?;

    if json {
        output::line(&line(&report, args.all)?)?;
    } else {
        output::text(&describe(&report, args.all))?;
    }
    if let Some(path) = &args.plot {
        plot::draw_repeat(path, &picture(&report, args))
            .map_err(|e| format!("cannot draw {}: {e}", path.display()))?;
        eprintln!("drawn: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn line(report: &Report, all: bool) -> Result<Value, Failure> {
    let mut line = serde_json::to_value(report)?;
    if let Some(fields) = line.as_object_mut().filter(|_| !all) {
        fields.remove("models");
        fields.remove("weeks");
    }
    Ok(line)
}

fn describe(report: &Report, all: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, report, all);
    text
}

fn write(out: &mut String, report: &Report, all: bool) -> std::fmt::Result {
    let parameters = |all: &std::collections::BTreeMap<&str, f64>| {
        let each = all.iter().map(|(name, value)| format!("{name} {value:.3}"));
        each.collect::<Vec<_>>().join(", ")
    };
    let auc = |auc: Option<f64>| auc.map_or("-".to_owned(), |auc| format!("{auc:.4}"));
    let corrected = if report.pick.correction.is_some() { ", corrected" } else { "" };
    writeln!(out, "{}{corrected}: {}", report.model.name(), parameters(&report.parameters))?;
    writeln!(
        out,
        "{} customers, {} days: mean absolute error {:.4} (of the mean {:.4}), \
         AUC of a purchase within 30 days {}, purchases {} (expected {:.0})",
        report.customers,
        report.holdout_days,
        report.mae,
        report.mae_of_mean,
        auc(report.buy30_auc),
        report.total_actual,
        report.total_predicted,
    )?;
    if !all {
        return Ok(());
    }
    writeln!(out, "\nmodel        MAE mean  median  AUC 30 d  expected  ln L")?;
    for m in &report.models {
        writeln!(
            out,
            "{:12} {:8.4} {:7.4} {:>9} {:9.0} {:9.1}  {}",
            m.model.name(),
            m.mae_of_mean,
            m.mae_of_median,
            auc(m.buy30_auc),
            m.total_predicted,
            m.log_likelihood,
            parameters(&m.parameters),
        )?;
    }
    writeln!(out, "\npicked by the log-loss of a purchase within 30 days at earlier cuts:")?;
    for candidate in &report.pick.candidates {
        let corrected = if candidate.corrected { ", corrected" } else { "" };
        writeln!(out, "  {:.5}  {}{corrected}", candidate.log_loss, candidate.model.name())?;
    }
    Ok(())
}

fn picture(report: &Report, args: &Repeat) -> RepeatPicture {
    let at = |days: i32| f64::from(days) / 7.0;
    RepeatPicture {
        headline: format!(
            "Purchases of {} customers after {}, by {}",
            report.customers,
            args.calibration_end,
            report.model.name()
        ),
        actual: report.weeks.iter().map(|w| (at(w.days), f64::from(w.actual))).collect(),
        predicted: report.weeks.iter().map(|w| (at(w.days), w.predicted)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty people who buy every ten days, and twenty who bought once.
    fn report() -> Report {
        let mut text = "customer,date,amount\n".to_owned();
        let first: Date = "2026-01-01".parse().unwrap();
        for person in 0..40i64 {
            let purchases = if person < 20 { 0..30 } else { 0..1 };
            for purchase in purchases {
                let day = first + jiff::Span::new().days(person % 7 + 10 * purchase);
                text += &format!("{person},{day},12.50\n");
            }
        }
        let transactions = Transactions::read(text.as_bytes()).unwrap();
        let from = day_number(first) + 250;
        judge(&transactions, from, from + 40).unwrap()
    }

    #[test]
    fn the_line_has_the_fields_of_the_contract() {
        let report = report();
        let short = line(&report, false).unwrap();
        for field in ["model", "parameters", "mae", "buy30_auc", "total_predicted", "total_actual"]
        {
            assert!(!short[field].is_null(), "{field}: {short}");
        }
        assert!(short.get("models").is_none());
        assert_eq!(short["buy30_auc"], 1.0);
        assert_eq!(line(&report, true).unwrap()["models"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn people_read_the_same() {
        let report = report();
        assert_eq!(describe(&report, false).lines().count(), 2);
        let all = describe(&report, true);
        for model in ["bg_nbd", "mbg_nbd", "pareto_nbd", "corrected"] {
            assert!(all.contains(model), "{all}");
        }
    }
}
