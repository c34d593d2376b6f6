//! `attune run` and `attune record`: the edge runtime on this machine's Bluetooth.

use super::{Edge, asked_to_stop, tokio_runtime};
use crate::{
    Failure, output,
    person::{self, Person},
};
use protocol::consent::Purpose;
use sdk_core::{
    consent::Collect,
    runtime::{Session, SessionConfig, SessionTap, Summary},
    sensor::{
        BtleplugTransport, DeviceProfile, GLIBC_WIPES_FREED,
        recording::attune::{FILE_NAME, Tap, Writer},
    },
    sync::{Pin, SyncConfig, Trust},
    vault::Vault,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{broadcast::error::RecvError, mpsc};

/// Run the edge runtime on real wearables of the person who uses this machine.
///
/// Needs their consent: `attune consent grant adapt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    live: Live,
    /// The server to report to, where sharing is granted [default: none]
    #[arg(long, value_name = "URL", env = "ATTUNE_SERVER")]
    server: Option<String>,
    /// The server's public key, sha256/BASE64 (RFC 7469), once for each that is right: no other
    /// is talked to
    #[arg(long = "pin", value_name = "PIN", env = "ATTUNE_PINS", value_delimiter = ',')]
    pins: Vec<Pin>,
    /// A certificate authority of one's own, PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Record live wearables in Attune's own format; `attune replay` plays it back, sample for sample.
///
/// Needs consent to collect: `attune consent grant adapt`. A line typed while it runs marks the
/// moment with that text. The recording is sealed with the person's key: only this machine can
/// replay it, and only until consent is withdrawn.
#[derive(Debug, clap::Args)]
pub struct RecordArgs {
    /// The folder to record to: new, or empty.
    folder: PathBuf,
    /// Do not seal it: anybody who has the file can read it, and a withdrawal does not end it
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    live: Live,
}

/// Which wearables, for how long.
#[derive(Debug, clap::Args)]
struct Live {
    #[command(flatten)]
    store: person::Store,
    /// Ends after so long [default: until Ctrl-C]
    #[arg(long = "for", value_name = "SECONDS")]
    length: Option<f64>,
    /// The Bluetooth adapter, such as hci0 [default: the first]
    #[arg(long)]
    adapter: Option<String>,
    /// A wearable, once for each: attune-eda, heart-rate, polar-ecg, polar-ppi, polar-ppg,
    /// healthypi-gsr or shimmer-gsr, with @ADDRESS where one of several is wanted
    /// [default: attune-eda and heart-rate]
    #[arg(long = "device", value_name = "KIND[@ADDRESS]", value_parser = device)]
    devices: Vec<Wearable>,
    #[command(flatten)]
    edge: Edge,
}

type Wearable = (DeviceProfile, Option<String>);

fn device(text: &str) -> Result<Wearable, String> {
    let (id, address) = match text.split_once('@') {
        Some((id, address)) => (id, Some(address.to_ascii_uppercase())),
        None => (text, None),
    };
    let known = || DeviceProfile::ALL.map(DeviceProfile::id).join(", ");
    let profile = DeviceProfile::from_id(id).ok_or_else(|| format!("known are {}", known()))?;
    Ok((profile, address))
}

const REPORT_EVERY: Duration = Duration::from_secs(1);

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    begin_again_wiping()?;
    let trust = trust(args.pins, args.ca.as_deref())?;
    let sync = args.server.map(|server| SyncConfig { trust, ..SyncConfig::to(&server) });
    let person = args.live.permitted()?;
    args.live.run(&person, sync, None, json)
}

/// Starts the command anew in an environment in which C libraries wipe what they free: it is read
/// at the start of a process only.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn begin_again_wiping() -> Result<(), Failure> {
    use std::{env, os::unix::process::CommandExt as _, process::Command};
    let (name, wiping) = GLIBC_WIPES_FREED;
    let given = env::var(name).unwrap_or_default();
    if given.contains(wiping) {
        return Ok(());
    }
    let both = if given.is_empty() { wiping.to_owned() } else { format!("{given}:{wiping}") };
    let program = env::current_exe()?;
    // Returns only if it fails.
    Err(Command::new(program).args(env::args_os().skip(1)).env(name, both).exec().into())
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn begin_again_wiping() -> Result<(), Failure> {
    Ok(())
}

fn trust(pins: Vec<Pin>, ca: Option<&Path>) -> Result<Trust, Failure> {
    let read =
        |path: &Path| fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()));
    Ok(Trust { pins, roots: ca.map(read).transpose()?.into_iter().collect() })
}

pub fn record(args: RecordArgs, json: bool) -> Result<ExitCode, Failure> {
    begin_again_wiping()?;
    let person = args.live.permitted()?;
    let vault = if args.plain { None } else { person.store.vault() };
    let tap = tap(&args.folder, vault)?;
    let code = args.live.run(&person, None, Some(tap), json)?;
    eprintln!("recorded: `attune replay {}` plays it back", args.folder.display());
    Ok(code)
}

/// Begins a recording in a folder that holds none.
fn tap(folder: &Path, vault: Option<&Vault>) -> Result<SessionTap, Failure> {
    let path = folder.join(FILE_NAME);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{} is a recording already: name a new folder", folder.display())
        }
        _ => format!("cannot write {}: {error}", path.display()),
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let sink: Box<dyn io::Write + Send + Sync> = match vault {
        Some(vault) => Box::new(vault.create_sealed(&path).map_err(|e| failed(e.into()))?),
        None => Box::new(io::BufWriter::new(fs::File::create_new(&path).map_err(failed)?)),
    };
    Ok(Tap::new(Writer::new(sink, person::unix_ms())?))
}

impl Live {
    /// The wearables that were asked for.
    fn wearables(&self) -> Vec<Wearable> {
        if self.devices.is_empty() {
            return vec![(DeviceProfile::Eda, None), (DeviceProfile::HeartRate, None)];
        }
        self.devices.clone()
    }

    /// The person, if they permit one of them at least.
    fn permitted(&self) -> Result<Person, Failure> {
        let person = self.store.open()?;
        let mut refused = None;
        for (profile, _) in self.wearables() {
            match person.gate().permit::<Collect>(profile.modality()) {
                Ok(_) => return Ok(person),
                Err(error) => refused = Some(error),
            }
        }
        let refused = refused.map(|error| error.to_string()).unwrap_or_default();
        Err(format!("{refused}: `attune consent grant adapt` ({})", Purpose::Collect.name()).into())
    }

    fn run(
        self,
        person: &Person,
        sync: Option<SyncConfig>,
        tap: Option<SessionTap>,
        json: bool,
    ) -> Result<ExitCode, Failure> {
        let gate = person.gate().clone();
        let config = SessionConfig {
            pipeline: self.edge.load()?,
            devices: self.wearables(),
            report_every: REPORT_EVERY,
            sync: sync.map(|config| person.store.sync(config)).transpose()?,
        };
        tokio_runtime()?.block_on(async {
            let transport = Arc::new(BtleplugTransport::new(self.adapter.as_deref()).await?);
            let markers = tap.is_some();
            let session = match tap {
                Some(tap) => Session::start_recorded(config, transport, gate, tap)?,
                None => Session::start(config, transport, gate)?,
            };
            follow(&session, self.length, markers, json).await?;
            summarise(&session.stop().await?, json)
        })
    }
}

/// Tells what happens until the end, or until somebody wants it to end.
async fn follow(
    session: &Session,
    length: Option<f64>,
    markers: bool,
    json: bool,
) -> Result<(), Failure> {
    let mut updates = session.updates();
    let stop = asked_to_stop();
    tokio::pin!(stop);
    let length = length.filter(|s| *s > 0.0 && s.is_finite());
    let end = async {
        match length {
            Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let mut typed = markers.then(typed_lines);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = &mut end => return Ok(()),
            line = next(&mut typed) => match line {
                Some(label) => drop(session.mark(label.trim())),
                // Nobody types any more: it records on.
                None => typed = None,
            },
            update = updates.recv() => match update {
                Ok(update) => output::happening(&update, json)?,
                Err(RecvError::Lagged(missed)) => {
                    protocol::log!(warn, "updates were not printed in time", missed);
                }
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// Lines from standard input. A thread of its own reads them: nobody can interrupt a read, and the
/// command must end without one.
fn typed_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = io::stdin().lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    receiver
}

async fn next(typed: &mut Option<mpsc::UnboundedReceiver<String>>) -> Option<String> {
    match typed {
        Some(typed) => typed.recv().await,
        None => std::future::pending().await,
    }
}

fn summarise(summary: &Summary, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let mut line = serde_json::to_value(summary)?;
        line["type"] = "summary".into();
        output::line(&line)?;
    } else {
        output::text(&format!(
            "{} notifications, {} samples, {} lost, {} revisions",
            summary.notifications, summary.samples, summary.lost_samples, summary.offer_revisions
        ))?;
    }
    match &summary.recording_failed {
        Some(why) => Err(format!("the recording is not whole: {why}").into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wearables_are_named_by_kind_and_address() {
        let found = device("polar-ecg@a0:9e:1a:00:00:01").unwrap();
        assert_eq!(found, (DeviceProfile::PolarEcg, Some("A0:9E:1A:00:00:01".to_owned())));
        assert_eq!(device("shimmer-gsr"), Ok((DeviceProfile::ShimmerGsr, None)));
        assert!(device("watch").unwrap_err().contains("polar-ecg"));
    }

    #[test]
    fn a_recording_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(tap(folder.path(), None).is_ok());
        let error = tap(folder.path(), None).err().unwrap().to_string();
        assert!(error.contains("name a new folder"), "{error}");
    }
}
