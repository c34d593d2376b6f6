//! Nothing without a grant, nothing after a withdrawal: through real D-Bus and btleplug.

use protocol::consent::Modality;
use sdk_core::{
    runtime::{LinkState, Update},
    sync::{Limits, Outbox},
};
use std::{sync::Arc, time::Duration};
use tests::rig::{self, BAND, Rig, STRAP, on_private_bus};
use tokio::{sync::broadcast::error::TryRecvError, time::sleep};

/// The promise is 200 ms at the 99th percentile; a busy test machine gets a wide margin, the
/// bench has the figure.
const CLOSED_MS: f64 = 1_000.0;

#[test]
fn c1_without_a_grant_no_device_is_ever_connected() {
    on_private_bus("c1_without_a_grant_no_device_is_ever_connected", async |bus| {
        let rig = Rig::start(&bus, rig::simulated(1)).await;
        let session = rig.session(&rig::silent(), None);
        // Long enough for a granted session to be connected many times over (see c3).
        sleep(Duration::from_secs(3)).await;
        assert_eq!(session.links(), [LinkState::Closed, LinkState::Closed]);
        assert_eq!((rig.bluez.connects(BAND), rig.bluez.connects(STRAP)), (0, 0));
        let summary = session.stop().await.unwrap();
        assert_eq!((summary.notifications, summary.samples, summary.features), (0, 0, 0));
        assert!(rig.bluez.log().is_empty(), "not even looked for: {:?}", rig.bluez.log());
    });
}

#[test]
fn c1_only_the_granted_modality_is_connected() {
    on_private_bus("c1_only_the_granted_modality_is_connected", async |bus| {
        let rig = Rig::start(&bus, rig::simulated(1)).await;
        let store = rig::silent();
        let collect = (Modality::Hrv, protocol::consent::Purpose::Collect);
        store.gate().grant(&[collect], None, rig::unix_ms()).unwrap();
        let session = rig.session(&store, None);
        let mut updates = session.updates();
        rig::samples(&mut updates, Modality::Hrv).await;
        assert_eq!((rig.bluez.connects(BAND), rig.bluez.connects(STRAP)), (0, 1));
        let summary = session.stop().await.unwrap();
        assert_eq!(summary.intents, 0, "collecting is not inferring");
    });
}

#[test]
fn c3_c4_c14_after_a_withdrawal_nothing_is_delivered_and_sensors_are_closed() {
    let name = "c3_c4_c14_after_a_withdrawal_nothing_is_delivered_and_sensors_are_closed";
    on_private_bus(name, async |bus| {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::start(&bus, rig::simulated(1)).await;
        let (monitor, sync) = rig::server(folder.path()).await;
        let keys = rig::passphrase_keys(folder.path());
        let device = folder.path().join("device");
        let store = rig::granted_in(&device, Arc::clone(&keys));
        let session = rig.session(&store, Some(sync));
        let mut updates = session.updates();
        rig::samples(&mut updates, Modality::Eda).await;
        rig::samples(&mut updates, Modality::Hrv).await;
        assert!(session.deliver(Duration::from_secs(5)).await);

        let closed = session.withdraw().await.unwrap();
        let before = session.summary().await.unwrap();
        let mut after = session.updates();
        assert!(!closed.unanswered && closed.sensors_ms < CLOSED_MS, "{closed:?}");
        assert_eq!(session.links(), [LinkState::Closed, LinkState::Closed]);
        let taken = monitor.counters().events_taken;
        sleep(Duration::from_secs(2)).await;
        loop {
            match after.try_recv() {
                Ok(update @ (Update::Samples(_) | Update::Features { .. })) => {
                    panic!("after the withdrawal: {update:?}")
                }
                Ok(Update::Decision { decision, .. }) => {
                    assert!(decision.estimate.abstained.is_some());
                }
                Ok(_) => {}
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let summary = session.stop().await.unwrap();
        assert_eq!(summary.samples, before.samples);
        assert_eq!(summary.features, before.features);
        let counters = monitor.counters();
        assert_eq!(counters.events_taken, taken, "no event reached the server any more");
        assert_eq!(counters.events, 0, "what was there is deleted");
        drop(store);
        let kept = rig::store_in(&device, keys).outbox().unwrap();
        let outbox = Outbox::restore(kept.frames, kept.stored, Limits::default());
        assert_eq!(outbox.stats().pending, 0);
        for device in [BAND, STRAP] {
            let sent = rig.bluez.injected(device).unwrap().sent;
            sleep(Duration::from_millis(300)).await;
            assert_eq!(rig.bluez.injected(device).unwrap().sent, sent, "{device} is unsubscribed");
        }
    });
}

#[test]
fn c5_a_pause_closes_the_sensors_and_going_on_opens_them_again() {
    let name = "c5_a_pause_closes_the_sensors_and_going_on_opens_them_again";
    on_private_bus(name, async |bus| {
        let rig = Rig::start(&bus, rig::simulated(1)).await;
        let session = rig.session(&rig::granted(), None);
        let mut updates = session.updates();
        rig::samples(&mut updates, Modality::Eda).await;
        let closed = session.pause().await.unwrap();
        assert!(!closed.unanswered && closed.sensors_ms < CLOSED_MS, "{closed:?}");
        assert_eq!(session.links(), [LinkState::Closed, LinkState::Closed]);
        session.unpause().await.unwrap();
        let mut updates = session.updates();
        rig::samples(&mut updates, Modality::Eda).await;
        assert_eq!(rig.bluez.connects(BAND), 2);
        let lost = session.summary().await.unwrap().lost;
        assert_eq!(lost, 0, "what was not to be measured is not lost");
        session.stop().await.unwrap();
    });
}
