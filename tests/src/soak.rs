//! Every kind of wearable at once, at full rate, with something going wrong all the time: nothing
//! may be lost that is not counted.

use crate::accounts::{Account, Books, Wearable};
use firmware_sim::{
    fault::{FaultKind, OddForm},
    spec::{DeviceSpec, MotionSpec},
};
use sdk_core::sensor::DeviceProfile;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a soak came to.
#[derive(Debug, Clone)]
pub struct SoakReport {
    /// How long faults were injected, in seconds.
    pub seconds: f64,
    /// Faults injected.
    pub faults: u64,
    /// Notifications that the session had no time for.
    pub dropped: u64,
    /// Each device.
    pub devices: Vec<Account>,
}

/// One fault for some device each this often.
const FAULT_EVERY: Duration = Duration::from_millis(700);
/// The adapter goes off this often, and for so long.
const ADAPTER_EVERY: Duration = Duration::from_secs(60);
const ADAPTER_OFF_S: f64 = 0.5;
/// The last faults are seen by what follows them: nothing goes wrong for so long at the end.
const SETTLE: Duration = Duration::from_secs(5);
/// At the end every device goes away for good.
const AWAY_S: f64 = 3_600.0;

impl SoakReport {
    /// Samples of exact devices that were neither given nor counted, in either direction.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        let exact = self.devices.iter().filter(|account| account.exact);
        exact.map(|account| account.uncounted().unsigned_abs()).sum()
    }

    /// As a machine reads it.
    #[must_use]
    pub fn json(&self) -> Value {
        let device = |a: &Account| {
            json!({
                "device": a.name, "driver": a.profile.name(), "exact": a.exact, "sent": a.sent,
                "missing": a.missing, "received": a.received, "counted_missing": a.counted,
                "uncounted": a.uncounted(), "connects": a.connects,
            })
        };
        json!({
            "seconds": self.seconds, "faults": self.faults, "dropped": self.dropped,
            "uncounted": self.uncounted(),
            "devices": self.devices.iter().map(device).collect::<Vec<_>>(),
        })
    }
}

/// One of each kind on one body, at the highest rates their drivers ask for: the wristband at
/// 50 Hz, two optical sensors for the two things they can be asked for.
#[must_use]
pub fn wearables(seed: u64) -> Vec<Wearable> {
    let second_sense = DeviceSpec {
        name: "Polar Sense C0FFEE07".into(),
        address: "C0:FF:EE:00:00:07".into(),
        ..DeviceSpec::polar_sense()
    };
    [
        (DeviceProfile::Eda, DeviceSpec::wristband_50hz()),
        (DeviceProfile::HeartRate, DeviceSpec::strap()),
        (DeviceProfile::PolarEcg, DeviceSpec::polar_h10()),
        (DeviceProfile::PolarPpg, DeviceSpec::polar_sense()),
        (DeviceProfile::PolarPpi, second_sense),
        (DeviceProfile::HealthyPiGsr, DeviceSpec::healthypi_move()),
        (DeviceProfile::ShimmerGsr, DeviceSpec::shimmer3_gsr()),
    ]
    .map(|(profile, spec)| Wearable { profile, spec: DeviceSpec { seed, ..spec } })
    .to_vec()
}

/// Like [`wearables`], but one, and of a body that does not move.
///
/// # Panics
/// Never: there is one of each profile.
#[must_use]
pub fn wearable(profile: DeviceProfile, seed: u64) -> Wearable {
    let mut wearable = wearables(seed).into_iter().find(|w| w.profile == profile).unwrap();
    wearable.spec.motion = MotionSpec { bursts_per_minute: 0.0 };
    wearable
}

/// What can go wrong with a device such that its account must balance all the same.
#[must_use]
pub fn faults(profile: DeviceProfile) -> Vec<FaultKind> {
    let odd = |form| FaultKind::OddPayload { form };
    let mut faults =
        vec![FaultKind::Lose { count: 1 }, FaultKind::LinkDrop, odd(OddForm::Truncated)];
    // A notification every few seconds: more would leave nothing between them.
    if profile == DeviceProfile::PolarPpi {
        return faults;
    }
    faults.extend([
        FaultKind::Lose { count: 3 },
        odd(OddForm::Garbage),
        odd(OddForm::Empty),
        FaultKind::LowBattery { percent: 9 },
    ]);
    // What has no number and no time cannot be told from its copy, or set in order.
    let framed =
        [DeviceProfile::Eda, DeviceProfile::PolarEcg, DeviceProfile::PolarPpg].contains(&profile);
    if framed {
        faults.extend([
            FaultKind::Duplicate { count: 2 },
            FaultKind::Reorder,
            FaultKind::ClockReset,
            odd(OddForm::ReservedFlags),
        ]);
    }
    faults
}

/// Runs [`wearables`] on the bus for `seconds` and balances their books.
///
/// # Panics
/// When a device cannot be streamed, or does not come back.
pub async fn soak(bus: &str, seconds: f64) -> SoakReport {
    const SEED: u64 = 5;
    let mut books = Books::open(bus, wearables(SEED)).await;
    let plans: Vec<Vec<FaultKind>> = books.wearables().iter().map(|w| faults(w.profile)).collect();
    let begun = Instant::now();
    let mut every = tokio::time::interval(FAULT_EVERY);
    let mut adapter_off = ADAPTER_EVERY;
    let mut injected = 0;
    every.tick().await;
    while begun.elapsed().as_secs_f64() < seconds {
        every.tick().await;
        let (round, device) = (injected / plans.len(), injected % plans.len());
        let kind = if begun.elapsed() > adapter_off {
            adapter_off += ADAPTER_EVERY;
            FaultKind::AdapterOff { for_s: ADAPTER_OFF_S }
        } else {
            plans[device][round % plans[device].len()]
        };
        books.inject(device, kind).await;
        injected += 1;
    }
    for device in 0..plans.len() {
        books.connected(device).await;
    }
    tokio::time::sleep(SETTLE).await;
    let mut devices = Vec::new();
    for device in 0..plans.len() {
        devices.push(books.balance(device, AWAY_S).await);
    }
    let summary = books.session.stop().await.unwrap();
    SoakReport { seconds, faults: injected as u64, dropped: summary.dropped, devices }
}
