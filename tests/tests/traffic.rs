//! C9: what actually goes over the wire holds no raw sample.

use firmware_sim::{
    fake_bluez::SimulatedDevice,
    physiology::Beat,
    source::{Source, Tape},
    spec::DeviceSpec,
};
use protocol::consent::Modality;
use sdk_core::{runtime::Update, sensor::Sample};
use std::time::Duration;
use tests::{
    rig::{self, Rig, on_private_bus, wait_for},
    wire::Wire,
};
use tokio::sync::broadcast::error::TryRecvError;

/// Until there are estimates, and with them everything that is ever sent.
const ESTIMATES: usize = 40;

/// A body every reading of which is a number of its own, with all its digits used.
fn canaries() -> Source {
    let eda_hz = 32.0;
    let seconds = 120;
    let noise = |k: usize| (k as f64 * 12.9898).sin() * 43_758.545_3 % 1.0;
    let eda = |k: usize| {
        let response = (k as f64 / eda_hz / 7.0).sin() * 0.4;
        3.0 + response + (noise(k) * 1_000.0).round() / 1e6 + 0.000_451
    };
    let mut at_s = 0.0;
    let beats = (0..seconds).map(|k| {
        let rr_s = (0.8 + noise(k) * 0.05) * 1024.0_f64.recip() * 1024.0;
        at_s += rr_s;
        Beat { at_s, rr_s }
    });
    Source::tape(Tape {
        eda_hz,
        beats: beats.collect(),
        eda_microsiemens: (0..seconds * 32).map(eda).collect(),
    })
}

/// The ways in which a number might travel: its digits, and its bytes.
fn shapes(sample: &Sample) -> Vec<Vec<u8>> {
    let value = sample.value;
    let picosiemens = (value * 1e6).round() as u32;
    vec![
        format!("{value}").into_bytes(),
        format!("{value:.6}").into_bytes(),
        value.to_le_bytes().into(),
        value.to_be_bytes().into(),
        (value as f32).to_le_bytes().into(),
        picosiemens.to_le_bytes().into(),
        picosiemens.to_string().into_bytes(),
    ]
}

#[test]
fn c9_the_traffic_of_a_session_holds_no_raw_sample() {
    on_private_bus("c9_the_traffic_of_a_session_holds_no_raw_sample", async |bus| {
        let specs = [DeviceSpec::wristband(), DeviceSpec::strap()];
        let source = canaries();
        let devices = specs.map(|spec| SimulatedDevice { spec, source: source.clone() });
        let rig = Rig::start(&bus, devices.to_vec()).await;
        let folder = tempfile::tempdir().unwrap();
        let wire = Wire::default();
        let (monitor, mut sync) = rig::server(folder.path()).await;
        let server = sync.server.trim_start_matches("http://").parse().unwrap();
        sync.server = format!("http://{}", wire.tap(server).await);

        let keys = rig::passphrase_keys(folder.path());
        let store = rig::granted_in(&folder.path().join("device"), keys);
        let session = rig.session(&store, Some(sync));
        let mut updates = session.updates();
        let mut samples: Vec<Sample> = Vec::new();
        let mut estimates = 0;
        wait_for(&mut updates, "estimates", |update| {
            match update {
                Update::Samples(new) => samples.extend(new.iter()),
                Update::Decision { decision, .. } => {
                    estimates += usize::from(decision.estimate.abstained.is_none());
                }
                _ => {}
            }
            (estimates >= ESTIMATES).then_some(())
        })
        .await;
        assert!(session.deliver(Duration::from_secs(10)).await);
        loop {
            match updates.try_recv() {
                Ok(Update::Samples(new)) => samples.extend(new.iter()),
                Err(TryRecvError::Empty) => break,
                _ => {}
            }
        }
        session.withdraw().await.unwrap();
        session.stop().await.unwrap();

        let bytes = wire.bytes();
        let has = |needle: &[u8]| memchr::memmem::find(&bytes, needle).is_some();
        assert!(has(b"eda_scl_mean_5s"), "features were sent, in clear for this test");
        assert!(monitor.counters().events_taken > 3);
        let eda = samples.iter().filter(|s| s.modality == Modality::Eda).count();
        assert!(eda > 300, "{eda} samples were measured");
        for sample in &samples {
            // Short texts and small numbers are found anywhere: eight bytes, or six digits, are not.
            for shape in shapes(sample).iter().filter(|shape| shape.len() >= 7) {
                assert!(!has(shape), "{sample:?} as {:?}", String::from_utf8_lossy(shape));
            }
        }
    });
}
