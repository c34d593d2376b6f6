//! A live session: devices, loop, offer, outbox and consent, over one pipeline.

use super::{
    event_loop::{Command, EventLoop, Known, Mark, Parts, unix_ms},
    pipeline::{Pipeline, PipelineConfig},
    supervisor::{LinkState, Supervisor},
    update::{DeviceState, Update},
};
use crate::{
    clock::Nanos,
    consent::{ConsentError, Gate},
    frames::FramesError,
    sensor::{DeviceProfile, SessionClock, StreamStats, Transport, recording::attune::Tap},
};
#[cfg(feature = "http")]
use crate::{
    store::Delivery,
    sync::{SyncError, SyncHandle, SyncStats},
};
use futures::{Stream, StreamExt};
use protocol::{
    consent::{ConsentRecord, ConsentState, Modality, Purpose},
    event::OutcomeKind,
    offer::{Money, Offer, OfferRevision},
};
use serde::Serialize;
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use thiserror::Error;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinHandle,
};
use uuid::Uuid;

/// Notifications between supervisors and loop; supervisors wait when it is full.
const INBOUND: usize = 256;
/// Updates a slow listener may fall behind before it is told that it missed some.
const UPDATES: usize = 8_192;
/// How often the wall time is looked at for the ledger.
const SEEN_EVERY: Duration = Duration::from_secs(10);
/// How long a session that ends tries to deliver what is queued.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long closing waits for a device that does not answer.
const CLOSING: Duration = Duration::from_secs(5);

/// Longest label of a marker, in bytes of UTF-8; what is longer is cut.
pub const MAX_MARKER_BYTES: usize = 128;

/// What a session is made of.
#[derive(Debug)]
pub struct SessionConfig {
    /// The edge path.
    pub pipeline: PipelineConfig,
    /// The devices, with the address where one of several is wanted.
    pub devices: Vec<(DeviceProfile, Option<String>)>,
    /// How often features and estimates are reported to the server, where shared.
    pub report_every: Duration,
    /// Where to; `None` keeps everything on the device. See
    /// [`LocalStore::sync`](crate::store::LocalStore::sync).
    #[cfg(feature = "http")]
    pub sync: Option<Delivery>,
}

/// Why a session cannot start.
#[derive(Debug, Error)]
pub enum SessionError {
    /// Synchronisation cannot start.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The loop ended by itself: a bug.
    #[error("the session's loop has ended; please report this with the log")]
    Ended,
}

/// Where a session's recording goes: a file, or a writer that encrypts.
pub type SessionTap = Tap<Box<dyn io::Write + Send + Sync>>;

/// What a session came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Notifications received.
    pub notifications: u64,
    /// Samples, bad ones included.
    pub samples: u64,
    /// What was lost, by the drivers' accounts: see [`StreamStats::lost`].
    pub lost: u64,
    /// Samples the streams have no value for: see [`StreamStats::lost_samples`].
    pub lost_samples: u64,
    /// Notifications that arrived but found their queue full. Where a device numbers or stamps
    /// what it sends, they are among the lost as well.
    pub dropped: u64,
    /// Feature vectors.
    pub features: u64,
    /// Estimates; abstentions are not counted.
    pub intents: u64,
    /// Steps of the loop.
    pub decisions: u64,
    /// Changes of the offer.
    pub offer_revisions: u64,
    /// The accounts of each device.
    pub streams: Vec<StreamStats>,
    /// Why the recording is not whole, if it is not.
    pub recording_failed: Option<String>,
    /// The accounts of the outbox.
    #[cfg(feature = "http")]
    pub sync: Option<SyncStats>,
}

/// How fast consent took effect.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Closed {
    /// Until the last sensor was closed.
    pub sensors_ms: f64,
    /// Until the queue was purged too.
    pub complete_ms: f64,
    /// A device did not answer in time; its link was given up.
    pub unanswered: bool,
}

/// A running session.
#[derive(Debug)]
pub struct Session {
    gate: Gate,
    clock: SessionClock,
    commands: mpsc::Sender<Command>,
    epoch: watch::Sender<u64>,
    profiles: Vec<DeviceProfile>,
    links: Vec<watch::Receiver<LinkState>>,
    known: Vec<watch::Receiver<Known>>,
    marks: mpsc::UnboundedSender<Mark>,
    updates: broadcast::Sender<Update>,
    offer: watch::Receiver<Offer>,
    core: JoinHandle<Summary>,
    supervisors: Vec<JoinHandle<()>>,
    #[cfg(feature = "http")]
    sync: Option<Arc<SyncHandle>>,
}

impl Session {
    /// Starts. Devices are looked for as soon as, and only while, the gate permits.
    ///
    /// # Errors
    /// [`SessionError`] when the outbox or the server's address cannot be used.
    pub fn start(
        config: SessionConfig,
        transport: Arc<dyn Transport>,
        gate: Gate,
    ) -> Result<Self, SessionError> {
        Self::begin(config, transport, gate, None)
    }

    /// Starts, and keeps what the devices send in a recording: everything that consent covers,
    /// from the first notification on, so that its playback gives the same samples.
    ///
    /// # Errors
    /// As [`Session::start`]. A recording that fails later ends by itself, see
    /// [`Summary::recording_failed`].
    pub fn start_recorded(
        config: SessionConfig,
        transport: Arc<dyn Transport>,
        gate: Gate,
        recording: SessionTap,
    ) -> Result<Self, SessionError> {
        Self::begin(config, transport, gate, Some(recording))
    }

    fn begin(
        config: SessionConfig,
        transport: Arc<dyn Transport>,
        gate: Gate,
        recording: Option<SessionTap>,
    ) -> Result<Self, SessionError> {
        let clock = SessionClock::start();
        let id = Uuid::now_v7();
        let (epoch, epochs) = watch::channel(gate.epoch().0);
        let (inbound, inbox) = mpsc::channel(INBOUND);
        let (commands, orders) = mpsc::channel(8);
        let (marks, marked) = mpsc::unbounded_channel();
        let (updates, _) = broadcast::channel(UPDATES);
        #[cfg(feature = "http")]
        let sync = match config.sync {
            Some(delivery) => Some(Arc::new(delivery.begin(id, clock, gate.clone())?)),
            None => None,
        };
        let mut links = Vec::new();
        let mut supervisors = Vec::new();
        for (device, (profile, address)) in config.devices.iter().enumerate() {
            let (state, link) = watch::channel(LinkState::Closed);
            let supervisor = Supervisor {
                device,
                profile: *profile,
                selector: profile.selector(address.clone()),
                transport: Arc::clone(&transport),
                clock,
                gate: gate.clone(),
                epoch: epochs.clone(),
                inbound: inbound.clone(),
                state,
            };
            supervisors.push(tokio::spawn(supervisor.run()));
            links.push(link);
        }
        supervisors.push(tokio::spawn(keep_time(gate.clone(), epochs)));
        let pipeline = Pipeline::new(config.pipeline, gate.clone());
        let (show, offer) = watch::channel(pipeline.offer().clone());
        let profiles: Vec<DeviceProfile> =
            config.devices.iter().map(|(profile, _)| *profile).collect();
        let (tell, known): (Vec<_>, Vec<_>) =
            profiles.iter().map(|_| watch::channel(Known::default())).unzip();
        let core = EventLoop::new(Parts {
            profiles: profiles.iter().copied().zip(tell).collect(),
            pipeline,
            gate: gate.clone(),
            clock,
            session: id,
            updates: updates.clone(),
            show,
            report_every: config.report_every,
            recording,
            #[cfg(feature = "http")]
            sync: sync.clone(),
        });
        let core = tokio::spawn(core.run(inbox, orders, marked));
        Ok(Self {
            gate,
            clock,
            commands,
            epoch,
            profiles,
            links,
            known,
            marks,
            updates,
            offer,
            core,
            supervisors,
            #[cfg(feature = "http")]
            sync,
        })
    }

    /// Records that the person agreed to these uses, and starts what they allow. Inferring also
    /// takes [`Session::acknowledge`].
    ///
    /// # Errors
    /// [`ConsentError`]: nothing was granted.
    pub async fn grant(
        &self,
        uses: &[(Modality, Purpose)],
        expires_unix_ms: Option<i64>,
    ) -> Result<Closed, ConsentError> {
        let begun = Instant::now();
        let uses = uses.to_vec();
        let change = move |gate: &Gate| gate.grant(&uses, expires_unix_ms, unix_ms());
        let record = self.on_disk(change).await?;
        self.spread(&record, begun).await
    }

    /// Records that the person has read the notice in force.
    ///
    /// # Errors
    /// [`ConsentError`]: it is not recorded.
    pub async fn acknowledge(&self) -> Result<Closed, ConsentError> {
        let begun = Instant::now();
        let record = self.on_disk(|gate| gate.acknowledge(unix_ms())).await?;
        self.spread(&record, begun).await
    }

    /// Lets what was paused run again.
    ///
    /// # Errors
    /// [`ConsentError`]: it stays paused.
    pub async fn unpause(&self) -> Result<Closed, ConsentError> {
        let begun = Instant::now();
        let record = self.on_disk(|gate| gate.unpause(unix_ms())).await?;
        self.spread(&record, begun).await
    }

    /// Takes everything back: closes sensors, forgets what was learned, purges the queue, destroys
    /// the keys of what is stored.
    ///
    /// # Errors
    /// [`ConsentError`] when the disk or the key store fails; everything has stopped all the same.
    pub async fn withdraw(&self) -> Result<Closed, ConsentError> {
        let begun = Instant::now();
        let record = self.gate.withdraw_now(unix_ms());
        self.stopped(&record, begun).await
    }

    /// Closes the sensors and keeps the grants.
    ///
    /// # Errors
    /// [`ConsentError`] when the disk fails; everything has stopped all the same.
    pub async fn pause(&self) -> Result<Closed, ConsentError> {
        let begun = Instant::now();
        let record = self.gate.pause_now(unix_ms());
        self.stopped(&record, begun).await
    }

    /// Reports how the interaction ended, if behaviour may be shared. `paid` for a purchase.
    pub async fn outcome(&self, kind: OutcomeKind, paid: Option<Money>) {
        let _ = self.commands.send(Command::Outcome(kind, paid)).await;
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn updates(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }

    /// Changes of the offer from now on; [`Session::offer`] has the one on screen.
    pub fn revisions(&self) -> impl Stream<Item = Arc<OfferRevision>> + Send + use<> {
        let updates = self.updates.subscribe();
        let all = futures::stream::unfold(updates, |mut updates| async {
            loop {
                match updates.recv().await {
                    Ok(Update::Offer(revision)) => return Some((revision, updates)),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        all.boxed()
    }

    /// The offer on screen, and a way to wait for its changes.
    #[must_use]
    pub fn offer(&self) -> watch::Receiver<Offer> {
        self.offer.clone()
    }

    /// Where each device's link stands, in the order of the configuration.
    #[must_use]
    pub fn links(&self) -> Vec<LinkState> {
        self.links.iter().map(|link| link.borrow().clone()).collect()
    }

    /// What is known about each device right now, in the order of the configuration: its link,
    /// battery, contact and accounts. Asks nobody and never waits.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceState> {
        let rows = self.profiles.iter().zip(&self.links).zip(&self.known);
        rows.map(|((profile, link), known)| {
            let Known { status, stats } = *known.borrow();
            DeviceState { profile: *profile, link: link.borrow().clone(), status, stats }
        })
        .collect()
    }

    /// Marks a moment, as it is now: listeners and recordings get [`Update::Marker`]. A label
    /// longer than [`MAX_MARKER_BYTES`] is cut.
    pub fn mark(&self, label: &str) -> Nanos {
        let at = self.clock.now();
        let label = &label[..label.floor_char_boundary(MAX_MARKER_BYTES)];
        // After the session's end there is nothing to mark.
        let _ = self.marks.send(Mark { label: label.into(), at });
        at
    }

    /// The session's time base.
    #[must_use]
    pub fn clock(&self) -> SessionClock {
        self.clock
    }

    /// The gate.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What the session came to so far.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the loop is gone.
    pub async fn summary(&self) -> Result<Summary, SessionError> {
        let (answer, wait) = oneshot::channel();
        let asked = self.commands.send(Command::Summary(answer)).await;
        asked.map_err(|_| SessionError::Ended)?;
        wait.await.map_err(|_| SessionError::Ended)
    }

    /// Waits until the server has everything that is queued, for at most `limit`; true when it
    /// has, or when nothing is to be sent.
    pub async fn deliver(&self, limit: Duration) -> bool {
        #[cfg(feature = "http")]
        if let Some(sync) = &self.sync {
            return sync.drain(limit).await;
        }
        let _ = limit;
        true
    }

    /// Ends: closes the devices, delivers what is queued, and says what the session came to.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the loop was gone before.
    pub async fn stop(self) -> Result<Summary, SessionError> {
        drop(self.epoch);
        let closing = futures::future::join_all(self.supervisors);
        let _ = tokio::time::timeout(CLOSING, closing).await;
        let _ = self.commands.send(Command::Stop).await;
        #[allow(unused_mut, reason = "changed with the feature http")]
        let mut summary = self.core.await.map_err(|_| SessionError::Ended)?;
        #[cfg(feature = "http")]
        if let Some(sync) = self.sync {
            sync.drain(FAREWELL).await;
            summary.sync = Some(sync.stats());
            if let Some(sync) = Arc::into_inner(sync) {
                sync.stop().await;
            }
        }
        Ok(summary)
    }

    /// Sensors close while the disk works; neither waits for the other.
    async fn stopped(
        &self,
        record: &ConsentRecord,
        begun: Instant,
    ) -> Result<Closed, ConsentError> {
        let (settled, closed) = tokio::join!(self.on_disk(Gate::settle), self.close(record, begun));
        let told = self.tell(record).await;
        settled.and(told)?;
        Ok(Closed { complete_ms: milliseconds(begun.elapsed()), ..closed })
    }

    /// Waits for the disk where that stalls nobody.
    async fn on_disk<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Gate) -> Result<T, ConsentError> + Send + 'static,
    ) -> Result<T, ConsentError> {
        let gate = self.gate.clone();
        let done = tokio::task::spawn_blocking(move || change(&gate)).await;
        done.unwrap_or_else(|error| Err(ConsentError::NotRecorded(FramesError::new(error))))
    }

    async fn spread(&self, record: &ConsentRecord, begun: Instant) -> Result<Closed, ConsentError> {
        let closed = self.close(record, begun).await;
        self.tell(record).await?;
        Ok(Closed { complete_ms: milliseconds(begun.elapsed()), ..closed })
    }

    /// Lets loop and supervisors see the change; waits for the sensors that have to close.
    async fn close(&self, record: &ConsentRecord, begun: Instant) -> Closed {
        self.epoch.send_replace(record.epoch);
        let (done, wait) = oneshot::channel();
        // After this answer the loop has no sample of the old epoch left to deliver.
        if self.commands.send(Command::ConsentChanged(done)).await.is_ok() {
            let _ = wait.await;
        }
        let mut unanswered = false;
        if record.state != ConsentState::Given {
            for mut link in self.links.iter().cloned() {
                let closed = link.wait_for(|state| *state == LinkState::Closed);
                unanswered |= tokio::time::timeout(CLOSING, closed).await.is_err();
            }
        }
        let sensors_ms = milliseconds(begun.elapsed());
        Closed { sensors_ms, complete_ms: sensors_ms, unanswered }
    }

    /// Tells server and listeners. What is left of the queue after a withdrawal goes here: its
    /// key is destroyed by then.
    async fn tell(&self, record: &ConsentRecord) -> Result<(), ConsentError> {
        let told = self.tell_server(record).await;
        let _ = self.updates.send(Update::Consent(record.state));
        told
    }

    #[cfg(feature = "http")]
    async fn tell_server(&self, record: &ConsentRecord) -> Result<(), ConsentError> {
        let Some(sync) = &self.sync else { return Ok(()) };
        if record.state != ConsentState::Withdrawn {
            sync.consent_changed().await;
            return Ok(());
        }
        sync.purge().await.map_err(|error| ConsentError::NotForgotten(FramesError::new(error)))
    }

    #[cfg(not(feature = "http"))]
    async fn tell_server(&self, _: &ConsentRecord) -> Result<(), ConsentError> {
        Ok(())
    }
}

/// Writes down now and then how late it is, until the session ends.
async fn keep_time(gate: Gate, mut epochs: watch::Receiver<u64>) {
    loop {
        let gate = gate.clone();
        let seen = tokio::task::spawn_blocking(move || gate.seen(unix_ms())).await;
        if let Ok(Err(_)) = seen {
            protocol::log!(warn, "the consent ledger could not be written: its clock is not kept");
        }
        tokio::select! {
            () = tokio::time::sleep(SEEN_EVERY) => {}
            changed = epochs.changed() => if changed.is_err() { return },
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests;
