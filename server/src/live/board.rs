//! What the page shows: the newest of everything, in memory.
//!
//! Filled from the database at start and from what is stored afterwards, through the same
//! functions, so that a reload and a restart show the same. What a withdrawal, an erasure or age
//! takes out of the database leaves the board with it.

use crate::{counters::Counters, store::ReceivedEvent};
use protocol::{
    consent::{ConsentRecord, Modality},
    event::{Event, EventBody, Outcome},
    feature::FEATURES,
    intent::IntentEstimate,
    offer::OfferRevision,
};
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

/// Most sessions on the board.
const MOST_SESSIONS: usize = 4;
/// Most points of a sparkline.
const MOST_POINTS: usize = 60;
/// Most revisions, outcomes and consent records on the board, each.
const MOST_ROWS: usize = 12;

/// The newest of everything; newest first in every list.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) counters: Counters,
    pub(crate) sessions: VecDeque<Session>,
    pub(crate) revisions: VecDeque<Revision>,
    pub(crate) outcomes: VecDeque<Ended>,
    pub(crate) consents: VecDeque<ConsentRecord>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) person: Uuid,
    pub(crate) device: Uuid,
    /// The least epoch of its events: what a withdrawal is compared with.
    epoch: u64,
    /// When the newest of its events arrived.
    received_unix_ms: i64,
    pub(crate) sdk_version: Option<String>,
    /// The newest session time seen, milliseconds.
    pub(crate) last_at_ms: u64,
    /// Samples lost, once it ended.
    pub(crate) ended: Option<u64>,
    /// By index in [`FEATURES`].
    pub(crate) features: BTreeMap<usize, Series>,
    /// Share of real data in the newest features, by modality.
    pub(crate) coverage: BTreeMap<Modality, f64>,
    pub(crate) intent: Option<IntentEstimate>,
}

/// The course of one feature: session time in milliseconds, value; in order of time.
#[derive(Debug, Default)]
pub(crate) struct Series(VecDeque<(u64, f64)>);

/// One revision and whose it is.
#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) session: Uuid,
    pub(crate) revision: OfferRevision,
    person: Uuid,
    device: Uuid,
    epoch: u64,
    received_unix_ms: i64,
}

/// One outcome and whose it is.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) session: Uuid,
    pub(crate) outcome: Outcome,
    pub(crate) at_unix_ms: i64,
    person: Uuid,
    device: Uuid,
    epoch: u64,
    received_unix_ms: i64,
}

impl Board {
    /// Shows an event; tells whether it is an outcome.
    pub(crate) fn event(&mut self, received: &ReceivedEvent) -> bool {
        let ReceivedEvent { event, received_unix_ms } = received;
        let received_unix_ms = *received_unix_ms;
        let Event { session, person, device, consent_epoch: epoch, at_unix_ms, .. } = *event;
        self.session(event).take(event, received_unix_ms);
        match &event.body {
            EventBody::OfferRevised(revision) => {
                let revision = revision.as_ref().clone();
                let shown = Revision { session, revision, person, device, epoch, received_unix_ms };
                self.revisions.push_front(shown);
                self.revisions.truncate(MOST_ROWS);
                false
            }
            EventBody::Outcome(outcome) => {
                let outcome = outcome.clone();
                self.outcomes.push_front(Ended {
                    session,
                    outcome,
                    at_unix_ms,
                    person,
                    device,
                    epoch,
                    received_unix_ms,
                });
                self.outcomes.truncate(MOST_ROWS);
                true
            }
            _ => false,
        }
    }

    /// Shows the record in force.
    pub(crate) fn consent(&mut self, in_force: &ConsentRecord) {
        let (person, device) = (in_force.person, in_force.device);
        self.consents.retain(|r| (r.person, r.device) != (person, device));
        self.consents.push_front(in_force.clone());
        self.consents.truncate(MOST_ROWS);
    }

    /// Forgets what a withdrawal ended.
    pub(crate) fn forget(&mut self, person: Uuid, device: Uuid, withdrawn_epoch: u64) {
        let ended = |p, d, epoch| (p, d) == (person, device) && epoch <= withdrawn_epoch;
        self.sessions.retain(|s| !ended(s.person, s.device, s.epoch));
        self.revisions.retain(|r| !ended(r.person, r.device, r.epoch));
        self.outcomes.retain(|o| !ended(o.person, o.device, o.epoch));
    }

    /// Forgets a person.
    pub(crate) fn forget_person(&mut self, person: Uuid) {
        self.sessions.retain(|s| s.person != person);
        self.revisions.retain(|r| r.person != person);
        self.outcomes.retain(|o| o.person != person);
        self.consents.retain(|c| c.person != person);
    }

    /// Forgets what arrived too long ago.
    pub(crate) fn forget_before(&mut self, derived_unix_ms: i64, behaviour_unix_ms: i64) {
        self.sessions.retain(|s| s.received_unix_ms >= derived_unix_ms);
        self.revisions.retain(|r| r.received_unix_ms >= behaviour_unix_ms);
        self.outcomes.retain(|o| o.received_unix_ms >= behaviour_unix_ms);
    }

    /// The event's session, moved to the front.
    fn session(&mut self, event: &Event) -> &mut Session {
        let known = self.sessions.iter().position(|s| s.id == event.session);
        let session = known.and_then(|at| self.sessions.remove(at));
        self.sessions.push_front(session.unwrap_or_else(|| Session::new(event)));
        self.sessions.truncate(MOST_SESSIONS);
        &mut self.sessions[0]
    }
}

impl Session {
    fn new(event: &Event) -> Self {
        Self {
            id: event.session,
            person: event.person,
            device: event.device,
            epoch: event.consent_epoch,
            received_unix_ms: i64::MIN,
            sdk_version: None,
            last_at_ms: 0,
            ended: None,
            features: BTreeMap::new(),
            coverage: BTreeMap::new(),
            intent: None,
        }
    }

    fn take(&mut self, event: &Event, received_unix_ms: i64) {
        self.received_unix_ms = self.received_unix_ms.max(received_unix_ms);
        self.epoch = self.epoch.min(event.consent_epoch);
        self.last_at_ms = self.last_at_ms.max(event.at_session_ms);
        match &event.body {
            EventBody::SessionStarted { sdk_version } => {
                self.sdk_version = Some(sdk_version.clone());
            }
            EventBody::Features { values, coverage } => {
                for (index, spec) in FEATURES.iter().enumerate() {
                    if let Some(value) = values.get(spec.name) {
                        self.coverage.insert(spec.modality, *coverage);
                        self.features.entry(index).or_default().add(event.at_session_ms, *value);
                    }
                }
            }
            EventBody::Intent(estimate) => {
                if self.intent.as_ref().is_none_or(|shown| shown.at_ms <= estimate.at_ms) {
                    self.intent = Some(estimate.clone());
                }
            }
            EventBody::OfferRevised(_) | EventBody::Outcome(_) => {}
            EventBody::SessionEnded { samples_lost } => self.ended = Some(*samples_lost),
        }
    }
}

impl Series {
    fn add(&mut self, at_ms: u64, value: f64) {
        let place = self.0.partition_point(|(at, _)| *at <= at_ms);
        self.0.insert(place, (at_ms, value));
        if self.0.len() > MOST_POINTS {
            self.0.pop_front();
        }
    }

    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = f64> + Clone + '_ {
        self.0.iter().map(|(_, value)| *value)
    }

    pub(crate) fn last(&self) -> Option<f64> {
        self.0.back().map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_points_take_their_place_and_old_ones_leave() {
        let mut series = Series::default();
        for at in [1, 3, 2] {
            series.add(at, at as f64);
        }
        assert_eq!(series.values().collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
        assert_eq!(series.last(), Some(3.0));
        for at in 4..100 {
            series.add(at, at as f64);
        }
        assert_eq!(series.values().len(), MOST_POINTS);
        assert_eq!(series.last(), Some(99.0));
    }
}
