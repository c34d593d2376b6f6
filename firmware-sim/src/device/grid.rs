//! Evenly spaced samples on a device's own clock, taken in batches.

use super::clock::DeviceClock;

/// Which samples are due when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    clock: DeviceClock,
    /// From one sample to the next, in parts of a device second.
    step: u64,
    /// Parts in a device second.
    per_second: u64,
    /// Samples in a batch, at least 1.
    pub(super) batch: u64,
    /// First sample of the next batch.
    pub(super) sample: u64,
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

impl Grid {
    /// A sample every `step / per_second` device seconds, the first at device time 0.
    pub(super) fn new(clock: DeviceClock, step: u64, per_second: u64, batch: u64) -> Self {
        Self { clock, step, per_second, batch: batch.max(1), sample: 0 }
    }

    /// True time of a sample, in nanoseconds.
    pub(super) fn true_ns(&self, sample: u64) -> u64 {
        let parts = u128::from(sample) * u128::from(self.step);
        self.clock.true_ns_of(parts, u128::from(self.per_second))
    }

    /// Device time of a sample, in nanoseconds.
    pub(super) fn device_ns(&self, sample: u64) -> u64 {
        let parts = u128::from(sample) * u128::from(self.step) * NANOS_PER_SECOND;
        (parts / u128::from(self.per_second)) as u64
    }

    /// When the next batch is complete: with its last sample.
    pub(super) fn due_ns(&self) -> u64 {
        self.true_ns(self.sample + self.batch - 1)
    }

    /// A batch begins with the first sample from `now_ns` on; gives how many are passed over.
    pub(super) fn begin(&mut self, now_ns: u64) -> u64 {
        let parts = u128::from(self.clock.device_ns(now_ns)) * u128::from(self.per_second);
        let nearby = (parts / (NANOS_PER_SECOND * u128::from(self.step))) as u64;
        let mut first = nearby.max(self.sample);
        while self.true_ns(first) < now_ns {
            first += 1;
        }
        let passed = first - self.sample;
        self.sample = first;
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_batch_begins_with_the_first_sample_from_now_on(
            now_ns in 0u64..1_000_000_000_000_000, hz in 1u64..300, drift_ppm in -1000.0..1000.0,
        ) {
            let mut grid = Grid::new(DeviceClock::new(drift_ppm), 1, hz, 4);
            let passed = grid.begin(now_ns);
            prop_assert_eq!(passed, grid.sample);
            prop_assert!(grid.true_ns(grid.sample) >= now_ns);
            prop_assert!(grid.sample == 0 || grid.true_ns(grid.sample - 1) < now_ns);
            prop_assert_eq!(grid.begin(now_ns), 0);
        }
    }
}
