//! A live session: devices, loop, offer, outbox and consent, over one pipeline.

use super::{
    pipeline::{Pipeline, PipelineConfig},
    supervisor::{Inbound, LinkState, Supervisor},
    update::{Consumed, Update},
};
#[cfg(feature = "http")]
use crate::sync::{Draft, OutcomeDraft, SyncConfig, SyncError, SyncHandle, SyncStats};
use crate::{
    clock::Nanos,
    consent::{Gate, Share},
    offer::Action,
    sensor::{DeviceProfile, Driver, Notification, Selector, SessionClock, StreamStats, Transport},
    signal::FeatureVector,
};
use futures::{Stream, StreamExt};
use protocol::{
    consent::{ConsentRecord, ConsentState, Modality, Purpose},
    event::EventBody,
    feature::{EDA_FEATURES, FEATURES},
    intent::IntentEstimate,
    offer::{Money, Offer, OfferRevision},
    outcome::OutcomeKind,
};
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use thiserror::Error;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinHandle,
    time::sleep_until,
};
use uuid::Uuid;

/// Notifications between supervisors and loop; supervisors wait when it is full.
const INBOUND: usize = 256;
/// Updates a slow listener may fall behind before it is told that it missed some.
const UPDATES: usize = 8_192;
/// How long a session that ends tries to deliver what is queued.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long closing waits for a device that does not answer.
const CLOSING: Duration = Duration::from_secs(5);

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

/// What a session came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Notifications received.
    pub notifications: u64,
    /// Samples, bad ones included.
    pub samples: u64,
    /// Notifications lost on the way, by the drivers' accounts, and those nobody took in time.
    pub lost: u64,
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
    links: Vec<watch::Receiver<LinkState>>,
    updates: broadcast::Sender<Update>,
    offer: watch::Receiver<Offer>,
    core: JoinHandle<Summary>,
    supervisors: Vec<JoinHandle<()>>,
    #[cfg(feature = "http")]
    sync: Option<Arc<SyncHandle>>,
}

enum Command {
    ConsentChanged(oneshot::Sender<()>),
    Outcome(OutcomeKind, Option<Money>),
    Summary(oneshot::Sender<Summary>),
    Stop,
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
        let clock = SessionClock::start();
        let (epoch, epochs) = watch::channel(gate.epoch().0);
        let (inbound, inbox) = mpsc::channel(INBOUND);
        let (commands, orders) = mpsc::channel(8);
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
            let (service, characteristic) = profile.uuids();
            let supervisor = Supervisor {
                device,
                profile: *profile,
                selector: Selector { service, characteristic, address: address.clone() },
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
        let core = Core {
            drivers: config.devices.iter().map(|(p, _)| (*p, Driver::new(*p))).collect(),
            pipeline,
            gate: gate.clone(),
            clock,
            session: Uuid::now_v7(),
            updates: updates.clone(),
            show,
            report_every: config.report_every,
            reported: Nanos::ZERO,
            latest: [None, None],
            consumed: Vec::new(),
            compute: Duration::ZERO,
            announced: false,
            revision: 0,
            summary: Summary::default(),
            #[cfg(feature = "http")]
            sync: sync.clone(),
        };
        let core = tokio::spawn(core.run(inbox, orders));
        Ok(Self {
            gate,
            clock,
            commands,
            epoch,
            links,
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
        for supervisor in self.supervisors {
            let _ = tokio::time::timeout(CLOSING, supervisor).await;
        }
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

/// The loop.
struct Core {
    drivers: Vec<(DeviceProfile, Driver)>,
    pipeline: Pipeline,
    gate: Gate,
    clock: SessionClock,
    session: Uuid,
    updates: broadcast::Sender<Update>,
    show: watch::Sender<Offer>,
    report_every: Duration,
    reported: Nanos,
    /// The newest features of EDA and HRV, for the next report.
    latest: [Option<FeatureVector>; 2],
    /// Notifications since the last step, and what they cost.
    consumed: Vec<Consumed>,
    compute: Duration,
    /// The server was told that the session began.
    announced: bool,
    /// Number of the revision on screen.
    revision: u32,
    summary: Summary,
    #[cfg(feature = "http")]
    sync: Option<Arc<SyncHandle>>,
}

impl Core {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Inbound>,
        mut orders: mpsc::Receiver<Command>,
    ) -> Summary {
        #[cfg(feature = "http")]
        if let Some(sync) = &self.sync
            && self.gate.epoch().0 > 0
        {
            sync.consent(self.gate.record()).await;
        }
        loop {
            let due = self.clock.instant(self.pipeline.due());
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Command::ConsentChanged(done)) => {
                        self.consent_changed();
                        // The caller may have gone; the change stands.
                        let _ = done.send(());
                    }
                    Some(Command::Outcome(kind, paid)) => self.outcome(kind, paid).await,
                    Some(Command::Summary(answer)) => {
                        let _ = answer.send(self.summarise());
                    }
                    Some(Command::Stop) | None => break,
                },
                Some(first) = inbox.recv() => {
                    self.take(first);
                    while let Ok(more) = inbox.try_recv() {
                        self.take(more);
                    }
                    if self.pipeline.due() <= self.clock.now() {
                        self.step().await;
                    }
                }
                () = sleep_until(due.into()) => self.step().await,
            }
        }
        let summary = self.summarise();
        let ended = EventBody::SessionEnded { samples_lost: summary.lost };
        self.share(&[Modality::Behaviour], ended).await;
        summary
    }

    fn take(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Notification { device, notification } => {
                self.notification(device, &notification)
            }
            Inbound::Up { device, battery_percent } => {
                let driver = &mut self.drivers[device].1;
                driver.reconnected();
                if let Some(percent) = battery_percent {
                    driver.battery(percent);
                }
            }
            Inbound::Overflowed { count } => self.summary.lost += count,
            Inbound::State { device, state } => {
                let profile = self.drivers[device].0;
                self.tell(Update::Link { device, profile, state });
            }
        }
    }

    fn notification(&mut self, device: usize, notification: &Notification) {
        let begun = Instant::now();
        let (profile, driver) = &mut self.drivers[device];
        // Looked at again here: the notification may have waited while consent changed (C2).
        if self.gate.permit::<crate::consent::Collect>(profile.modality()).is_err() {
            return;
        }
        self.summary.notifications += 1;
        let samples = match driver.handle(notification.arrived, &notification.bytes) {
            Ok(samples) => samples,
            Err(error) => return self.tell(Update::Rejected { device, error }),
        };
        let (status, stats) = (driver.status(), driver.stats());
        let sequence = driver.last_sequence();
        let Ok(vectors) = self.pipeline.samples(&samples) else { return };
        self.summary.samples += samples.len() as u64;
        self.summary.features += vectors.len() as u64;
        self.compute += begun.elapsed();
        if !samples.is_empty() {
            let arrived = notification.arrived;
            self.consumed.push(Consumed { device, sequence, arrived });
        }
        self.tell(Update::Device { device, status, stats });
        self.tell(Update::Samples(samples.into()));
        for vector in vectors {
            self.publish(vector);
        }
    }

    fn publish(&mut self, vector: FeatureVector) {
        let permits = self.pipeline.infer_permits();
        let (slot, permit) = match vector.modality {
            Modality::Eda => (0, &permits.eda),
            _ => (1, &permits.hrv),
        };
        let Some(permit) = permit else { return };
        if let Ok(values) = vector.read(permit) {
            let update = Update::Features {
                modality: vector.modality,
                at: vector.at,
                stream_at: vector.stream_at,
                coverage: vector.coverage,
                values: values.into(),
            };
            self.tell(update);
            self.latest[slot] = Some(vector);
        }
    }

    async fn step(&mut self) {
        let begun = Instant::now();
        let decision = self.pipeline.step(self.clock.at(begun));
        let compute = begun.elapsed() + std::mem::take(&mut self.compute);
        let done = self.clock.now();
        self.summary.decisions += 1;
        self.summary.intents += u64::from(decision.estimate.abstained.is_none());
        let decision = Arc::new(decision);
        let consumed = std::mem::take(&mut self.consumed).into();
        self.tell(Update::Decision { decision: Arc::clone(&decision), consumed, done, compute });
        if let Action::Revise(revision) = &decision.action {
            self.revised(revision);
            let body = EventBody::OfferRevised(revision.clone());
            self.share(&self.shared_biosignals(), body).await;
        }
        if decision.at.since(self.reported) >= self.report_every {
            self.reported = decision.at;
            self.report(&decision.estimate).await;
        }
    }

    /// Reports features and estimate, for what may be shared.
    async fn report(&mut self, estimate: &IntentEstimate) {
        if !self.announced && self.gate.permit::<Share>(Modality::Behaviour).is_ok() {
            self.announced = true;
            let sdk_version = env!("CARGO_PKG_VERSION").to_owned();
            self.share(&[Modality::Behaviour], EventBody::SessionStarted { sdk_version }).await;
        }
        for vector in std::mem::take(&mut self.latest).into_iter().flatten() {
            let coverage = f64::from(vector.coverage);
            let permits = self.pipeline.infer_permits();
            let (specs, permit) = match vector.modality {
                Modality::Eda => (&FEATURES[..EDA_FEATURES], &permits.eda),
                _ => (&FEATURES[EDA_FEATURES..], &permits.hrv),
            };
            let Some(Ok(values)) = permit.as_ref().map(|permit| vector.read(permit)) else {
                continue;
            };
            let named = specs.iter().zip(values).filter(|(_, value)| value.is_finite());
            let values = named.map(|(spec, value)| (spec.name.to_owned(), *value)).collect();
            self.share(&[vector.modality], EventBody::Features { values, coverage }).await;
        }
        if estimate.abstained.is_none() {
            self.share(&self.shared_biosignals(), EventBody::Intent(estimate.clone())).await;
        }
    }

    /// What estimates and revisions are derived from.
    fn shared_biosignals(&self) -> Vec<Modality> {
        let mut modalities: Vec<Modality> =
            self.drivers.iter().map(|(profile, _)| profile.modality()).collect();
        modalities.dedup();
        modalities
    }

    /// Queues an event, if everything it was derived from may be shared.
    async fn share(&self, modalities: &[Modality], body: EventBody) {
        #[cfg(feature = "http")]
        if let Some(sync) = &self.sync
            && modalities.iter().all(|m| self.gate.permit::<Share>(*m).is_ok())
        {
            let draft = Draft {
                session: self.session,
                modalities: modalities.to_vec(),
                at: self.clock.now(),
                at_unix_ms: unix_ms(),
                body,
            };
            sync.queue(draft).await;
        }
        #[cfg(not(feature = "http"))]
        let _ = (modalities, body);
    }

    async fn outcome(&self, kind: OutcomeKind, paid: Option<Money>) {
        #[cfg(feature = "http")]
        if let Some(sync) = &self.sync
            && self.gate.permit::<Share>(Modality::Behaviour).is_ok()
        {
            let draft = OutcomeDraft {
                session: self.session,
                at_unix_ms: unix_ms(),
                kind,
                sku: self.pipeline.offer().sku.clone(),
                revision: self.revision,
                paid,
            };
            sync.queue_outcome(draft).await;
        }
        #[cfg(not(feature = "http"))]
        let _ = (kind, paid);
    }

    fn consent_changed(&mut self) {
        if self.gate.record().state != ConsentState::Given {
            self.drivers.iter_mut().for_each(|(_, driver)| driver.interrupted());
        }
        self.consumed.clear();
        self.latest = [None, None];
        if let Some(revision) = self.pipeline.consent_changed(self.clock.now()) {
            self.revised(&revision);
        }
    }

    fn revised(&mut self, revision: &OfferRevision) {
        self.summary.offer_revisions += 1;
        self.revision = revision.revision;
        self.show.send_replace(revision.offer.clone());
        self.tell(Update::Offer(Arc::new(revision.clone())));
    }

    fn summarise(&self) -> Summary {
        let streams: Vec<StreamStats> = self.drivers.iter().map(|(_, d)| d.stats()).collect();
        let lost = self.summary.lost + streams.iter().map(|s| s.lost).sum::<u64>();
        Summary {
            lost,
            streams,
            #[cfg(feature = "http")]
            sync: self.sync.as_ref().map(|sync| sync.stats()),
            ..self.summary.clone()
        }
    }

    fn tell(&self, update: Update) {
        // Nobody may be listening; the session runs all the same.
        let _ = self.updates.send(update);
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
