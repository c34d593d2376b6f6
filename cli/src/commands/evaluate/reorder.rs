//! `attune evaluate reorder`: when people need what they buy again, how much, and how sure.

use super::rows::bar;
use crate::{Failure, output};
use jiff::civil::Date;
use models::confidence::Wanted;
use std::{
    fmt::Write,
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
};
use training::{
    customer_base::day_number,
    reorder::{Ledger, Recipe, Report, STEPS, evaluate, read_pairs},
};

/// Who needs which category again within some days, when and how much, in true time order.
///
/// A model is fitted to weekly cuts before --cutoff and calibrated on the newest whose outcome was
/// known by then; only then is looked at what came after.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Purchases: CSV with columns customer,date,category (or item) and quantity, or Ta-Feng's;
    /// plain, gzipped or zipped.
    #[arg(long, value_name = "FILE")]
    transactions: PathBuf,
    /// Which rows to judge: CSV with columns customer,category, or u,p, their places among all in
    /// ascending order [default: all customers and categories with a purchase by the cutoff].
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// The last day that is learned from, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    cutoff: Date,
    /// How far ahead, in days.
    #[arg(long, value_name = "N", default_value_t = 14)]
    horizon_days: u16,
    /// Share of the proposals that may be wrong.
    #[arg(long, value_name = "SHARE", default_value_t = Wanted::default().wrong_share())]
    wrong_share: f64,
}

/// Judges and prints.
pub fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let usual = Wanted::default();
    let wanted = Wanted::new(args.wrong_share, usual.doubt(), usual.least_rows())?;
    let path = args.transactions.display();
    let ledger = Ledger::read(open(&args.transactions)?).map_err(|e| format!("{path}: {e}"))?;
    let pairs = match &args.rows {
        None => None,
        Some(rows) => {
            Some(read_pairs(open(rows)?, &ledger).map_err(|e| format!("{}: {e}", rows.display()))?)
        }
    };
    let bar = bar(STEPS, "steps")?;
    let (day, horizon_days) = (day_number(args.cutoff), i32::from(args.horizon_days));
    let report =
        evaluate(&ledger, pairs.as_deref(), day, horizon_days, &Recipe::default(), &wanted, || {
            bar.inc(1)
        });
    bar.finish_and_clear();
    let report = report.map_err(|e| format!("{path}: {e}"))?;
    if json {
        output::line(&serde_json::to_value(&report)?)?;
    } else {
        output::text(&describe(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|e| format!("cannot read {}: {e}", path.display()).into())
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let percent = |share: Option<f64>| {
        share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
    };
    writeln!(
        out,
        "{} rows, {} bought again within {} days{}",
        report.rows,
        report.came,
        report.observed_days,
        if report.observed_days < report.horizon_days {
            format!(" (of {} asked for, the purchases tell no more)", report.horizon_days)
        } else {
            String::new()
        },
    )?;
    writeln!(
        out,
        "whether: AUC {}, log-loss {}, calibration error {}",
        number(report.auc, 4),
        number(report.log_loss, 4),
        number(report.ece10, 4),
    )?;
    writeln!(
        out,
        "         at 70 % and above: {} of the rows, {} right; at 80 %: {}, {} right",
        percent(report.coverage_at_p70),
        percent(report.precision_at_p70),
        percent(report.coverage_at_p80),
        percent(report.precision_at_p80),
    )?;
    writeln!(
        out,
        "when:    off by {} days on average (always the same day {}); at 70 % and above {} ({})",
        number(report.days_mae, 2),
        number(report.days_mae_of_constant, 2),
        number(report.days_mae_at_p70, 2),
        number(report.days_mae_of_constant_at_p70, 2),
    )?;
    writeln!(
        out,
        "amount:  off by {} units, {} exact (always one {}, the last {}, the own median {})",
        number(report.quantity_mae, 3),
        percent(report.quantity_exact),
        number(report.quantity_mae_of_one, 3),
        number(report.quantity_mae_of_last, 3),
        number(report.quantity_mae_of_median, 3),
    )?;
    write!(
        out,
        "level:   {}\n         here {} of the rows proposed, {} of these wrong",
        report.level.says,
        percent(report.level.coverage),
        percent(report.level.wrong_share),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eighty people who buy bread each week and soap each third week, for half a year.
    fn report() -> Report {
        let mut text = "customer,date,category,quantity\n".to_owned();
        let first: Date = "2026-01-01".parse().unwrap();
        for person in 0..80i64 {
            for (category, every) in [("bread", 7), ("soap", 21)] {
                for days in (person % every..180).step_by(every as usize) {
                    let day = first + jiff::Span::new().days(days);
                    text += &format!("{person},{day},{category},2\n");
                }
            }
        }
        let ledger = Ledger::read(text.as_bytes()).unwrap();
        let quick = |settings| training::boosting::Settings { rounds: 20, ..settings };
        let usual = Recipe::default();
        let recipe =
            Recipe { classifier: quick(usual.classifier), hazard: quick(usual.hazard), ..usual };
        let day = day_number(first) + 150;
        evaluate(&ledger, None, day, 10, &recipe, &Wanted::default(), || ()).unwrap()
    }

    #[test]
    fn the_line_has_the_fields_of_the_contract() {
        let line = serde_json::to_value(report()).unwrap();
        for field in [
            "auc",
            "ece10",
            "log_loss",
            "days_mae",
            "quantity_mae",
            "coverage_at_p70",
            "coverage_at_p80",
        ] {
            assert!(line[field].is_f64(), "{field}: {line}");
        }
        for field in ["days_mae_at_p70", "precision_at_p70", "precision_at_p80"] {
            assert!(line.get(field).is_some(), "{field}: {line}");
        }
        assert!(line["level"]["state"].is_string() && line["level"]["says"].is_string());
        assert_eq!(line["quantity_mae"], 0.0);
    }

    #[test]
    fn people_read_the_same() {
        let text = describe(&report());
        assert_eq!(text.lines().count(), 7, "{text}");
        for word in ["AUC", "days", "units", "level", "bought again within 10 days"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
