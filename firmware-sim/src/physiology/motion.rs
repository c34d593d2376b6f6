//! Movement of the wearer: gravity in a posture that drifts, and bursts of shaking.
//!
//! **Rates and sizes are assumptions of this simulator.** Bursts depend on the seed alone, so that
//! an accelerometer, a PPG and a pulse-interval stream of one body suffer the same movement.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

use super::rng::{Drift, Stream, Wander, normal, stream};

/// How one body moves.
#[derive(Debug, Clone)]
pub struct Motion {
    bursts: ChaCha8Rng,
    noise: ChaCha8Rng,
    pitch: Wander,
    roll: Wander,
    per_second: f64,
    burst: Burst,
}

/// Movement at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Movement {
    /// How much the wearer moves, 0 (rest) to 1.
    pub activity: f64,
    /// The swing of the movement, -1 to 1.
    pub swing: f64,
    /// Acceleration along x, y and z in milli-g, gravity included.
    pub milli_g: [f64; 3],
}

/// Shaking from `begin_s` on, for `length_s`.
#[derive(Debug, Clone, Copy)]
struct Burst {
    begin_s: f64,
    length_s: f64,
    hz: f64,
    milli_g: [f64; 3],
}

/// A burst lasts this long, in seconds.
const BURST_S: std::ops::Range<f64> = 1.0..4.0;
/// Arms swing this often a second.
const BURST_HZ: std::ops::Range<f64> = 1.2..3.0;
/// Acceleration of a swing along one axis, milli-g.
const BURST_MILLI_G: std::ops::Range<f64> = -450.0..450.0;
const GRAVITY_MILLI_G: f64 = 1000.0;
/// Noise of the accelerometer, milli-g (standard deviation).
const NOISE_MILLI_G: f64 = 3.0;
/// Drift of posture, in radians.
const POSTURE: Drift = Drift { sd: 0.25, tau_s: 60.0, grid_s: 2.0 };

impl Motion {
    /// The movement of the body `seed`, which stirs `bursts_per_minute` times a minute; 0 for a
    /// body at rest.
    #[must_use]
    pub fn new(seed: u64, bursts_per_minute: f64) -> Self {
        let mut bursts = stream(seed, Stream::MotionBursts);
        let per_second = bursts_per_minute / 60.0;
        Self {
            burst: Burst::after(0.0, per_second, &mut bursts),
            bursts,
            noise: stream(seed, Stream::MotionNoise),
            pitch: Wander::new(stream(seed, Stream::PosturePitch), POSTURE),
            roll: Wander::new(stream(seed, Stream::PostureRoll), POSTURE),
            per_second,
        }
    }

    /// The movement at `at_s` seconds of the session. Call it with times that do not go back; each
    /// call draws its own noise.
    pub fn at(&mut self, at_s: f64) -> Movement {
        while self.burst.end_s() <= at_s {
            self.burst = Burst::after(self.burst.end_s(), self.per_second, &mut self.bursts);
        }
        let (activity, swing) = self.burst.at(at_s);
        let (pitch, roll) = (self.pitch.at(at_s), self.roll.at(at_s));
        let gravity = [-pitch.sin(), pitch.cos() * roll.sin(), pitch.cos() * roll.cos()];
        let noise = &mut self.noise;
        let along = |axis: usize| {
            GRAVITY_MILLI_G * gravity[axis]
                + self.burst.milli_g[axis] * swing
                + NOISE_MILLI_G * normal(noise)
        };
        Movement { activity, swing, milli_g: [0, 1, 2].map(along) }
    }
}

impl Burst {
    /// The first burst after `from_s`: a Poisson process that waits out each burst.
    fn after(from_s: f64, per_second: f64, rng: &mut ChaCha8Rng) -> Self {
        let wait: f64 = rng.sample(Exp1);
        Self {
            // No bursts a second: an infinite wait.
            begin_s: from_s + wait / per_second.max(0.0),
            length_s: rng.random_range(BURST_S),
            hz: rng.random_range(BURST_HZ),
            milli_g: [(); 3].map(|()| rng.random_range(BURST_MILLI_G)),
        }
    }

    fn end_s(&self) -> f64 {
        self.begin_s + self.length_s
    }

    /// Envelope and swing at an instant.
    fn at(&self, at_s: f64) -> (f64, f64) {
        let into_s = at_s - self.begin_s;
        if !(0.0..self.length_s).contains(&into_s) {
            return (0.0, 0.0);
        }
        let envelope = (0.5 * TAU * into_s / self.length_s).sin().powi(2);
        (envelope, envelope * (TAU * self.hz * into_s).sin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_rest_there_is_gravity_and_nothing_else() {
        let mut still = Motion::new(3, 0.0);
        for k in 0..10_000 {
            let movement = still.at(f64::from(k) / 10.0);
            let g = movement.milli_g.iter().map(|a| a * a).sum::<f64>().sqrt();
            assert!((980.0..1020.0).contains(&g) && movement.activity == 0.0, "{movement:?}");
        }
    }

    #[test]
    fn bursts_are_as_many_as_asked_and_the_same_at_any_rate() {
        let (mut slow, mut fast) = (Motion::new(5, 2.0), Motion::new(5, 2.0));
        let (mut bursts, mut moving) = (0, false);
        for k in 0..36_000 {
            let at_s = f64::from(k) / 10.0;
            fast.at(at_s - 0.05);
            let activity = slow.at(at_s).activity;
            assert_eq!(activity, fast.at(at_s).activity);
            bursts += u32::from(activity > 0.0 && !moving);
            moving = activity > 0.0;
        }
        assert!((85..140).contains(&bursts), "{bursts} bursts in an hour at 2 a minute");
    }
}
