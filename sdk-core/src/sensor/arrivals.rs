//! The timeline of a stream that carries neither time nor counter: the sum of what came, tied to
//! session time by arrivals. Where arrivals stay behind that sum, something is missing.

use crate::clock::{Nanos, StreamClock};
use std::{collections::VecDeque, time::Duration};

/// Arrivals must stay behind for this many notifications before anything counts as missing: one
/// late packet is the radio, four are a gap.
const LATE_IN_A_ROW: usize = 4;

/// Lag beyond the usual that counts as a missing unit, as a share of that unit.
const MISSING_SHARE: f64 = 0.6;
/// The usual lag is learned from so many notifications before those: a minute of heart beats.
const USUAL_OF: usize = 64;
/// This share of them lags no more than usual; the rest are bursts of the radio.
const USUAL_SHARE: f64 = 0.9;

/// The lag to expect of the notification after a lost link: the middle one.
const USUAL_AFTER_LOSS: f64 = 0.5;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A timeline in ticks of a fixed rate.
#[derive(Debug)]
pub(super) struct ArrivalTimeline {
    ticks_per_second: u32,
    /// What lag is measured by. Goes on over what is missing: what else lags is not forgotten.
    clock: StreamClock,
    /// What session time is told by. Anchored anew after what is missing: how much it was is known
    /// to some tens of milliseconds, which would stay.
    shown: StreamClock,
    /// Sum of all that came, and of what was skipped.
    sum: u64,
    /// The same with all that is missing: what the clock sees.
    passed: u64,
    /// What comes next does not follow what came before.
    broken: bool,
    /// The link was lost since the last notification.
    away: bool,
    /// How far the last notifications lagged, oldest first.
    lags: VecDeque<Duration>,
}

impl ArrivalTimeline {
    pub(super) fn new(ticks_per_second: u32) -> Self {
        Self {
            ticks_per_second,
            clock: StreamClock::default(),
            shown: StreamClock::default(),
            sum: 0,
            passed: 0,
            broken: true,
            away: false,
            lags: VecDeque::with_capacity(USUAL_OF + LATE_IN_A_ROW),
        }
    }

    /// Ties the end of a notification of `ticks` to its arrival. `unit` is what can be missing, a
    /// beat or a notification, in ticks; gives the time that is missing before this notification,
    /// zero as a rule.
    ///
    /// After a lost link that is the time from where the stream stood to where this notification
    /// begins, however long: what was lost and not yet found before the loss is part of it.
    pub(super) fn anchor(&mut self, arrived: Nanos, ticks: u64, unit: f64) -> Duration {
        let Some(lag) = self.lag(arrived, ticks) else {
            self.tie(arrived, ticks);
            return Duration::ZERO;
        };
        let behind = if std::mem::take(&mut self.away) {
            lag.saturating_sub(self.usual(USUAL_AFTER_LOSS))
        } else {
            self.remember(lag);
            self.behind()
        };
        let least = MISSING_SHARE * unit / f64::from(self.ticks_per_second);
        let missing = if behind.as_secs_f64() > least { behind } else { Duration::ZERO };
        if !missing.is_zero() {
            self.broken = true;
            self.shown.reset();
            self.pass(self.ticks(missing));
            let late = self.lags.len().saturating_sub(LATE_IN_A_ROW);
            self.lags.range_mut(late..).for_each(|lag| *lag = lag.saturating_sub(missing));
        }
        self.observe(arrived, ticks);
        missing
    }

    /// The same where it is known by other means that nothing is missing.
    pub(super) fn tie(&mut self, arrived: Nanos, ticks: u64) {
        self.away = false;
        if let Some(lag) = self.lag(arrived, ticks) {
            self.remember(lag);
        }
        self.observe(arrived, ticks);
    }

    fn lag(&self, arrived: Nanos, ticks: u64) -> Option<Duration> {
        self.clock.to_session(self.end(ticks)).map(|expected| arrived.since(expected))
    }

    fn remember(&mut self, lag: Duration) {
        if self.lags.len() == USUAL_OF + LATE_IN_A_ROW {
            self.lags.pop_front();
        }
        self.lags.push_back(lag);
    }

    fn observe(&mut self, arrived: Nanos, ticks: u64) {
        self.clock.observe(self.end(ticks), arrived);
        self.shown.observe(self.end(ticks), arrived);
    }

    /// What a notification that ends `ticks` from now shows the clock.
    fn end(&self, ticks: u64) -> Nanos {
        self.time(self.passed.saturating_add(ticks))
    }

    /// How far all of the last notifications lag more than those before them did.
    fn behind(&self) -> Duration {
        if self.lags.len() < LATE_IN_A_ROW {
            return Duration::ZERO;
        }
        let late = self.lags.len() - LATE_IN_A_ROW;
        let least = self.lags.range(late..).min().copied().unwrap_or_default();
        least.saturating_sub(self.usual(USUAL_SHARE))
    }

    /// What so large a share of the notifications before the last few did not lag more than.
    fn usual(&self, share: f64) -> Duration {
        let before = self.lags.len().saturating_sub(LATE_IN_A_ROW);
        let mut before: Vec<Duration> = self.lags.range(..before).copied().collect();
        before.sort_unstable();
        let rank = (before.len() as f64 * share) as usize;
        before.get(rank).or(before.last()).copied().unwrap_or_default()
    }

    /// How far ahead of its time a notification that ends `ticks` from now arrives.
    pub(super) fn ahead(&self, arrived: Nanos, ticks: u64) -> Duration {
        let expected = self.clock.to_session(self.end(ticks));
        expected.map_or(Duration::ZERO, |expected| expected.since(arrived))
    }

    /// Stream time `ticks` from now.
    pub(super) fn peek(&self, ticks: u64) -> Nanos {
        self.time(self.sum.saturating_add(ticks))
    }

    /// Moves stream time on over something that is missing.
    pub(super) fn skip(&mut self, ticks: u64) {
        self.sum = self.sum.saturating_add(ticks);
    }

    /// Moves the clock on over something that is missing.
    pub(super) fn pass(&mut self, ticks: u64) {
        self.passed = self.passed.saturating_add(ticks);
    }

    /// Moves on by `ticks`; gives stream time, session time and whether it follows directly.
    pub(super) fn advance(&mut self, arrived: Nanos, ticks: u64) -> (Nanos, Nanos, bool) {
        self.skip(ticks);
        self.pass(ticks);
        let at = self.shown.to_session(self.end(0)).unwrap_or(arrived);
        (self.peek(0), at, !std::mem::take(&mut self.broken))
    }

    /// What comes next does not follow, but time goes on as it did.
    pub(super) fn break_here(&mut self) {
        self.broken = true;
    }

    /// The link was lost: what comes next does not follow, and tells how much is missing.
    pub(super) fn link_lost(&mut self) {
        self.broken = true;
        self.away = true;
    }

    /// The link was lost since the last notification.
    pub(super) fn is_away(&self) -> bool {
        self.away
    }

    /// What comes next does not follow, and is anchored anew; nothing is known to be missing.
    pub(super) fn break_run(&mut self) {
        self.broken = true;
        self.away = false;
        self.clock.reset();
        self.shown.reset();
        self.lags.clear();
    }

    /// A duration to whole ticks.
    pub(super) fn ticks(&self, duration: Duration) -> u64 {
        (duration.as_secs_f64() * f64::from(self.ticks_per_second)).round() as u64
    }

    fn time(&self, ticks: u64) -> Nanos {
        time(ticks, self.ticks_per_second)
    }
}

/// Ticks to time, rounded down to the nanosecond.
pub(super) fn time(ticks: u64, ticks_per_second: u32) -> Nanos {
    let ns = u128::from(ticks) * NANOS_PER_SECOND / u128::from(ticks_per_second);
    Nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}
