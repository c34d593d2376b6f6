//! The device's crystal: what it counts against true time, give or take its drift.

use protocol::eda_profile::TICKS_PER_SECOND;

/// Device time against true time, in whole numbers: no rounding adds up over a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceClock {
    /// Device seconds in a billion true seconds.
    rate_per_billion: u128,
}

const PARTS_PER_BILLION: f64 = 1e9;
const BILLION: u128 = 1_000_000_000;

impl DeviceClock {
    /// A clock that runs `drift_ppm` parts in a million fast; resolved to parts in a billion.
    pub(super) fn new(drift_ppm: f64) -> Self {
        Self { rate_per_billion: (PARTS_PER_BILLION + (drift_ppm * 1e3).round()) as u128 }
    }

    /// True nanoseconds after which `ticks` of the device's second-in-32,768 have been counted, to
    /// the nearest one.
    pub(super) fn true_ns(self, ticks: u64) -> u64 {
        self.true_ns_of(u128::from(ticks), u128::from(TICKS_PER_SECOND))
    }

    /// True nanoseconds after which `count` parts of a device second have passed, of which
    /// `per_second` make one, to the nearest nanosecond.
    pub(super) fn true_ns_of(self, count: u128, per_second: u128) -> u64 {
        let divisor = per_second * self.rate_per_billion;
        ((count * BILLION * BILLION + divisor / 2) / divisor) as u64
    }

    /// Device nanoseconds at a true time.
    pub(super) fn device_ns(self, true_ns: u64) -> u64 {
        (u128::from(true_ns) * self.rate_per_billion / BILLION) as u64
    }

    /// Device seconds in a true second.
    pub(super) fn rate(self) -> f64 {
        self.rate_per_billion as f64 / PARTS_PER_BILLION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_exact_over_a_day() {
        let day = 86_400 * u64::from(TICKS_PER_SECOND);
        assert_eq!(DeviceClock::new(0.0).true_ns(day), 86_400_000_000_000);
        // 50 ppm fast: a device day is over 86,400 / 1.00005 s after it began.
        assert_eq!(DeviceClock::new(50.0).true_ns(day), 86_395_680_215_989);
        assert_eq!(DeviceClock::new(-50.0).true_ns(day), 86_404_320_216_011);
        assert_eq!(DeviceClock::new(1000.0).rate(), 1.001);
        assert_eq!(DeviceClock::new(50.0).device_ns(86_395_680_215_989), 86_399_999_999_999);
        assert_eq!(DeviceClock::new(0.0).true_ns_of(130 * 60 + 13, 130), 60_100_000_000);
    }
}
