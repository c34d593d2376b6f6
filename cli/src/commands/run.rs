//! `attune run`: the edge runtime on this machine's Bluetooth.

use super::{Edge, asked_to_stop, tokio_runtime};
use crate::{Failure, output, person};
use protocol::consent::{Modality, Purpose};
use sdk_core::{
    consent::Collect,
    runtime::{Session, SessionConfig},
    sensor::{BtleplugTransport, DeviceProfile},
    sync::SyncConfig,
};
use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::sync::broadcast::error::RecvError;

/// Run the edge runtime on real wearables of the person who uses this machine.
///
/// Needs their consent: `attune consent grant adapt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    store: person::Store,
    /// Ends after so long [default: until Ctrl-C]
    #[arg(long = "for", value_name = "SECONDS")]
    length: Option<f64>,
    /// The Bluetooth adapter, such as hci0 [default: the first]
    #[arg(long)]
    adapter: Option<String>,
    /// The server to report to, where sharing is granted [default: none]
    #[arg(long, value_name = "URL", env = "ATTUNE_SERVER")]
    server: Option<String>,
    /// The folder of what waits to be sent.
    #[arg(long, value_name = "FOLDER", default_value = "attune-data/outbox")]
    outbox: PathBuf,
    #[command(flatten)]
    edge: Edge,
}

const GATHER: Duration = Duration::from_secs(1);
const REPORT_EVERY: Duration = Duration::from_secs(1);

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let gate = args.store.load()?;
    let granted = [Modality::Eda, Modality::Hrv].map(|m| gate.permit::<Collect>(m));
    if let [Err(refused), Err(_)] = granted {
        let purpose = Purpose::Collect.name();
        return Err(format!("{refused}: `attune consent grant adapt` ({purpose})").into());
    }
    tokio_runtime()?.block_on(async {
        let sync =
            args.server.map(|server| SyncConfig { server, folder: args.outbox, gather: GATHER });
        let config = SessionConfig {
            pipeline: args.edge.load()?,
            devices: vec![(DeviceProfile::Eda, None), (DeviceProfile::HeartRate, None)],
            report_every: REPORT_EVERY,
            sync,
        };
        let transport = BtleplugTransport::new(args.adapter.as_deref()).await?;
        let session = Session::start(config, Arc::new(transport), gate)?;
        let mut updates = session.updates();
        let stop = asked_to_stop();
        tokio::pin!(stop);
        let length = args.length.filter(|s| *s > 0.0 && s.is_finite());
        let end = async {
            match length {
                Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = &mut end => break,
                update = updates.recv() => match update {
                    Ok(update) => output::happening(&update, json)?,
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "updates were not printed in time");
                    }
                    Err(RecvError::Closed) => break,
                },
            }
        }
        let summary = session.stop().await?;
        let mut line = serde_json::to_value(&summary)?;
        line["type"] = "summary".into();
        if json {
            output::line(&line)?;
        } else {
            output::text(&format!(
                "{} notifications, {} lost, {} revisions",
                summary.notifications, summary.lost, summary.offer_revisions
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
