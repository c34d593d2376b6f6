//! Straps that notify on a schedule: once a second, with the beats since, or none.
//!
//! Such a strap reports a beat up to a second after it, more or less each time: lag alone cannot
//! tell that from a beat that is missing. Its notifications can be counted instead.

use super::super::arrivals::ArrivalTimeline;
use crate::clock::Nanos;
use std::{collections::VecDeque, time::Duration};

/// Notifications a second.
const RATE_HZ: u32 = 1;
/// A schedule is known by so many intervals between notifications, or those that there are: what
/// keeps one so far is believed to.
const GAPS: usize = 16;
/// One of so many may be off: the radio.
const ONE_ODD_OF: usize = 8;
/// By how much an interval may be off whole seconds: the radio and its connection interval.
const GAP_TOLERANCE_S: f64 = 0.05;
/// By how much all of them together may be off: a heart near 60 beats a minute is off by more.
const SUM_TOLERANCE_S: f64 = 0.1;

/// Whether a strap keeps a schedule, and what it missed of it.
#[derive(Debug)]
pub(super) struct Schedule {
    /// In notifications.
    timeline: ArrivalTimeline,
    last: Option<Nanos>,
    /// How far the last intervals were off whole seconds, oldest first.
    off_s: VecDeque<f64>,
    kept: bool,
    missing: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            timeline: ArrivalTimeline::new(RATE_HZ),
            last: None,
            off_s: VecDeque::with_capacity(GAPS),
            kept: false,
            missing: Duration::ZERO,
        }
    }
}

impl Schedule {
    /// Takes a notification, with beats or without.
    pub(super) fn arrive(&mut self, arrived: Nanos) {
        if let Some(last) = self.last.replace(arrived) {
            if self.off_s.len() == GAPS {
                self.off_s.pop_front();
            }
            let gap_s = arrived.since(last).as_secs_f64();
            self.off_s.push_back(gap_s - gap_s.round());
        }
        self.kept = self.is_kept();
        if self.kept {
            let missing = self.timeline.anchor(arrived, 1, 1.0);
            self.missing += Duration::from_secs_f64(missing.as_secs_f64().round());
            self.timeline.advance(arrived, 1);
        } else {
            self.timeline.break_run();
            self.missing = Duration::ZERO;
        }
    }

    /// The time of notifications found missing since this was last asked; `None` where no schedule
    /// is kept.
    pub(super) fn missing(&mut self) -> Option<Duration> {
        self.kept.then(|| std::mem::take(&mut self.missing))
    }

    /// The link was lost: the schedule, if there is one, begins anew.
    pub(super) fn restart(&mut self) {
        self.timeline.break_run();
        self.last = None;
        self.missing = Duration::ZERO;
    }

    fn is_kept(&self) -> bool {
        let odd = self.off_s.iter().filter(|off| off.abs() > GAP_TOLERANCE_S).count();
        let sum: f64 = self.off_s.iter().sum();
        odd <= self.off_s.len() / ONE_ODD_OF && sum.abs() <= SUM_TOLERANCE_S
    }
}
