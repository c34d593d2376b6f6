//! `attune privacy`: a person's rights, as the operator of a server serves them.

use super::{Data, tokio_runtime};
use crate::{Failure, output, person};
use clap::Subcommand;
use serde_json::json;
use server::privacy;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};
use uuid::Uuid;

/// Serve a person's rights on a server's data folder: export, erasure, and the audit log.
///
/// A person asks through their device, which is their proof; this is for letters and phone calls.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Everything that is stored about a person, as JSON.
    Export {
        /// The person's pseudonym.
        person: Uuid,
        /// Where to [default: standard output]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Delete everything about a person, for good; a tombstone keeps it from coming back.
    Erase {
        /// The person's pseudonym.
        person: Uuid,
        /// Yes, for good.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Check that the audit log was not changed.
    VerifyAudit,
}

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let (at, now) = (args.data.location(), person::unix_ms());
    let runtime = tokio_runtime()?;
    let unknown = || -> Failure { "nothing is stored about this person".into() };
    match args.action {
        Action::Export { person, file } => {
            let found = runtime.block_on(privacy::export(at, person, now))?;
            let document = found.ok_or_else(unknown)?;
            match file {
                None => output::line(&document)?,
                Some(file) => write(&file, &serde_json::to_vec_pretty(&document)?)?,
            }
        }
        Action::Erase { person, .. } => {
            let erased = runtime.block_on(privacy::erase(at, person, now))?;
            let erased = erased.ok_or_else(unknown)?;
            if json {
                output::line(&json!({
                    "type": "erased", "events": erased.events, "receipts": erased.receipts,
                    "log_emptied": erased.log_emptied,
                }))?;
            } else {
                output::text(&format!(
                    "erased: {} events and {} receipts; copies in backups cannot be read any more",
                    erased.events, erased.receipts
                ))?;
            }
        }
        Action::VerifyAudit => {
            let entries = runtime.block_on(privacy::verify_audit(at))?;
            if json {
                output::line(&json!({"type": "audit", "entries": entries, "holds": true}))?;
            } else {
                output::text(&format!("{entries} entries, and none was changed"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is about a person is for the owner of the file alone.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |error| format!("cannot write {}: {error}", file.display());
    let mut opened = options.open(file).map_err(failed)?;
    std::io::Write::write_all(&mut opened, bytes).map_err(failed)?;
    Ok(())
}
