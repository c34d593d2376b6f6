//! `attune demo`: the whole loop on one machine, with simulated wearables over real Bluetooth code.

use super::{Edge, asked_to_stop, replay, tokio_runtime};
use crate::{
    Failure, output, person, rig,
    view::{Board, Key, LatencyMs, Terminal, draw},
};
use firmware_sim::{
    fake_bluez::{FakeBluez, SimEvent, SimulatedDevice},
    fault::FaultScript,
    source::Source,
    spec::DeviceSpec,
};
use protocol::{
    consent::{ConsentState, Modality, Purpose},
    event::OutcomeKind,
    gatt::EDA_MEASUREMENT,
};
use sdk_core::{
    runtime::{Session, SessionConfig},
    sensor::{BtleplugTransport, DeviceProfile},
    store::LocalStore,
    sync::SyncConfig,
    vault::MemoryKeyStore,
};
use serde::Serialize;
use serde_json::json;
use server::{
    keys::{Keychain, NewKey},
    scope::Scope,
};
use std::{
    fs,
    io::IsTerminal,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{broadcast::error::RecvError, mpsc, oneshot};

/// Run the whole loop on this machine: simulated wearables over real Bluetooth code, intent model,
/// adapted offer, and a server with a live page.
///
/// The wearer is simulated, or a recording is played. Their consent is simulated too. At the end
/// consent is withdrawn, as a visit should end.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ends after so long [default: until you press q]
    #[arg(long = "for", value_name = "SECONDS")]
    length: Option<f64>,
    /// Plays this recording (an Empatica E4 folder) instead of a simulated body.
    #[arg(long, value_name = "FOLDER")]
    recording: Option<PathBuf>,
    /// Where in the recording to begin.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, requires = "recording")]
    from: f64,
    /// Which simulated body.
    #[arg(long, default_value_t = 8, conflicts_with = "recording")]
    seed: u64,
    /// What goes wrong and when, TOML; devices are called "Attune Wristband" and "Attune Strap".
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// The simulated wearer lets prices rise above list.
    #[arg(long)]
    allow_increase: bool,
    /// Where the server listens [default: any free port on this machine]
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Lines instead of the terminal view, as where there is no terminal.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    edge: Edge,
}

/// The last line.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(rename = "type")]
    kind: &'static str,
    notifications: u64,
    samples: u64,
    lost: u64,
    features: u64,
    intents: u64,
    decisions: u64,
    offer_revisions: u64,
    events_synced: u64,
    outcomes_stored: u64,
    latency_ms: LatencyMs,
    latency_measured: usize,
    /// From the call to the last sensor closed.
    withdrawn_after_ms: f64,
    seconds: f64,
}

/// The simulated body rests for its first 10 s: its baseline is learned then, as a kiosk would
/// before it shows an offer.
const SIMULATED_REST: Duration = Duration::from_secs(9);
/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// How often lines tell where the session stands.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How long the demo waits at its end for the server to have everything.
const DELIVERY: Duration = Duration::from_secs(3);
/// Events are gathered this long before they are sent.
const GATHER: Duration = Duration::from_millis(250);
const REPORT_EVERY: Duration = Duration::from_secs(1);
const DEVICES: [DeviceProfile; 2] = [DeviceProfile::Eda, DeviceProfile::HeartRate];

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    if args.length.is_some_and(|s| !(s > 0.0 && s.is_finite())) {
        return Err("--for takes a number of seconds greater than 0".into());
    }
    let devices = devices(&args)?;
    let faults = match &args.faults {
        None => FaultScript::default(),
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            FaultScript::parse(&text).map_err(|e| format!("{}: {e}", path.display()))?
        }
    };
    // Before any thread exists: it changes the environment.
    let bus = rig::private_bus()?;
    let screen = !json && !args.plain && std::io::stdout().is_terminal();
    let report =
        tokio_runtime()?.block_on(demo(&args, json, screen, bus.address(), devices, &faults))?;
    if json {
        output::line(&report)?;
    } else {
        output::text(&describe(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn devices(args: &Args) -> Result<Vec<SimulatedDevice>, Failure> {
    let mut specs = [DeviceSpec::wristband(), DeviceSpec::strap()];
    specs.iter_mut().for_each(|spec| spec.seed = args.seed);
    let source = match &args.recording {
        None => None,
        Some(folder) => {
            let recording = replay::e4(folder, args.from)?;
            Some(Source::tape(replay::tape(&recording)))
        }
    };
    let with_source = |spec: DeviceSpec| match &source {
        None => spec.into(),
        Some(source) => SimulatedDevice { spec, source: source.clone() },
    };
    Ok(specs.into_iter().map(with_source).collect())
}

async fn demo(
    args: &Args,
    json: bool,
    screen: bool,
    bus_address: &str,
    devices: Vec<SimulatedDevice>,
    faults: &FaultScript,
) -> Result<Report, Failure> {
    let mut pipeline = args.edge.load()?;
    if args.recording.is_none() {
        pipeline.calibration.longest = SIMULATED_REST;
    }
    let folder = tempfile::tempdir()?;
    let names: Vec<String> = devices.iter().map(|d| d.spec.name.clone()).collect();
    let bluez = FakeBluez::start(bus_address, devices, faults).await?;
    let config = server::Config {
        listen: args.listen,
        data_dir: folder.path().join("server"),
        // As the demo's notice promises.
        retention: server::RetentionConfig { behaviour_days: 30, ..Default::default() },
        ..server::Config::default()
    };
    let server_folder = config.data_dir.clone();
    let server = server::Server::bind(config).await?;
    let url = server.url();
    let page_key =
        if args.listen.ip().is_loopback() { None } else { Some(page_key(&server_folder).await?) };
    let monitor = server.monitor();
    let (stop_server, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));

    let mut uses: Vec<(Modality, Purpose)> = [&person::ON_DEVICE[..], &person::SHARED].concat();
    if args.allow_increase {
        uses.extend(person::RAISE);
    }
    // The wearer's consent is simulated as they are; how it is kept is not.
    let keys = Arc::new(MemoryKeyStore::default());
    let store = LocalStore::open(&folder.path().join("device"), keys, &person::demo_notice()?)?;
    store.gate().grant(&uses, None, person::unix_ms())?;
    store.gate().acknowledge(person::unix_ms())?;
    let offer = pipeline.plan.offer.clone();
    let config = SessionConfig {
        pipeline,
        devices: DEVICES.map(|profile| (profile, None)).to_vec(),
        report_every: REPORT_EVERY,
        sync: Some(store.sync(SyncConfig { gather: GATHER, ..SyncConfig::to(&url) })?),
    };
    let transport = Arc::new(BtleplugTransport::new(None).await?);
    let begun = Instant::now();
    let mut events = bluez.events();
    let session = Session::start(config, transport, store.gate().clone())?;
    let mut updates = session.updates();
    let source = match &args.recording {
        Some(folder) => format!("recording {}", folder.display()),
        None => format!("simulated body {}", args.seed),
    };
    let ends = args.length.map(|seconds| begun + Duration::from_secs_f64(seconds));
    let page = match &page_key {
        None => url.clone(),
        Some(key) => format!("{url}, sign in with {key}"),
    };
    let mut board = Board::new(source, page.clone(), &DEVICES, offer, ends);
    let (mut terminal, mut keys) = if screen {
        let (terminal, keys) = Terminal::open()?;
        (Some(terminal), keys)
    } else {
        let what = format!("{}; live page at {page}", board.source);
        if json {
            let source = &board.source;
            output::line(&json!({
                "type": "listening", "url": url, "source": source, "page_key": page_key,
            }))?;
        } else {
            output::text(&what)?;
        }
        (None, mpsc::channel(1).1)
    };
    let mut frame = tokio::time::interval(if screen { FRAME } else { LINE_EVERY });
    let stop = asked_to_stop();
    tokio::pin!(stop);
    let end = async {
        match ends {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let mut bought = None;
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = &mut end => break,
            Some(key) = keys.recv() => match key {
                Key::Quit => break,
                Key::Buy => {
                    bought = Some(board.offer.price);
                    break;
                }
                key => act(key, &session, &mut board, &uses).await?,
            },
            update = updates.recv() => {
                // Writes first: the decision that used one must find it.
                while let Ok(event) = events.try_recv() {
                    note_write(&event, &names, &mut board);
                }
                match update {
                    Ok(update) => {
                        board.update(&update, session.clock());
                        if terminal.is_none() {
                            output::happening(&update, json)?;
                        }
                    }
                    Err(RecvError::Lagged(missed)) => {
                        protocol::log!(warn, "updates were not shown in time", missed);
                    }
                    Err(RecvError::Closed) => break,
                }
            }
            _ = frame.tick() => {
                board.sync = session.summary().await?.sync;
                match &mut terminal {
                    Some(terminal) => terminal.draw(|frame| draw(frame, &board))?,
                    None => status(&board, json)?,
                }
            }
        }
    }
    drop(terminal);
    let seconds = begun.elapsed().as_secs_f64();
    // The simulated visitor says nothing, unless somebody bought in their place.
    let kind = if bought.is_some() { OutcomeKind::Purchased } else { OutcomeKind::Abandoned };
    session.outcome(kind, bought).await;
    let summary = session.summary().await?;
    session.deliver(DELIVERY).await;
    // Withdrawing deletes it there, too.
    let stored = monitor.counters();
    let closed = session.withdraw().await?;
    session.stop().await?;
    bluez.stop().await;
    let _ = stop_server.send(());
    server.await??;
    let withdrawn_after_ms = board.closed_after_ms.unwrap_or(closed.sensors_ms);
    Ok(Report {
        kind: "summary",
        notifications: summary.notifications,
        samples: summary.samples,
        lost: summary.lost,
        features: summary.features,
        intents: summary.intents,
        decisions: summary.decisions,
        offer_revisions: summary.offer_revisions,
        events_synced: stored.events_taken,
        outcomes_stored: stored.outcomes,
        latency_ms: board.meter.percentiles(),
        latency_measured: board.meter.count(),
        withdrawn_after_ms,
        seconds,
    })
}

/// A key for the page, for whoever looks from another machine: it is as short-lived as the demo.
async fn page_key(folder: &Path) -> Result<String, Failure> {
    let keys = Keychain::open(folder).await?;
    let scopes = [Scope::Live].into_iter().collect();
    let new = NewKey { name: "demo".to_owned(), scopes, expires_unix_ms: None };
    let (key, _) = keys.create(new, person::unix_ms()).await?;
    keys.close().await;
    Ok(key.reveal().to_owned())
}

async fn act(
    key: Key,
    session: &Session,
    board: &mut Board,
    uses: &[(Modality, Purpose)],
) -> Result<(), Failure> {
    let closed = match (key, board.consent) {
        (Key::Quit | Key::Buy, _) => return Ok(()),
        (Key::Pause, ConsentState::Given) => session.pause().await?,
        (Key::Pause, ConsentState::Paused) => {
            session.unpause().await?;
            return Ok(());
        }
        (Key::Withdraw, ConsentState::Given | ConsentState::Paused) => session.withdraw().await?,
        (Key::Pause | Key::Withdraw, ConsentState::Withdrawn) => {
            session.grant(uses, None).await?;
            return Ok(());
        }
    };
    board.closed_after_ms = Some(closed.sensors_ms);
    Ok(())
}

fn note_write(event: &SimEvent, names: &[String], board: &mut Board) {
    if let SimEvent::Notification { device, characteristic, sequence, written, .. } = event
        && *characteristic == EDA_MEASUREMENT
        && let Some(index) = names.iter().position(|name| name == device)
    {
        board.meter.written(index, *sequence, *written);
    }
}

/// Where the session stands, once a second.
fn status(board: &Board, json: bool) -> Result<(), Failure> {
    let Some(estimate) = &board.estimate else { return Ok(()) };
    if json {
        let mut line = serde_json::to_value(estimate)?;
        line["type"] = "intent".into();
        return output::line(&line);
    }
    let state = match estimate.abstained {
        Some(reason) => format!("abstains ({reason:?})"),
        None => {
            let (class, p) = estimate.top();
            format!("{} {:.0} %", class.name(), p * 100.0)
        }
    };
    let latency = board.meter.percentiles();
    let eda = board.eda_microsiemens.back().copied().unwrap_or(f64::NAN);
    let heart_rate = board.heart_rate_bpm.back().copied().unwrap_or(f64::NAN);
    output::text(&format!(
        "{:6.1} s  EDA {eda:6.3} uS  HR {heart_rate:3.0}/min  {state:<22}  {}  latency p50 {:.1} \
         p99 {:.1} ms",
        board.begun.elapsed().as_secs_f64(),
        board.offer.price,
        latency.p50,
        latency.p99,
    ))
}

fn describe(report: &Report) -> String {
    format!(
        "{:.0} s: {} notifications ({} lost), {} feature vectors, {} estimates, {} revisions of \
         the offer, {} events at the server\n\
         latency from the wearable's write to the decision: p50 {:.1} ms, p99 {:.1} ms, max {:.1} \
         ms\n\
         consent withdrawn: sensors closed after {:.0} ms",
        report.seconds,
        report.notifications,
        report.lost,
        report.features,
        report.intents,
        report.offer_revisions,
        report.events_synced,
        report.latency_ms.p50,
        report.latency_ms.p99,
        report.latency_ms.max,
        report.withdrawn_after_ms,
    )
}
