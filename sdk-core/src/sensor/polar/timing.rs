//! When the samples of a frame were taken.
//!
//! A frame carries the time of its last sample. All streams of a device share its clock
//! ([`DeviceClock`]); each has its own rate and its own gaps ([`Track`]).

use crate::clock::{Nanos, StreamClock};
use std::{collections::VecDeque, time::Duration};

/// A timestamp this far behind the newest is a clock that restarted, not a frame that came late.
const LATE: Duration = Duration::from_secs(5);
/// A timestamp that runs ahead of arrivals by this much is a clock that was set.
const LEAP: Duration = Duration::from_secs(10);
/// Where a timeline begins, so that a second stream whose first frame is older fits before the
/// first one's.
const HEAD_START: Duration = Duration::from_secs(5);
/// Timestamps kept to tell a duplicate from a late frame.
const REMEMBERED: usize = 16;
/// How far a device's rate may be off its nominal one, as a share; also how much longer than its
/// samples the time of a frame may be before something is missing.
const RATE_TOLERANCE: f64 = 0.05;
/// Weight of a frame in the running estimate of the sampling interval: 1/16 remembers half a
/// minute or so of frames.
const LEARNING: f64 = 1.0 / 16.0;
const NANOS_PER_SECOND: f64 = 1e9;

/// The clock of a device, mapped to a timeline that never runs back and to session time.
#[derive(Debug, Default)]
pub(super) struct DeviceClock {
    session: StreamClock,
    newest: Option<Newest>,
    /// Clock restarts so far; tracks begin anew when it moves.
    resets: u64,
    /// Pauses for want of consent so far; tracks forget what they saw when it moves.
    pauses: u64,
}

/// The newest frame of any stream.
#[derive(Debug, Clone, Copy)]
struct Newest {
    device_ns: u64,
    stream_ns: u64,
    arrived: Nanos,
}

impl DeviceClock {
    pub(super) const fn resets(&self) -> u64 {
        self.resets
    }

    /// Changes when what comes next does not go on from what was.
    pub(super) const fn epoch(&self) -> (u64, u64) {
        (self.resets, self.pauses)
    }

    pub(super) fn interrupted(&mut self) {
        self.pauses += 1;
        self.session.reset();
    }

    pub(super) fn to_session(&self, stream_at: Nanos) -> Option<Nanos> {
        self.session.to_session(stream_at)
    }

    /// Takes the time of a frame of `length_ns`; gives it on the stream's timeline.
    pub(super) fn see(&mut self, device_ns: u64, length_ns: u64, arrived: Nanos) -> u64 {
        let stream_ns = match self.newest {
            None => HEAD_START.as_nanos() as u64,
            Some(newest) => {
                let elapsed = arrived.since(newest.arrived);
                let behind = Duration::from_nanos(newest.device_ns.saturating_sub(device_ns));
                let ahead = Duration::from_nanos(device_ns.saturating_sub(newest.device_ns));
                if behind > LATE || ahead > elapsed.saturating_add(LEAP) {
                    self.resets += 1;
                    self.session.reset();
                    let passed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
                    newest.stream_ns.saturating_add(passed.max(length_ns))
                } else if device_ns >= newest.device_ns {
                    newest.stream_ns.saturating_add(device_ns - newest.device_ns)
                } else {
                    // Another stream's frame, or a late one: the newest stays.
                    let stream_ns = newest.stream_ns.saturating_sub(newest.device_ns - device_ns);
                    self.session.observe(Nanos(stream_ns), arrived);
                    return stream_ns;
                }
            }
        };
        self.newest = Some(Newest { device_ns, stream_ns, arrived });
        self.session.observe(Nanos(stream_ns), arrived);
        stream_ns
    }
}

/// One stream of a device.
#[derive(Debug)]
pub(super) struct Track {
    nominal_ns: f64,
    /// The sampling interval as the device keeps it.
    interval_ns: f64,
    last: Option<Last>,
    recent: VecDeque<u64>,
    /// Frames refused since the last good one: they look lost but are not.
    refused: u64,
    resets: u64,
    pauses: u64,
}

/// The frame before.
#[derive(Debug, Clone, Copy)]
struct Last {
    device_ns: u64,
    stream_ns: u64,
    samples: usize,
    /// The interval was learned from it.
    learned: bool,
}

/// How a frame stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Order {
    Next(Run),
    Late,
    Duplicate,
}

/// Times of a frame's samples, evenly spaced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    last_ns: u64,
    step_ns: f64,
    samples: usize,
    /// Not before this: the sample before.
    after_ns: u64,
    pub(super) contiguous: bool,
    pub(super) lost_frames: u64,
    pub(super) lost_samples: u64,
}

impl Run {
    /// Stream time of one of the samples.
    pub(super) fn time(&self, index: usize) -> Nanos {
        let to_last = self.samples.saturating_sub(index + 1) as f64;
        let before = (to_last * self.step_ns).round() as u64;
        Nanos(self.last_ns.saturating_sub(before).max(self.after_ns))
    }
}

impl Track {
    pub(super) fn new(rate_hz: u16) -> Self {
        let nominal_ns = NANOS_PER_SECOND / f64::from(rate_hz.max(1));
        Self {
            nominal_ns,
            interval_ns: nominal_ns,
            last: None,
            recent: VecDeque::with_capacity(REMEMBERED),
            refused: 0,
            resets: 0,
            pauses: 0,
        }
    }

    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    /// Places a frame of so many samples, the last of them taken at `device_ns`.
    pub(super) fn place(
        &mut self,
        clock: &mut DeviceClock,
        device_ns: u64,
        samples: usize,
        arrived: Nanos,
    ) -> Order {
        if self.recent.contains(&device_ns) {
            return Order::Duplicate;
        }
        let length_ns = (samples.saturating_sub(1) as f64 * self.interval_ns) as u64;
        let stream_ns = clock.see(device_ns, length_ns, arrived);
        if (self.resets, self.pauses) != (clock.resets, clock.pauses) {
            (self.resets, self.pauses) = (clock.resets, clock.pauses);
            self.recent.clear();
            // Time goes on, but nothing is known to be missing.
            self.last = self.last.map(|last| Last { samples: 0, ..last });
        }
        if self.last.is_some_and(|last| last.samples > 0 && device_ns <= last.device_ns) {
            return Order::Late;
        }
        let refused = std::mem::take(&mut self.refused);
        let after_ns = self.last.map_or(0, |last| last.stream_ns);
        let fresh = Run {
            last_ns: stream_ns.max(after_ns),
            step_ns: self.interval_ns,
            samples,
            after_ns,
            contiguous: false,
            lost_frames: 0,
            lost_samples: 0,
        };
        let run = match self.last.filter(|last| last.samples > 0 && samples > 0) {
            None => fresh,
            Some(last) => {
                let passed_ns = (device_ns - last.device_ns) as f64;
                let missing = passed_ns / self.interval_ns - samples as f64;
                if missing <= 0.5 + RATE_TOLERANCE * samples as f64 {
                    let step_ns = passed_ns / samples as f64;
                    self.learn(step_ns, last.learned);
                    Run { step_ns, contiguous: true, ..fresh }
                } else {
                    let frames = (missing / last.samples as f64).round().max(1.0) as u64;
                    Run {
                        lost_frames: frames.saturating_sub(refused),
                        lost_samples: missing.round() as u64,
                        ..fresh
                    }
                }
            }
        };
        let learned = run.contiguous || self.last.is_some_and(|last| last.learned);
        self.last = Some(Last { device_ns, stream_ns: run.last_ns, samples, learned });
        self.recent.truncate(REMEMBERED - 1);
        self.recent.push_front(device_ns);
        Order::Next(run)
    }

    fn learn(&mut self, step_ns: f64, learned: bool) {
        if (step_ns / self.nominal_ns - 1.0).abs() <= RATE_TOLERANCE {
            let weight = if learned { LEARNING } else { 1.0 };
            self.interval_ns += weight * (step_ns - self.interval_ns);
        }
    }
}
