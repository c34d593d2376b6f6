//! What goes wrong on the air is survived and counted exactly as it was injected.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use firmware_sim::fault::{FaultKind, OddForm};
use protocol::consent::Modality;
use sdk_core::{
    runtime::{LinkState, Session, Update},
    sensor::StreamStats,
};
use std::time::{Duration, Instant};
use tests::rig::{self, BAND, Rig, STRAP, on_private_bus, wait_for};
use tokio::sync::broadcast;

/// The promise.
const RECONNECTED_WITHIN: Duration = Duration::from_secs(2);

async fn streaming(bus: &str) -> (Rig, Session, broadcast::Receiver<Update>) {
    let rig = Rig::start(bus, rig::simulated(3)).await;
    let session = rig.session(&rig::granted(), None);
    let mut updates = session.updates();
    rig::samples(&mut updates, Modality::Eda).await;
    rig::samples(&mut updates, Modality::Hrv).await;
    (rig, session, updates)
}

/// Lets the stream run on, so that gaps are seen by what follows them.
async fn some_more(updates: &mut broadcast::Receiver<Update>) {
    for _ in 0..4 {
        rig::samples(updates, Modality::Eda).await;
    }
}

async fn connected(updates: &mut broadcast::Receiver<Update>, device: usize) {
    wait_for(updates, "a reconnection", |update| match update {
        Update::Link { device: d, state: LinkState::Connected, .. } if *d == device => Some(()),
        _ => None,
    })
    .await;
}

/// Injects faults of the air into the wristband; gives the driver's accounts and the simulator's.
fn on_the_air(
    test: &str,
    faults: &'static [FaultKind],
    check: fn(StreamStats, firmware_sim::fault::Injected),
) {
    on_private_bus(test, async |bus| {
        let (rig, session, mut updates) = streaming(&bus).await;
        for fault in faults {
            rig.bluez.inject(BAND, *fault).await.unwrap();
            some_more(&mut updates).await;
        }
        some_more(&mut updates).await;
        let stats = session.summary().await.unwrap().streams[0];
        let injected = rig.bluez.injected(BAND).unwrap();
        check(stats, injected);
        assert_eq!(session.links()[0], LinkState::Connected, "the link was never lost");
        session.stop().await.unwrap();
    });
}

#[test]
fn lost_notifications_are_counted_exactly() {
    let faults = &[FaultKind::Lose { count: 1 }, FaultKind::Lose { count: 7 }];
    on_the_air("lost_notifications_are_counted_exactly", faults, |stats, injected| {
        assert_eq!((injected.lost, stats.lost), (8, 8));
        assert_eq!((stats.rejected, stats.duplicated, stats.late), (0, 0, 0));
    });
}

#[test]
fn duplicates_and_disorder_are_counted_exactly() {
    let faults = &[FaultKind::Duplicate { count: 3 }, FaultKind::Reorder, FaultKind::Reorder];
    on_the_air("duplicates_and_disorder_are_counted_exactly", faults, |stats, injected| {
        assert_eq!((injected.duplicated, stats.duplicated), (3, 3));
        assert_eq!((injected.reordered, stats.late), (2, 2));
        assert_eq!(stats.lost, 0);
    });
}

#[test]
fn odd_payloads_are_refused_and_nothing_else_is_lost() {
    let odd = |form| FaultKind::OddPayload { form };
    let faults = Box::leak(Box::new([
        odd(OddForm::Truncated),
        odd(OddForm::Garbage),
        odd(OddForm::Empty),
        odd(OddForm::ReservedFlags),
    ]));
    on_the_air("odd_payloads_are_refused_and_nothing_else_is_lost", faults, |stats, injected| {
        assert_eq!((injected.odd_payloads, stats.rejected), (3, 3));
        assert_eq!((injected.reserved_flags, stats.lost), (1, 0));
    });
}

#[test]
fn a_clock_reset_is_seen_and_time_never_runs_back() {
    on_the_air(
        "a_clock_reset_is_seen_and_time_never_runs_back",
        &[FaultKind::ClockReset],
        |stats, injected| {
            assert_eq!((injected.clock_resets, stats.clock_resets), (1, 1));
            assert_eq!(stats.lost, 0);
        },
    );
}

#[test]
fn a_dropped_link_comes_back_within_two_seconds_and_the_gap_is_counted() {
    let name = "a_dropped_link_comes_back_within_two_seconds_and_the_gap_is_counted";
    on_private_bus(name, async |bus| {
        let (rig, session, mut updates) = streaming(&bus).await;
        for (index, device) in [BAND, STRAP].into_iter().enumerate() {
            rig.bluez.inject(device, FaultKind::LinkDrop).await.unwrap();
            let dropped = Instant::now();
            connected(&mut updates, index).await;
            assert!(dropped.elapsed() < RECONNECTED_WITHIN, "{device}: {:?}", dropped.elapsed());
        }
        some_more(&mut updates).await;
        let stats = session.summary().await.unwrap().streams[0];
        let injected = rig.bluez.injected(BAND).unwrap();
        assert_eq!(injected.link_drops, 1);
        assert_eq!(stats.lost, injected.unsent + injected.lost, "{injected:?}");
        assert_eq!((rig.bluez.connects(BAND), rig.bluez.connects(STRAP)), (2, 2));
        session.stop().await.unwrap();
    });
}

#[test]
fn an_adapter_switched_off_and_on_is_survived() {
    on_private_bus("an_adapter_switched_off_and_on_is_survived", async |bus| {
        let (rig, session, mut updates) = streaming(&bus).await;
        let off = Duration::from_secs(1);
        let kind = FaultKind::AdapterOff { for_s: off.as_secs_f64() };
        rig.bluez.inject(BAND, kind).await.unwrap();
        let begun = Instant::now();
        let mut waiting = [true; 2];
        wait_for(&mut updates, "both devices back", |update| {
            if let Update::Link { device, state: LinkState::Connected, .. } = update {
                waiting[*device] = false;
            }
            (waiting == [false; 2]).then_some(())
        })
        .await;
        assert!(begun.elapsed() < off + RECONNECTED_WITHIN, "{:?}", begun.elapsed());
        some_more(&mut updates).await;
        let stats = session.summary().await.unwrap().streams[0];
        let injected = rig.bluez.injected(BAND).unwrap();
        assert_eq!(stats.lost, injected.unsent + injected.lost, "{injected:?}");
        session.stop().await.unwrap();
    });
}

#[test]
fn contact_battery_and_absurd_values_are_states_not_errors() {
    let name = "contact_battery_and_absurd_values_are_states_not_errors";
    on_private_bus(name, async |bus| {
        let (rig, session, mut updates) = streaming(&bus).await;
        rig.bluez.inject(BAND, FaultKind::LowBattery { percent: 4 }).await.unwrap();
        rig.bluez.inject(BAND, FaultKind::ContactLoss { for_s: 0.5 }).await.unwrap();
        rig.bluez.inject(STRAP, FaultKind::AbsurdRr { count: 2 }).await.unwrap();
        wait_for(&mut updates, "low battery without contact", |update| match update {
            Update::Device { device: 0, status, .. } => {
                (status.battery_percent == Some(4) && status.contact == Some(false)).then_some(())
            }
            _ => None,
        })
        .await;
        wait_for(&mut updates, "contact again", |update| match update {
            Update::Device { device: 0, status, .. } => {
                (status.contact == Some(true)).then_some(())
            }
            _ => None,
        })
        .await;
        for _ in 0..3 {
            rig::samples(&mut updates, Modality::Hrv).await;
        }
        let streams = session.summary().await.unwrap().streams;
        assert!(streams[0].poor_samples > 0 && streams[0].lost == 0, "{:?}", streams[0]);
        let injected = rig.bluez.injected(STRAP).unwrap();
        assert_eq!((injected.absurd_rr, streams[1].poor_samples), (2, 2), "{:?}", streams[1]);
        session.stop().await.unwrap();
    });
}
