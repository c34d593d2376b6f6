//! How much time is missing between frames of pulse-to-pulse intervals.
//!
//! Recent firmware stamps such a frame with the time of its last pulse: what passed since the frame
//! before, less the intervals, is missing, over lost links too. Older firmware stamps 0, and only
//! arrivals tell.

use super::timing::DeviceClock;
use crate::clock::Nanos;
use std::time::Duration;

const NANOS_PER_MS: i128 = 1_000_000;

/// The frame before, as far as it had a time.
#[derive(Debug, Default)]
pub(super) struct PulseTrack {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    device_ns: u64,
    lengths_ms: Vec<u64>,
    /// Clock restarts and pauses when it came.
    epoch: (u64, u64),
    /// What passed and was too little to be a beat, in nanoseconds; below zero where intervals
    /// were longer than the time between frames.
    rest_ns: i128,
}

/// What passed between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// This much beside the intervals.
    Known(Duration),
    /// There is no time to tell.
    Unknown,
    /// The clock restarted: nothing is known to be missing.
    Anew,
    /// The frame belongs before the last one.
    Late,
    /// The frame is the last one.
    Again,
}

impl PulseTrack {
    /// Places a frame of intervals, the last of which ends at `device_ns`; 0 is no time.
    pub(super) fn place(
        &mut self,
        clock: &mut DeviceClock,
        device_ns: u64,
        lengths_ms: &[u64],
        arrived: Nanos,
    ) -> Passed {
        let stands_still = self.last.as_ref().is_some_and(|last| last.device_ns == device_ns);
        if stands_still && self.last.as_ref().is_some_and(|last| last.lengths_ms == lengths_ms) {
            return Passed::Again;
        }
        if device_ns == 0 || stands_still {
            self.last = None;
            return Passed::Unknown;
        }
        let total_ns = NANOS_PER_MS * lengths_ms.iter().map(|ms| i128::from(*ms)).sum::<i128>();
        clock.see(device_ns, u64::try_from(total_ns).unwrap_or(u64::MAX), arrived);
        let mut now =
            Last { device_ns, lengths_ms: lengths_ms.to_vec(), epoch: clock.epoch(), rest_ns: 0 };
        let Some(last) = self.last.take() else {
            self.last = Some(now);
            return Passed::Unknown;
        };
        if last.epoch != now.epoch {
            self.last = Some(now);
            return Passed::Anew;
        }
        if device_ns < last.device_ns {
            self.last = Some(last);
            return Passed::Late;
        }
        let missing_ns = i128::from(device_ns - last.device_ns) - total_ns + last.rest_ns;
        let beat_ns = total_ns / i128::try_from(lengths_ms.len().max(1)).unwrap_or(1);
        // A rest is kept, so that stamps which waver around the pulse add up to nothing.
        now.rest_ns = if missing_ns > beat_ns / 2 { 0 } else { missing_ns.max(-beat_ns) };
        self.last = Some(now);
        let missing_ns = if missing_ns > beat_ns / 2 { missing_ns } else { 0 };
        Passed::Known(Duration::from_nanos(u64::try_from(missing_ns).unwrap_or(0)))
    }
}
