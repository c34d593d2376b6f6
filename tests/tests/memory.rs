//! C4, C10: after a withdrawal the process holds neither keys nor samples.
//!
//! Three processes: the test, the wearables with a bus of their own, and the runtime alone, whose
//! memory is looked through. Its allocators wipe what is freed, as those of the command do.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use protocol::consent::Modality;
use sdk_core::{
    runtime::Update,
    sensor::{BtleplugTransport, GLIBC_WIPES_FREED, Sample},
    sync::SyncConfig,
    vault::{KeyStore, MemoryKeyStore},
};
use std::{alloc::System, env, process::Command, sync::Arc, time::Duration};
use tests::{
    rig::{self, on_private_bus, wait_for},
    scan::{Found, Wanted},
};
use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

const TEST: &str = "c4_c10_after_a_withdrawal_memory_holds_neither_keys_nor_samples";
const ALONE: &str = "ATTUNE_TEST_RUNTIME_ALONE";
/// Samples before the withdrawal: 20 s of the wristband.
const SAMPLES: usize = 640;

#[test]
fn c4_c10_after_a_withdrawal_memory_holds_neither_keys_nor_samples() {
    if env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(alone());
    }
    on_private_bus(TEST, async |bus| {
        let devices = rig::simulated(1);
        let faults = firmware_sim::fault::FaultScript::default();
        let bluez = firmware_sim::fake_bluez::FakeBluez::start(&bus, devices, &faults).await;
        let bluez = bluez.unwrap();
        let output = tokio::task::spawn_blocking(|| {
            let mut child = Command::new(env::current_exe().unwrap());
            let (name, value) = GLIBC_WIPES_FREED;
            child.args([TEST, "--exact", "--nocapture"]).env(ALONE, "1").env(name, value);
            child.output().unwrap()
        });
        let output = output.await.unwrap();
        bluez.stop().await;
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the runtime alone:\n{said}\n{complained}");
    });
}

async fn alone() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(MemoryKeyStore::default());
    let store = rig::granted_in(&folder.path().join("device"), Arc::clone(&keys) as _);
    let transport = Arc::new(BtleplugTransport::new(None).await.unwrap());
    // No server listens there: the outbox fills, as on a plane.
    let sync = SyncConfig::to("http://127.0.0.1:9");
    let devices = rig::DEVICES.map(|profile| (profile, None)).to_vec();
    let session = rig::session(&transport, devices, &store, Some(sync));
    let mut updates = session.updates();
    let mut wanted = Wanted::default();
    let mut count = 0;
    wait_for(&mut updates, "samples", |update| {
        if let Update::Samples(samples) = update {
            want(&mut wanted, samples);
            count += samples.len();
        }
        (count >= SAMPLES).then_some(())
    })
    .await;
    for (name, label) in [("data", "the data key"), ("identity", "the identity key")] {
        let key = keys.load(name).unwrap().unwrap();
        wanted.add(label, &key);
    }
    drop(updates);
    let before = wanted.scan();
    assert!(before.iter().any(|f| f.name == "a sample"), "the scan sees what is there");
    assert!(before.iter().any(|f| f.name == "the data key"), "the scan sees what is there");

    session.withdraw().await.unwrap();
    // Buffers of the Bluetooth stack are overwritten or given back as their tasks end.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after: Vec<Found> =
        wanted.scan().into_iter().filter(|found| found.name != "the identity key").collect();
    assert!(after.is_empty(), "of {}: {} left: {after:?}", wanted.len(), after.len());
    session.stop().await.unwrap();
}

/// A sample as the pipeline holds it. Heart beats are whole numbers of 1/1024 s, which other
/// numbers are too; conductances have all their digits.
fn want(wanted: &mut Wanted, samples: &[Sample]) {
    let eda: Vec<&Sample> = samples.iter().filter(|s| s.modality == Modality::Eda).collect();
    eda.iter().for_each(|sample| wanted.add("a sample", &sample.value.to_le_bytes()));
    // And as the wristband sends them.
    let picosiemens = |sample: &&Sample| ((sample.value * 1e6).round() as u32).to_le_bytes();
    let payload: Vec<u8> = eda.iter().flat_map(picosiemens).collect();
    if payload.len() >= 8 {
        wanted.add("a payload", &payload);
    }
}
