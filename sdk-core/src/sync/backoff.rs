//! Exponential backoff with full jitter.
//!
//! Each wait is drawn evenly from zero to a ceiling that doubles: many devices that lost a server
//! together do not come back together ("Exponential Backoff And Jitter", AWS Architecture Blog,
//! 2015).

use std::time::Duration;

/// The waits between tries.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
}

impl Backoff {
    /// Waits of at most `first`, then twice that, and so on to `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, tries: 0 }
    }

    /// The next wait. `fraction` in 0..=1 is the caller's dice, so that tests need none.
    pub fn next(&mut self, fraction: f64) -> Duration {
        let ceiling = self.first.saturating_mul(1 << self.tries.min(16)).min(self.most);
        self.tries = self.tries.saturating_add(1);
        ceiling.mul_f64(fraction.clamp(0.0, 1.0))
    }

    /// It worked: begin anew.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_to_its_end() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
        let waits: Vec<u128> = (0..5).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 500, 500]);
        backoff.reset();
        assert_eq!(backoff.next(0.5).as_millis(), 50);
        assert_eq!(backoff.next(f64::NAN.max(0.0)).as_millis(), 0);
    }
}
