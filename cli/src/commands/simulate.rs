//! `attune simulate`: wearables without hardware, on a D-Bus or as files.

use super::{asked_to_stop, replay::tape, simulate_people, tokio_runtime};
use crate::{Failure, output};
use clap::Subcommand;
use firmware_sim::{
    fake_bluez::{FakeBluez, SimEvent, SimulatedDevice},
    fault::FaultScript,
    file,
    physiology::{Script, session},
    source::Source,
    spec::DeviceSpec,
};
use sdk_core::sensor::recording::Recording;
use serde_json::json;
use std::{fs, path::PathBuf, process::ExitCode};
use tokio::sync::broadcast::error::RecvError;

/// Simulate a wristband and a strap.
///
/// Serves them as a Bluetooth daemon on the D-Bus named by DBUS_SYSTEM_BUS_ADDRESS, which must be
/// a private one; or writes a session as a folder of recordings with --out.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// A device description, TOML; may be given more than once [default: wristband and strap]. It
    /// needs a kind only: wristband, strap, polar_h10, polar_sense, healthypi_move, shimmer3_gsr.
    #[arg(long, value_name = "FILE")]
    device: Vec<PathBuf>,
    /// Plays this recording (an Empatica E4 folder) instead of a simulated body.
    #[arg(long, value_name = "FOLDER")]
    recording: Option<PathBuf>,
    /// What goes wrong and when, TOML.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Which body: same seed, same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes a simulated session to this folder, as Empatica E4 files with labels, and ends.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["device", "recording", "faults"])]
    out: Option<PathBuf>,
    /// Length of the session that --out writes.
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0, requires = "out")]
    length: f64,
}

#[derive(Debug, Subcommand)]
enum What {
    People(simulate_people::Args),
}

/// EDA rate of written sessions: that of an Empatica E4.
const FILE_EDA_HZ: f64 = 4.0;
/// The longest session that is written: a day.
const LONGEST_S: f64 = 86_400.0;

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    if let Some(What::People(people)) = &args.what {
        return simulate_people::run(people, json);
    }
    if let Some(folder) = &args.out {
        return write(folder, &args, json);
    }
    let devices = devices(&args)?;
    let faults = match &args.faults {
        None => FaultScript::default(),
        Some(path) => {
            FaultScript::parse(&read(path)?).map_err(|e| format!("{}: {e}", path.display()))?
        }
    };
    let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").map_err(|_| {
        "DBUS_SYSTEM_BUS_ADDRESS is not set: start a private dbus-daemon and name it there \
         (`attune demo` does all of it by itself)"
    })?;
    tokio_runtime()?.block_on(async {
        let bluez = FakeBluez::start(&address, devices, &faults).await?;
        let mut events = bluez.events();
        if !json {
            output::text("simulating; stop with Ctrl-C")?;
        }
        let stop = asked_to_stop();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                event = events.recv() => match event {
                    Ok(event) => tell(&event, json)?,
                    Err(RecvError::Lagged(missed)) => {
                        protocol::log!(warn, "events were not printed in time", missed);
                    }
                    Err(RecvError::Closed) => break,
                },
            }
        }
        bluez.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn devices(args: &Args) -> Result<Vec<SimulatedDevice>, Failure> {
    let mut specs = Vec::new();
    for path in &args.device {
        let spec = DeviceSpec::parse(&read(path)?);
        specs.push(spec.map_err(|e| format!("{}: {e}", path.display()))?);
    }
    if specs.is_empty() {
        specs = vec![DeviceSpec::wristband(), DeviceSpec::strap()];
        specs.iter_mut().for_each(|spec| spec.seed = args.seed);
    }
    let recording = args.recording.as_deref().map(Recording::open).transpose()?;
    let tape = recording.map(|recording| Source::tape(tape(&recording)));
    Ok(specs
        .into_iter()
        .map(|spec| match &tape {
            Some(tape) => SimulatedDevice { spec, source: tape.clone() },
            None => spec.into(),
        })
        .collect())
}

fn tell(event: &SimEvent, json: bool) -> Result<(), Failure> {
    match event {
        _ if json => output::line(event),
        SimEvent::Notification { .. } => Ok(()),
        other => output::text(&format!("{other:?}")),
    }
}

fn write(folder: &std::path::Path, args: &Args, json: bool) -> Result<ExitCode, Failure> {
    if !(1.0..=LONGEST_S).contains(&args.length) {
        return Err(format!("--length is {}, it must be 1 to {LONGEST_S}", args.length).into());
    }
    let script = Script::random(args.seed, args.length);
    let session = session(args.seed, &script, args.length, FILE_EDA_HZ);
    let subject = format!("SIM{}", args.seed);
    file::write(folder, &session, &file::Recording { subject: &subject, start_epoch_s: 0.0 })?;
    let beats = session.beats.len();
    if json {
        output::line(&json!({
            "folder": folder, "seed": args.seed, "seconds": args.length, "beats": beats
        }))?;
    } else {
        output::text(&format!(
            "{} s of {subject} with {beats} beats written to {}",
            args.length,
            folder.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &std::path::Path) -> Result<String, Failure> {
    Ok(fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?)
}
