//! A recording played over Bluetooth and the same recording replayed give the same features.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use firmware_sim::physiology::{Script, session};
use protocol::consent::Modality;
use sdk_core::{
    consent::Infer,
    runtime::{Pipeline, Replayed, Update, replay},
    sensor::recording::{Beat, Recording},
};
use tests::{
    data,
    rig::{self, Rig, on_private_bus},
};

/// How much of a recording is played, in real time.
const SECONDS: f64 = 25.0;

/// Modality, stream time and values to the bit.
type Features = (Modality, u64, Vec<u64>);

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn replayed(recording: &Recording) -> Vec<Features> {
    let gate = rig::granted().gate().clone();
    let mut pipeline = Pipeline::new(rig::pipeline(), gate.clone());
    let mut features = Vec::new();
    replay(&mut pipeline, &recording.samples(), |item| {
        if let Replayed::Features(v) = item {
            let permit = gate.permit::<Infer>(v.modality).unwrap();
            features.push((v.modality, v.stream_at.0, bits(v.read(&permit).unwrap())));
        }
    })
    .unwrap();
    features
}

async fn live(bus: &str, recording: &Recording) -> Vec<Features> {
    let rig = Rig::start(bus, rig::playing(recording)).await;
    let session = rig.session(&rig::granted(), None);
    let mut updates = session.updates();
    let samples = recording.eda_microsiemens.len() + recording.beats.len();
    let mut features = Vec::new();
    let mut seen = 0;
    // A decision after the last sample: its features are out by then.
    let mut complete = false;
    while !complete {
        match updates.recv().await.unwrap() {
            Update::Samples(samples) => seen += samples.len(),
            Update::Features { modality, stream_at, values, .. } => {
                features.push((modality, stream_at.0, bits(&values)));
            }
            Update::Decision { .. } => complete = seen == samples,
            _ => {}
        }
    }
    let summary = session.stop().await.unwrap();
    assert_eq!(summary.lost, 0);
    features
}

async fn check(bus: &str, recording: &Recording) {
    let (live, replayed) = (live(bus, recording).await, replayed(recording));
    for modality in [Modality::Eda, Modality::Hrv] {
        let of = |all: &[Features]| -> Vec<Features> {
            all.iter().filter(|f| f.0 == modality).cloned().collect()
        };
        let (live, replayed) = (of(&live), of(&replayed));
        assert!(live.len() > 10, "{modality:?}: only {} feature vectors", live.len());
        for (k, (ours, theirs)) in live.iter().zip(&replayed).enumerate() {
            assert_eq!(ours, theirs, "{modality:?}, vector {k} of {}", live.len());
        }
        assert_eq!(live.len(), replayed.len(), "{modality:?}");
    }
}

#[test]
fn a_real_recording_gives_the_same_features_live_and_replayed() {
    // Subject 5 from the 40th second: beats with gaps between them.
    let Some(recording) = data::stress_predict("S05") else { return };
    on_private_bus("a_real_recording_gives_the_same_features_live_and_replayed", async |bus| {
        let part = recording.slice(40.0, SECONDS);
        assert!(part.samples().iter().filter(|s| !s.contiguous).count() > 2, "it has gaps");
        check(&bus, &part).await;
    });
}

#[test]
fn a_simulated_recording_gives_the_same_features_live_and_replayed() {
    on_private_bus(
        "a_simulated_recording_gives_the_same_features_live_and_replayed",
        async |bus| {
            let made = session(5, &Script::random(5, SECONDS), SECONDS, 4.0);
            let recording = Recording {
                eda_hz: made.eda_hz,
                eda_microsiemens: made.eda_microsiemens,
                beats: made.beats.iter().map(|b| Beat { at_s: b.at_s, rr_s: b.rr_s }).collect(),
                ..Recording::default()
            };
            check(&bus, &recording).await;
        },
    );
}
