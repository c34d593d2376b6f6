//! The phasic part of the last half minute, without phase as far as the present allows.
//!
//! The offline filter runs forward over the whole recording and then backward from its end. Here
//! the forward run is the stream itself, and the backward run begins at the newest point, each
//! time anew: what lies some seconds back is already what the offline filter will say, and only
//! the newest seconds are revised as more comes in. So no fixed delay is needed. Responses are
//! those of the revised series; once a point leaves the window, nothing about it changes any more.

use super::{
    high_pass::{HighPass, Interval},
    trough_to_peak::{Response, TroughToPeak},
};
use std::collections::VecDeque;

/// Length of the window, seconds. The backward run forgets with a time constant of
/// `sqrt(2) / (2 pi 0.05 Hz)` = 4.5 s: behind 30 s the future changes nothing (0.1 %).
pub(super) const WINDOW_S: f64 = 30.0;

/// The mean of some good samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// Seconds of the stream.
    pub(super) at_s: f64,
    pub(super) level_us: f64,
    /// As revised last.
    pub(super) phasic_us: f64,
    /// How much time it stands for, seconds.
    pub(super) good_s: f64,
    forward_us: f64,
    /// The one before it.
    interval: Interval,
}

/// Points of the last [`WINDOW_S`] and the responses in them.
#[derive(Debug, Clone)]
pub(super) struct PhasicWindow {
    least_us: f64,
    points: VecDeque<Point>,
    /// How many of the newest points belong to the present run: no gap between them.
    run: usize,
    /// The forward filter; none before a run.
    forward: Option<HighPass>,
    /// Stands just before the oldest point of the run that is in the window.
    settled: TroughToPeak,
    responses: Vec<Response>,
}

impl PhasicWindow {
    /// A window that finds responses of at least `least_us` microsiemens.
    pub(super) const fn new(least_us: f64) -> Self {
        Self {
            least_us,
            points: VecDeque::new(),
            run: 0,
            forward: None,
            settled: TroughToPeak::new(least_us),
            responses: Vec::new(),
        }
    }

    /// Points in the window, oldest first.
    pub(super) const fn points(&self) -> &VecDeque<Point> {
        &self.points
    }

    /// Responses of the present run that are confirmed but may still be revised.
    pub(super) fn responses(&self) -> &[Response] {
        &self.responses
    }

    /// The newest point of the present run.
    pub(super) fn newest(&self) -> Option<&Point> {
        self.points.back().filter(|_| self.run > 0)
    }

    /// A gap: filters start afresh. Gives the responses that nothing can revise any more.
    pub(super) fn end_run(&mut self) -> Vec<Response> {
        self.run = 0;
        self.forward = None;
        self.settled = TroughToPeak::new(self.least_us);
        std::mem::take(&mut self.responses)
    }

    /// Takes the next point, later than all before.
    pub(super) fn push(&mut self, at_s: f64, level_us: f64, good_s: f64) {
        let interval = Interval::new(self.newest().map_or(0.0, |before| at_s - before.at_s));
        let forward = self.forward.get_or_insert(HighPass::settled_at(level_us));
        let forward_us = forward.step(level_us, &interval);
        let point = Point { at_s, level_us, phasic_us: forward_us, good_s, forward_us, interval };
        self.points.push_back(point);
        self.run += 1;
        self.revise();
    }

    /// Lets go of points older than the window; `settled` takes the responses that become final.
    pub(super) fn forget(&mut self, now_s: f64, mut settled: impl FnMut(Response)) {
        while self.points.front().is_some_and(|p| now_s - p.at_s >= WINDOW_S) {
            if self.run == self.points.len() {
                self.run -= 1;
                let oldest = self.points.pop_front();
                let response = oldest.and_then(|p| self.settled.push(p.at_s, p.phasic_us));
                if let Some(response) = response {
                    self.responses.retain(|r| r.peak_at_s > response.peak_at_s);
                    settled(response);
                }
            } else {
                self.points.pop_front();
            }
        }
    }

    /// The backward run over the present run, then its responses.
    fn revise(&mut self) {
        let first = self.points.len() - self.run;
        let Some(newest) = self.points.back() else { return };
        let mut backward = HighPass::settled_at(newest.forward_us);
        let mut interval = Interval::new(0.0);
        for point in self.points.range_mut(first..).rev() {
            point.phasic_us = backward.step(point.forward_us, &interval);
            interval = point.interval;
        }
        let mut tracker = self.settled;
        self.responses.clear();
        for point in self.points.range(first..) {
            self.responses.extend(tracker.push(point.at_s, point.phasic_us));
        }
    }
}
