//! The state of a session as a person follows it: fed with updates, drawn by `screen`.

use super::meter::Meter;
use protocol::{
    consent::{ConsentState, Modality},
    feature::{EDA_FEATURES, FEATURES},
    intent::IntentEstimate,
    offer::{Offer, OfferRevision, Rule},
};
use sdk_core::{
    offer::{Action, Hold},
    runtime::{LinkState, Update},
    sensor::{DeviceProfile, DeviceStatus, Quality, SessionClock, Signal, StreamStats},
    sync::SyncStats,
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// Points of a signal that are kept for drawing.
const TRACE: usize = 600;
/// Points of skin conductance kept a second of signal.
const EDA_TRACE_HZ: f64 = 8.0;
/// Revisions that are kept.
const HISTORY: usize = 20;

/// One device.
#[derive(Debug, Clone)]
pub struct DeviceRow {
    /// What kind of device it is.
    pub profile: DeviceProfile,
    /// Where its link stands.
    pub link: LinkState,
    /// Battery and contact.
    pub status: DeviceStatus,
    /// The driver's accounts.
    pub stats: StreamStats,
}

/// Everything on the screen.
#[derive(Debug)]
pub struct Board {
    /// What is played, in words.
    pub source: String,
    /// Where the server's page is.
    pub server_url: String,
    /// When the session began.
    pub begun: Instant,
    /// When it ends by itself.
    pub ends: Option<Instant>,
    /// What the person agreed to.
    pub consent: ConsentState,
    /// The devices, in the order of the session.
    pub devices: Vec<DeviceRow>,
    /// Skin conductance lately, microsiemens, oldest first.
    pub eda_microsiemens: VecDeque<f64>,
    /// Heart rate lately, beat by beat, 1/min, oldest first.
    pub heart_rate_bpm: VecDeque<f64>,
    /// Newest features in the order of the schema; NaN where there is none.
    pub features: [f64; FEATURES.len()],
    /// Coverage of the EDA and the HRV features, 0..=1.
    pub coverage: [f32; 2],
    /// The newest estimate.
    pub estimate: Option<IntentEstimate>,
    /// Why the offer holds, since the newest step.
    pub hold: Option<Hold>,
    /// The offer on screen.
    pub offer: Offer,
    /// Revisions, newest first.
    pub revisions: VecDeque<Arc<OfferRevision>>,
    /// Write to decision.
    pub meter: Meter,
    /// Computing time of the newest step.
    pub compute: Duration,
    /// Steps so far.
    pub steps: u64,
    /// What has been delivered.
    pub sync: Option<SyncStats>,
    /// How long the last withdrawal or pause took to close the sensors, milliseconds.
    pub closed_after_ms: Option<f64>,
    last_eda_s: f64,
}

impl Board {
    /// A board before anything happened.
    #[must_use]
    pub fn new(
        source: String,
        server_url: String,
        devices: &[DeviceProfile],
        offer: Offer,
        ends: Option<Instant>,
    ) -> Self {
        let row = |profile: &DeviceProfile| DeviceRow {
            profile: *profile,
            link: LinkState::Closed,
            status: DeviceStatus::default(),
            stats: StreamStats::default(),
        };
        Self {
            source,
            server_url,
            begun: Instant::now(),
            ends,
            consent: ConsentState::Given,
            devices: devices.iter().map(row).collect(),
            eda_microsiemens: VecDeque::new(),
            heart_rate_bpm: VecDeque::new(),
            features: [f64::NAN; FEATURES.len()],
            coverage: [0.0; 2],
            estimate: None,
            hold: None,
            offer,
            revisions: VecDeque::new(),
            meter: Meter::default(),
            compute: Duration::ZERO,
            steps: 0,
            sync: None,
            closed_after_ms: None,
            last_eda_s: f64::NEG_INFINITY,
        }
    }

    /// Takes one update of the session.
    pub fn update(&mut self, update: &Update, clock: SessionClock) {
        match update {
            Update::Link { device, state, .. } => self.devices[*device].link = state.clone(),
            Update::Device { device, status, stats } => {
                self.devices[*device].status = *status;
                self.devices[*device].stats = *stats;
            }
            Update::Rejected { device, .. } => self.devices[*device].stats.rejected += 1,
            Update::Samples(samples) => {
                for sample in samples.iter().filter(|s| s.quality == Quality::Good) {
                    match sample.signal {
                        Signal::SkinConductance => {
                            self.eda(sample.stream_at.as_secs_f64(), sample.value);
                        }
                        Signal::RrInterval => {
                            push(&mut self.heart_rate_bpm, 60_000.0 / sample.value);
                        }
                        Signal::Ecg | Signal::Ppg | Signal::Acceleration => {}
                    }
                }
            }
            Update::Features { modality, coverage, values, .. } => {
                let eda = *modality == Modality::Eda;
                let first = if eda { 0 } else { EDA_FEATURES };
                let slots = self.features.iter_mut().skip(first);
                slots.zip(values.iter()).for_each(|(slot, value)| *slot = *value);
                self.coverage[usize::from(!eda)] = *coverage;
            }
            Update::Decision { decision, consumed, done, compute } => {
                for used in consumed.iter() {
                    if let Some(sequence) = used.sequence {
                        self.meter.decided(used.device, sequence, clock.instant(*done));
                    }
                }
                self.steps = decision.step;
                self.compute = *compute;
                self.estimate = Some(decision.estimate.clone());
                self.hold = match decision.action {
                    Action::Hold(hold) => Some(hold),
                    Action::Revise(_) => None,
                };
            }
            Update::Offer(revision) => {
                self.offer = revision.offer.clone();
                self.revisions.push_front(Arc::clone(revision));
                self.revisions.truncate(HISTORY);
            }
            Update::Consent(state) => {
                self.consent = *state;
                if *state == ConsentState::Withdrawn {
                    self.forget();
                }
            }
            Update::Marker { .. } => {}
        }
    }

    /// How long the session runs.
    #[must_use]
    pub fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }

    /// How long it runs on; `None` where it does not end by itself.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.ends.map(|ends| ends.saturating_duration_since(now))
    }

    /// Notifications that never came, of all devices.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.devices.iter().map(|device| device.stats.lost).sum()
    }

    /// Revisions that may still be told, newest first. A withdrawal ends with a return to the list
    /// offer: what was inferred before it is nobody's business any more.
    pub fn shown_revisions(&self) -> impl Iterator<Item = &OfferRevision> {
        let restored = self.revisions.iter().position(|r| r.rule == Rule::Restore);
        let shown = restored.map_or(self.revisions.len(), |index| index + 1);
        self.revisions.iter().take(shown).map(Arc::as_ref)
    }

    /// What was measured leaves the screen with the consent.
    fn forget(&mut self) {
        self.eda_microsiemens.clear();
        self.heart_rate_bpm.clear();
        self.features = [f64::NAN; FEATURES.len()];
        self.coverage = [0.0; 2];
        self.estimate = None;
        self.revisions.clear();
    }

    fn eda(&mut self, at_s: f64, value: f64) {
        if (at_s - self.last_eda_s).abs() >= 1.0 / EDA_TRACE_HZ {
            self.last_eda_s = at_s;
            push(&mut self.eda_microsiemens, value);
        }
    }
}

fn push(trace: &mut VecDeque<f64>, value: f64) {
    trace.push_back(value);
    if trace.len() > TRACE {
        trace.pop_front();
    }
}
