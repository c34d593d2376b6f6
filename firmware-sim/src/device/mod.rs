//! A wearable without I/O: given the time, it says what it notifies.
//!
//! Its clock is a crystal with drift; its schedule, battery and faults are all functions of the
//! seed and of the time passed in. Times are true nanoseconds since the session began.
//!
//! **The air.** A wearable without storage loses what it measures while nobody is subscribed: the
//! sequence goes on, the measurement counts as [`Injected::unsent`].

mod air;
mod battery;
mod beats;
mod clock;
mod eda;

use std::collections::VecDeque;

use protocol::gatt;
use thiserror::Error;
use uuid::Uuid;

use crate::{
    fault::{Fault, FaultKind, Injected},
    source::{Source, TapeError},
    spec::{DeviceKind, DeviceSpec, SpecError},
};
use air::Air;
use battery::Battery;
use beats::BeatStream;
use clock::DeviceClock;
use eda::EdaStream;

/// One value pushed by a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The characteristic.
    pub characteristic: Uuid,
    /// Counts this device's notifications of this characteristic from 0; lost ones are skipped,
    /// copies repeat it. The low 16 bits are the sequence inside an EDA payload.
    pub sequence: u64,
    /// When it was to be sent, in true nanoseconds of the session.
    pub due_ns: u64,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// What a device does at some time.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// It pushes a value.
    Notification(Notification),
    /// Something has gone wrong: by script or by [`Device::inject`]. What it does to measurements
    /// is done already; losing the link or the adapter is for the other side to act out.
    Fault(FaultKind),
}

/// Why a device cannot be built.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DeviceError {
    /// Its description is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Its recording is wrong.
    #[error("device \"{device}\": {error}")]
    Tape {
        /// The device's name.
        device: String,
        /// What is wrong.
        error: TapeError,
    },
}

/// A wearable.
///
/// # Examples
/// ```
/// use firmware_sim::{device::{Device, Output}, spec::DeviceSpec};
/// use protocol::{eda_profile::EdaMeasurement, gatt};
///
/// let spec = DeviceSpec::wristband();
/// let mut device = Device::new(spec.clone(), &spec.source(), Vec::new()).unwrap();
/// device.link_up();
/// device.subscribe(gatt::EDA_MEASUREMENT, true);
/// let due_ns = device.next_due_ns().unwrap();
/// let Some(Output::Notification(first)) = device.poll(due_ns) else { panic!() };
/// let eda = EdaMeasurement::parse(&first.bytes).unwrap();
/// assert_eq!((eda.ticks, eda.interval_ticks, eda.samples_picosiemens.len()), (0, 1024, 4));
/// ```
#[derive(Debug)]
pub struct Device {
    spec: DeviceSpec,
    sensor: Sensor,
    battery: Battery,
    air: Air,
    faults: VecDeque<Fault>,
    link_up: bool,
    subscribed: Vec<Uuid>,
    sequence: u64,
    battery_sequence: u64,
    ready: VecDeque<Output>,
    injected: Injected,
}

#[derive(Debug)]
enum Sensor {
    Eda(EdaStream),
    Beats(BeatStream),
}

/// What stands next on a device's schedule, in order of precedence at equal times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Fault,
    Battery,
    Measurement,
}

impl Device {
    /// A device of `spec` that measures `source`, under those of `faults` that name it.
    ///
    /// # Errors
    /// [`DeviceError`] when the description or the recording cannot be played.
    pub fn new(spec: DeviceSpec, source: &Source, faults: Vec<Fault>) -> Result<Self, DeviceError> {
        spec.check()?;
        if let Source::Tape(tape) = source {
            let named = |error| DeviceError::Tape { device: spec.name.clone(), error };
            tape.check().map_err(named)?;
        }
        let clock = DeviceClock::new(spec.drift_ppm);
        let sensor = match spec.kind {
            DeviceKind::Wristband => Sensor::Eda(EdaStream::new(&spec, clock, source)),
            DeviceKind::Strap => Sensor::Beats(BeatStream::new(clock, source)),
        };
        let mut faults: Vec<Fault> =
            faults.into_iter().filter(|fault| fault.device == spec.name).collect();
        faults.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        Ok(Self {
            sensor,
            battery: Battery::new(spec.battery),
            air: Air::new(spec.seed),
            faults: faults.into(),
            link_up: false,
            subscribed: Vec::new(),
            sequence: 0,
            battery_sequence: 0,
            ready: VecDeque::new(),
            injected: Injected::default(),
            spec,
        })
    }

    /// When [`Device::poll`] has something to do next, in nanoseconds; `None` when never.
    #[must_use]
    pub fn next_due_ns(&self) -> Option<u64> {
        if self.ready.is_empty() { Some(self.next()?.0) } else { Some(0) }
    }

    /// The next thing this device does up to `now_ns`; `None` when all of that is done. Call it
    /// until `None` before any other change at `now_ns`.
    pub fn poll(&mut self, now_ns: u64) -> Option<Output> {
        loop {
            if let Some(output) = self.ready.pop_front() {
                return Some(output);
            }
            let (due_ns, what) = self.next()?;
            if due_ns > now_ns {
                return None;
            }
            match what {
                Next::Fault => {
                    let Some(fault) = self.faults.pop_front() else { continue };
                    self.inject(fault.kind, due_ns);
                }
                Next::Battery => self.notify_battery(due_ns),
                Next::Measurement => self.measure(due_ns),
            }
        }
    }

    /// What is ready without any time passing: the [`Output::Fault`] of an injection.
    pub fn take_ready(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }

    /// Makes something go wrong now.
    pub fn inject(&mut self, kind: FaultKind, now_ns: u64) {
        self.ready.push_back(Output::Fault(kind));
        let until = |for_s: f64| now_ns.saturating_add(nanos(for_s));
        match (kind, &mut self.sensor) {
            (FaultKind::LinkDrop | FaultKind::OutOfRange { .. }, _) => {
                self.injected.link_drops += u64::from(self.link_up);
                self.link_down();
            }
            (FaultKind::AdapterOff { .. }, _) => self.injected.adapter_offs += 1,
            (FaultKind::LowBattery { percent }, _) => {
                self.injected.battery_changes += 1;
                self.battery.set(percent.min(100), now_ns);
            }
            (FaultKind::Lose { count }, _) => self.air.lose += u64::from(count),
            (FaultKind::Duplicate { count }, _) => self.air.duplicate += u64::from(count),
            (FaultKind::Reorder, _) => self.air.reorder += 1,
            (FaultKind::OddPayload { form }, _) => self.air.odd.push_back(form),
            (FaultKind::ContactLoss { for_s }, Sensor::Eda(eda)) => {
                self.injected.contact_losses += 1;
                eda.off_skin = now_ns..until(for_s);
            }
            (FaultKind::ContactLoss { for_s }, Sensor::Beats(beats)) => {
                self.injected.contact_losses += 1;
                beats.off_skin = now_ns..until(for_s);
            }
            (FaultKind::ClockReset, Sensor::Eda(eda)) => {
                self.injected.clock_resets += 1;
                eda.reset_clock();
            }
            (FaultKind::Saturated { for_s }, Sensor::Eda(eda)) => {
                eda.saturated = now_ns..until(for_s);
            }
            (FaultKind::NoReading { for_s }, Sensor::Eda(eda)) => {
                eda.no_reading = now_ns..until(for_s);
            }
            (FaultKind::AbsurdRr { count }, Sensor::Beats(beats)) => {
                beats.absurd += u64::from(count);
            }
            (
                FaultKind::ClockReset | FaultKind::Saturated { .. } | FaultKind::NoReading { .. },
                Sensor::Beats(_),
            )
            | (FaultKind::AbsurdRr { .. }, Sensor::Eda(_)) => {}
        }
    }

    /// A client has connected.
    pub fn link_up(&mut self) {
        self.link_up = true;
    }

    /// The link is gone, and with it every subscription.
    pub fn link_down(&mut self) {
        self.link_up = false;
        self.subscribed.clear();
        self.forget_held();
    }

    /// A client turns notifications of `characteristic` on or off.
    pub fn subscribe(&mut self, characteristic: Uuid, on: bool) {
        self.subscribed.retain(|other| *other != characteristic);
        if on {
            self.subscribed.push(characteristic);
        } else if characteristic == self.measurement() {
            self.forget_held();
        }
    }

    /// What a client reads from `characteristic` at `now_ns`; `None` when it cannot be read.
    #[must_use]
    pub fn read(&self, characteristic: Uuid, now_ns: u64) -> Option<Vec<u8>> {
        const CHEST: u8 = 1;
        let text = |text: &str| Some(text.as_bytes().to_vec());
        match characteristic {
            gatt::BATTERY_LEVEL => Some(vec![self.battery.percent(now_ns)]),
            gatt::BODY_SENSOR_LOCATION if self.spec.kind == DeviceKind::Strap => Some(vec![CHEST]),
            gatt::MANUFACTURER_NAME => text("Attune (simulated)"),
            gatt::MODEL_NUMBER => text(match self.spec.kind {
                DeviceKind::Wristband => "Simulated wristband",
                DeviceKind::Strap => "Simulated strap",
            }),
            gatt::SERIAL_NUMBER => text(&self.spec.address.replace(':', "")),
            gatt::FIRMWARE_REVISION => text(env!("CARGO_PKG_VERSION")),
            gatt::HARDWARE_REVISION => text("simulated"),
            _ => None,
        }
    }

    /// The characteristic this device measures with.
    #[must_use]
    pub fn measurement(&self) -> Uuid {
        match self.sensor {
            Sensor::Eda(_) => gatt::EDA_MEASUREMENT,
            Sensor::Beats(_) => gatt::HEART_RATE_MEASUREMENT,
        }
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &DeviceSpec {
        &self.spec
    }

    /// What it has sent and what has gone wrong so far.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.injected
    }

    fn next(&self) -> Option<(u64, Next)> {
        let fault = self.faults.front().map(|fault| (nanos(fault.at_s), Next::Fault));
        let battery = self.battery.next_due_ns().map(|due| (due, Next::Battery));
        let measurement = match &self.sensor {
            Sensor::Eda(eda) => eda.next_due_ns(),
            Sensor::Beats(beats) => beats.next_due_ns(),
        };
        let measurement = measurement.map(|due| (due, Next::Measurement));
        [fault, battery, measurement].into_iter().flatten().min()
    }

    fn measure(&mut self, due_ns: u64) {
        let battery = self.battery.percent(due_ns);
        let counts = &mut self.injected;
        let bytes = match &mut self.sensor {
            Sensor::Eda(eda) => Some(eda.take(self.sequence as u16, battery, counts)),
            Sensor::Beats(beats) => beats.take(counts),
        };
        let Some(bytes) = bytes else { return };
        let characteristic = self.measurement();
        let sequence = self.sequence;
        self.sequence += 1;
        if !self.subscribed.contains(&characteristic) {
            self.injected.unsent += 1;
            return;
        }
        let notification = Notification { characteristic, sequence, due_ns, bytes };
        for arriving in self.air.carry(notification, &mut self.injected) {
            self.injected.sent += 1;
            self.ready.push_back(Output::Notification(arriving));
        }
    }

    fn notify_battery(&mut self, due_ns: u64) {
        let percent = self.battery.announce();
        let sequence = self.battery_sequence;
        self.battery_sequence += 1;
        if self.subscribed.contains(&gatt::BATTERY_LEVEL) {
            self.injected.sent += 1;
            self.ready.push_back(Output::Notification(Notification {
                characteristic: gatt::BATTERY_LEVEL,
                sequence,
                due_ns,
                bytes: vec![percent],
            }));
        }
    }

    /// A measurement held back to be reordered goes down with the link.
    fn forget_held(&mut self) {
        self.injected.lost += u64::from(self.air.held.take().is_some());
    }
}

/// Seconds to whole nanoseconds; nothing negative, nothing over 584 years.
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
