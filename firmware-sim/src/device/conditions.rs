//! What is wrong with a device for a while, and what its clock shows.

use std::ops::Range;

use crate::fault::Injected;

/// Faults that last, as every stream of the device sees them. Times are true nanoseconds.
#[derive(Debug)]
pub(super) struct Conditions {
    /// When the electrodes touch nothing.
    pub(super) off_skin: Range<u64>,
    /// When EDA samples read full scale.
    pub(super) saturated: Range<u64>,
    /// When EDA samples hold no reading.
    pub(super) no_reading: Range<u64>,
    /// Beats to come whose interval is absurd.
    pub(super) absurd: u64,
    /// What the clock shows at `clock_zero_ns`, in nanoseconds.
    clock_start_ns: u64,
    /// Device time at which the clock was last set.
    clock_zero_ns: u64,
}

impl Conditions {
    /// Nothing is wrong; the clock shows `clock_start_ns` at the start.
    pub(super) fn new(clock_start_ns: u64) -> Self {
        Self {
            off_skin: 0..0,
            saturated: 0..0,
            no_reading: 0..0,
            absurd: 0,
            clock_start_ns,
            clock_zero_ns: 0,
        }
    }

    /// The clock starts again at zero.
    pub(super) fn reset_clock(&mut self, device_ns: u64) {
        (self.clock_start_ns, self.clock_zero_ns) = (0, device_ns);
    }

    /// What the clock shows at a device time, in nanoseconds.
    pub(super) fn shown_ns(&self, device_ns: u64) -> u64 {
        self.clock_start_ns + device_ns.saturating_sub(self.clock_zero_ns)
    }

    /// The interval to report instead of the next beat's own: shortest and longest in turn.
    pub(super) fn absurd_interval(&mut self, counts: &mut Injected) -> Option<u16> {
        let left = self.absurd;
        self.absurd = left.checked_sub(1)?;
        counts.absurd_rr += 1;
        Some(if left.is_multiple_of(2) { 0 } else { u16::MAX })
    }
}
