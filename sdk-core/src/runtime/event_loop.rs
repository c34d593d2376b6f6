//! The loop of a session: one task that owns drivers, pipeline and accounts.

use super::{
    pipeline::Pipeline,
    session::{SessionTap, Summary},
    supervisor::{Inbound, LinkState},
    update::{Consumed, Update},
};
#[cfg(feature = "http")]
use crate::sync::{Draft, SyncHandle};
use crate::{
    clock::Nanos,
    consent::{Gate, Share},
    offer::Action,
    sensor::{
        DeviceDriver, DeviceProfile, DeviceStatus, Notification, SessionClock, StreamStats,
        recording::attune::Event,
    },
    signal::FeatureVector,
};
use protocol::{
    consent::{ConsentState, Modality},
    event::{EventBody, Outcome, OutcomeKind},
    feature::{EDA_FEATURES, FEATURES},
    intent::IntentEstimate,
    offer::{Money, Offer, OfferRevision},
};
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::sleep_until,
};
use uuid::Uuid;

/// What the session's handle asks of the loop.
pub(super) enum Command {
    ConsentChanged(oneshot::Sender<()>),
    Outcome(OutcomeKind, Option<Money>),
    Summary(oneshot::Sender<Summary>),
    Stop,
}

/// A moment that the app marked.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) label: Arc<str>,
    pub(super) at: Nanos,
}

/// What a driver knows, for those who ask at any time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) status: DeviceStatus,
    pub(super) stats: StreamStats,
}

/// One device of the session.
struct Device {
    profile: DeviceProfile,
    driver: Box<dyn DeviceDriver>,
    known: watch::Sender<Known>,
}

impl Device {
    /// Lets those who ask see what the driver knows now.
    fn show(&self) -> Known {
        let known = Known { status: self.driver.status(), stats: self.driver.stats() };
        self.known.send_replace(known);
        known
    }
}

/// The loop's state.
pub(super) struct EventLoop {
    devices: Vec<Device>,
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
    recording: Option<SessionTap>,
    #[cfg(feature = "http")]
    sync: Option<Arc<SyncHandle>>,
}

/// What a loop is started with.
pub(super) struct Parts {
    pub(super) profiles: Vec<(DeviceProfile, watch::Sender<Known>)>,
    pub(super) pipeline: Pipeline,
    pub(super) gate: Gate,
    pub(super) clock: SessionClock,
    pub(super) session: Uuid,
    pub(super) updates: broadcast::Sender<Update>,
    pub(super) show: watch::Sender<Offer>,
    pub(super) report_every: Duration,
    pub(super) recording: Option<SessionTap>,
    #[cfg(feature = "http")]
    pub(super) sync: Option<Arc<SyncHandle>>,
}

impl EventLoop {
    pub(super) fn new(parts: Parts) -> Self {
        let device = |(profile, known): (DeviceProfile, _)| Device {
            profile,
            driver: profile.driver(),
            known,
        };
        Self {
            devices: parts.profiles.into_iter().map(device).collect(),
            pipeline: parts.pipeline,
            gate: parts.gate,
            clock: parts.clock,
            session: parts.session,
            updates: parts.updates,
            show: parts.show,
            report_every: parts.report_every,
            reported: Nanos::ZERO,
            latest: [None, None],
            consumed: Vec::new(),
            compute: Duration::ZERO,
            announced: false,
            revision: 0,
            summary: Summary::default(),
            recording: parts.recording,
            #[cfg(feature = "http")]
            sync: parts.sync,
        }
    }

    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Inbound>,
        mut orders: mpsc::Receiver<Command>,
        mut marks: mpsc::UnboundedReceiver<Mark>,
    ) -> Summary {
        for (device, profile) in self.devices.iter().map(|d| d.profile).enumerate() {
            let event = Event::Device { device: device as u16, profile: profile.id() };
            record(&mut self.recording, Nanos::ZERO, &event);
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
                    Some(Command::Outcome(kind, paid)) => self.outcome(kind, paid),
                    Some(Command::Summary(answer)) => {
                        let _ = answer.send(self.summarise());
                    }
                    Some(Command::Stop) | None => break,
                },
                Some(Mark { label, at }) = marks.recv() => {
                    record(&mut self.recording, at, &Event::Marker { label: &label });
                    self.tell(Update::Marker { label, at });
                }
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
        if let Some(tap) = &mut self.recording {
            tap.flush();
        }
        let summary = self.summarise();
        let ended = EventBody::SessionEnded { samples_lost: summary.lost_samples };
        self.share(&[Modality::Behaviour], ended);
        summary
    }

    fn take(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Notification { device, notification } => {
                self.notification(device, &notification)
            }
            Inbound::Up { device, battery_percent } => {
                let (at, number) = (self.clock.now(), device as u16);
                record(&mut self.recording, at, &Event::Link { device: number, up: true });
                if let Some(percent) = battery_percent {
                    record(&mut self.recording, at, &Event::Battery { device: number, percent });
                }
                let device = &mut self.devices[device];
                device.driver.reconnected();
                if let Some(percent) = battery_percent {
                    device.driver.battery(percent);
                }
                device.show();
            }
            Inbound::Overflowed { count } => {
                let at = self.clock.now();
                record(&mut self.recording, at, &Event::Overflowed { count });
                self.summary.dropped += count;
            }
            Inbound::State { device, state } => {
                if matches!(state, LinkState::Closed | LinkState::Waiting(_)) {
                    let event = Event::Link { device: device as u16, up: false };
                    record(&mut self.recording, self.clock.now(), &event);
                }
                let profile = self.devices[device].profile;
                self.tell(Update::Link { device, profile, state });
            }
        }
    }

    fn notification(&mut self, device: usize, notification: &Notification) {
        let begun = Instant::now();
        let one = &mut self.devices[device];
        // Looked at again here: the notification may have waited while consent changed (C2).
        if self.gate.permit::<crate::consent::Collect>(one.profile.modality()).is_err() {
            return;
        }
        self.summary.notifications += 1;
        let Notification { arrived, characteristic, ref bytes } = *notification;
        let event = Event::Notification { device: device as u16, characteristic, bytes };
        record(&mut self.recording, arrived, &event);
        let read = one.driver.handle(arrived, characteristic, bytes);
        let Known { status, stats } = one.show();
        let sequence = one.driver.last_sequence();
        let samples = match read {
            Ok(samples) => samples,
            Err(error) => return self.tell(Update::Rejected { device, error }),
        };
        let Ok(derived) = self.pipeline.samples(device, &samples) else { return };
        self.summary.samples += samples.len() as u64;
        self.summary.features += derived.features.len() as u64;
        self.compute += begun.elapsed();
        if !samples.is_empty() {
            self.consumed.push(Consumed { device, sequence, arrived });
        }
        self.tell(Update::Device { device, status, stats });
        self.tell(Update::Samples(samples.into()));
        if !derived.beats.is_empty() {
            self.tell(Update::Samples(derived.beats.into()));
        }
        for vector in derived.features {
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
        // Grants end by themselves, by the wall clock.
        self.gate.tick(unix_ms());
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
            self.share(&self.shared_biosignals(), body);
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
            self.share(&[Modality::Behaviour], EventBody::SessionStarted { sdk_version });
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
            self.share(&[vector.modality], EventBody::Features { values, coverage });
        }
        if estimate.abstained.is_none() {
            self.share(&self.shared_biosignals(), EventBody::Intent(estimate.clone()));
        }
    }

    /// What estimates and revisions are derived from.
    fn shared_biosignals(&self) -> Vec<Modality> {
        let measured = |m: &Modality| self.devices.iter().any(|d| d.profile.modality() == *m);
        [Modality::Eda, Modality::Hrv].into_iter().filter(measured).collect()
    }

    /// Queues an event, if everything it was derived from may be shared.
    fn share(&self, modalities: &[Modality], body: EventBody) {
        #[cfg(feature = "http")]
        if let Some(sync) = &self.sync
            && modalities.iter().all(|m| self.gate.permit::<Share>(*m).is_ok())
        {
            // The loop does not wait for the disk; what is too much is counted.
            sync.submit(Draft {
                session: self.session,
                epoch: self.gate.epoch(),
                modalities: modalities.to_vec(),
                at: self.clock.now(),
                at_unix_ms: unix_ms(),
                body,
            });
        }
        #[cfg(not(feature = "http"))]
        let _ = (modalities, body);
    }

    fn outcome(&self, kind: OutcomeKind, paid: Option<Money>) {
        let sku = self.pipeline.offer().sku.clone();
        let outcome = Outcome { kind, sku, revision: self.revision, paid };
        self.share(&[Modality::Behaviour], EventBody::Outcome(outcome));
    }

    fn consent_changed(&mut self) {
        let (at, epoch) = (self.clock.now(), self.gate.epoch().0);
        record(&mut self.recording, at, &Event::Consent { epoch });
        if self.gate.record().state != ConsentState::Given {
            for (number, device) in self.devices.iter_mut().enumerate() {
                let event = Event::Interrupted { device: number as u16 };
                record(&mut self.recording, at, &event);
                device.driver.interrupted();
            }
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
        let streams: Vec<StreamStats> = self.devices.iter().map(|d| d.driver.stats()).collect();
        Summary {
            lost: streams.iter().map(|s| s.lost).sum(),
            lost_samples: streams.iter().map(|s| s.lost_samples).sum(),
            streams,
            recording_failed: self.recording.as_ref().and_then(failure),
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

fn record(recording: &mut Option<SessionTap>, at: Nanos, event: &Event<'_>) {
    if let Some(tap) = recording {
        tap.take(at, event);
    }
}

fn failure(tap: &SessionTap) -> Option<String> {
    let (error, left_out) = tap.failed()?;
    Some(format!("{error}; {left_out} events are not in the recording"))
}

/// Wall time, Unix milliseconds: for records that people and servers read.
pub(super) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
