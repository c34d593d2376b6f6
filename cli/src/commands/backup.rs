//! `attune backup` and `attune restore`: everything a server keeps, copied and brought back.

use super::{Data, tokio_runtime};
use crate::{Failure, output, person};
use indicatif::ProgressBar;
use serde_json::json;
use server::backup::{self, Stage};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// How often the mark turns that says that something goes on.
const TICK: Duration = Duration::from_millis(120);

/// Copy everything a server keeps to a new folder; the server may run meanwhile.
///
/// The folder has the database, the people's keys, the server's own key, and their digests. Keep
/// the copies of the keys for days, not years, and apart: with the last of them ends what they seal.
/// A PostgreSQL database is copied by pg_dump.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    /// The folder to make.
    folder: PathBuf,
}

/// Bring a backup back to where there is no database.
///
/// Keys and tombstones that are there stay, and count more than the backup's: who was erased since
/// is erased again. Nothing is overwritten.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    data: Data,
    /// The folder of the backup.
    folder: PathBuf,
}

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let (at, now) = (args.data.location(), person::unix_ms());
    let mark = Mark::new();
    let taken = backup::backup(&at, &args.folder, now, |stage| mark.say(stage));
    let manifest = tokio_runtime()?.block_on(taken)?;
    drop(mark);
    let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    if json {
        let files: Vec<&String> = manifest.files.keys().collect();
        output::line(&json!({
            "type": "backup", "folder": args.folder, "files": files, "bytes": bytes,
        }))?;
    } else {
        output::text(&format!(
            "{}: {} files, {bytes} bytes, read again and whole",
            args.folder.display(),
            manifest.files.len()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub fn restore(args: RestoreArgs, json: bool) -> Result<ExitCode, Failure> {
    let (at, now) = (args.data.location(), person::unix_ms());
    let mark = Mark::new();
    let brought = backup::restore(&args.folder, &at, now, |stage| mark.say(stage));
    let restored = tokio_runtime()?.block_on(brought)?;
    drop(mark);
    let (people, again) = (restored.people, restored.erased_again.people);
    if json {
        output::line(&json!({"type": "restored", "people": people, "erased_again": again}))?;
    } else {
        output::text(&format!(
            "restored: {people} people; {again} who had been erased since were erased again"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is going on, on standard error, until it is dropped.
struct Mark(ProgressBar);

impl Mark {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    fn say(&self, stage: Stage) {
        self.0.set_message(match stage {
            Stage::Database => "the database",
            Stage::Keys => "the keys",
            Stage::Check => "reading it again",
        });
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
