//! The task of one device: it owns the link and lets the model play in real time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;
use zbus::{Connection, Variant};

use super::{
    event::{DisconnectReason, SimEvent},
    hub::{Handle, Hub},
    interfaces::BluezError,
    objects::{self, CHARACTERISTIC_INTERFACE, DEVICE_INTERFACE, property_changed},
};
use crate::{
    device::{Notification, Output, WriteError},
    fault::FaultKind,
};

type Reply = oneshot::Sender<Result<(), BluezError>>;

/// What others ask of a device's task.
#[derive(Debug)]
pub(super) enum Command {
    Connect { reply: Reply },
    Disconnect { done: oneshot::Sender<()> },
    Notify { characteristic: Uuid, on: bool, reply: Reply },
    Write { characteristic: Uuid, bytes: Vec<u8>, reply: Reply },
    AdapterOff,
    Inject { kind: FaultKind, done: oneshot::Sender<()> },
}

pub(super) struct Actor {
    hub: Arc<Hub>,
    connection: Connection,
    index: usize,
    inbox: mpsc::UnboundedReceiver<Command>,
    session: watch::Receiver<Option<Instant>>,
    /// When the services of a fresh connection are found.
    resolve_at: Option<Instant>,
    /// The device cannot be connected before this.
    away_until: Option<Instant>,
}

impl Actor {
    pub(super) fn new(
        hub: Arc<Hub>,
        connection: Connection,
        index: usize,
        inbox: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let session = hub.session.subscribe();
        Self { hub, connection, index, inbox, session, resolve_at: None, away_until: None }
    }

    pub(super) async fn run(mut self) {
        while let Ok(true) = self.turn().await.inspect_err(|error| {
            tracing::error!(device = self.handle().name, %error, "simulated device lost its bus");
        }) {}
    }

    /// Waits for the next thing and does it; false when nobody can ask for more.
    async fn turn(&mut self) -> zbus::Result<bool> {
        let next_play = self.next_play();
        let resolve_at = self.resolve_at;
        tokio::select! {
            biased;
            command = self.inbox.recv() => {
                let Some(command) = command else { return Ok(false) };
                self.obey(command).await?;
            }
            _ = self.session.changed() => {}
            () = until(resolve_at) => self.resolve().await?,
            () = until(next_play) => self.play().await?,
        }
        Ok(true)
    }

    async fn obey(&mut self, command: Command) -> zbus::Result<()> {
        self.play().await?;
        // Whoever no longer waits for an answer does not miss it.
        match command {
            Command::Connect { reply } => {
                let _ = reply.send(self.connect().await?);
            }
            Command::Disconnect { done } => {
                self.disconnect(DisconnectReason::Asked).await?;
                let _ = done.send(());
            }
            Command::AdapterOff => self.disconnect(DisconnectReason::Adapter).await?,
            Command::Notify { characteristic, on, reply } => {
                let _ = reply.send(self.notify(characteristic, on).await?);
            }
            Command::Write { characteristic, bytes, reply } => {
                // The answer of the device may be on its way before that of the daemon, as with
                // the real one.
                let written = self.write(characteristic, bytes);
                self.act_out_ready().await?;
                let _ = reply.send(written);
            }
            Command::Inject { kind, done } => {
                let now_ns = self.hub.session_ns();
                self.handle().model().inject(kind, now_ns);
                self.act_out_ready().await?;
                let _ = done.send(());
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> zbus::Result<Result<(), BluezError>> {
        if !self.hub.powered() {
            return Ok(Err(BluezError::NotReady("Resource Not Ready".into())));
        }
        if self.away_until.is_some_and(|until| Instant::now() < until) {
            return Ok(Err(BluezError::Failed("le-connection-abort-by-local".into())));
        }
        if std::mem::replace(&mut self.handle().link().connected, true) {
            return Ok(Ok(()));
        }
        self.handle().model().link_up();
        let device = self.handle().name.clone();
        self.hub.tell(|at_ns| SimEvent::Connected { at_ns, device });
        self.device_property("Connected", true).await?;
        self.resolve_at = Some(Instant::now() + self.hub.options.resolve_after);
        Ok(Ok(()))
    }

    async fn resolve(&mut self) -> zbus::Result<()> {
        self.resolve_at = None;
        objects::add_services(&self.connection, &self.hub, self.index).await?;
        self.handle().link().resolved = true;
        self.device_property("ServicesResolved", true).await
    }

    async fn disconnect(&mut self, reason: DisconnectReason) -> zbus::Result<()> {
        self.handle().model().link_down();
        self.resolve_at = None;
        let was = {
            let mut link = self.handle().link();
            let was = link.clone();
            (link.connected, link.resolved) = (false, false);
            link.notifying.clear();
            was
        };
        if !was.connected {
            return Ok(());
        }
        let device = self.handle().name.clone();
        self.hub.tell(|at_ns| SimEvent::Disconnected { at_ns, device, reason });
        if was.resolved {
            self.device_property("ServicesResolved", false).await?;
            objects::remove_services(&self.connection, self.handle()).await?;
        }
        self.device_property("Connected", false).await
    }

    async fn notify(
        &mut self,
        characteristic: Uuid,
        on: bool,
    ) -> zbus::Result<Result<(), BluezError>> {
        let changed = {
            let mut link = self.handle().link();
            if !link.connected {
                return Ok(Err(BluezError::NotConnected("Not Connected".into())));
            }
            let notifying = &mut link.notifying;
            if on { notifying.insert(characteristic) } else { notifying.remove(&characteristic) }
        };
        if !changed {
            let refusal = BluezError::Failed("No notify session started".into());
            return Ok(if on { Ok(()) } else { Err(refusal) });
        }
        let is_measurement = {
            let mut model = self.handle().model();
            model.subscribe(characteristic, on);
            model.is_measurement(characteristic)
        };
        let device = self.handle().name.clone();
        self.hub.tell(|at_ns| match on {
            true => SimEvent::Subscribed { at_ns, device, characteristic },
            false => SimEvent::Unsubscribed { at_ns, device, characteristic },
        });
        if let Some(path) = self.handle().characteristic_path(characteristic) {
            let on = on.into();
            property_changed(&self.connection, path, CHARACTERISTIC_INTERFACE, "Notifying", on)
                .await?;
        }
        if on && is_measurement && self.hub.subscribed(self.index) {
            let hub = Arc::clone(&self.hub);
            self.hub.spawn(async move {
                tokio::time::sleep(hub.options.start_grace).await;
                hub.begin_session();
            });
        }
        Ok(Ok(()))
    }

    fn write(&self, characteristic: Uuid, bytes: Vec<u8>) -> Result<(), BluezError> {
        if !self.handle().link().connected {
            return Err(BluezError::NotConnected("Not Connected".into()));
        }
        let now_ns = self.hub.session_ns();
        let written = self.handle().model().write(characteristic, &bytes, now_ns);
        let device = self.handle().name.clone();
        let accepted = written.is_ok();
        self.hub.tell(|at_ns| SimEvent::Written { at_ns, device, characteristic, bytes, accepted });
        written.map_err(|error| match error {
            WriteError::NotPermitted => BluezError::NotPermitted(error.to_string()),
            WriteError::NobodyListens => BluezError::Failed(error.to_string()),
        })
    }

    async fn act_out_ready(&mut self) -> zbus::Result<()> {
        while let Some(output) = self.take_ready() {
            self.act_out(output).await?;
        }
        Ok(())
    }

    /// Does everything that is due.
    async fn play(&mut self) -> zbus::Result<()> {
        if self.session.borrow().is_none() {
            return Ok(());
        }
        let now_ns = self.hub.session_ns();
        while let Some(output) = self.poll(now_ns) {
            self.act_out(output).await?;
        }
        Ok(())
    }

    async fn act_out(&mut self, output: Output) -> zbus::Result<()> {
        match output {
            Output::Notification(notification) => self.send(notification).await,
            Output::Fault(kind) => {
                let device = self.handle().name.clone();
                self.hub.tell(|at_ns| SimEvent::Fault { at_ns, device, kind });
                self.suffer(kind).await
            }
        }
    }

    async fn suffer(&mut self, kind: FaultKind) -> zbus::Result<()> {
        match kind {
            FaultKind::LinkDrop => self.disconnect(DisconnectReason::Fault).await,
            FaultKind::OutOfRange { for_s } => {
                self.away_until = Instant::now().checked_add(seconds(for_s));
                self.disconnect(DisconnectReason::Fault).await
            }
            FaultKind::AdapterOff { for_s } => {
                self.hub.power(&self.connection, false).await?;
                // The hub has asked every device to; this one must not play on until it hears.
                self.disconnect(DisconnectReason::Adapter).await?;
                let (hub, connection) = (Arc::clone(&self.hub), self.connection.clone());
                self.hub.spawn(async move {
                    tokio::time::sleep(seconds(for_s)).await;
                    if let Err(error) = hub.power(&connection, true).await {
                        tracing::error!(%error, "simulated adapter lost its bus");
                    }
                });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn send(&mut self, notification: Notification) -> zbus::Result<()> {
        let Notification { characteristic, sequence, due_ns, bytes, .. } = notification;
        let Some(path) = self.handle().characteristic_path(characteristic) else { return Ok(()) };
        let begin_ns = self.session.borrow().map_or(0, |begin| self.hub.since_epoch_ns(begin));
        let written = Instant::now();
        // Told first: whoever measures latency must know of the write before its effect.
        let _ = self.hub.events.send(SimEvent::Notification {
            at_ns: self.hub.since_epoch_ns(written),
            device: self.handle().name.clone(),
            characteristic,
            sequence,
            due_ns: begin_ns.saturating_add(due_ns),
            length: bytes.len(),
            written,
        });
        let value = Variant::from(bytes);
        property_changed(&self.connection, path, CHARACTERISTIC_INTERFACE, "Value", value).await
    }

    fn next_play(&self) -> Option<Instant> {
        let begin = (*self.session.borrow())?;
        let due_ns = self.handle().model().next_due_ns()?;
        begin.checked_add(Duration::from_nanos(due_ns))
    }

    // The two locks of the model end before anything is awaited.

    fn poll(&self, now_ns: u64) -> Option<Output> {
        self.handle().model().poll(now_ns)
    }

    fn take_ready(&self) -> Option<Output> {
        self.handle().model().take_ready()
    }

    async fn device_property(&self, name: &'static str, value: bool) -> zbus::Result<()> {
        let path = &self.handle().path;
        property_changed(&self.connection, path, DEVICE_INTERFACE, name, value.into()).await
    }

    fn handle(&self) -> &Handle {
        &self.hub.devices[self.index]
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// A length out of a checked fault script, or out of a caller's hand: then at most "for ever".
fn seconds(for_s: f64) -> Duration {
    Duration::try_from_secs_f64(for_s).unwrap_or(Duration::MAX)
}
