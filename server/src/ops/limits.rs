//! How often somebody may ask: the generic cell rate algorithm (ITU-T I.371, annex A.1), one word
//! of memory a bucket.
//!
//! Keys have a bucket each. Addresses share a fixed table under a random hash: a flood from ever
//! new addresses cannot make it grow, and nobody can choose whose slot they fall into. Two
//! addresses in one slot share its rate: one in 65,536.

use serde::{Deserialize, Serialize};
use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Slots of the table of addresses: half a megabyte.
const SLOTS: usize = 1 << 16;
/// What one subscriber has of IPv6 at least (RFC 6177): they count as one.
const V6_PREFIX_BITS: u32 = 64;
const NANOS: u64 = 1_000_000_000;

/// A steady rate, and how many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests a second in the long run; 0 turns the limit off.
    pub per_second: u32,
    /// Requests at once, at least 1.
    pub burst: u32,
}

impl Rate {
    /// How long a whole burst takes to come back, seconds, at least 1.
    #[must_use]
    pub const fn window_s(self) -> u64 {
        if self.per_second == 0 {
            return 1;
        }
        let window = (self.burst as u64).div_ceil(self.per_second as u64);
        if window == 0 { 1 } else { window }
    }

    const fn interval_ns(self) -> u64 {
        let interval = NANOS / self.per_second as u64;
        if interval == 0 { 1 } else { interval }
    }
}

/// What a request left in its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) rate: Rate,
    /// How many more may come at once.
    pub(crate) remaining: u32,
    /// When the bucket is full again.
    pub(crate) full_in: Duration,
    /// How long to wait, if the request was too much.
    pub(crate) retry_in: Option<Duration>,
}

/// When the next request would come at the steady rate: nanoseconds since the clock's start.
#[derive(Debug, Default)]
pub(crate) struct Bucket(AtomicU64);

impl Bucket {
    /// Takes one at a time; an empty bucket stays as it is.
    pub(crate) fn take(&self, rate: Rate, now_ns: u64) -> Quota {
        self.step(rate, now_ns, true)
    }

    /// Looks without taking.
    pub(crate) fn look(&self, rate: Rate, now_ns: u64) -> Quota {
        self.step(rate, now_ns, false)
    }

    fn step(&self, rate: Rate, now_ns: u64, take: bool) -> Quota {
        let burst = u64::from(rate.burst.max(1));
        if rate.per_second == 0 {
            let full_in = Duration::ZERO;
            return Quota { rate, remaining: rate.burst.max(1), full_in, retry_in: None };
        }
        let interval = rate.interval_ns();
        let tolerance = interval.saturating_mul(burst - 1);
        let mut arrival = self.0.load(Ordering::Relaxed);
        loop {
            let from = arrival.max(now_ns);
            if from - now_ns > tolerance {
                let wait = Duration::from_nanos(from - now_ns - tolerance);
                let full_in = Duration::from_nanos(from - now_ns);
                return Quota { rate, remaining: 0, full_in, retry_in: Some(wait) };
            }
            let next = if take { from.saturating_add(interval) } else { from };
            let swapped = self.0.compare_exchange_weak(
                arrival,
                if take { next } else { arrival },
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if let Err(other) = swapped {
                arrival = other;
                continue;
            }
            let used = (next - now_ns).div_ceil(interval).min(burst);
            let remaining = u32::try_from(burst - used).unwrap_or(u32::MAX);
            return Quota {
                rate,
                remaining,
                full_in: Duration::from_nanos(next - now_ns),
                retry_in: None,
            };
        }
    }
}

/// A bucket an address.
#[derive(Debug)]
pub(crate) struct Addresses {
    slots: Box<[Bucket]>,
    hash: RandomState,
}

impl Default for Addresses {
    fn default() -> Self {
        let slots = std::iter::repeat_with(Bucket::default).take(SLOTS).collect();
        Self { slots, hash: RandomState::new() }
    }
}

impl Addresses {
    /// The bucket of an address.
    pub(crate) fn bucket(&self, address: IpAddr) -> &Bucket {
        let hash = self.hash.hash_one(subscriber(address));
        &self.slots[hash as usize % self.slots.len()]
    }
}

/// IPv4 as it is, IPv6 by its network.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() & (u128::MAX << (u128::BITS - V6_PREFIX_BITS));
            IpAddr::V6(network.into())
        }
        v4 => v4,
    }
}

/// The clock of the buckets.
#[derive(Debug)]
pub(crate) struct Ticker(Instant);

impl Default for Ticker {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Ticker {
    /// Nanoseconds since it was made: 584 years fit.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate { per_second: 10, burst: 5 };
    const STEP: u64 = NANOS / 10;

    #[test]
    fn a_burst_then_the_steady_rate() {
        let bucket = Bucket::default();
        let left: Vec<_> = (0..5).map(|_| bucket.take(RATE, 7).remaining).collect();
        assert_eq!(left, [4, 3, 2, 1, 0]);
        let refused = bucket.take(RATE, 7);
        assert_eq!(refused.retry_in, Some(Duration::from_nanos(STEP)));
        assert_eq!(refused.full_in, Duration::from_nanos(5 * STEP));
        assert_eq!(bucket.take(RATE, 7 + STEP - 1).retry_in, Some(Duration::from_nanos(1)));
        assert_eq!(bucket.take(RATE, 7 + STEP).retry_in, None);
        assert_eq!(bucket.look(RATE, 7 + 6 * STEP).remaining, 5, "full again");
        let off = Rate { per_second: 0, burst: 1 };
        assert!((0..100).all(|_| bucket.take(off, 7).retry_in.is_none()));
    }

    proptest! {
        #[test]
        fn no_time_lets_more_through_than_the_rate(
            per_second in 1_u32..50, burst in 0_u32..20, gaps in prop::collection::vec(0_u64..NANOS, 1..200)
        ) {
            let (bucket, rate) = (Bucket::default(), Rate { per_second, burst });
            let (mut now, mut taken) = (0, 0_u64);
            for gap in gaps {
                now += gap;
                let quota = bucket.take(rate, now);
                taken += u64::from(quota.retry_in.is_none());
                prop_assert!(quota.remaining < burst.max(1));
                let steady = now / rate.interval_ns();
                prop_assert!(taken <= u64::from(burst.max(1)) + steady);
            }
        }

        #[test]
        fn any_rate_and_time_is_taken(per_second: u32, burst: u32, now: u64, later: u64) {
            let (bucket, rate) = (Bucket::default(), Rate { per_second, burst });
            for at in [now, later, 0, u64::MAX] {
                bucket.look(rate, at);
                bucket.take(rate, at);
            }
            prop_assert!(rate.window_s() >= 1);
        }
    }

    #[test]
    fn a_subscriber_is_one_address() {
        let same =
            |a: &str, b: &str| subscriber(a.parse().unwrap()) == subscriber(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        let addresses = Addresses::default();
        let first = addresses.bucket("192.0.2.1".parse().unwrap());
        first.take(RATE, 0);
        let again = addresses.bucket("192.0.2.1".parse().unwrap());
        assert_eq!(again.look(RATE, 0).remaining, 4);
    }
}
