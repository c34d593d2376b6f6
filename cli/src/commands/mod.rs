//! One file a command: its arguments and what it does with them.

pub mod analyze;
pub mod backup;
pub mod completions;
pub mod consent;
pub mod demo;
pub mod doctor;
pub mod evaluate;
pub mod import;
pub mod keys;
pub mod privacy;
pub mod replay;
pub mod run;
pub mod serve;
pub mod simulate;
pub mod simulate_people;
pub mod train;
pub mod train_conversion;
pub mod train_orders;

use crate::Failure;
use models::{Bundle, IntentModel};
use sdk_core::{
    intent::Calibration,
    offer::{OfferPlan, Tempo},
    runtime::PipelineConfig,
};
use server::{DatabaseUrl, Location};
use std::{fs, path::PathBuf, sync::Arc};

/// The edge path's model and offer, as several commands take them.
#[derive(Debug, Clone, clap::Args)]
pub struct Edge {
    /// The offer and how far it may be sculpted, TOML [default: an espresso machine]
    #[arg(long, value_name = "FILE")]
    offer: Option<PathBuf>,
    /// The folder of an intent model bundle [default: the one built in]
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
}

impl Edge {
    /// Loads both.
    ///
    /// # Errors
    /// With the file and what is wrong in it.
    pub fn load(&self) -> Result<PipelineConfig, Failure> {
        let plan = match &self.offer {
            None => OfferPlan::from_toml(include_str!("../../assets/demo-offer.toml"))?,
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|e| format!("cannot read the offer {}: {e}", path.display()))?;
                OfferPlan::from_toml(&text).map_err(|e| format!("{}: {e}", path.display()))?
            }
        };
        let model = match &self.model {
            None => models::bundled::intent()?,
            Some(folder) => IntentModel::new(&Bundle::load(folder)?)?,
        };
        Ok(PipelineConfig {
            plan,
            tempo: Tempo::default(),
            calibration: Calibration::default(),
            model: Arc::new(model),
        })
    }
}

/// A server's data, as commands beside the server take it.
#[derive(Debug, Clone, clap::Args)]
pub struct Data {
    /// The folder of the server's keys and of its embedded database.
    #[arg(long, value_name = "FOLDER", env = "ATTUNE_DATA_DIR", default_value = "attune-data")]
    data: PathBuf,
    /// The server's database, if it is PostgreSQL: postgres://user@host/name
    #[arg(long, value_name = "URL", env = "ATTUNE_DATABASE", hide_env_values = true)]
    database: Option<String>,
}

impl Data {
    /// Where it is.
    pub fn location(self) -> Location {
        Location { folder: self.data, database: self.database.map(DatabaseUrl) }
    }
}

/// A runtime for the asynchronous commands. Two threads are enough for a device.
///
/// # Errors
/// When the system refuses threads.
pub fn tokio_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Completes on Ctrl-C or, on Unix, on a polite kill.
pub async fn asked_to_stop() {
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// The time that `--as-of` names; now, if it is absent.
fn time(text: Option<&str>) -> Result<i64, Failure> {
    let Some(text) = text else { return Ok(jiff::Timestamp::now().as_millisecond()) };
    if let Ok(unix_ms) = text.parse() {
        return Ok(unix_ms);
    }
    let time: jiff::Timestamp = text.parse().map_err(|error| {
        format!("--as-of {text}: {error}; write 2026-11-20T17:04:05Z or Unix milliseconds")
    })?;
    Ok(time.as_millisecond())
}
