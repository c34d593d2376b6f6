//! The main job: bytes of wearables in, an adapted offer out, events on the server.

use protocol::{consent::Modality, event::OutcomeKind};
use sdk_core::{
    runtime::Update,
    sync::{Limits, Outbox, SyncConfig},
};
use std::{sync::Arc, time::Duration};
use tests::rig::{self, Rig, on_private_bus, wait_for};

#[test]
fn the_whole_loop_runs_and_the_server_has_what_was_shared() {
    on_private_bus("the_whole_loop_runs_and_the_server_has_what_was_shared", async |bus| {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::start(&bus, rig::simulated(7)).await;
        let (monitor, sync) = rig::server(folder.path()).await;
        let session = rig.session(&rig::granted(), Some(sync));
        let mut updates = session.updates();
        let revision = wait_for(&mut updates, "a revision of the offer", |update| match update {
            Update::Offer(revision) => Some(revision.clone()),
            _ => None,
        })
        .await;
        assert_eq!(revision.offer, *session.offer().borrow());
        assert!(!revision.reason.is_empty() && !revision.changes.is_empty());
        assert_eq!(revision.inputs_digest.len(), 64);
        session.outcome(OutcomeKind::Purchased, Some(revision.offer.price)).await;
        // The command is taken before the next one.
        session.summary().await.unwrap();
        assert!(session.deliver(Duration::from_secs(5)).await, "everything was delivered");
        let summary = session.stop().await.unwrap();
        let sync = summary.sync.unwrap();
        assert!(summary.notifications > 0 && summary.features > 0 && summary.intents > 0);
        assert_eq!(summary.lost, 0);
        assert!(sync.outbox.acknowledged > 0);
        assert_eq!((sync.outbox.rejected, sync.outbox.pending, sync.not_permitted), (0, 0, 0));
        let stored = monitor.counters();
        assert_eq!(stored.outcomes, 1);
        assert_eq!(stored.events, sync.outbox.acknowledged);
    });
}

#[test]
fn s3_a_server_that_cannot_be_reached_stops_nothing_and_loses_nothing() {
    on_private_bus(
        "s3_a_server_that_cannot_be_reached_stops_nothing_and_loses_nothing",
        async |bus| {
            let folder = tempfile::tempdir().unwrap();
            let rig = Rig::start(&bus, rig::simulated(7)).await;
            // A port nobody listens on: bound, read, and released.
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let sync = SyncConfig {
                gather: Duration::from_millis(50),
                ..SyncConfig::to(&format!("http://{free}"))
            };
            let keys = rig::passphrase_keys(folder.path());
            let device = folder.path().join("device");
            let store = rig::granted_in(&device, Arc::clone(&keys));
            let session = rig.session(&store, Some(sync));
            let mut updates = session.updates();
            for _ in 0..3 {
                rig::samples(&mut updates, Modality::Hrv).await;
            }
            let summary = session.stop().await.unwrap();
            assert!(summary.features > 0);
            let outbox = summary.sync.unwrap().outbox;
            assert!(outbox.queued > 0);
            assert_eq!((outbox.acknowledged, outbox.pending), (0, outbox.queued));
            drop(store);
            let kept = rig::store_in(&device, keys).outbox().unwrap();
            assert!(kept.remark.is_none());
            let restored = Outbox::restore(kept.frames, kept.stored, Limits::default());
            assert_eq!(restored.stats().pending, outbox.queued, "all of it is on disk");
        },
    );
}
