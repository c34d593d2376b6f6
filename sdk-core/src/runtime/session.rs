//! A live session: devices, loop, offer, outbox and consent, over one pipeline.

use super::{
    event_loop::{Command, EventLoop, Known, Mark, Parts, unix_ms},
    pipeline::{Pipeline, PipelineConfig},
    supervisor::{LinkState, Supervisor},
    update::{DeviceState, Update},
};
#[cfg(feature = "http")]
use crate::sync::{SyncConfig, SyncError, SyncHandle, SyncStats};
use crate::{
    clock::Nanos,
    consent::Gate,
    sensor::{DeviceProfile, SessionClock, StreamStats, Transport, recording::attune::Tap},
};
use futures::{Stream, StreamExt};
use protocol::{
    consent::{ConsentRecord, ConsentState, Modality, Purpose},
    offer::{Money, Offer, OfferRevision},
    outcome::OutcomeKind,
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

/// Notifications between supervisors and loop; supervisors wait when it is full.
const INBOUND: usize = 256;
/// Updates a slow listener may fall behind before it is told that it missed some.
const UPDATES: usize = 8_192;
/// How long a session that ends tries to deliver what is queued.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long closing waits for a device that does not answer.
const CLOSING: Duration = Duration::from_secs(5);

/// Longest label of a marker, in bytes of UTF-8; what is longer is cut.
pub const MAX_MARKER_BYTES: usize = 128;

/// What a session is made of.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The edge path.
    pub pipeline: PipelineConfig,
    /// The devices, with the address where one of several is wanted.
    pub devices: Vec<(DeviceProfile, Option<String>)>,
    /// How often features and estimates are reported to the server, where shared.
    pub report_every: Duration,
    /// Where to; `None` keeps everything on the device.
    #[cfg(feature = "http")]
    pub sync: Option<SyncConfig>,
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
        let (epoch, epochs) = watch::channel(gate.epoch().0);
        let (inbound, inbox) = mpsc::channel(INBOUND);
        let (commands, orders) = mpsc::channel(8);
        let (marks, marked) = mpsc::unbounded_channel();
        let (updates, _) = broadcast::channel(UPDATES);
        #[cfg(feature = "http")]
        let sync = match &config.sync {
            Some(sync) => Some(Arc::new(crate::sync::spawn(sync, gate.clone())?)),
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

    /// Records that the person agreed to these uses, and starts what they allow.
    pub async fn grant(
        &self,
        notice_version: &str,
        uses: &[(Modality, Purpose)],
        expires_unix_ms: Option<i64>,
    ) -> Closed {
        let begun = Instant::now();
        let record = self.gate.grant(notice_version, uses, expires_unix_ms, unix_ms());
        self.spread(record, begun).await
    }

    /// Takes everything back: closes sensors, forgets what was learned, purges the queue.
    pub async fn withdraw(&self) -> Closed {
        let begun = Instant::now();
        let record = self.gate.withdraw(unix_ms());
        self.spread(record, begun).await
    }

    /// Closes the sensors and keeps the grants.
    pub async fn pause(&self) -> Closed {
        let begun = Instant::now();
        let record = self.gate.pause(unix_ms());
        self.spread(record, begun).await
    }

    /// Lets what was paused run again.
    pub async fn unpause(&self) -> Closed {
        let begun = Instant::now();
        let record = self.gate.unpause(unix_ms());
        self.spread(record, begun).await
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

    async fn spread(&self, record: ConsentRecord, begun: Instant) -> Closed {
        let state = record.state;
        self.epoch.send_replace(record.epoch);
        let (done, wait) = oneshot::channel();
        // After this answer the loop has no sample of the old epoch left to deliver.
        if self.commands.send(Command::ConsentChanged(done)).await.is_ok() {
            let _ = wait.await;
        }
        let mut unanswered = false;
        if state != ConsentState::Given {
            for mut link in self.links.iter().cloned() {
                let closed = link.wait_for(|state| *state == LinkState::Closed);
                unanswered |= tokio::time::timeout(CLOSING, closed).await.is_err();
            }
        }
        let sensors_ms = milliseconds(begun.elapsed());
        #[cfg(feature = "http")]
        if let Some(sync) = &self.sync {
            match state {
                ConsentState::Withdrawn => sync.purge(record).await,
                ConsentState::Given | ConsentState::Paused => sync.consent(record).await,
            }
        }
        let _ = self.updates.send(Update::Consent(state));
        Closed { sensors_ms, complete_ms: milliseconds(begun.elapsed()), unanswered }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests;
