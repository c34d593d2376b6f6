//! Writes attacks down without letting them fill the disk: the first of a kind at once, then one
//! line of the audit log with their number at most every ten minutes.

use crate::store::{Action, Actor, Entry, Store};
use protocol::{digest::Digest, log};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Least time between two lines of a kind.
const PAUSE_MS: i64 = 10 * 60 * 1_000;

/// What was seen and not written down yet.
#[derive(Debug, Default)]
pub(crate) struct Guard(Mutex<HashMap<Action, Tally>>);

#[derive(Debug)]
struct Tally {
    since: u64,
    about: Option<Digest>,
    written_unix_ms: Option<i64>,
}

impl Guard {
    /// Counts one, and writes a line if it is time to.
    pub(crate) async fn note(
        &self,
        store: &Store,
        action: Action,
        about: Option<Digest>,
        now_unix_ms: i64,
    ) {
        if let Some(entry) = self.count(action, about, now_unix_ms) {
            write(store, &entry, now_unix_ms).await;
        }
    }

    /// Writes down what is left, before the server ends.
    pub(crate) async fn flush(&self, store: &Store, now_unix_ms: i64) {
        let mut left = Vec::new();
        for (action, tally) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if tally.since > 0 {
                left.push(tally.line(*action, now_unix_ms));
            }
        }
        for entry in left {
            write(store, &entry, now_unix_ms).await;
        }
    }

    fn count(&self, action: Action, about: Option<Digest>, now_unix_ms: i64) -> Option<Entry> {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally =
            tallies.entry(action).or_insert(Tally { since: 0, about: None, written_unix_ms: None });
        tally.about = if tally.since == 0 || tally.about == about { about } else { None };
        tally.since += 1;
        // A clock that was set back must not silence the log.
        let age = tally.written_unix_ms.map(|written| now_unix_ms.saturating_sub(written));
        let due = age.is_none_or(|age| !(0..PAUSE_MS).contains(&age));
        due.then(|| tally.line(action, now_unix_ms))
    }
}

impl Tally {
    fn line(&mut self, action: Action, now_unix_ms: i64) -> Entry {
        self.written_unix_ms = Some(now_unix_ms);
        let result = format!("refused {} requests", std::mem::take(&mut self.since));
        Entry { actor: Actor::Server, action, about: self.about.take(), result }
    }
}

async fn write(store: &Store, entry: &Entry, now_unix_ms: i64) {
    if let Err(error) = store.audit(entry, now_unix_ms).await {
        log!(error, "the audit log was not written", error, action = entry.action.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_every_ten_minutes() {
        let guard = Guard::default();
        let hour_ms = 6 * PAUSE_MS;
        let lines = (0..hour_ms).step_by(1_000);
        let lines: Vec<_> =
            lines.filter_map(|now| guard.count(Action::Replay, None, now)).collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0].result, "refused 1 requests");
        assert_eq!(lines[5].result, "refused 600 requests");
        // Other kinds count for themselves; a clock that went back does not silence them.
        assert!(guard.count(Action::BadSignature, None, hour_ms).is_some());
        assert!(guard.count(Action::BadSignature, None, hour_ms - 1).is_some());
    }
}
