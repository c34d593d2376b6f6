//! The arguments and the picture that `evaluate conversion` and `evaluate drift` share.

use crate::{
    Failure,
    plot::{self, ReliabilityPicture, Share},
};
use indicatif::{ProgressBar, ProgressStyle};
use models::booster::Objective;
use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};
use training::{
    boosting::Settings,
    metrics::{Metrics, reliability},
    tabular::{Options, Table},
};

/// Labelled rows, and how forests are fitted to them.
#[derive(Debug, clap::Args)]
pub struct Rows {
    /// Labelled rows, with a header.
    #[arg(long, value_name = "FILE")]
    pub csv: PathBuf,
    /// The column to predict: 1, true, yes or 0, false, no.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// Columns to leave out: identities, and what is only known afterwards.
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    drop: Vec<String>,
    /// Between the values of a line; `tab` for a tab stop.
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    delimiter: u8,
    /// Trees of a forest.
    #[arg(long, value_name = "N", default_value_t = DEFAULTS.rounds)]
    trees: usize,
    /// Leaves of a tree.
    #[arg(long, value_name = "N", default_value_t = DEFAULTS.leaves)]
    leaves: usize,
    /// Share of each tree's answer that is kept.
    #[arg(long, value_name = "SHARE", default_value_t = DEFAULTS.learning_rate)]
    learning_rate: f64,
    /// Seed of everything random: the same rows, seed and settings give the same figures.
    #[arg(long, value_name = "N", default_value_t = DEFAULTS.seed)]
    seed: u64,
    /// Draw predicted against observed, SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

const DEFAULTS: Settings = Settings::new(Objective::Binary);

impl Rows {
    /// Reads them, in the order of a column where one is named.
    pub fn read(&self, order: Option<&String>) -> Result<Table, Failure> {
        let options = Options {
            label: self.label.clone(),
            drop: self.drop.clone(),
            delimiter: self.delimiter,
            order: order.cloned(),
        };
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", self.csv.display());
        let file = open(&self.csv)?;
        Ok(Table::read(file, &options).map_err(|e| named(&e))?)
    }

    pub fn settings(&self) -> Settings {
        Settings {
            rounds: self.trees,
            leaves: self.leaves,
            learning_rate: self.learning_rate,
            seed: self.seed,
            ..DEFAULTS
        }
    }

    /// Draws the picture, where one is wanted.
    pub fn draw(
        &self,
        headline: &str,
        series: &[(&str, &[f64])],
        labels: &[f32],
    ) -> Result<(), Failure> {
        let Some(path) = &self.plot else { return Ok(()) };
        let shares = |p: &[f64]| {
            let bins = reliability(p, labels).into_iter();
            bins.map(|b| Share { predicted: b.predicted, observed: b.observed, rows: b.rows })
                .collect()
        };
        let series: Vec<_> = series.iter().map(|(name, p)| (*name, shares(p))).collect();
        let file = self.csv.file_name().unwrap_or_default().to_string_lossy();
        let picture =
            ReliabilityPicture { headline: format!("{file}: {headline}"), series: &series };
        plot::draw_reliability(path, &picture)
            .map_err(|error| format!("cannot draw {}: {error}", path.display()).into())
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        b"tab" => Ok(b'\t'),
        _ => Err("give one ASCII character, or `tab`".to_owned()),
    }
}

/// Opens a file to read.
pub fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    let file = File::open(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Ok(BufReader::new(file))
}

/// A bar over so many of something.
pub fn bar(length: usize, of: &str) -> Result<ProgressBar, Failure> {
    let style = format!("{{bar:40}} {{pos}}/{{len}} {of}, {{elapsed}} of about {{duration}}");
    Ok(ProgressBar::new(length as u64).with_style(ProgressStyle::with_template(&style)?))
}

/// Figures as a line for people.
pub fn describe(metrics: &Metrics) -> String {
    let Metrics { auc, pr_auc, brier, log_loss, ece10 } = metrics;
    format!(
        "AUC {auc:.4}, PR-AUC {pr_auc:.4}, Brier {brier:.4}, log-loss {log_loss:.4}, ECE {ece10:.4}"
    )
}
