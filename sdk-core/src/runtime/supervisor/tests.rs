//! A supervisor over a transport made of channels, in virtual time.

use super::{
    super::fake::{Air, Fake},
    *,
};
use protocol::{
    consent::{Modality, Purpose},
    gatt,
};
use std::sync::atomic::Ordering;

/// A supervised device, and everything around it.
struct Rig {
    air: Arc<Air>,
    gate: Gate,
    epoch: watch::Sender<u64>,
    inbox: mpsc::Receiver<Inbound>,
    state: watch::Receiver<LinkState>,
}

impl Rig {
    fn start(
        profile: DeviceProfile,
        tries: Vec<Result<mpsc::Receiver<Notification>, LinkError>>,
    ) -> Self {
        let air = Air::new(tries);
        let gate = Gate::agreed_elsewhere(&[(profile.modality(), Purpose::Collect)]);
        let (epoch, epochs) = watch::channel(gate.epoch().0);
        let (inbound, inbox) = mpsc::channel(64);
        let (state, states) = watch::channel(LinkState::Closed);
        let supervisor = Supervisor {
            device: 0,
            profile,
            selector: profile.selector(None),
            transport: Arc::new(Fake(Arc::clone(&air))),
            clock: SessionClock::start(),
            gate: gate.clone(),
            epoch: epochs,
            inbound,
            state,
        };
        tokio::spawn(supervisor.run());
        Self { air, gate, epoch, inbox, state: states }
    }

    async fn until(&mut self, wanted: impl FnMut(&LinkState) -> bool) {
        self.state.wait_for(wanted).await.unwrap();
    }

    fn opened(&self) -> Vec<(Selector, Instant)> {
        self.air.opened.lock().unwrap().clone()
    }
}

fn notification() -> Notification {
    let characteristic = gatt::PMD_DATA;
    Notification { characteristic, bytes: vec![0; 10], arrived: crate::clock::Nanos::ZERO }
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_with_the_same_hello() {
    let (first, queue) = mpsc::channel(8);
    let (_second, again) = mpsc::channel(8);
    let aborted = || LinkError::Failed("le-connection-abort-by-local".into());
    let tries = vec![Err(aborted()), Ok(queue), Err(aborted()), Err(aborted()), Ok(again)];
    let mut rig = Rig::start(DeviceProfile::PolarEcg, tries);
    rig.until(|state| *state == LinkState::Connected).await;
    assert_eq!(rig.opened().len(), 2);
    drop(first); // The link is lost.
    rig.until(|state| *state != LinkState::Connected).await;
    rig.until(|state| *state == LinkState::Connected).await;
    let opened = rig.opened();
    assert_eq!(opened.len(), 5);
    assert!(opened.iter().all(|(selector, _)| *selector == opened[0].0));
    assert_eq!(opened[0].0.hello.len(), 4, "two streams stopped and started");
    assert_eq!(rig.air.closed.load(Ordering::Relaxed), 1, "the lost link is closed all the same");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_falls_at_once_is_tried_less_and_less_often() {
    let tries = (0..200).map(|_| Ok(mpsc::channel(1).1)).collect();
    let mut rig = Rig::start(DeviceProfile::Eda, tries);
    // Somebody takes what the supervisor tells, for a minute.
    let taking = async { while rig.inbox.recv().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(60), taking).await;
    let opened = rig.opened();
    // Waits are even between zero and 1.5 s once the ceiling is reached: 80 tries, not 1,200.
    assert!((40..160).contains(&opened.len()), "{}", opened.len());
    assert!(opened.windows(2).all(|pair| pair[1].1 - pair[0].1 <= LONGEST_WAIT));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_dies_silently_is_started_again() {
    for (profile, starts) in [(DeviceProfile::PolarEcg, 2), (DeviceProfile::HealthyPiGsr, 1)] {
        let (sender, queue) = mpsc::channel(8);
        let mut rig = Rig::start(profile, vec![Ok(queue)]);
        rig.until(|state| *state == LinkState::Connected).await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            sender.send(notification()).await.unwrap();
        }
        assert_eq!(rig.opened().len(), 1, "it speaks now and then");
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(rig.opened().len(), starts, "{profile:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_link_dropped_is_passed_on() {
    let (sender, queue) = mpsc::channel(8);
    let mut rig = Rig::start(DeviceProfile::Eda, vec![Ok(queue)]);
    rig.until(|state| *state == LinkState::Connected).await;
    rig.air.dropped.store(3, Ordering::Relaxed);
    sender.send(notification()).await.unwrap();
    rig.air.dropped.store(5, Ordering::Relaxed);
    drop(sender);
    rig.until(|state| *state != LinkState::Connected).await;
    let mut dropped = 0;
    while let Ok(inbound) = rig.inbox.try_recv() {
        if let Inbound::Overflowed { count } = inbound {
            dropped += count;
        }
    }
    assert_eq!(dropped, 5, "to the last one");
}

#[tokio::test(start_paused = true)]
async fn withdrawal_closes_and_nothing_is_looked_for_any_more() {
    let (_sender, queue) = mpsc::channel(8);
    let mut rig = Rig::start(DeviceProfile::PolarPpg, vec![Ok(queue)]);
    rig.until(|state| *state == LinkState::Connected).await;
    assert!(rig.gate.permit::<Collect>(Modality::Hrv).is_ok());
    rig.gate.withdraw(0).unwrap();
    rig.epoch.send_replace(rig.gate.epoch().0);
    rig.until(|state| *state == LinkState::Closed).await;
    assert_eq!(rig.air.closed.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(rig.opened().len(), 1);
}
