//! A session that was recorded plays back as it was: every sample to the bit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use firmware_sim::{fault::FaultKind, spec::DeviceSpec};
use sdk_core::{
    runtime::Update,
    sensor::{
        DeviceProfile, Sample, Signal,
        recording::{self, attune::FILE_NAME, epochs},
    },
};
use std::time::Duration;
use tests::rig::{self, Rig, on_private_bus, wait_for};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// Skin conductance of the band; ECG and acceleration of the strap.
const DEVICES: [DeviceProfile; 2] = [DeviceProfile::Eda, DeviceProfile::PolarEcg];

/// NaN is not itself: samples are compared by their bits, in an order of their own.
fn in_order(samples: impl Iterator<Item = Sample>) -> Vec<(String, u64, u64, u64, bool)> {
    let bits = |s: Sample| {
        let kind = format!("{:?} {:?} {:?}", s.modality, s.signal, s.quality);
        (kind, s.stream_at.0, s.at.0, s.value.to_bits(), s.contiguous)
    };
    let mut all: Vec<_> = samples.map(bits).collect();
    all.sort();
    all
}

/// What a device sent; intervals found in an ECG are derived, not recorded.
fn gather(update: &Update, live: &mut Vec<Sample>) {
    if let Update::Samples(samples) = update {
        live.extend(samples.iter().filter(|s| s.signal != Signal::RrInterval));
    }
}

async fn until(
    updates: &mut Receiver<Update>,
    live: &mut Vec<Sample>,
    signal: Signal,
    more: usize,
) {
    let before = live.iter().filter(|s| s.signal == signal).count();
    wait_for(updates, "more samples", |update| {
        gather(update, live);
        let now = live.iter().filter(|s| s.signal == signal).count();
        (now >= before + more).then_some(())
    })
    .await;
}

#[test]
fn playback_is_the_live_session_to_the_bit() {
    on_private_bus("playback_is_the_live_session_to_the_bit", async |bus| {
        let folder = tempfile::tempdir().unwrap();
        let specs = [DeviceSpec::wristband(), DeviceSpec::polar_h10()];
        let rig = Rig::start(&bus, specs.map(Into::into).to_vec()).await;
        let file = folder.path().join(FILE_NAME);
        let session = rig.recorded(&DEVICES, &rig::granted(), &file);
        let mut updates = session.updates();
        let mut live = Vec::new();
        until(&mut updates, &mut live, Signal::Ecg, 400).await;
        let marked = session.mark("offer shown");
        let band = DeviceSpec::wristband().name;
        for fault in [FaultKind::Lose { count: 3 }, FaultKind::Reorder, FaultKind::LinkDrop] {
            rig.bluez.inject(&band, fault).await.unwrap();
            until(&mut updates, &mut live, Signal::SkinConductance, 60).await;
        }
        rig.bluez.inject(&band, FaultKind::ClockReset).await.unwrap();
        until(&mut updates, &mut live, Signal::SkinConductance, 60).await;
        session.pause().await.unwrap();
        session.unpause().await.unwrap();
        until(&mut updates, &mut live, Signal::SkinConductance, 60).await;
        until(&mut updates, &mut live, Signal::Ecg, 200).await;
        let summary = session.stop().await.unwrap();
        loop {
            match updates.try_recv() {
                Ok(update) => gather(&update, &mut live),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                Err(TryRecvError::Lagged(missed)) => panic!("{missed} updates were missed"),
            }
        }
        assert_eq!(summary.recording_failed, None);

        let opened = recording::open(folder.path()).unwrap();
        let played = in_order(opened.samples().iter().copied());
        let live = in_order(live.into_iter());
        assert!(live.len() > 1_000, "{}", live.len());
        assert_eq!(played.len(), live.len());
        if let Some(k) = (0..live.len()).find(|&k| played[k] != live[k]) {
            panic!("sample {k} was {:?}, plays as {:?}", live[k], played[k]);
        }
        assert_eq!((opened.rejected(), opened.findings()), (0, &[][..]));

        let [marker] = opened.markers() else { panic!("{:?}", opened.markers()) };
        assert_eq!((marker.label.as_str(), marker.at), ("offer shown", marked));
        let second = Duration::from_secs(1);
        let cut = epochs(opened.samples(), opened.markers(), "offer shown", second, second);
        let ecg = cut[0].samples.iter().filter(|s| s.signal == Signal::Ecg).count();
        assert!((200..=320).contains(&ecg), "two seconds at 130 Hz hold {ecg}");
    });
}
