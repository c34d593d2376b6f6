//! The electrocardiogram of the heart's beats.
//!
//! P, Q, R, S and T are bells around each beat (McSharry, Clifford, Tarassenko & Smith 2003, "A
//! dynamical model for generating synthetic electrocardiogram signals", IEEE Trans. Biomed. Eng.
//! 50:289, table I), summed directly instead of integrated, so that the signal is known at any
//! time and R falls on the beat.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_3, PI, TAU};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{
    cycle::{Bell, Cycle},
    heart::Beat,
    person::Person,
    rng::{Stream, normal, stream},
};

/// The electrocardiogram of one body, as a chest strap leads it.
///
/// # Examples
/// ```
/// use firmware_sim::physiology::{Ecg, Heart, Script};
/// let mut ecg = Ecg::new(7, Heart::new(7, &Script::demo()));
/// let first = ecg.millivolts_at(0.0).unwrap();
/// assert!((0.4..3.0).contains(&first), "a beat falls at time 0");
/// ```
#[derive(Debug, Clone)]
pub struct Ecg<B> {
    cycle: Cycle<B>,
    millivolts: f64,
    respiration_hz: f64,
    respiration_phase: f64,
    noise: ChaCha8Rng,
}

/// The five events: angle, width, and the height that the paper's `a` and `b` give (`a b^2`),
/// scaled so that R is 1.
const EVENTS: [Bell; 5] = [
    Bell { at: -FRAC_PI_3, width: 0.25, height: 1.2 * 0.0625 / R_HEIGHT },
    Bell { at: -PI / 12.0, width: 0.1, height: -5.0 * 0.01 / R_HEIGHT },
    Bell { at: 0.0, width: 0.1, height: 1.0 },
    Bell { at: PI / 12.0, width: 0.1, height: -7.5 * 0.01 / R_HEIGHT },
    Bell { at: FRAC_PI_2, width: 0.4, height: 0.75 * 0.16 / R_HEIGHT },
];
/// `a b^2` of R.
const R_HEIGHT: f64 = 30.0 * 0.01;
/// The interval at which the table's angles hold, in seconds; they grow with the root of the heart
/// rate (same paper, section III: the QT interval follows Bazett).
const TABLE_INTERVAL_S: f64 = 1.0;
/// Depth of the respiratory baseline wander, in millivolts (same paper, equation 1: 0.15 mV).
const WANDER_MILLIVOLTS: f64 = 0.15;
/// Noise of electrodes and amplifier, in millivolts (standard deviation). Assumption.
const NOISE_MILLIVOLTS: f64 = 0.01;

impl<B: Iterator<Item = Beat>> Ecg<B> {
    /// The electrocardiogram of the body `seed`, whose heart beats as `beats`.
    #[must_use]
    pub fn new(seed: u64, beats: B) -> Self {
        let person = Person::from_seed(seed);
        let mut noise = stream(seed, Stream::EcgNoise);
        Self {
            cycle: Cycle::new(beats),
            millivolts: person.r_wave_millivolts,
            respiration_hz: person.respiration_hz,
            respiration_phase: noise.random_range(0.0..TAU),
            noise,
        }
    }

    /// Millivolts at `at_s` seconds of the session; `None` after the last beat. Call it with times
    /// that do not go back; each call draws its own noise.
    pub fn millivolts_at(&mut self, at_s: f64) -> Option<f64> {
        let phase = self.cycle.at(at_s)?;
        let stretch = (TABLE_INTERVAL_S / phase.interval_s).sqrt();
        let beat = |angle: f64| EVENTS.iter().map(|e| e.value(angle / stretch)).sum::<f64>();
        let wander = (TAU * self.respiration_hz * at_s + self.respiration_phase).sin();
        Some(
            self.millivolts * (beat(phase.since) + beat(phase.until))
                + WANDER_MILLIVOLTS * wander
                + NOISE_MILLIVOLTS * normal(&mut self.noise),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physiology::{Heart, Script};

    #[test]
    fn r_is_the_highest_of_each_interval_and_falls_on_the_beat() {
        const HZ: f64 = 130.0;
        for seed in 0..5 {
            let mut ecg = Ecg::new(seed, Heart::new(seed, &Script::demo()));
            let beats: Vec<Beat> = Heart::new(seed, &Script::demo()).take(120).collect();
            let signal: Vec<f64> = (0..(beats[119].at_s * HZ) as usize)
                .map(|k| ecg.millivolts_at(k as f64 / HZ).unwrap())
                .collect();
            for beat in &beats[..119] {
                let around = |s: f64| ((beat.at_s + s) * HZ).round() as usize;
                let half = 0.5 * beat.rr_s;
                let range = around(-half)..around(half).min(signal.len());
                let peak = { range }.max_by(|a, b| signal[*a].total_cmp(&signal[*b])).unwrap();
                let off = (peak as f64 / HZ - beat.at_s).abs();
                assert!(off < 1.5 / HZ, "seed {seed}: R at {} s is {off} s off", beat.at_s);
            }
            let highest = signal.iter().copied().fold(f64::MIN, f64::max);
            let expected = Person::from_seed(seed).r_wave_millivolts;
            assert!((highest - expected).abs() < 0.25, "seed {seed}: {highest} {expected}");
        }
    }
}
