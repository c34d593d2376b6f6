//! The promises of speed and size, measured as the product runs: `cargo xtask bench`.
//!
//! One JSON object a line for each name. `latency`: from the simulator's write of a notification
//! to the decision that used it, waiting included, at 50 notifications a second through real D-Bus
//! and btleplug. `step`: computing time of each of those steps, cleaning and features included.
//! `withdrawal`: from the call to the last sensor closed. `memory`: peak resident memory of a
//! process that holds the runtime alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement")]

use firmware_sim::{bus::PrivateBus, fake_bluez::SimEvent, spec::DeviceSpec};
use protocol::{consent::Modality, gatt::EDA_MEASUREMENT};
use sdk_core::runtime::Update;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    env, fs,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};
use tests::rig::{self, Rig};
use tokio::sync::broadcast::error::RecvError;

const BUS: &str = "ATTUNE_BENCH_BUS";
const RUNTIME: &str = "runtime-alone";
const ALL: [&str; 4] = ["latency", "step", "withdrawal", "memory"];

/// Notifications of the latency run.
const NOTIFICATIONS: usize = 3_200;
/// Runs of the withdrawal bench.
const WITHDRAWALS: usize = 200;
/// How long the runtime runs before its memory is read.
const MEMORY_RUN: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let asked: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let Ok(bus_address) = env::var(BUS) else {
        // The D-Bus library reads the address once: the work is done in a child that has it.
        let bus = PrivateBus::start().unwrap();
        let mut child = again();
        child.args(&asked).env(BUS, bus.address());
        let status = child.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).status().unwrap();
        return if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    if asked == [RUNTIME] {
        println!("{}", runtime.block_on(runtime_alone()));
        return ExitCode::SUCCESS;
    }
    let unknown: Vec<&String> = asked.iter().filter(|a| !ALL.contains(&a.as_str())).collect();
    if !unknown.is_empty() {
        eprintln!("no bench is called {unknown:?}; there are {ALL:?}");
        return ExitCode::FAILURE;
    }
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|a| a == name);
    runtime.block_on(async {
        if wanted("latency") || wanted("step") {
            let (latency, step) = latency_and_step(&bus_address).await;
            for line in [latency, step] {
                if wanted(line["bench"].as_str().unwrap()) {
                    println!("{line}");
                }
            }
        }
        if wanted("withdrawal") {
            println!("{}", withdrawal(&bus_address).await);
        }
        if wanted("memory") {
            println!("{}", memory(&bus_address).await);
        }
    });
    ExitCode::SUCCESS
}

fn again() -> Command {
    Command::new(env::current_exe().unwrap())
}

async fn latency_and_step(bus: &str) -> (Value, Value) {
    let band = DeviceSpec::wristband_50hz();
    let name = band.name.clone();
    let rig = Rig::start(bus, vec![band.into(), DeviceSpec::strap().into()]).await;
    let mut events = rig.bluez.events();
    let session = rig.session(&rig::granted(), None);
    let mut updates = session.updates();
    let clock = session.clock();
    let mut written: HashMap<u16, Instant> = HashMap::new();
    let (mut latency_ms, mut compute_us) = (Vec::new(), Vec::new());
    while latency_ms.len() < NOTIFICATIONS {
        let update = match updates.recv().await {
            Ok(update) => update,
            Err(RecvError::Lagged(missed)) => panic!("{missed} updates were missed"),
            Err(RecvError::Closed) => panic!("the session ended"),
        };
        while let Ok(event) = events.try_recv() {
            if let SimEvent::Notification { device, characteristic, sequence, written: at, .. } =
                event
                && device == name
                && characteristic == EDA_MEASUREMENT
            {
                written.insert(sequence as u16, at);
            }
        }
        if let Update::Decision { consumed, done, compute, .. } = update {
            compute_us.push(compute.as_secs_f64() * 1e6);
            for sequence in consumed.iter().filter_map(|used| used.sequence) {
                let at = written.remove(&sequence).expect("each notification was written");
                latency_ms.push((clock.instant(done) - at).as_secs_f64() * 1e3);
            }
        }
    }
    let summary = session.stop().await.unwrap();
    rig.bluez.stop().await;
    let notifications = latency_ms.len();
    let [p50, p99, max] = percentiles(latency_ms);
    let steps = compute_us.len();
    let [step_p50, step_p99, step_max] = percentiles(compute_us);
    let latency = json!({
        "bench": "latency", "p50_ms": p50, "p99_ms": p99, "max_ms": max,
        "notifications": notifications, "lost": summary.lost,
    });
    let step = json!({
        "bench": "step", "p50_us": step_p50, "p99_us": step_p99, "max_us": step_max,
        "steps": steps,
    });
    (latency, step)
}

async fn withdrawal(bus: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let store = rig::granted_in(&folder.path().join("device"), rig::passphrase_keys(folder.path()));
    let rig = Rig::start(bus, rig::simulated(1)).await;
    let session = rig.session(&store, None);
    let mut closed_ms = Vec::new();
    for _ in 0..WITHDRAWALS {
        let mut updates = session.updates();
        rig::samples(&mut updates, Modality::Eda).await;
        rig::samples(&mut updates, Modality::Hrv).await;
        let closed = session.withdraw().await.unwrap();
        assert!(!closed.unanswered);
        closed_ms.push(closed.sensors_ms);
        session.grant(&rig::uses(), None).await.unwrap();
    }
    session.stop().await.unwrap();
    rig.bluez.stop().await;
    let runs = closed_ms.len();
    let [p50, p99, max] = percentiles(closed_ms);
    json!({"bench": "withdrawal", "p50_ms": p50, "p99_ms": p99, "max_ms": max, "runs": runs})
}

/// The wearables are simulated here; the runtime is measured in a process of its own.
async fn memory(bus: &str) -> Value {
    let devices = vec![DeviceSpec::wristband_50hz().into(), DeviceSpec::strap().into()];
    let rig = firmware_sim::fake_bluez::FakeBluez::start(bus, devices, &Default::default()).await;
    let rig = rig.unwrap();
    let child = tokio::task::spawn_blocking(|| {
        again().arg(RUNTIME).stderr(Stdio::inherit()).output().unwrap()
    });
    let output = child.await.unwrap();
    rig.stop().await;
    assert!(output.status.success(), "the runtime alone failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn runtime_alone() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let transport = sdk_core::sensor::BtleplugTransport::new(None).await.unwrap();
    // No server listens there: the outbox fills, as on a plane.
    let sync = sdk_core::sync::SyncConfig::to("http://127.0.0.1:9");
    let store = rig::granted_in(&folder.path().join("device"), rig::passphrase_keys(folder.path()));
    let devices = rig::DEVICES.map(|profile| (profile, None)).to_vec();
    let session = rig::session(&std::sync::Arc::new(transport), devices, &store, Some(sync));
    tokio::time::sleep(MEMORY_RUN).await;
    let summary = session.summary().await.unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let megabytes = |field: &str| {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    };
    json!({
        "bench": "memory", "runtime_mb": megabytes("VmHWM:"), "now_mb": megabytes("VmRSS:"),
        "notifications": summary.notifications, "intents": summary.intents,
    })
}

/// Median, 99th percentile and maximum, by nearest rank.
fn percentiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.50, 0.99, 1.0].map(|q| values[(q * values.len() as f64).ceil() as usize - 1])
}
