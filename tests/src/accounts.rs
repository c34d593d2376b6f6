//! The books of a session with simulated wearables: what the simulator sent and what it knows to
//! be missing, against what the drivers gave and counted.

use crate::rig::{self, Rig, wait_for};
use firmware_sim::{
    fake_bluez::SimulatedDevice,
    fault::{FaultKind, SampleCounts, Signal},
    spec::DeviceSpec,
};
use sdk_core::{
    runtime::{LinkState, Session, Update},
    sensor::DeviceProfile,
};
use tokio::sync::broadcast;

/// A simulated device and the driver that reads it.
#[derive(Debug, Clone)]
pub struct Wearable {
    /// The driver.
    pub profile: DeviceProfile,
    /// The device.
    pub spec: DeviceSpec,
}

/// What became of the samples of one device.
#[derive(Debug, Clone)]
pub struct Account {
    /// The device.
    pub name: String,
    /// How it was read.
    pub profile: DeviceProfile,
    /// The device stamps or numbers what it sends, so that its driver can count exactly.
    pub exact: bool,
    /// By the simulator: samples that reached the client whole.
    pub sent: u64,
    /// By the simulator: samples lost in the air, spoiled, or measured while the link was lost.
    pub missing: u64,
    /// By the driver: samples given.
    pub received: u64,
    /// By the driver: samples that it knows to be missing.
    pub counted: u64,
    /// Connections, the first included.
    pub connects: usize,
    /// Most samples of one notification.
    pub notification: u64,
}

impl Account {
    /// What may be uncounted where loss is an estimate: a notification for each link, since beats
    /// are of no one length, and another for what was lost just before the end.
    #[must_use]
    pub fn estimate_bound(&self) -> u64 {
        self.notification * (self.connects as u64 + 1)
    }

    /// The driver gave what was sent, and what is missing is counted: but for `unconfirmed`
    /// samples where the device numbers or stamps them, within [`Account::estimate_bound`] where
    /// it does not.
    ///
    /// # Panics
    /// When it is not so.
    pub fn check(&self, unconfirmed: u64) {
        let most = if self.exact { unconfirmed } else { self.estimate_bound() };
        assert!(self.uncounted().unsigned_abs() <= most, "at most {most} uncounted: {self:?}");
        assert!(self.exact || self.received == self.sent, "{self:?}");
    }

    /// Samples that neither came nor were counted as missing; less than zero when more was counted
    /// than there was.
    #[must_use]
    pub fn uncounted(&self) -> i64 {
        let made = self.sent + self.missing;
        made.cast_signed() - (self.received + self.counted).cast_signed()
    }
}

/// A session with wearables, and its books.
#[derive(Debug)]
pub struct Books {
    /// Simulator and adapter.
    pub rig: Rig,
    /// The session.
    pub session: Session,
    /// What it tells.
    pub updates: broadcast::Receiver<Update>,
    wearables: Vec<Wearable>,
    /// Samples of each device that were due before anyone had subscribed.
    before: Vec<u64>,
}

impl Wearable {
    /// The signals its driver gives.
    #[must_use]
    pub fn signals(&self) -> &'static [Signal] {
        match self.profile {
            DeviceProfile::HeartRate => &[Signal::Beats],
            DeviceProfile::PolarEcg => &[Signal::Ecg, Signal::Acceleration],
            DeviceProfile::PolarPpi => &[Signal::Ppi],
            DeviceProfile::PolarPpg => &[Signal::Ppg, Signal::Acceleration],
            DeviceProfile::Eda | DeviceProfile::HealthyPiGsr | DeviceProfile::ShimmerGsr => {
                &[Signal::Eda]
            }
        }
    }

    /// The device stamps or numbers what it sends.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !matches!(
            self.profile,
            DeviceProfile::HeartRate | DeviceProfile::PolarPpi | DeviceProfile::HealthyPiGsr
        )
    }
}

impl Books {
    /// Serves the wearables, starts a session on them and waits until each streams.
    ///
    /// # Panics
    /// When that does not come to pass.
    pub async fn open(bus: &str, wearables: Vec<Wearable>) -> Self {
        let simulated = wearables.iter().map(|w| SimulatedDevice::from(w.spec.clone()));
        let rig = Rig::start(bus, simulated.collect()).await;
        let devices = wearables.iter().map(|w| (w.profile, Some(w.spec.address.clone())));
        let session = rig.session_of(devices.collect(), &rig::granted(), None);
        let mut updates = session.updates();
        let mut silent: Vec<bool> = wearables.iter().map(|_| true).collect();
        wait_for(&mut updates, "samples of every device", |update| {
            if let Update::Device { device, stats, .. } = update {
                silent[*device] &= stats.samples == 0;
            }
            (!silent.contains(&true)).then_some(())
        })
        .await;
        let mut books = Self { rig, session, updates, wearables, before: Vec::new() };
        books.before = (0..silent.len()).map(|device| books.counts(device).unsent).collect();
        books
    }

    /// The devices, in the order of the session.
    #[must_use]
    pub fn wearables(&self) -> &[Wearable] {
        &self.wearables
    }

    /// Makes something go wrong with a device.
    ///
    /// # Panics
    /// When the simulation has stopped.
    pub async fn inject(&self, device: usize, kind: FaultKind) {
        self.rig.bluez.inject(&self.wearables[device].spec.name, kind).await.unwrap();
    }

    /// Takes a device away for `away_s` seconds and balances its account: with its link gone,
    /// nothing is on its way. It must be streaming, and nothing must have gone wrong with it for
    /// so long that its driver could see it.
    ///
    /// # Panics
    /// When the link is not lost.
    pub async fn balance(&mut self, device: usize, away_s: f64) -> Account {
        let unsent = self.counts(device).unsent - self.before[device];
        // Only what is told from here on is of this loss.
        self.updates = self.session.updates();
        self.inject(device, FaultKind::OutOfRange { for_s: away_s }).await;
        // Told by the loop, in order: every notification before it has been through the driver.
        wait_for(&mut self.updates, "the loss of a link", |update| match update {
            Update::Link { device: d, state, .. } if *d == device => {
                (*state != LinkState::Connected).then_some(())
            }
            _ => None,
        })
        .await;
        let stats = self.session.summary().await.unwrap().streams[device];
        let counts = self.counts(device);
        let Wearable { profile, spec } = &self.wearables[device];
        Account {
            name: spec.name.clone(),
            profile: *profile,
            exact: self.wearables[device].is_exact(),
            sent: counts.sent,
            missing: counts.lost + counts.spoiled + unsent,
            received: stats.samples,
            counted: stats.lost_samples,
            connects: self.rig.bluez.connects(&spec.name),
            notification: match profile {
                DeviceProfile::HealthyPiGsr => spec.eda.batch as u64,
                // A frame is of three pulses, but each is counted by time.
                _ => 1,
            },
        }
    }

    /// Waits until a device is connected.
    ///
    /// # Panics
    /// When it is not within [`rig::PATIENCE`] of the last change.
    pub async fn connected(&mut self, device: usize) {
        while self.session.links()[device] != LinkState::Connected {
            wait_for(&mut self.updates, "a change of a link", |update| match update {
                Update::Link { device: d, .. } if *d == device => Some(()),
                _ => None,
            })
            .await;
        }
    }

    /// What the simulator counted of the signals that the driver gives.
    fn counts(&self, device: usize) -> SampleCounts {
        let wearable = &self.wearables[device];
        let samples = self.rig.bluez.injected(&wearable.spec.name).unwrap().samples;
        let add = |sum: SampleCounts, signal: &Signal| {
            let one = samples.of(*signal);
            SampleCounts {
                sent: sum.sent + one.sent,
                unsent: sum.unsent + one.unsent,
                lost: sum.lost + one.lost,
                spoiled: sum.spoiled + one.spoiled,
            }
        };
        wearable.signals().iter().fold(SampleCounts::default(), add)
    }
}
