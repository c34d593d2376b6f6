//! `attune train orders`: a model of what people need and when, from what a server's database knows.
//!
//! The server's scheduler runs it as a process of its own; the report that it reads is the last
//! line on standard output.

use super::{Data, time, tokio_runtime};
use crate::{Failure, output};
use indicatif::{ProgressBar, ProgressStyle};
use models::{
    confidence::{Adaptive, Wanted},
    reorder::{Bundle, day_of},
};
use serde_json::json;
use server::{LEAST_PURCHASES, OrdersReport};
use std::{fs, path::PathBuf, process::ExitCode};
use training::reorder::{Ledger, Recipe, fit};

/// The model of needs: whether a person needs a category within the horizon, and when.
///
/// Reads the database only; a server may be using it. The same purchases give the same file, byte
/// for byte. What nobody has bought twice teaches nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    /// No purchase after the end of this day is seen: RFC 3339 with a zone, or Unix milliseconds
    /// [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    as_of: Option<String>,
    /// How far ahead the model looks.
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    horizon_days: u16,
    /// The feature definitions, TOML, which say where days begin [default: those that come with
    /// Attune]
    #[arg(long, value_name = "FILE", env = "ATTUNE_FEATURE_DEFINITIONS")]
    features: Option<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let definitions = server::features::definitions(args.features.as_deref())?;
    let as_of_unix_ms = time(args.as_of.as_deref())?;
    let day = day_of(as_of_unix_ms, definitions.utc_offset_minutes());
    let location = args.data.clone().location();
    let people = tokio_runtime()?.block_on(server::consumption(location))?;
    let ledger = Ledger::of_people(people.iter().map(|(person, own)| (person.to_string(), own)))?;
    let recipe = Recipe::default();
    let bar = progress(&recipe, json)?;
    let horizon_days = i32::from(args.horizon_days);
    let fitted = fit(&ledger, day, horizon_days, LEAST_PURCHASES, &recipe, || bar.inc(1))?;
    bar.finish_and_clear();
    let bundle = Bundle::new(fitted.model, fitted.calibrated_on, fitted.moved, &fitted.newest)?;
    let wanted = Wanted::default();
    let level = bundle.level(&Adaptive::new(&wanted), &wanted);
    let report = OrdersReport {
        lineage: json!({
            "as_of_unix_ms": as_of_unix_ms,
            "day": day,
            "horizon_days": args.horizon_days,
            "people": ledger.customers.len(),
            "categories": ledger.categories.len(),
            "cuts": fitted.cuts,
            "calibrated_on": fitted.calibrated_on,
            "calibrated_rows": fitted.newest.len(),
            "moved": fitted.moved,
            "level": level,
        }),
    };
    fs::write(&args.out, bundle.to_json()?)
        .map_err(|error| format!("cannot write {}: {error}", args.out.display()))?;
    if json {
        output::line(&report)?;
    } else {
        output::text(&format!(
            "model {} of {} people and {} categories: {level}\nwritten to {}",
            bundle.id(),
            ledger.customers.len(),
            ledger.categories.len(),
            args.out.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn progress(recipe: &Recipe, json: bool) -> Result<ProgressBar, Failure> {
    if json {
        return Ok(ProgressBar::hidden());
    }
    let bar = ProgressBar::new(2 * recipe.cuts as u64 + 6);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {elapsed} so far")?);
    Ok(bar)
}
