//! `attune serve`: the server.

use super::{asked_to_stop, tokio_runtime};
use crate::{Failure, output};
use serde_json::json;
use server::{
    settings::{self, Flag},
    telemetry,
};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

/// Run the server: events, consents and outcomes in, predictions out, a live page at /.
///
/// Devices sign what they send; programs show a key: see attune keys. Settings come from the file,
/// then the environment (ATTUNE_SERVER__LIMITS__KEY__BURST=50), then the options here.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings, TOML; the environment and the options below override it.
    #[arg(long, value_name = "FILE", env = "ATTUNE_CONFIG")]
    config: Option<PathBuf>,
    /// The folder of the database [default: attune-data]
    #[arg(long, value_name = "FOLDER", env = "ATTUNE_DATA_DIR")]
    data: Option<PathBuf>,
    /// The main database, if it is PostgreSQL: postgres://user@host/name
    #[arg(long, value_name = "URL", env = "ATTUNE_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Where to listen; port 0 takes any free one [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS", env = "ATTUNE_LISTEN")]
    listen: Option<SocketAddr>,
    /// How log lines read [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,
    /// Show every setting and where it came from, and end.
    #[arg(long)]
    print_config: bool,
    /// Write a file with every setting at its default, and end.
    #[arg(long, conflicts_with = "print_config")]
    print_default_config: bool,
}

impl Args {
    fn flags(&self) -> Result<Vec<Flag>, Failure> {
        let data = self.data.as_ref().map(|path| {
            let text = path.to_str().map(ToOwned::to_owned);
            text.ok_or_else(|| format!("the folder {} is no Unicode text", path.display()))
        });
        let all = [
            ("--data", "data_dir", data.transpose()?),
            ("--database", "database", self.database.clone()),
            ("--listen", "listen", self.listen.map(|address| address.to_string())),
            ("--log-format", "log.format", self.log_format.clone()),
        ];
        let given = all
            .into_iter()
            .filter_map(|(option, name, value)| value.map(|value| Flag { option, name, value }));
        Ok(given.collect())
    }
}

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    if args.print_default_config {
        output::text(settings::reference().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    // A variable that is no Unicode text is none of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let settings = settings::load(args.config.as_deref(), environment, &args.flags()?)?;
    if args.print_config {
        output::text(settings.explain().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = settings.config;
    tokio_runtime()?.block_on(async {
        let telemetry = telemetry::start(&config.log, &config.traces, std::io::stderr)?;
        let server = server::Server::bind(config).await?;
        let url = server.url();
        if !server.has_keys().await? {
            eprintln!(
                "no program has a key yet: attune keys create --name NAME --scope ingest,predict"
            );
        }
        if json {
            output::line(&json!({"type": "listening", "url": url}))?;
        } else {
            output::text(&format!("listening on {url} (stop with Ctrl-C)"))?;
        }
        let ended = server.run_until(asked_to_stop()).await;
        telemetry.finish().await;
        ended?;
        Ok(ExitCode::SUCCESS)
    })
}
