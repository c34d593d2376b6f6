//! `attune doctor`: what this machine can do, and how to fix what it cannot.

use super::tokio_runtime;
use crate::{Failure, output};
use sdk_core::sensor::BtleplugTransport;
use serde::Serialize;
use std::{
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

/// Say what this machine can do, and how to fix what it cannot.
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    works: bool,
    found: String,
    /// What to do where it does not work.
    fix: &'static str,
}

/// A Bluetooth daemon that does not answer within this time will not.
const BLUETOOTH_TIMEOUT: Duration = Duration::from_secs(5);

pub fn run(_: Args, json: bool) -> Result<ExitCode, Failure> {
    let checks = [bluetooth()?, simulated_bluetooth(), model(), database()?];
    if json {
        output::line(&checks)?;
    } else {
        for check in &checks {
            let mark = if check.works { "ok     " } else { "missing" };
            output::text(&format!("{mark}  {:<22} {}", check.what, check.found))?;
            if !check.works {
                output::text(&format!("         -> {}", check.fix))?;
            }
        }
    }
    // A kiosk without Bluetooth is still a healthy server: say it, do not fail.
    Ok(ExitCode::SUCCESS)
}

fn bluetooth() -> Result<Check, Failure> {
    let opened = tokio_runtime()?.block_on(async {
        tokio::time::timeout(BLUETOOTH_TIMEOUT, BtleplugTransport::new(None)).await
    });
    let (works, found) = match opened {
        Ok(Ok(_)) => (true, "an adapter".to_owned()),
        Ok(Err(error)) => (false, error.to_string()),
        Err(_) => (false, "the Bluetooth service does not answer".to_owned()),
    };
    let fix = "switch Bluetooth on; on Linux start the bluetooth service";
    Ok(Check { what: "Bluetooth", works, found, fix })
}

fn simulated_bluetooth() -> Check {
    let version = Command::new("dbus-daemon").arg("--version").stderr(Stdio::null()).output();
    let found = version
        .ok()
        .filter(|v| v.status.success())
        .and_then(|v| String::from_utf8_lossy(&v.stdout).lines().next().map(str::to_owned));
    Check {
        what: "simulated Bluetooth",
        works: found.is_some(),
        found: found.unwrap_or_else(|| "no dbus-daemon".into()),
        fix: "cargo xtask setup",
    }
}

fn model() -> Check {
    let loaded = models::bundled::intent();
    let works = loaded.is_ok();
    let found = loaded.map_or_else(|e| e.to_string(), |model| model.id().to_owned());
    Check { what: "intent model", works, found, fix: "reinstall attune, or train a model anew" }
}

fn database() -> Result<Check, Failure> {
    let folder = tempfile::tempdir()?;
    let config = server::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: folder.path().to_owned(),
        ..server::Config::default()
    };
    let bound = tokio_runtime()?.block_on(async { server::Server::bind(config).await });
    let works = bound.is_ok();
    let found = bound.map_or_else(|e| e.to_string(), |_| "SQLite, built in".to_owned());
    Ok(Check { what: "server and database", works, found, fix: "free disk space and a port" })
}
