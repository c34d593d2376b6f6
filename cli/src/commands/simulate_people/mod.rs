//! `attune simulate people`: a made-up population shops for a year at a running server, which learns
//! what they need, proposes orders and hears their answers. The year passes in minutes.
//!
//! Everything the server does it does as always: purchases arrive over HTTP, a process of its own
//! trains, the shop is asked over HTTP, answers come over HTTP. Only its clock is set.

mod report;
mod shop;
mod year;

use super::tokio_runtime;
use crate::{Failure, output};
use clap::ValueEnum;
use std::{path::PathBuf, process::ExitCode};
use training::people::{Drift, Turn};

/// Let a made-up population live for a year with a server that proposes orders.
///
/// Writes report.json, report.md and pictures: what was proposed and what of it was wrong, how
/// people's thresholds went, how well probabilities were calibrated. The people are invented: the
/// figures say that the loop works, not how real people answer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many people.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    people: u32,
    /// How many days.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(60..=1_500))]
    days: u32,
    /// Of a hundred people so many agree to be asked.
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100))]
    agreed: u32,
    /// Other seeds make other people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Days between trainings.
    #[arg(long, value_name = "DAYS", default_value_t = 28, value_parser = clap::value_parser!(u32).range(7..=365))]
    train_every: u32,
    /// How far ahead needs are foretold.
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u16).range(2..=60))]
    horizon_days: u16,
    /// What changes for half of the people, two thirds into the time.
    #[arg(long, value_enum, default_value_t = DriftKind::Rates)]
    drift: DriftKind,
    /// The folder of the server's data; a temporary one, if absent.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The folder of the report.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// A change for many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DriftKind {
    /// Nothing.
    None,
    /// They use 1.8 times as much.
    Rates,
    /// They are away for three weeks.
    Away,
    /// They give up half of their categories for others.
    Tastes,
}

/// Share of the people whom a drift concerns.
const DRIFTING: f64 = 0.5;

impl Args {
    fn drift(&self, first_day: i32) -> Option<Drift> {
        let turn = match self.drift {
            DriftKind::None => return None,
            DriftKind::Rates => Turn::Rates { factor: 1.8 },
            DriftKind::Away => Turn::Away { days: 21 },
            DriftKind::Tastes => Turn::Tastes { share: 0.5 },
        };
        // At most 1,500 days.
        let day = first_day + (self.days * 2 / 3) as i32;
        Some(Drift { day, people_share: DRIFTING, turn })
    }
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    std::fs::create_dir_all(&args.out)
        .map_err(|error| format!("cannot make {}: {error}", args.out.display()))?;
    let told = tokio_runtime()?.block_on(year::live(args, json))?;
    report::write(&args.out, &told)?;
    if json {
        output::line(&told)?;
    } else {
        output::text(&format!("{}\nwritten to {}", told.summary(), args.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
