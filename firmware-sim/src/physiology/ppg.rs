//! The light that comes back from a wrist: a pulse wave for each beat.
//!
//! Each beat arrives after the pulse transit time as a direct and a reflected wave, two bells in
//! the cycle (the two-Gaussian pulse of Tang et al. 2020, "Synthetic photoplethysmogram generation
//! using two Gaussian functions", Sci. Rep. 10:13883). **Sizes are assumptions of this
//! simulator**, and so is a transit time that does not change: pulse intervals are the heart's.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;

use super::{
    cycle::{Bell, Cycle},
    heart::Beat,
    motion::Motion,
    person::Person,
    rng::{Stream, normal, stream},
};

/// The photoplethysmogram of one body, as a wrist or an upper arm gives it.
#[derive(Debug, Clone)]
pub struct Ppg<B> {
    cycle: Cycle<B>,
    motion: Motion,
    person: Person,
    noise: ChaCha8Rng,
}

/// The direct wave, and the one reflected from the lower body.
const WAVES: [Bell; 2] =
    [Bell { at: 0.9, width: 0.45, height: 1.0 }, Bell { at: 2.6, width: 0.70, height: 0.45 }];
/// Share of the light that the pulse takes away at its peak.
const PERFUSION: f64 = 0.015;
/// Share that breathing takes away, by venous return.
const RESPIRATION: f64 = 0.002;
/// Share that movement takes away at its wildest: more than the pulse.
const MOVEMENT: f64 = 0.03;
/// Noise of the receiver, as a share of the light (standard deviation).
const NOISE: f64 = 0.000_15;

impl<B: Iterator<Item = Beat>> Ppg<B> {
    /// The photoplethysmogram of the body `seed`, whose heart beats as `beats` and which moves
    /// `bursts_per_minute` times a minute.
    #[must_use]
    pub fn new(seed: u64, beats: B, bursts_per_minute: f64) -> Self {
        Self {
            cycle: Cycle::new(beats),
            motion: Motion::new(seed, bursts_per_minute),
            person: Person::from_seed(seed),
            noise: stream(seed, Stream::PpgNoise),
        }
    }

    /// Share of the light that comes back at `at_s` seconds of the session, about 1 and less at
    /// each pulse; `None` after the last beat. Call it with times that do not go back; each call
    /// draws its own noise.
    pub fn light_at(&mut self, at_s: f64) -> Option<f64> {
        let phase = self.cycle.at(at_s - self.person.pulse_transit_s)?;
        let pulse = |angle: f64| WAVES.iter().map(|wave| wave.value(angle)).sum::<f64>();
        let absorbed = PERFUSION * (pulse(phase.since) + pulse(phase.until))
            + RESPIRATION * (TAU * self.person.respiration_hz * at_s).sin()
            + MOVEMENT * self.motion.at(at_s).swing;
        Some(1.0 - absorbed + NOISE * normal(&mut self.noise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physiology::{Heart, Script};

    #[test]
    fn the_light_is_least_one_transit_and_one_rise_after_each_beat() {
        const HZ: f64 = 55.0;
        for seed in 0..5 {
            let person = Person::from_seed(seed);
            let mut ppg = Ppg::new(seed, Heart::new(seed, &Script::demo()), 0.0);
            let beats: Vec<Beat> = Heart::new(seed, &Script::demo()).take(100).collect();
            let light: Vec<f64> = (0..(beats[99].at_s * HZ) as usize)
                .map(|k| ppg.light_at(k as f64 / HZ).unwrap())
                .collect();
            for pair in beats.windows(2).take(97) {
                let (at_s, interval_s) = (pair[0].at_s, pair[1].rr_s);
                let index = |s: f64| ((at_s + person.pulse_transit_s + s) * HZ) as usize;
                let range = index(0.0)..index(0.6 * interval_s);
                let dip = { range }.min_by(|a, b| light[*a].total_cmp(&light[*b])).unwrap();
                let expected_s = at_s + person.pulse_transit_s + WAVES[0].at / TAU * interval_s;
                let off = (dip as f64 / HZ - expected_s).abs();
                assert!(off < 2.5 / HZ, "seed {seed}: {off} s off at {at_s} s");
            }
        }
    }
}
