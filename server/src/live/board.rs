//! What the page shows: the newest of everything, in memory.
//!
//! Filled from the database at start and from what is stored afterwards, through the same
//! functions, so that a reload and a restart show the same. A withdrawal takes what was made before
//! it off the board at once, though the rows stay until they are erased.

use crate::{consent::is_withdrawal, counters::Counters};
use protocol::{
    consent::{ConsentRecord, Modality},
    event::{Event, EventBody},
    feature::FEATURES,
    intent::IntentEstimate,
    offer::OfferRevision,
    outcome::Outcome,
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
    pub(crate) outcomes: VecDeque<Outcome>,
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
}

impl Board {
    pub(crate) fn event(&mut self, event: &Event) {
        self.session(event).take(event);
        if let EventBody::OfferRevised(revision) = &event.body {
            self.revisions.push_front(Revision {
                session: event.session,
                revision: revision.as_ref().clone(),
                person: event.person,
                device: event.device,
                epoch: event.consent_epoch,
            });
            self.revisions.truncate(MOST_ROWS);
        }
    }

    pub(crate) fn outcome(&mut self, outcome: &Outcome) {
        self.outcomes.push_front(outcome.clone());
        self.outcomes.truncate(MOST_ROWS);
    }

    /// Shows the record in force, and forgets what a withdrawal ended.
    pub(crate) fn consent(&mut self, arrived: &ConsentRecord, in_force: &ConsentRecord) {
        let (person, device) = (arrived.person, arrived.device);
        self.consents.retain(|r| (r.person, r.device) != (person, device));
        self.consents.push_front(in_force.clone());
        self.consents.truncate(MOST_ROWS);
        if is_withdrawal(arrived) {
            let ended = |p, d, epoch| (p, d) == (person, device) && epoch <= arrived.epoch;
            self.sessions.retain(|s| !ended(s.person, s.device, s.epoch));
            self.revisions.retain(|r| !ended(r.person, r.device, r.epoch));
            self.outcomes.retain(|o| !ended(o.person, o.device, o.consent_epoch));
        }
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
            sdk_version: None,
            last_at_ms: 0,
            ended: None,
            features: BTreeMap::new(),
            coverage: BTreeMap::new(),
            intent: None,
        }
    }

    fn take(&mut self, event: &Event) {
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
            EventBody::OfferRevised(_) => {}
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
