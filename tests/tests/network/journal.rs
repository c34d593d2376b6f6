//! What happened in a run: counted, hashed, and its end shown when the run fails.

use sdk_core::clock::Nanos;
use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hasher as _},
    ops::AddAssign,
};

/// Lines that are shown of a run that fails.
const TAIL: usize = 80;

/// Counts of a run, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub seeds: u64,
    pub virtual_minutes: u64,
    pub acknowledged: u64,
    pub stored: u64,
    pub withdrawn: u64,
    pub dead_letters: u64,
    pub dropped: u64,
    /// Starts that knew of fewer drops than the server was told: what was kept under a withdrawn
    /// consent was destroyed, the counter with it.
    pub forgot_drops: u64,
    pub no_longer_shared: u64,
    pub requests: u64,
    pub deliveries: u64,
    pub lost_requests: u64,
    pub lost_answers: u64,
    pub duplicates: u64,
    pub reordered: u64,
    pub replays_refused: u64,
    pub timeouts: u64,
    pub meddled: u64,
    pub partitions: u64,
    pub clock_jumps: u64,
    pub device_kills: u64,
    pub server_restarts: u64,
    pub withdrawals: u64,
    pub consent_changes: u64,
    pub longest_error_ms: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self {
            seeds,
            virtual_minutes,
            acknowledged,
            stored,
            withdrawn,
            dead_letters,
            dropped,
            forgot_drops,
            no_longer_shared,
            requests,
            deliveries,
            lost_requests,
            lost_answers,
            duplicates,
            reordered,
            replays_refused,
            timeouts,
            meddled,
            partitions,
            clock_jumps,
            device_kills,
            server_restarts,
            withdrawals,
            consent_changes,
            longest_error_ms,
        } = other;
        self.seeds += seeds;
        self.virtual_minutes += virtual_minutes;
        self.acknowledged += acknowledged;
        self.stored += stored;
        self.withdrawn += withdrawn;
        self.dead_letters += dead_letters;
        self.dropped += dropped;
        self.forgot_drops += forgot_drops;
        self.no_longer_shared += no_longer_shared;
        self.requests += requests;
        self.deliveries += deliveries;
        self.lost_requests += lost_requests;
        self.lost_answers += lost_answers;
        self.duplicates += duplicates;
        self.reordered += reordered;
        self.replays_refused += replays_refused;
        self.timeouts += timeouts;
        self.meddled += meddled;
        self.partitions += partitions;
        self.clock_jumps += clock_jumps;
        self.device_kills += device_kills;
        self.server_restarts += server_restarts;
        self.withdrawals += withdrawals;
        self.consent_changes += consent_changes;
        self.longest_error_ms = self.longest_error_ms.max(longest_error_ms);
    }
}

/// The log of a run. Holds no id and no real time: the same seed writes the same.
#[derive(Debug)]
pub struct Journal {
    seed: u64,
    hasher: DefaultHasher,
    tail: VecDeque<String>,
    pub counts: Counts,
}

impl Journal {
    pub fn new(seed: u64) -> Self {
        let counts = Counts { seeds: 1, ..Counts::default() };
        Self { seed, hasher: DefaultHasher::new(), tail: VecDeque::new(), counts }
    }

    pub fn note(&mut self, now: Nanos, what: impl fmt::Display) {
        let line = format!("{now:?} {what}");
        self.hasher.write(line.as_bytes());
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// Everything noted so far, as a number.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let tail: Vec<&str> = self.tail.iter().map(String::as_str).collect();
            eprintln!("seed {} failed; its last events:\n{}", self.seed, tail.join("\n"));
        }
    }
}
