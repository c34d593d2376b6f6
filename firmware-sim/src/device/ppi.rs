//! Pulse intervals as an optical sensor finds them: the heart's beats, later by the pulse's way to
//! the arm, and marked where the wearer moved.

use protocol::polar_pmd::{Frame, PulseInterval, Samples};

use super::{channel::Piece, clock::DeviceClock, conditions::Conditions, nanos, pmd};
use crate::{
    fault::Injected,
    physiology::{Beat, Motion, Person},
    source::{Beats, Source},
};

#[derive(Debug)]
pub(super) struct PpiStream {
    clock: DeviceClock,
    beats: Beats,
    /// Device seconds in a second of the source.
    rate: f64,
    transit_s: f64,
    motion: Motion,
    /// Pulses of the next frame; fewer at the end of a recording.
    batch: Vec<Beat>,
    /// Pulses so far.
    pulse: u64,
}

/// Pulses a frame.
const BATCH: usize = 3;
/// More movement than this spoils an interval.
const BLOCKING_ACTIVITY: f64 = 0.05;
/// What the sensor says of its error, in milliseconds, at rest and moving. Assumption.
const ERROR_MS: u16 = 5;
const ERROR_MOVING_MS: u16 = 40;

impl PpiStream {
    pub(super) fn new(
        clock: DeviceClock,
        seed: u64,
        source: &Source,
        bursts_per_minute: f64,
    ) -> Self {
        let beats = source.beats();
        let mut stream = Self {
            clock,
            rate: beats.timed_by(clock.rate()),
            beats,
            transit_s: Person::from_seed(seed).pulse_transit_s,
            motion: Motion::new(seed, bursts_per_minute),
            batch: Vec::with_capacity(BATCH),
            pulse: 0,
        };
        stream.fill();
        stream
    }

    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.batch.last().map(|beat| self.arrival_ns(beat))
    }

    /// A frame begins with the first pulse from `now_ns` on; gives how many are passed over.
    pub(super) fn begin(&mut self, now_ns: u64) -> u64 {
        let mut passed = 0;
        while self.batch.first().is_some_and(|beat| self.arrival_ns(beat) < now_ns) {
            self.batch.remove(0);
            passed += 1;
            self.fill();
        }
        self.pulse += passed;
        passed
    }

    /// What is due, and on to the next.
    pub(super) fn take(&mut self, now: &mut Conditions, counts: &mut Injected) -> Option<Piece> {
        let last_ns = self.next_due_ns()?;
        let beats = std::mem::take(&mut self.batch);
        let intervals = beats.iter().map(|beat| self.interval(beat, now, counts)).collect();
        let timestamp_ns = pmd::timestamp_ns(now.shown_ns(self.clock.device_ns(last_ns)));
        let first = self.pulse;
        self.pulse += beats.len() as u64;
        self.fill();
        let bytes = Frame { timestamp_ns, samples: Samples::Ppi(intervals) }.encode();
        Some(Piece::whole(bytes, first..self.pulse))
    }

    fn interval(
        &mut self,
        beat: &Beat,
        now: &mut Conditions,
        counts: &mut Injected,
    ) -> PulseInterval {
        let arrival_ns = self.arrival_ns(beat);
        let blocker = self.motion.at(arrival_ns as f64 / 1e9).activity > BLOCKING_ACTIVITY;
        if now.off_skin.contains(&arrival_ns) {
            counts.withheld_beats += 1;
            return PulseInterval {
                heart_rate_bpm: 0,
                interval_ms: 0,
                error_ms: 0,
                blocker,
                contact: Some(false),
            };
        }
        let rr_s = beat.rr_s * self.rate;
        let interval_ms = (rr_s * 1e3).round() as u16;
        PulseInterval {
            heart_rate_bpm: (60.0 / rr_s).round() as u8,
            interval_ms: now.absurd_interval(counts).unwrap_or(interval_ms),
            error_ms: if blocker { ERROR_MOVING_MS } else { ERROR_MS },
            blocker,
            contact: Some(true),
        }
    }

    fn arrival_ns(&self, beat: &Beat) -> u64 {
        nanos(beat.at_s + self.transit_s)
    }

    fn fill(&mut self) {
        while self.batch.len() < BATCH
            && let Some(beat) = self.beats.next()
        {
            self.batch.push(beat);
        }
    }
}
