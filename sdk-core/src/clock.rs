//! One monotonic time base a session, and a model of each device's clock against it.

use serde::Serialize;
use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SECOND: f64 = 1e9;

/// Nanoseconds since the session began (or since a stream began, where named so). Monotonic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The beginning.
    pub const ZERO: Self = Self(0);

    /// Whole milliseconds to session time.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * NANOS_PER_MILLI)
    }

    /// Seconds to session time; what is negative or not a number becomes zero.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds.max(0.0) * NANOS_PER_SECOND).round() as u64)
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / NANOS_PER_MILLI
    }

    /// Seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND
    }

    /// Time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Nanos {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Nanos {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", self.as_secs_f64())
    }
}

/// Maps the timeline of one device stream onto session time.
///
/// A notification cannot arrive before it was measured, and delay only ever adds: the smallest
/// `arrival - stream time` seen lately is the best estimate of the offset (the minimum filter of
/// NTP, RFC 5905 section 10). Two windows of [`StreamClock::WINDOW`] overlap, so that drift is
/// followed and one long silence does not freeze the estimate.
#[derive(Debug, Clone, Default)]
pub struct StreamClock {
    current: Option<Offset>,
    previous: Option<Offset>,
}

#[derive(Debug, Clone, Copy)]
struct Offset {
    since: Nanos,
    least_ns: i128,
    most_ns: i128,
}

impl StreamClock {
    /// Length of one estimation window: 50 ppm of drift amount to 1.5 ms within it.
    pub const WINDOW: Duration = Duration::from_secs(30);

    /// Learns from one arrival: `stream` is the device's time of the newest sample in the packet.
    pub fn observe(&mut self, stream: Nanos, arrived: Nanos) {
        let delta = i128::from(arrived.0) - i128::from(stream.0);
        let fresh = Offset { since: arrived, least_ns: delta, most_ns: delta };
        self.current = Some(match self.current {
            None => fresh,
            Some(o) if arrived.since(o.since) > Self::WINDOW => {
                self.previous = Some(o);
                fresh
            }
            Some(o) => {
                Offset { least_ns: o.least_ns.min(delta), most_ns: o.most_ns.max(delta), ..o }
            }
        });
    }

    /// Forgets everything: the device clock restarted.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Session time of a moment on the stream's timeline; `None` before the first arrival.
    #[must_use]
    pub fn to_session(&self, stream: Nanos) -> Option<Nanos> {
        let at = i128::from(stream.0) + self.least_ns()?;
        Some(Nanos(u64::try_from(at.max(0)).unwrap_or(u64::MAX)))
    }

    /// Spread of the arrival delays in the current window: how far a mapped time can be off.
    #[must_use]
    pub fn uncertainty(&self) -> Option<Duration> {
        let o = self.current?;
        Some(Duration::from_nanos(u64::try_from(o.most_ns - o.least_ns).unwrap_or(u64::MAX)))
    }

    fn least_ns(&self) -> Option<i128> {
        let current = self.current?.least_ns;
        Some(self.previous.map_or(current, |p| p.least_ns.min(current)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_is_the_smallest_delay_seen() {
        let mut clock = StreamClock::default();
        assert_eq!(clock.to_session(Nanos::ZERO), None);
        for (stream_ms, arrived_ms) in [(0, 1020), (250, 1255), (500, 1540)] {
            clock.observe(Nanos::from_millis(stream_ms), Nanos::from_millis(arrived_ms));
        }
        assert_eq!(clock.to_session(Nanos::from_millis(500)), Some(Nanos::from_millis(1505)));
        assert_eq!(clock.uncertainty(), Some(Duration::from_millis(35)));
    }

    #[test]
    fn drift_of_50_ppm_is_followed_within_3_ms() {
        let mut clock = StreamClock::default();
        let mut worst = 0i64;
        for k in 0..2_400u64 {
            let stream = Nanos::from_millis(250 * k);
            let truth = Nanos(stream.0 + stream.0 / 20_000 + 1_000_000_000); // slow device
            let jitter = Duration::from_micros((k * 7919) % 15_000);
            clock.observe(stream, truth + jitter);
            if k > 200 {
                let mapped = clock.to_session(stream).unwrap();
                worst = worst.max((mapped.0 as i64 - truth.0 as i64).abs());
            }
        }
        assert!(worst < 3_200_000, "{worst} ns");
    }

    #[test]
    fn session_time_saturates() {
        assert_eq!(Nanos(5) - Duration::from_secs(1), Nanos::ZERO);
        assert_eq!(Nanos::from_secs_f64(f64::NAN), Nanos::ZERO);
        assert_eq!(Nanos(7).since(Nanos(9)), Duration::ZERO);
    }
}
