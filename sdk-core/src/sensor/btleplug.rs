//! Bluetooth LE through btleplug: BlueZ, CoreBluetooth, WinRT, Android.
//!
//! Each link drains btleplug's stream in a task of its own into a bounded queue: some platforms
//! keep only 16 notifications and lose the rest without a word.

use super::{
    link::{Link, LinkError, Notification, SessionClock, Transport},
    selector::{Selector, Write},
};
use crate::consent::{Collect, Permit, Refused};
use async_trait::async_trait;
use btleplug::{
    api::{
        Central, CentralEvent, CentralState, Manager as _, Peripheral as _, ScanFilter, WriteType,
    },
    platform::{Adapter, Manager, Peripheral, PeripheralId},
};
use futures::{Stream, StreamExt};
use protocol::gatt::BATTERY_LEVEL;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};
use uuid::Uuid;

/// Notifications kept for a slow reader: 20 s at 50 a second.
const QUEUE: usize = 1_024;
/// Requests after a link is closed; the D-Bus library keeps a handful of messages for use again.
const OVERWRITES: usize = 32;
/// How often they are asked.
const ROUNDS: usize = 4;
/// How long a device is looked for before the caller is told.
const SCAN: Duration = Duration::from_secs(20);
/// How long connecting and finding services may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How often an opening link looks whether consent still holds.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long stopping the streams may take.
const GOODBYE: Duration = Duration::from_millis(400);
/// How long disconnecting, and reading the battery, may take; the device notices a dead link by
/// itself.
const DISCONNECT: Duration = Duration::from_millis(500);

/// Name and value of an environment variable under which glibc wipes what C libraries free, the
/// D-Bus library among them. It is read when a process starts: start a program that measures with
/// it, as `attune run` does, or payloads linger in freed memory after a withdrawal (C4).
pub const GLIBC_WIPES_FREED: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0");

/// The machine's Bluetooth adapter.
#[derive(Debug, Clone)]
pub struct BtleplugTransport {
    adapter: Adapter,
    /// How many links are being looked for: the first starts the scan, the last stops it.
    scans: Arc<Mutex<usize>>,
}

impl BtleplugTransport {
    /// Takes the adapter whose name begins with `name` (`hci0`), or the first there is.
    ///
    /// # Errors
    /// [`LinkError::Unavailable`] when there is none.
    pub async fn new(name: Option<&str>) -> Result<Self, LinkError> {
        let unavailable = |error: btleplug::Error| LinkError::Unavailable(error.to_string());
        let manager = Manager::new().await.map_err(unavailable)?;
        for adapter in manager.adapters().await.map_err(unavailable)? {
            let info = adapter.adapter_info().await.map_err(unavailable)?;
            if name.is_none_or(|wanted| info.starts_with(wanted)) {
                return Ok(Self { adapter, scans: Arc::default() });
            }
        }
        let wanted = name.map_or("no adapter".to_owned(), |n| format!("no adapter {n}"));
        Err(LinkError::Unavailable(wanted))
    }

    /// Looks for a device that fits, other than those found unfit already.
    async fn find(
        &self,
        selector: &Selector,
        unfit: &[PeripheralId],
        permit: &Permit<Collect>,
    ) -> Result<Peripheral, LinkError> {
        let mut events = self.adapter.events().await.map_err(failed)?;
        for peripheral in self.adapter.peripherals().await.map_err(failed)? {
            if !unfit.contains(&peripheral.id()) && fits(&peripheral, selector).await {
                return Ok(peripheral);
            }
        }
        self.scan(true).await?;
        let seen = timeout(SCAN, async {
            while let Some(event) = events.next().await {
                let (CentralEvent::DeviceDiscovered(id)
                | CentralEvent::DeviceUpdated(id)
                | CentralEvent::ServicesAdvertisement { id, .. }) = event
                else {
                    continue;
                };
                if unfit.contains(&id) {
                    continue;
                }
                let Ok(peripheral) = self.adapter.peripheral(&id).await else { continue };
                if fits(&peripheral, selector).await {
                    return Some(peripheral);
                }
            }
            None
        });
        let found = tokio::select! {
            seen = seen => seen.ok().flatten().ok_or_else(|| not_found(selector)),
            refused = ended(permit) => Err(refused.into()),
        };
        self.scan(false).await?;
        found
    }

    async fn scan(&self, on: bool) -> Result<(), LinkError> {
        let mut scans = self.scans.lock().await;
        match (on, *scans) {
            (true, 0) => self.adapter.start_scan(ScanFilter::default()).await.map_err(failed)?,
            // An adapter that was switched off has stopped by itself.
            (false, 1) => drop(self.adapter.stop_scan().await),
            _ => {}
        }
        *scans = if on { *scans + 1 } else { scans.saturating_sub(1) };
        Ok(())
    }

    async fn subscribe(
        &self,
        peripheral: &Peripheral,
        selector: &Selector,
        clock: SessionClock,
    ) -> Result<BtleplugLink, LinkError> {
        // The platform waits long for the services of a device that has gone meanwhile.
        let events = self.adapter.events().await.map_err(failed)?;
        tokio::select! {
            connected = peripheral.connect() => connected.map_err(failed)?,
            () = gone(events, peripheral.id()) => {
                return Err(LinkError::Failed("the device went away while it was connected to".into()));
            }
        }
        peripheral.discover_services().await.map_err(failed)?;
        let found = peripheral.characteristics();
        let missing =
            selector.required().into_iter().find(|uuid| found.iter().all(|c| c.uuid != *uuid));
        if let Some(characteristic) = missing {
            return Err(LinkError::Missing { characteristic });
        }
        // The streams first, or what comes right after subscribing is missed.
        let events = self.adapter.events().await.map_err(failed)?;
        let stream = peripheral.notifications().await.map_err(failed)?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let overflowed = Arc::new(AtomicU64::new(0));
        let drain = Drain {
            id: peripheral.id(),
            wanted: selector.characteristics.clone(),
            clock,
            sender,
            overflowed: Arc::clone(&overflowed),
        };
        let task = tokio::spawn(drain.run(stream, events));
        let goodbye = selector.goodbye.clone();
        let peripheral = peripheral.clone();
        let adapter = self.adapter.clone();
        let link = BtleplugLink { adapter, peripheral, queue, overflowed, task, goodbye };
        for characteristic in &selector.characteristics {
            for found in found.iter().filter(|c| c.uuid == *characteristic) {
                link.peripheral.subscribe(found).await.map_err(failed)?;
            }
        }
        write_all(&link.peripheral, &selector.hello).await.map_err(failed)?;
        Ok(link)
    }
}

#[async_trait]
impl Transport for BtleplugTransport {
    async fn open(
        &self,
        selector: &Selector,
        permit: &Permit<Collect>,
        clock: SessionClock,
    ) -> Result<Box<dyn Link>, LinkError> {
        permit.check()?;
        if matches!(self.adapter.adapter_state().await, Ok(CentralState::PoweredOff)) {
            return Err(LinkError::Unavailable("the adapter is off".into()));
        }
        let mut unfit = Vec::new();
        let mut missing = None;
        loop {
            // Found anew after every loss: what a platform remembered may have changed.
            let peripheral = match self.find(selector, &unfit, permit).await {
                Ok(peripheral) => peripheral,
                Err(error @ LinkError::NotFound { .. }) => return Err(missing.unwrap_or(error)),
                Err(error) => return Err(error),
            };
            permit.check()?;
            let link = tokio::select! {
                link = timeout(CONNECT, self.subscribe(&peripheral, selector, clock)) => link
                    .unwrap_or_else(|_| Err(LinkError::Failed("it took too long".into()))),
                refused = ended(permit) => Err(refused.into()),
            };
            match link {
                Ok(link) => return Ok(Box::new(link)),
                Err(error) => {
                    // Half a connection would keep the device busy, and half a hello running.
                    part(&peripheral, &selector.goodbye).await;
                    // Another maker's device with the same service: the right one may be near.
                    if selector.address.is_some() || !matches!(error, LinkError::Missing { .. }) {
                        return Err(error);
                    }
                    unfit.push(peripheral.id());
                    missing = Some(error);
                }
            }
        }
    }
}

struct BtleplugLink {
    adapter: Adapter,
    peripheral: Peripheral,
    queue: mpsc::Receiver<Notification>,
    overflowed: Arc<AtomicU64>,
    task: JoinHandle<()>,
    goodbye: Vec<Write>,
}

#[async_trait]
impl Link for BtleplugLink {
    async fn next(&mut self) -> Option<Notification> {
        self.queue.recv().await
    }

    async fn battery(&mut self) -> Option<u8> {
        let all = self.peripheral.characteristics();
        let level = all.iter().find(|c| c.uuid == BATTERY_LEVEL)?;
        let read = timeout(DISCONNECT, self.peripheral.read(level)).await;
        read.ok()?.ok()?.first().copied()
    }

    fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    async fn close(self: Box<Self>) {
        self.task.abort();
        part(&self.peripheral, &self.goodbye).await;
        // The device is silent; nobody has to wait for the rest.
        tokio::spawn(overwrite(self.adapter.clone()));
    }
}

impl Drop for BtleplugLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Drain {
    id: PeripheralId,
    wanted: Vec<Uuid>,
    clock: SessionClock,
    sender: mpsc::Sender<Notification>,
    overflowed: Arc<AtomicU64>,
}

impl Drain {
    async fn run<N, E>(self, mut stream: N, mut events: E)
    where
        N: futures::Stream<Item = btleplug::api::ValueNotification> + Unpin,
        E: futures::Stream<Item = CentralEvent> + Unpin,
    {
        loop {
            tokio::select! {
                // What has arrived is taken before a loss is believed.
                biased;
                value = stream.next() => match value {
                    Some(value) if self.wanted.contains(&value.uuid) => {
                        self.push(value.uuid, value.value);
                    }
                    Some(_) => {}
                    None => return,
                },
                event = events.next() => match event {
                    Some(CentralEvent::DeviceDisconnected(id)) if id == self.id => return,
                    Some(CentralEvent::StateUpdate(CentralState::PoweredOff)) | None => return,
                    Some(_) => {}
                },
            }
        }
    }

    fn push(&self, characteristic: Uuid, bytes: Vec<u8>) {
        let arrived = self.clock.now();
        let notification = Notification { characteristic, bytes, arrived };
        if self.sender.try_send(notification).is_err() {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Returns once the device is disconnected.
async fn gone(mut events: impl Stream<Item = CentralEvent> + Unpin, id: PeripheralId) {
    while let Some(event) = events.next().await {
        if matches!(event, CentralEvent::DeviceDisconnected(ref other) if *other == id) {
            return;
        }
    }
    std::future::pending().await
}

/// Returns once the permit no longer holds.
async fn ended(permit: &Permit<Collect>) -> Refused {
    loop {
        if let Err(refused) = permit.check() {
            return refused;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Writes one after the other, each with an answer and its pause.
async fn write_all(peripheral: &Peripheral, writes: &[Write]) -> Result<(), btleplug::Error> {
    let found = peripheral.characteristics();
    for write in writes {
        for characteristic in found.iter().filter(|c| c.uuid == write.characteristic) {
            peripheral.write(characteristic, &write.bytes, WriteType::WithResponse).await?;
        }
        sleep(write.pause).await;
    }
    Ok(())
}

/// Stops the streams and disconnects, which ends the subscriptions too. Within its time, whatever
/// the device answers.
async fn part(peripheral: &Peripheral, goodbye: &[Write]) {
    if !goodbye.is_empty() {
        let _ = timeout(GOODBYE, write_all(peripheral, goodbye)).await;
    }
    let _ = timeout(DISCONNECT, peripheral.disconnect()).await;
}

/// Makes the platform's Bluetooth stack talk about something else: its library keeps the buffers of
/// its last messages for use again, and with them the last payloads (C4).
async fn overwrite(adapter: Adapter) {
    for _ in 0..ROUNDS {
        // Answers longer than a notification, without payloads, and many at once; what they say is
        // of no use.
        let answers = (0..OVERWRITES).map(|_| adapter.adapter_info());
        futures::future::join_all(answers).await;
    }
}

/// By address where one is wanted, by service elsewhere: what a device advertises once it was
/// connected depends on the platform.
async fn fits(peripheral: &Peripheral, selector: &Selector) -> bool {
    if let Some(wanted) = &selector.address {
        return wanted.eq_ignore_ascii_case(&peripheral.address().to_string());
    }
    let Ok(Some(properties)) = peripheral.properties().await else { return false };
    selector.advertised.iter().any(|service| properties.services.contains(service))
}

fn not_found(selector: &Selector) -> LinkError {
    let services = || selector.advertised.iter().map(Uuid::to_string).collect::<Vec<_>>();
    let wanted = match &selector.address {
        Some(address) => format!("address {address}"),
        None => format!("service {}", services().join(" or ")),
    };
    LinkError::NotFound { wanted }
}

fn failed(error: btleplug::Error) -> LinkError {
    LinkError::Failed(error.to_string())
}
