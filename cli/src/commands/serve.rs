//! `attune serve`: the server.

use super::{asked_to_stop, tokio_runtime};
use crate::{Failure, output};
use serde_json::json;
use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode};

/// Run the server: events, consents and outcomes in, a live page at /.
///
/// Devices sign what they send; the page has no accounts yet: keep it on loopback.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings, TOML; the options below override it.
    #[arg(long, value_name = "FILE", env = "ATTUNE_CONFIG")]
    config: Option<PathBuf>,
    /// The folder of the database [default: attune-data]
    #[arg(long, value_name = "FOLDER", env = "ATTUNE_DATA_DIR")]
    data: Option<PathBuf>,
    /// Where to listen; port 0 takes any free one [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS", env = "ATTUNE_LISTEN")]
    listen: Option<SocketAddr>,
}

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let mut config = match &args.config {
        None => server::Config::default(),
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|e| format!("cannot read the settings {}: {e}", path.display()))?;
            toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?
        }
    };
    config.data_dir = args.data.unwrap_or(config.data_dir);
    config.listen = args.listen.unwrap_or(config.listen);
    tokio_runtime()?.block_on(async {
        let server = server::Server::bind(config).await?;
        let url = server.url();
        if json {
            output::line(&json!({"type": "listening", "url": url}))?;
        } else {
            output::text(&format!("listening on {url} (stop with Ctrl-C)"))?;
        }
        server.run_until(asked_to_stop()).await?;
        Ok(ExitCode::SUCCESS)
    })
}
