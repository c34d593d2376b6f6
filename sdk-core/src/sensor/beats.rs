//! The timeline of beats: intervals that follow each other, and how many are missing between.

use super::arrivals::ArrivalTimeline;
use crate::clock::Nanos;
use std::{collections::VecDeque, time::Duration};

/// A beat's usual length is the middle one of so many: artefacts have no say, and the heart does
/// not change much meanwhile.
const USUAL_OF: usize = 16;
/// Time missing that counts as a beat, as a share of one. Beats before and after are not of one
/// length, and less than half of one is none.
const MISSING_SHARE: f64 = 0.6;

/// Intervals in ticks of a fixed rate.
#[derive(Debug)]
pub(super) struct BeatTimeline {
    timeline: ArrivalTimeline,
    /// The last intervals that were not zero.
    lengths: VecDeque<u64>,
    /// What is missing and not yet counted, a part of a beat.
    owed: f64,
}

impl BeatTimeline {
    pub(super) fn new(ticks_per_second: u32) -> Self {
        Self {
            timeline: ArrivalTimeline::new(ticks_per_second),
            lengths: VecDeque::with_capacity(USUAL_OF),
            owed: 0.0,
        }
    }

    /// Ties a notification's intervals to its arrival; gives how many beats are missing before it,
    /// as far as arrivals tell.
    pub(super) fn arrive(&mut self, arrived: Nanos, intervals: &[u64]) -> u64 {
        let unit = self.usual_with(intervals);
        let missing = self.timeline.anchor(arrived, total(intervals), unit);
        self.beats(self.timeline.ticks(missing) as f64)
    }

    /// The same where it is known how much time is missing before them. Time goes on over that.
    pub(super) fn arrive_after(
        &mut self,
        arrived: Nanos,
        intervals: &[u64],
        missing: Duration,
    ) -> u64 {
        self.usual_with(intervals);
        let ticks = self.timeline.ticks(missing);
        let beats = self.beats(ticks as f64);
        if beats > 0 {
            self.timeline.break_here();
            self.timeline.skip(ticks);
            self.timeline.pass(ticks);
        }
        self.timeline.tie(arrived, total(intervals));
        beats
    }

    /// The same where it is known that whole notifications are missing, and the notifications do not
    /// tell how much of their time is in these intervals. What comes is anchored anew.
    pub(super) fn arrive_anew(
        &mut self,
        arrived: Nanos,
        intervals: &[u64],
        missing: Duration,
    ) -> u64 {
        self.usual_with(intervals);
        self.timeline.break_run();
        self.timeline.tie(arrived, total(intervals));
        let beats = self.owed + self.timeline.ticks(missing) as f64 / self.usual();
        let whole = beats.round().max(0.0);
        self.owed = beats - whole;
        whole as u64
    }

    /// Moves on by an interval; gives stream time, session time and whether it follows directly.
    pub(super) fn advance(&mut self, arrived: Nanos, interval: u64) -> (Nanos, Nanos, bool) {
        self.timeline.advance(arrived, interval)
    }

    /// The link was lost since the last notification.
    pub(super) fn is_away(&self) -> bool {
        self.timeline.is_away()
    }

    /// See [`ArrivalTimeline::link_lost`].
    pub(super) fn link_lost(&mut self) {
        self.timeline.link_lost();
    }

    /// See [`ArrivalTimeline::break_here`].
    pub(super) fn break_here(&mut self) {
        self.timeline.break_here();
    }

    /// See [`ArrivalTimeline::break_run`].
    pub(super) fn break_run(&mut self) {
        self.timeline.break_run();
    }

    /// Takes intervals into account; gives the usual one.
    fn usual_with(&mut self, intervals: &[u64]) -> f64 {
        for interval in intervals.iter().filter(|interval| **interval > 0) {
            if self.lengths.len() == USUAL_OF {
                self.lengths.pop_front();
            }
            self.lengths.push_back(*interval);
        }
        self.usual()
    }

    /// The usual interval in ticks; endless when none has come, so that none can be missing.
    fn usual(&self) -> f64 {
        let mut lengths: Vec<u64> = self.lengths.iter().copied().collect();
        lengths.sort_unstable();
        lengths.get(lengths.len() / 2).map_or(f64::INFINITY, |middle| *middle as f64)
    }

    fn beats(&self, ticks: f64) -> u64 {
        let beats = ticks / self.usual();
        if beats > MISSING_SHARE { beats.round() as u64 } else { 0 }
    }
}

fn total(intervals: &[u64]) -> u64 {
    intervals.iter().fold(0, |sum, interval| sum.saturating_add(*interval))
}
