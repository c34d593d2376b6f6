//! The Linux Bluetooth daemon, acted out on D-Bus: `org.bluez` with one adapter and simulated
//! devices, so that a real Bluetooth client runs its real code against them.
//!
//! **One session.** All devices share one time line. It begins when every device has been
//! subscribed to once, or [`Options::start_grace`] after the first, whichever is earlier; so the
//! first samples of a recording are not lost, and skin and heart of one body stay aligned. From
//! then on time never stops: what a device measures while its link is down is lost, as with a
//! wearable without storage, and counted in [`Injected::unsent`]. A stream that wants a command
//! runs from that command on. The object tree of a device's services exists while it is connected,
//! as with the real daemon.

mod actor;
mod event;
mod hub;
mod interfaces;
mod objects;

use std::{
    collections::BTreeSet,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::sync::{broadcast, oneshot};
use zbus::Connection;

use crate::{
    device::{Device, DeviceError},
    fault::{FaultError, FaultKind, FaultScript, Injected, Signal},
    source::Source,
    spec::DeviceSpec,
};
use actor::{Actor, Command};
pub use event::{DisconnectReason, SimEvent};
use hub::Hub;

/// The name of the adapter.
pub const ADAPTER: &str = "hci0";

/// A device and what it measures.
#[derive(Debug, Clone)]
pub struct SimulatedDevice {
    /// The device.
    pub spec: DeviceSpec,
    /// What it measures.
    pub source: Source,
}

impl From<DeviceSpec> for SimulatedDevice {
    /// The device with the simulated body its description names.
    fn from(spec: DeviceSpec) -> Self {
        Self { source: spec.source(), spec }
    }
}

/// How the daemon behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long the session waits for further devices once one is subscribed to.
    pub start_grace: Duration,
    /// How long a connection takes to find the device's services.
    pub resolve_after: Duration,
    /// Time between two advertisements of a device.
    pub advertise_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start_grace: Duration::from_secs(1),
            resolve_after: Duration::from_millis(25),
            advertise_every: Duration::from_millis(100),
        }
    }
}

/// Why the devices cannot be served.
#[derive(Debug, Error)]
pub enum FakeBluezError {
    /// Nothing to serve.
    #[error("no device to simulate: give at least one")]
    NoDevice,
    /// Two devices that cannot be told apart.
    #[error("two devices have the {what} \"{value}\": give each its own")]
    Twice {
        /// Name or address.
        what: &'static str,
        /// The value they share.
        value: String,
    },
    /// A device cannot be built.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The fault script does not fit the devices.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// No device of that name.
    #[error("there is no simulated device \"{0}\"")]
    UnknownDevice(String),
    /// The simulation has been stopped.
    #[error("the simulation has stopped")]
    Stopped,
    /// The bus cannot be reached or its name is taken.
    #[error(
        "org.bluez cannot be served on the D-Bus at {address}: {error}. Is it a private bus, and is no Bluetooth daemon on it?"
    )]
    Bus {
        /// The address.
        address: String,
        /// What the bus said.
        error: zbus::Error,
    },
}

/// A running simulation. Dropping it takes the devices away at once; [`FakeBluez::stop`] says
/// goodbye first.
pub struct FakeBluez {
    hub: Arc<Hub>,
    connection: Connection,
}

impl FakeBluez {
    /// Serves `devices` under `faults` on the bus at `bus_address`.
    ///
    /// # Errors
    /// [`FakeBluezError`] when something does not fit or the bus cannot be reached.
    ///
    /// # Examples
    /// ```no_run
    /// use firmware_sim::{bus::PrivateBus, fake_bluez::FakeBluez, fault::FaultScript, spec::DeviceSpec};
    /// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = PrivateBus::start()?;
    /// let devices = vec![DeviceSpec::wristband().into(), DeviceSpec::strap().into()];
    /// let bluez = FakeBluez::start(bus.address(), devices, &FaultScript::default()).await?;
    /// let mut events = bluez.events();
    /// println!("{:?}", events.recv().await?);
    /// bluez.stop().await;
    /// # Ok(()) }
    /// ```
    pub async fn start(
        bus_address: &str,
        devices: Vec<SimulatedDevice>,
        faults: &FaultScript,
    ) -> Result<Self, FakeBluezError> {
        Self::start_with(bus_address, devices, faults, Options::default()).await
    }

    /// [`FakeBluez::start`] with other habits of the daemon.
    ///
    /// # Errors
    /// As [`FakeBluez::start`].
    pub async fn start_with(
        bus_address: &str,
        devices: Vec<SimulatedDevice>,
        faults: &FaultScript,
        options: Options,
    ) -> Result<Self, FakeBluezError> {
        let names: Vec<&str> = devices.iter().map(|device| device.spec.name.as_str()).collect();
        let addresses = devices.iter().map(|device| device.spec.address.as_str());
        if names.is_empty() {
            return Err(FakeBluezError::NoDevice);
        }
        no_twins("name", names.iter().copied())?;
        no_twins("address", addresses)?;
        faults.check(&names)?;
        let models = devices
            .into_iter()
            .map(|SimulatedDevice { spec, source }| {
                let faults = faults.of_device(&spec.name);
                Device::new(spec, &source, faults)
            })
            .collect::<Result<Vec<_>, _>>()?;

        let (hub, inboxes) = Hub::new(models, options);
        let hub = Arc::new(hub);
        let bus_error = |error| FakeBluezError::Bus { address: bus_address.into(), error };
        let connection = objects::serve(&hub, bus_address).await.map_err(bus_error)?;
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let actor = Actor::new(Arc::clone(&hub), connection.clone(), index, inbox);
            hub.spawn(actor.run());
        }
        Ok(Self { hub, connection })
    }

    /// Everything that happens from now on. A receiver that falls 16,384 events behind is told how
    /// many it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<SimEvent> {
        self.hub.events.subscribe()
    }

    /// Everything that has happened so far, except notifications: a device that is in no
    /// [`SimEvent::Connected`] here was never connected.
    #[must_use]
    pub fn log(&self) -> Vec<SimEvent> {
        self.hub.log()
    }

    /// How often `device` was connected; 0 for a name nobody has.
    #[must_use]
    pub fn connects(&self, device: &str) -> usize {
        let connected = |event: &SimEvent| matches!(event, SimEvent::Connected { device: d, .. } if d == device);
        self.log().iter().filter(|event| connected(event)).count()
    }

    /// What `device` has sent and what has gone wrong with it so far; `None` for a name nobody has.
    #[must_use]
    pub fn injected(&self, device: &str) -> Option<Injected> {
        Some(self.hub.device(device)?.model().injected())
    }

    /// The signals of `device` that a client has started and nobody has stopped; none for a name
    /// nobody has.
    #[must_use]
    pub fn started(&self, device: &str) -> Vec<Signal> {
        self.hub.device(device).map(|device| device.model().started()).unwrap_or_default()
    }

    /// Zero of every `at_ns` and `due_ns` of [`SimEvent`]s.
    #[must_use]
    pub fn epoch(&self) -> Instant {
        self.hub.epoch
    }

    /// When the session's time line began; `None` until it has.
    #[must_use]
    pub fn session_start(&self) -> Option<Instant> {
        *self.hub.session.borrow()
    }

    /// Makes something go wrong with `device` now; returns when it has.
    ///
    /// # Errors
    /// [`FakeBluezError::UnknownDevice`], [`FakeBluezError::Stopped`].
    pub async fn inject(&self, device: &str, kind: FaultKind) -> Result<(), FakeBluezError> {
        let unknown = || FakeBluezError::UnknownDevice(device.into());
        let handle = self.hub.device(device).ok_or_else(unknown)?;
        let (done, wait) = oneshot::channel();
        handle.send(Command::Inject { kind, done });
        wait.await.map_err(|_| FakeBluezError::Stopped)
    }

    /// Disconnects every client in an orderly way and leaves the bus.
    pub async fn stop(self) {
        for handle in &self.hub.devices {
            let (done, wait) = oneshot::channel();
            handle.send(Command::Disconnect { done });
            // An actor that is gone has nothing left to disconnect.
            let _ = wait.await;
        }
        self.hub.abort_tasks();
        if let Err(error) = self.connection.clone().close().await {
            tracing::debug!(%error, "the bus was gone before the simulation");
        }
    }
}

impl fmt::Debug for FakeBluez {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let devices: Vec<&str> = self.hub.devices.iter().map(|d| d.name.as_str()).collect();
        f.debug_struct("FakeBluez").field("devices", &devices).finish_non_exhaustive()
    }
}

impl Drop for FakeBluez {
    fn drop(&mut self) {
        self.hub.abort_tasks();
    }
}

fn no_twins<'a>(
    what: &'static str,
    values: impl Iterator<Item = &'a str>,
) -> Result<(), FakeBluezError> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value.to_ascii_lowercase()) {
            return Err(FakeBluezError::Twice { what, value: value.into() });
        }
    }
    Ok(())
}
