//! When a step of the loop is due.

use crate::clock::Nanos;
use std::time::Duration;

/// A step runs when new data arrives, at most 50 times a second, and at least every 100 ms.
///
/// The limit is a leaky bucket with one step of credit (GCRA, ITU-T I.371): steps average at most
/// one each [`Pace::LEAST`], but one that was late does not make every later one wait, as a fixed
/// minimum distance would for data that itself comes every 20 ms.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// When a step without credit would next be allowed.
    allowed: Nanos,
    last: Nanos,
    fresh: bool,
}

impl Pace {
    /// Least average distance of steps.
    pub const LEAST: Duration = Duration::from_millis(20);
    /// Greatest distance of steps.
    pub const MOST: Duration = Duration::from_millis(100);

    /// New data arrived.
    pub fn data(&mut self) {
        self.fresh = true;
    }

    /// When the next step is due.
    #[must_use]
    pub fn due(&self) -> Nanos {
        let latest = self.last + Self::MOST;
        if self.fresh { (self.allowed - Self::LEAST).min(latest) } else { latest }
    }

    /// A step runs now.
    pub fn stepped(&mut self, now: Nanos) {
        self.allowed = self.allowed.max(now) + Self::LEAST;
        self.last = now;
        self.fresh = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs data at the given times (ms); gives the times of the steps up to `end_ms`.
    fn steps(data_ms: &[u64], end_ms: u64) -> Vec<u64> {
        let mut pace = Pace::default();
        pace.stepped(Nanos::ZERO);
        let mut steps = Vec::new();
        let mut next = data_ms.iter().copied().peekable();
        for ms in 0..=end_ms {
            while next.next_if(|t| *t <= ms).is_some() {
                pace.data();
            }
            if pace.due() <= Nanos::from_millis(ms) {
                pace.stepped(Nanos::from_millis(ms));
                steps.push(ms);
            }
        }
        steps
    }

    #[test]
    fn silence_steps_every_100_ms() {
        assert_eq!(steps(&[], 350), [100, 200, 300]);
    }

    #[test]
    fn data_steps_at_once_and_restarts_the_100_ms() {
        assert_eq!(steps(&[30, 150], 260), [30, 130, 150, 250]);
    }

    #[test]
    fn a_flood_is_held_to_50_a_second() {
        let flood: Vec<u64> = (0..1000).collect();
        let count = steps(&flood, 999).len();
        assert!((49..=51).contains(&count), "{count}");
    }

    #[test]
    fn one_late_arrival_does_not_delay_the_rest() {
        let mut data: Vec<u64> = (1..50).map(|k| 20 * k).collect();
        data[10] += 15;
        assert_eq!(steps(&data, 990), data);
    }
}
