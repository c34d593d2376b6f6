//! Heart beats by integral pulse frequency modulation.
//!
//! A beat falls wherever the integral of `(1 + m(t)) / T` passes a whole number (Mateo & Laguna
//! 2000, "Improved heart rate variability signal analysis from the beat occurrence times according
//! to the IPFM model"). The modulation `m` is a respiratory wave, a low-frequency wave and a slow
//! drift; the mean interval `T` follows the state.

use std::f64::consts::TAU;

use rand::RngExt;

use super::{
    effect::Effect,
    person::Person,
    rng::{Drift, Stream, Wander, stream},
    script::{Follower, Script},
};

/// One heart beat and the interval it ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// When, in seconds of the session.
    pub at_s: f64,
    /// Interval from the beat before, in seconds.
    pub rr_s: f64,
}

/// The beating heart of one body: an endless iterator of [`Beat`]s. A beat that is not given out
/// falls at time 0 and starts the first interval.
#[derive(Debug, Clone)]
pub struct Heart {
    person: Person,
    states: Follower,
    heart_rate_wander: Wander,
    respiration_wander: Wander,
    low_frequency_wander: Wander,
    /// The present course of the state's targets, smoothed.
    now: Course,
    respiration_phase: f64,
    low_frequency_phase: f64,
    steps: u64,
    integral: f64,
    last_beat_s: f64,
}

#[derive(Debug, Clone, Copy)]
struct Course {
    heart_rate: f64,
    respiratory_arrhythmia: f64,
    low_frequency: f64,
    respiration: f64,
}

/// Integration step, in seconds: a beat's place inside it is interpolated, to well under a
/// microsecond.
const STEP_S: f64 = 1.0 / 128.0;
/// Vagal and sympathetic control together settle within some seconds (Berger et al. 1989).
const HEART_RATE_TAU_S: f64 = 4.0;
/// Vagal depth follows faster than sympathetic drive.
const VARIABILITY_TAU_S: f64 = 3.0;
/// Breathing changes within a breath.
const RESPIRATION_TAU_S: f64 = 3.0;
/// Very-low-frequency drift of heart rate, relative.
const HEART_RATE_WANDER: Drift = Drift { sd: 0.012, tau_s: 20.0, grid_s: 1.0 };
/// Spontaneous change of respiration frequency, relative.
const RESPIRATION_WANDER: Drift = Drift { sd: 0.06, tau_s: 8.0, grid_s: 1.0 };
/// Spontaneous change of the low-frequency wave's frequency, relative.
const LOW_FREQUENCY_WANDER: Drift = Drift { sd: 0.08, tau_s: 15.0, grid_s: 1.0 };
/// No modulation stops a heart: the least `1 + m`.
const LEAST_DRIVE: f64 = 0.3;

impl Heart {
    /// The heart of the body `seed`, under `script`.
    #[must_use]
    pub fn new(seed: u64, script: &Script) -> Self {
        let wander = |s, drift| Wander::new(stream(seed, s), drift);
        let person = Person::from_seed(seed);
        let mut states = Follower::new(script, person.responsiveness);
        let at_start = states.effect_at(0.0);
        let mut phases = stream(seed, Stream::HeartPhases);
        Self {
            person,
            states,
            heart_rate_wander: wander(Stream::HeartRateWander, HEART_RATE_WANDER),
            respiration_wander: wander(Stream::RespirationWander, RESPIRATION_WANDER),
            low_frequency_wander: wander(Stream::LowFrequencyWander, LOW_FREQUENCY_WANDER),
            now: Course::target(at_start),
            respiration_phase: phases.random_range(0.0..TAU),
            low_frequency_phase: phases.random_range(0.0..TAU),
            steps: 0,
            integral: 0.0,
            last_beat_s: 0.0,
        }
    }

    /// Beats a second at this instant, and on by one step.
    fn drive(&mut self, at_s: f64) -> f64 {
        self.now.approach(Course::target(self.states.effect_at(at_s)));
        let person = &self.person;
        let respiration_hz =
            person.respiration_hz * self.now.respiration * (1.0 + self.respiration_wander.at(at_s));
        let low_frequency_hz = person.low_frequency_hz * (1.0 + self.low_frequency_wander.at(at_s));
        self.respiration_phase = (self.respiration_phase + TAU * respiration_hz * STEP_S) % TAU;
        self.low_frequency_phase =
            (self.low_frequency_phase + TAU * low_frequency_hz * STEP_S) % TAU;
        let modulation = person.respiratory_arrhythmia
            * self.now.respiratory_arrhythmia
            * self.respiration_phase.sin()
            + person.low_frequency * self.now.low_frequency * self.low_frequency_phase.sin()
            + self.heart_rate_wander.at(at_s);
        let mean_hz = person.resting_heart_rate_bpm / 60.0 * self.now.heart_rate;
        mean_hz * (1.0 + modulation).max(LEAST_DRIVE)
    }
}

impl Iterator for Heart {
    type Item = Beat;

    fn next(&mut self) -> Option<Beat> {
        loop {
            let at_s = self.steps as f64 * STEP_S;
            let gain = self.drive(at_s) * STEP_S;
            let missing = 1.0 - self.integral;
            self.steps += 1;
            self.integral += gain;
            if gain >= missing {
                self.integral -= 1.0;
                let beat_s = at_s + STEP_S * missing / gain;
                let beat = Beat { at_s: beat_s, rr_s: beat_s - self.last_beat_s };
                self.last_beat_s = beat_s;
                return Some(beat);
            }
        }
    }
}

impl Course {
    fn target(effect: Effect) -> Self {
        Self {
            heart_rate: effect.heart_rate,
            respiratory_arrhythmia: effect.respiratory_arrhythmia,
            low_frequency: effect.low_frequency,
            respiration: effect.respiration,
        }
    }

    fn approach(&mut self, target: Self) {
        let toward =
            |now: &mut f64, target: f64, tau_s: f64| *now += (target - *now) * STEP_S / tau_s;
        toward(&mut self.heart_rate, target.heart_rate, HEART_RATE_TAU_S);
        toward(&mut self.respiratory_arrhythmia, target.respiratory_arrhythmia, VARIABILITY_TAU_S);
        toward(&mut self.low_frequency, target.low_frequency, VARIABILITY_TAU_S);
        toward(&mut self.respiration, target.respiration, RESPIRATION_TAU_S);
    }
}
