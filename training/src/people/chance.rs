//! Chance that does not depend on who is asked first.
//!
//! A generator that moves on would make tomorrow depend on how often today was looked at. Here each
//! number is a function of a key and of what it is for, so the future can be looked at and is still
//! the same when it comes.

/// Added for each number: 2^64 over the golden ratio, odd (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014, figure 16).
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A key that numbers are drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// A key of its own for the `number`-th of something.
    pub(super) fn of(self, number: u64) -> Self {
        Self(mix(self.0.wrapping_add(STEP.wrapping_mul(number.wrapping_add(1)))))
    }

    /// A key of its own for a day, or for a week.
    pub(super) fn on(self, day: i32) -> Self {
        // The bits as they are: days before 1970 are other keys.
        self.of(u64::from(day as u32))
    }

    /// Evenly in 0..1, for the purpose of that number.
    pub(super) fn even(self, purpose: u64) -> f64 {
        // The 53 bits that a double holds.
        (self.of(purpose).0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub(super) fn happens(self, purpose: u64, probability: f64) -> bool {
        self.even(purpose) < probability
    }

    /// About normal with mean 0 and deviation 1, and never beyond 3.5: the sum of four even numbers
    /// (Irwin 1927, Hall 1927).
    pub(super) fn bell(self, purpose: u64) -> f64 {
        let bits = self.of(purpose).0;
        let part = |at: u32| (f64::from((bits >> (16 * at)) as u16) + 0.5) / 65_536.0;
        (part(0) + part(1) + part(2) + part(3) - 2.0) * 3.0_f64.sqrt()
    }

    /// About log-normal with mean 1, `spread` being the deviation of its logarithm.
    pub(super) fn around_one(self, purpose: u64, spread: f64) -> f64 {
        (spread * self.bell(purpose) - spread * spread / 2.0).exp()
    }
}

/// The finaliser of SplitMix64 (the same, figure 16; the constants are Stafford's "mix 13").
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 from state 0: its first numbers are known.
    #[test]
    fn the_mix_is_that_of_splitmix64() {
        assert_eq!(mix(STEP), 0xE220_A839_7B1D_CDAF);
        assert_eq!(mix(STEP.wrapping_mul(2)), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn numbers_are_spread_as_they_say() {
        let chance = Chance::new(1);
        let n = 40_000;
        let moments = |draw: &dyn Fn(i32) -> f64| {
            let all: Vec<f64> = (0..n).map(draw).collect();
            let mean = all.iter().sum::<f64>() / f64::from(n);
            let variance = all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n);
            (mean, variance)
        };
        // Four standard errors: .0058 and .0015, .02 and .02, .012.
        let (mean, variance) = moments(&|day| chance.on(day).even(0));
        assert!((mean - 0.5).abs() < 0.0058 && (variance - 1.0 / 12.0).abs() < 0.0015);
        let (mean, variance) = moments(&|day| chance.on(day).bell(0));
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        let (mean, _) = moments(&|day| chance.on(day).around_one(0, 0.5));
        assert!((mean - 1.0).abs() < 0.012, "{mean}");
    }

    #[test]
    fn each_purpose_and_day_has_its_own() {
        let chance = Chance::new(1);
        let mut seen: Vec<u64> =
            (-50..50).flat_map(|day| (0..20).map(move |p| chance.on(day).of(p).0)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2_000);
        assert_ne!(Chance::new(2), chance);
    }
}
