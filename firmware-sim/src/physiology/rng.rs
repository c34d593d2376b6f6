//! Random numbers of one body: an independent stream for each use, so that a device which only
//! looks at the heart sees the same body as one which only looks at the skin.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// What a stream of random numbers is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Person = 0,
    HeartRateWander = 1,
    RespirationWander = 2,
    LowFrequencyWander = 3,
    HeartPhases = 4,
    SkinLevelWander = 5,
    SkinResponses = 6,
    SkinNoise = 7,
    Script = 8,
    EcgNoise = 9,
    PpgNoise = 10,
    MotionBursts = 11,
    MotionNoise = 12,
    PosturePitch = 13,
    PostureRoll = 14,
}

/// The stream of `seed` for one use.
pub(super) fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}

pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    rng.sample(StandardNormal)
}

/// How something wanders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drift {
    /// Standard deviation.
    pub(super) sd: f64,
    /// Correlation time, in seconds.
    pub(super) tau_s: f64,
    /// Between two random steps it goes straight for this long, in seconds: nothing faster is in it.
    pub(super) grid_s: f64,
}

/// Slow random drift around zero: an Ornstein-Uhlenbeck process on a grid, straight in between.
/// Being on its own grid, it is the same however often it is asked.
#[derive(Debug, Clone)]
pub(super) struct Wander {
    rng: ChaCha8Rng,
    grid_s: f64,
    keep: f64,
    kick: f64,
    from: f64,
    to: f64,
    to_s: f64,
}

impl Wander {
    pub(super) fn new(mut rng: ChaCha8Rng, drift: Drift) -> Self {
        let Drift { sd, tau_s, grid_s } = drift;
        let keep = (-grid_s / tau_s).exp();
        let kick = sd * (1.0 - keep * keep).sqrt();
        let from = sd * normal(&mut rng);
        let to = keep * from + kick * normal(&mut rng);
        Self { rng, grid_s, keep, kick, from, to, to_s: grid_s }
    }

    /// The value at `at_s`, which must not go back by more than the grid.
    pub(super) fn at(&mut self, at_s: f64) -> f64 {
        while at_s > self.to_s {
            self.from = self.to;
            self.to = self.keep * self.from + self.kick * normal(&mut self.rng);
            self.to_s += self.grid_s;
        }
        let back = ((self.to_s - at_s) / self.grid_s).clamp(0.0, 1.0);
        self.to + (self.from - self.to) * back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wander_is_stationary_and_does_not_depend_on_how_often_it_is_asked() {
        let drift = Drift { sd: 2.0, tau_s: 5.0, grid_s: 1.0 };
        let wander = || Wander::new(stream(1, Stream::SkinLevelWander), drift);
        let (mut fine, mut coarse) = (wander(), wander());
        let mut square = 0.0;
        for second in 0..20_000 {
            for part in 1..4 {
                fine.at(f64::from(second) + f64::from(part) / 4.0);
            }
            let at_s = f64::from(second + 1);
            let value = fine.at(at_s);
            assert_eq!(value, coarse.at(at_s));
            square += value * value;
        }
        let sd = (square / 20_000.0).sqrt();
        assert!((1.8..2.2).contains(&sd), "{sd}");
    }
}
