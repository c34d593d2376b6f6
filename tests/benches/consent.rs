//! `enqueue`: events that are sealed and synced to disk before queueing returns, with many callers
//! at once. `ledger`: checking ten thousand receipts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement")]

use protocol::{
    consent::{Modality, export::verify_export, verify_chain},
    event::EventBody,
};
use sdk_core::{
    clock::Nanos,
    sensor::SessionClock,
    sync::{Draft, SyncConfig},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use tests::rig;
use uuid::Uuid;

const ALL: [&str; 2] = ["enqueue", "ledger"];

/// Callers that queue at the same time, each waiting for its own event.
const CALLERS: usize = 64;
const EVENTS_EACH: usize = 500;
const RECEIPTS: u64 = 10_000;

fn main() -> ExitCode {
    let asked: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|a| a == name);
    let unknown: Vec<&String> = asked.iter().filter(|a| !ALL.contains(&a.as_str())).collect();
    if !unknown.is_empty() {
        eprintln!("no bench is called {unknown:?}; there are {ALL:?}");
        return ExitCode::FAILURE;
    }
    if wanted("enqueue") {
        println!("{}", runtime.block_on(enqueue()));
    }
    if wanted("ledger") {
        println!("{}", ledger());
    }
    ExitCode::SUCCESS
}

async fn enqueue() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let store = rig::granted_in(&folder.path().join("device"), rig::passphrase_keys(folder.path()));
    let gate = store.gate().clone();
    // No server listens there: the disk alone is measured.
    let config =
        SyncConfig { gather: Duration::from_secs(3600), ..SyncConfig::to("http://127.0.0.1:9") };
    let session = Uuid::now_v7();
    let delivery = store.sync(config).unwrap();
    let sync = Arc::new(delivery.begin(session, SessionClock::start(), gate.clone()).unwrap());
    let begun = Instant::now();
    let callers = (0..CALLERS).map(|caller| {
        let (sync, epoch) = (Arc::clone(&sync), gate.epoch());
        tokio::spawn(async move {
            for k in 0..EVENTS_EACH {
                let at = (caller * EVENTS_EACH + k) as u64;
                let values = protocol::feature::FEATURES[..6]
                    .iter()
                    .map(|feature| (feature.name.to_owned(), at as f64 / 7.0))
                    .collect::<BTreeMap<_, _>>();
                let draft = Draft {
                    session,
                    epoch,
                    modalities: vec![Modality::Eda],
                    at: Nanos::from_millis(at),
                    at_unix_ms: rig::unix_ms(),
                    body: EventBody::Features { values, coverage: 1.0 },
                };
                sync.queue(draft).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let seconds = begun.elapsed().as_secs_f64();
    let events = (CALLERS * EVENTS_EACH) as f64;
    json!({
        "bench": "enqueue", "events_per_s": events / seconds, "events": events,
        "callers": CALLERS, "mean_wait_ms": seconds * 1e3 * CALLERS as f64 / events,
    })
}

fn ledger() -> Value {
    let store = rig::granted();
    while store.gate().epoch().0 < RECEIPTS {
        store.gate().pause(rig::unix_ms()).unwrap();
        store.gate().unpause(rig::unix_ms()).unwrap();
    }
    let receipts = store.ledger().receipts();
    let begun = Instant::now();
    verify_chain(&receipts, None).unwrap();
    let chain_s = begun.elapsed().as_secs_f64();
    let export = serde_json::to_vec(&store.ledger().export().unwrap()).unwrap();
    let begun = Instant::now();
    verify_export(&export).unwrap();
    let export_s = begun.elapsed().as_secs_f64();
    json!({
        "bench": "ledger", "receipts": receipts.len(), "verify_s": chain_s,
        "verify_export_s": export_s,
    })
}
