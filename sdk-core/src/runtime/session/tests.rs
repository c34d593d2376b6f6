//! A session over a transport made of channels.

use super::{super::fake::Air, super::fake::Fake, *};
use crate::{
    intent::Calibration,
    offer::{OfferPlan, Tempo},
    sensor::{DeviceStatus, LinkError, Notification},
};
use protocol::{gatt, heart_rate::HeartRateMeasurement};
use std::sync::atomic::Ordering;
use uuid::Uuid;

const PLAN: &str = "[offer]\nsku=\"a\"\ntitle=\"A\"\nprice={minor=100,currency=\"EUR\"}";

fn start(air: &Arc<Air>) -> Session {
    let config = SessionConfig {
        pipeline: PipelineConfig {
            plan: OfferPlan::from_toml(PLAN).unwrap(),
            tempo: Tempo::default(),
            calibration: Calibration::default(),
            model: Arc::new(models::bundled::intent().unwrap()),
        },
        devices: vec![(DeviceProfile::HeartRate, None)],
        report_every: Duration::from_secs(1),
        #[cfg(feature = "http")]
        sync: None,
    };
    let gate = Gate::new(Uuid::nil(), Uuid::nil(), protocol::consent::NoticeRef::unknown());
    Session::start(config, Arc::new(Fake(Arc::clone(air))), gate).unwrap()
}

fn beat(contact: bool) -> Notification {
    let measurement = HeartRateMeasurement {
        heart_rate_bpm: 75,
        contact: Some(contact),
        rr_1024ths: vec![819],
        ..Default::default()
    };
    let characteristic = gatt::HEART_RATE_MEASUREMENT;
    let bytes = measurement.encode();
    Notification { characteristic, bytes, arrived: Nanos::from_millis(800) }
}

async fn until<T>(
    updates: &mut broadcast::Receiver<Update>,
    wanted: impl Fn(Update) -> Option<T>,
) -> T {
    loop {
        if let Some(found) = wanted(updates.recv().await.unwrap()) {
            return found;
        }
    }
}

#[tokio::test]
async fn devices_can_be_asked_at_any_time() {
    let (air_side, queue) = mpsc::channel(8);
    // After the loss of the link nothing is found any more.
    let gone = || Err(LinkError::Failed("le-connection-abort-by-local".into()));
    let air = Air::new(std::iter::once(Ok(queue)).chain((0..1_000).map(|_| gone())).collect());
    let session = start(&air);
    let before = session.devices();
    assert_eq!((before.len(), before[0].profile), (1, DeviceProfile::HeartRate));
    assert_eq!((&before[0].link, before[0].status), (&LinkState::Closed, DeviceStatus::default()));

    let mut updates = session.updates();
    session.grant(&[(Modality::Hrv, Purpose::Collect)], None).await.unwrap();
    for contact in [true, false] {
        air_side.send(beat(contact)).await.unwrap();
        until(&mut updates, |u| matches!(u, Update::Samples(_)).then_some(())).await;
        let now = session.devices().remove(0);
        assert_eq!(now.link, LinkState::Connected);
        let status = DeviceStatus { battery_percent: Some(80), contact: Some(contact) };
        assert_eq!(now.status, status);
    }
    // What cannot be read is in the accounts at once, too.
    air_side.send(Notification { bytes: vec![], ..beat(true) }).await.unwrap();
    until(&mut updates, |u| matches!(u, Update::Rejected { .. }).then_some(())).await;
    let stats = session.devices()[0].stats;
    assert_eq!((stats.accepted, stats.samples, stats.rejected), (2, 2, 1));

    air.dropped.store(7, Ordering::Relaxed);
    drop(air_side);
    until(&mut updates, |update| match update {
        Update::Link { state: LinkState::Waiting(_), .. } => Some(()),
        _ => None,
    })
    .await;
    let summary = session.stop().await.unwrap();
    assert_eq!((summary.dropped, summary.lost, summary.notifications), (7, 0, 3));
}

#[tokio::test]
async fn moments_can_be_marked() {
    let session = start(&Air::new(vec![]));
    let mut updates = session.updates();
    let label = |update| match update {
        Update::Marker { label, at } => Some((label, at)),
        _ => None,
    };
    let at = session.mark("offer shown");
    assert_eq!(until(&mut updates, label).await, ("offer shown".into(), at));
    assert!(session.mark(&"\u{20ac}".repeat(100)) >= at);
    let (long, _) = until(&mut updates, label).await;
    assert_eq!(long.len(), 126, "cut between characters");
    session.stop().await.unwrap();
}
