//! The device's crystal: 32,768 ticks a second, give or take its drift.

use protocol::eda_profile::TICKS_PER_SECOND;

/// Ticks against true time, in whole numbers: no rounding adds up over a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceClock {
    /// Ticks in a billion true seconds.
    ticks_per_gigasecond: u128,
}

const PARTS_PER_BILLION: f64 = 1e9;
const NANOS_PER_GIGASECOND: u128 = 1_000_000_000_000_000_000;

impl DeviceClock {
    /// A clock that runs `drift_ppm` parts in a million fast; resolved to parts in a billion.
    pub(super) fn new(drift_ppm: f64) -> Self {
        let rate = PARTS_PER_BILLION + (drift_ppm * 1e3).round();
        Self { ticks_per_gigasecond: u128::from(TICKS_PER_SECOND) * rate as u128 }
    }

    /// True nanoseconds after which `ticks` have been counted, to the nearest one.
    pub(super) fn true_ns(self, ticks: u64) -> u64 {
        let half = self.ticks_per_gigasecond / 2;
        let scaled = u128::from(ticks) * NANOS_PER_GIGASECOND + half;
        (scaled / self.ticks_per_gigasecond) as u64
    }

    /// Device seconds in a true second.
    pub(super) fn rate(self) -> f64 {
        self.ticks_per_gigasecond as f64 / (f64::from(TICKS_PER_SECOND) * PARTS_PER_BILLION)
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
    }
}
