//! A wearable without I/O: given the time, it says what it notifies.
//!
//! Its clock is a crystal with drift; its schedule, battery and faults are all functions of the
//! seed and of the time passed in. Times are true nanoseconds since the session began.
//!
//! A device has one or more streams. Some are always on; those of a Polar and a Shimmer run from
//! the command that starts them to the one that stops them, and must be started again after a lost
//! link.
//!
//! **The air.** A wearable without storage loses what it measures while nobody is subscribed: the
//! sequence goes on, the measurement counts as [`Injected::unsent`].

mod air;
mod battery;
mod beats;
mod channel;
mod clock;
mod conditions;
mod eda;
mod frames;
mod grid;
mod kind;
mod pmd;
mod ppi;
mod sending;
mod shimmer;

use std::{collections::VecDeque, ops::Range};

use protocol::{eda_profile::TICKS_PER_SECOND, gatt};
use thiserror::Error;
use uuid::Uuid;

use crate::{
    fault::{Fault, FaultKind, Injected, Signal},
    source::{Source, TapeError},
    spec::{DeviceSpec, SpecError},
};
use air::Air;
use battery::Battery;
use channel::{Channel, Sensor, Told};
use clock::DeviceClock;
use conditions::Conditions;
pub(crate) use kind::services;

/// One value pushed by a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The characteristic.
    pub characteristic: Uuid,
    /// Counts this device's notifications of this stream from 0; lost ones are skipped, copies
    /// repeat it. The low 16 bits are the sequence inside an EDA payload. Battery levels and
    /// answers to commands are streams of their own.
    pub sequence: u64,
    /// What it is of; `None` for battery levels and answers to commands.
    pub signal: Option<Signal>,
    /// The samples it holds, or holds parts of, counted from 0.
    pub samples: Range<u64>,
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

/// Why a device refuses what is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WriteError {
    /// Nothing can be written there.
    #[error("Write not permitted")]
    NotPermitted,
    /// Its answer would reach nobody: the client must turn indications on before it asks (ATT
    /// error "client characteristic configuration descriptor improperly configured").
    #[error("Operation failed with ATT error: 0xfd")]
    NobodyListens,
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
    clock: DeviceClock,
    /// The stream the device is worn for is the first.
    channels: Vec<Channel>,
    conditions: Conditions,
    battery: Battery,
    air: Air,
    faults: VecDeque<Fault>,
    link_up: bool,
    subscribed: Vec<Uuid>,
    battery_sequence: u64,
    answer_sequence: u64,
    ready: VecDeque<Output>,
    injected: Injected,
}

/// What stands next on a device's schedule, in order of precedence at equal times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Fault,
    Battery,
    Measurement(usize),
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
        let mut faults: Vec<Fault> =
            faults.into_iter().filter(|fault| fault.device == spec.name).collect();
        faults.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        Ok(Self {
            clock,
            channels: kind::channels(&spec, clock, source),
            conditions: Conditions::new(clock_start_ns(spec.clock_start_ticks)),
            battery: Battery::new(spec.battery),
            air: Air::new(spec.seed),
            faults: faults.into(),
            link_up: false,
            subscribed: Vec::new(),
            battery_sequence: 0,
            answer_sequence: 0,
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
                Next::Measurement(channel) => self.measure(channel, due_ns),
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
        let until = |for_s: f64| now_ns..now_ns.saturating_add(nanos(for_s));
        let (conditions, injected) = (&mut self.conditions, &mut self.injected);
        let measures = |signals: &[Signal]| {
            self.channels.iter().any(|channel| signals.contains(&channel.signal))
        };
        match kind {
            FaultKind::LinkDrop | FaultKind::OutOfRange { .. } => {
                injected.link_drops += u64::from(self.link_up);
                self.link_down();
            }
            FaultKind::AdapterOff { .. } => injected.adapter_offs += 1,
            FaultKind::LowBattery { percent } => {
                injected.battery_changes += 1;
                self.battery.set(percent.min(100), now_ns);
            }
            FaultKind::Lose { count } => self.air.lose += u64::from(count),
            FaultKind::Duplicate { count } => self.air.duplicate += u64::from(count),
            FaultKind::Reorder => self.air.reorder += 1,
            FaultKind::OddPayload { form } => self.air.odd.push_back(form),
            FaultKind::ContactLoss { for_s } => {
                injected.contact_losses += 1;
                conditions.off_skin = until(for_s);
            }
            FaultKind::ClockReset => {
                if let [Channel { sensor: Sensor::Eda(eda), .. }] = self.channels.as_mut_slice() {
                    eda.reset_clock();
                } else if !self.spec.kind.sends_clock() {
                    return;
                }
                injected.clock_resets += 1;
                conditions.reset_clock(self.clock.device_ns(now_ns));
            }
            FaultKind::Saturated { for_s } if measures(&[Signal::Eda]) => {
                conditions.saturated = until(for_s);
            }
            FaultKind::NoReading { for_s } if measures(&[Signal::Eda]) => {
                conditions.no_reading = until(for_s);
            }
            FaultKind::AbsurdRr { count } if measures(&[Signal::Beats, Signal::Ppi]) => {
                conditions.absurd += u64::from(count);
            }
            FaultKind::Saturated { .. }
            | FaultKind::NoReading { .. }
            | FaultKind::AbsurdRr { .. } => {}
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
        for channel in &mut self.channels {
            channel.sever(&mut self.injected);
        }
    }

    /// A client turns notifications of `characteristic` on or off.
    pub fn subscribe(&mut self, characteristic: Uuid, on: bool) {
        self.subscribed.retain(|other| *other != characteristic);
        if on {
            self.subscribed.push(characteristic);
        } else if self.is_measurement(characteristic) {
            self.forget_held();
        }
    }

    /// A client writes `bytes` to `characteristic` at `now_ns`. What the device answers is ready
    /// at once.
    ///
    /// # Errors
    /// [`WriteError`] as a client sees it. What is wrong with the bytes is not an error here: a
    /// device answers that in its own way, or not at all.
    pub fn write(
        &mut self,
        characteristic: Uuid,
        bytes: &[u8],
        now_ns: u64,
    ) -> Result<(), WriteError> {
        match characteristic {
            gatt::PMD_CONTROL if !pmd::streams(self.spec.kind).is_empty() => {
                if !self.subscribed.contains(&gatt::PMD_CONTROL) {
                    return Err(WriteError::NobodyListens);
                }
                let (kind, counts) = (self.spec.kind, &mut self.injected);
                let bytes = pmd::command(bytes, kind, &mut self.channels, now_ns, counts);
                self.answer(gatt::PMD_CONTROL, bytes, now_ns);
                Ok(())
            }
            gatt::SHIMMER_TO_DEVICE => self.write_serial(bytes, now_ns),
            _ => Err(WriteError::NotPermitted),
        }
    }

    /// The signals of streams that someone has started and nobody stopped.
    #[must_use]
    pub fn started(&self) -> Vec<Signal> {
        let started = |channel: &&Channel| channel.told == Told::Running;
        self.channels.iter().filter(started).map(|channel| channel.signal).collect()
    }

    /// What a client reads from `characteristic` at `now_ns`; `None` when it cannot be read.
    #[must_use]
    pub fn read(&self, characteristic: Uuid, now_ns: u64) -> Option<Vec<u8>> {
        match characteristic {
            gatt::BATTERY_LEVEL => Some(vec![self.battery.percent(now_ns)]),
            other => kind::read(&self.spec, other),
        }
    }

    /// The characteristic of the stream this device is worn for.
    #[must_use]
    pub fn measurement(&self) -> Uuid {
        self.channels.first().map_or(Uuid::nil(), |channel| channel.characteristic)
    }

    /// Whether measurements are notified by this characteristic.
    #[must_use]
    pub fn is_measurement(&self, characteristic: Uuid) -> bool {
        self.channels.iter().any(|channel| channel.characteristic == characteristic)
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
        let due = |(index, channel): (usize, &Channel)| {
            Some((channel.next_due_ns()?, Next::Measurement(index)))
        };
        let measurements = self.channels.iter().enumerate().filter_map(due);
        measurements.chain(fault).chain(battery).min()
    }
}

/// Ticks of the device clock in nanoseconds, to the nearest: they survive the way back.
fn clock_start_ns(ticks: u32) -> u64 {
    (u64::from(ticks) * 1_000_000_000).div_ceil(u64::from(TICKS_PER_SECOND))
}

/// Seconds to whole nanoseconds; nothing negative, nothing over 584 years.
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
