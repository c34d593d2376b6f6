//! What the daemon's objects and the devices' tasks share. It never touches the bus: tasks and
//! methods do that with the connection they are given, so that dropping them closes it.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::{
    sync::{broadcast, mpsc, watch},
    task::AbortHandle,
};
use uuid::Uuid;
use zbus::Connection;

use super::{
    ADAPTER, Options,
    actor::Command,
    event::SimEvent,
    objects::{self, ADAPTER_INTERFACE, Object, ObjectKind, adapter_path, property_changed},
};
use crate::device::Device;

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) epoch: Instant,
    pub(super) options: Options,
    pub(super) events: broadcast::Sender<SimEvent>,
    powered: AtomicBool,
    /// Begin of the session's time line.
    pub(super) session: watch::Sender<Option<Instant>>,
    pub(super) devices: Vec<Handle>,
    log: Mutex<Vec<SimEvent>>,
    discoverers: Mutex<BTreeSet<String>>,
    /// Devices that have been subscribed to, by index.
    subscribed_once: Mutex<BTreeSet<usize>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// One device as the rest of the daemon sees it.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) path: String,
    /// Its services on the bus, parents first.
    pub(super) tree: Vec<Object>,
    model: Mutex<Device>,
    link: Mutex<Link>,
    inbox: mpsc::UnboundedSender<Command>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Link {
    /// The daemon has seen the device.
    pub(super) visible: bool,
    pub(super) connected: bool,
    pub(super) resolved: bool,
    pub(super) notifying: BTreeSet<Uuid>,
}

const EVENT_BACKLOG: usize = 16_384;

impl Hub {
    pub(super) fn new(
        models: Vec<Device>,
        options: Options,
    ) -> (Self, Vec<mpsc::UnboundedReceiver<Command>>) {
        let (devices, inboxes) = models.into_iter().map(Handle::new).unzip();
        let hub = Self {
            epoch: Instant::now(),
            options,
            events: broadcast::channel(EVENT_BACKLOG).0,
            powered: AtomicBool::new(true),
            session: watch::channel(None).0,
            devices,
            log: Mutex::default(),
            discoverers: Mutex::default(),
            subscribed_once: Mutex::default(),
            tasks: Mutex::default(),
        };
        (hub, inboxes)
    }

    pub(super) fn device(&self, name: &str) -> Option<&Handle> {
        self.devices.iter().find(|device| device.name == name)
    }

    pub(super) fn since_epoch_ns(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// Tells an event to whoever listens, and keeps it unless it is one of many.
    pub(super) fn tell(&self, event: impl FnOnce(u64) -> SimEvent) {
        let event = event(self.since_epoch_ns(Instant::now()));
        lock(&self.log).push(event.clone());
        // An error only means that nobody listens.
        let _ = self.events.send(event);
    }

    pub(super) fn log(&self) -> Vec<SimEvent> {
        lock(&self.log).clone()
    }

    /// Nanoseconds of the session; 0 before it begins.
    pub(super) fn session_ns(&self) -> u64 {
        let begin = *self.session.borrow();
        begin.map_or(0, |begin| begin.elapsed().as_nanos() as u64)
    }

    /// A device's measurements were subscribed to. True when the session should now wait its
    /// grace for the others.
    pub(super) fn subscribed(&self, index: usize) -> bool {
        let mut once = lock(&self.subscribed_once);
        once.insert(index);
        if once.len() == self.devices.len() {
            self.begin_session();
        }
        once.len() == 1 && self.session.borrow().is_none()
    }

    /// Begins the session's time line unless it has begun.
    pub(super) fn begin_session(&self) {
        let begun = self.session.send_if_modified(|session| {
            let begins = session.is_none();
            session.get_or_insert_with(Instant::now);
            begins
        });
        if begun {
            self.tell(|at_ns| SimEvent::SessionStarted { at_ns });
        }
    }

    pub(super) fn discovering(&self) -> bool {
        !lock(&self.discoverers).is_empty()
    }

    /// Adds or removes a client that discovers; true when that changed anything.
    pub(super) fn set_discoverer(&self, client: &str, on: bool) -> bool {
        let (changed, before, after) = {
            let mut clients = lock(&self.discoverers);
            let before = !clients.is_empty();
            let changed =
                if on { clients.insert(client.to_owned()) } else { clients.remove(client) };
            (changed, before, !clients.is_empty())
        };
        if before != after {
            self.tell(|at_ns| SimEvent::Discovery { at_ns, on: after });
        }
        changed
    }

    pub(super) fn powered(&self) -> bool {
        self.powered.load(Ordering::SeqCst)
    }

    /// Switches the adapter without telling the bus; true when that changed anything.
    pub(super) fn switch_power(&self, on: bool) -> bool {
        let changed = self.powered.swap(on, Ordering::SeqCst) != on;
        if changed {
            self.tell(|at_ns| SimEvent::AdapterPower { at_ns, on });
            lock(&self.discoverers).clear();
        }
        if !on {
            self.devices.iter().for_each(|device| device.send(Command::AdapterOff));
        }
        changed
    }

    /// Switches the adapter and tells the bus.
    pub(super) async fn power(&self, connection: &Connection, on: bool) -> zbus::Result<()> {
        let was_discovering = self.discovering();
        if !self.switch_power(on) {
            return Ok(());
        }
        tracing::debug!(adapter = ADAPTER, on, "adapter switched");
        let (path, interface) = (adapter_path(), ADAPTER_INTERFACE);
        if was_discovering {
            property_changed(connection, &path, interface, "Discovering", false.into()).await?;
        }
        property_changed(connection, &path, interface, "Powered", on.into()).await
    }

    /// Runs a task until the simulation ends.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(task).abort_handle());
    }

    pub(super) fn abort_tasks(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }
}

impl Handle {
    fn new(model: Device) -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let spec = model.spec();
        let address = spec.address.to_ascii_uppercase();
        let path = format!("{}/dev_{}", adapter_path(), address.replace(':', "_"));
        let handle = Self {
            name: spec.name.clone(),
            address,
            tree: objects::tree(&path, &spec.services()),
            path,
            model: Mutex::new(model),
            link: Mutex::default(),
            inbox: sender,
        };
        (handle, receiver)
    }

    /// Gives the device's task something to do. A task that has ended drops it, and with it the
    /// channel on which the caller waits.
    pub(super) fn send(&self, command: Command) {
        let _ = self.inbox.send(command);
    }

    /// Where a characteristic is on the bus.
    pub(super) fn characteristic_path(&self, uuid: Uuid) -> Option<&str> {
        let is_it = |object: &&Object| {
            object.uuid == uuid && matches!(object.kind, ObjectKind::Characteristic(_))
        };
        self.tree.iter().find(is_it).map(|object| object.path.as_str())
    }

    pub(super) fn model(&self) -> MutexGuard<'_, Device> {
        lock(&self.model)
    }

    pub(super) fn link(&self) -> MutexGuard<'_, Link> {
        lock(&self.link)
    }
}

/// A task that panicked holding a lock left plain data behind: it stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
