//! Skin conductance: a tonic level with responses on top.
//!
//! A response (SCR) has the biexponential shape of Bateman's function, `exp(-t/decay) -
//! exp(-t/rise)`, scaled to its peak (Benedek & Kaernbach 2010, "A continuous measure of phasic
//! electrodermal activity"). Responses come spontaneously (Poisson, at the state's rate) and after
//! the onset of a state, 1 to 3 s later (Boucsein 2012: latency 1 to 3 s).

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

use super::{
    person::Person,
    rng::{Drift, Stream, Wander, normal, stream},
    script::{Follower, Script, Span, Spans},
};

/// The skin of one body.
#[derive(Debug, Clone)]
pub struct Skin {
    person: Person,
    states: Follower,
    level_wander: Wander,
    responses: Responses,
    noise: ChaCha8Rng,
    bateman: Bateman,
    /// Factor on the resting level, smoothed.
    level: f64,
    at_s: f64,
}

/// Tonic level follows a state slowly: it fills and drains with sweat (Boucsein 2012).
const LEVEL_TAU_S: f64 = 10.0;
/// Slow drift of the level, relative. Its grid keeps it slower than any response.
const LEVEL_WANDER: Drift = Drift { sd: 0.03, tau_s: 120.0, grid_s: 10.0 };
/// Measurement noise of a wrist wearable, microsiemens (standard deviation); one unit in the last
/// digits of an Empatica E4 (0.001 microsiemens).
const NOISE_MICROSIEMENS: f64 = 0.001;
/// Conductance of dry skin is not zero.
const LEAST_MICROSIEMENS: f64 = 0.01;

impl Skin {
    /// The skin of the body `seed`, under `script`.
    #[must_use]
    pub fn new(seed: u64, script: &Script) -> Self {
        let person = Person::from_seed(seed);
        let mut states = Follower::new(script, person.responsiveness);
        let level = states.effect_at(0.0).skin_level;
        Self {
            person,
            states,
            level_wander: Wander::new(stream(seed, Stream::SkinLevelWander), LEVEL_WANDER),
            responses: Responses::new(seed, person, script),
            noise: stream(seed, Stream::SkinNoise),
            bateman: Bateman::new(person.scr_rise_s, person.scr_decay_s),
            level,
            at_s: 0.0,
        }
    }

    /// Skin conductance in microsiemens at `at_s` seconds of the session. Call it with times that
    /// do not go back; each call draws its own measurement noise.
    pub fn microsiemens_at(&mut self, at_s: f64) -> f64 {
        let passed_s = (at_s - self.at_s).max(0.0);
        self.at_s += passed_s;
        let at_s = self.at_s;
        let target = self.states.effect_at(at_s).skin_level;
        self.level += (target - self.level) * (1.0 - (-passed_s / LEVEL_TAU_S).exp());
        self.bateman.decay(passed_s);
        while let Some(response) = self.responses.pop_before(at_s) {
            self.bateman.add(response.amplitude_microsiemens, at_s - response.onset_s);
        }
        let tonic =
            self.person.skin_level_microsiemens * self.level * (1.0 + self.level_wander.at(at_s));
        let noise = NOISE_MICROSIEMENS * normal(&mut self.noise);
        (tonic + self.bateman.value() + noise).max(LEAST_MICROSIEMENS)
    }
}

/// The sum of all responses so far. Each is a difference of two exponentials, so two numbers that
/// decay hold them all.
#[derive(Debug, Clone)]
struct Bateman {
    rise_s: f64,
    decay_s: f64,
    /// Makes the peak of one response its amplitude.
    scale: f64,
    rising: f64,
    decaying: f64,
}

impl Bateman {
    fn new(rise_s: f64, decay_s: f64) -> Self {
        let peak_s = (decay_s / rise_s).ln() * rise_s * decay_s / (decay_s - rise_s);
        let peak = (-peak_s / decay_s).exp() - (-peak_s / rise_s).exp();
        Self { rise_s, decay_s, scale: 1.0 / peak, rising: 0.0, decaying: 0.0 }
    }

    fn decay(&mut self, passed_s: f64) {
        self.rising *= (-passed_s / self.rise_s).exp();
        self.decaying *= (-passed_s / self.decay_s).exp();
    }

    fn add(&mut self, amplitude: f64, age_s: f64) {
        self.rising += amplitude * self.scale * (-age_s / self.rise_s).exp();
        self.decaying += amplitude * self.scale * (-age_s / self.decay_s).exp();
    }

    fn value(&self) -> f64 {
        self.decaying - self.rising
    }
}

/// One skin conductance response.
#[derive(Debug, Clone, Copy)]
struct Response {
    onset_s: f64,
    amplitude_microsiemens: f64,
}

/// Responses in order of onset, drawn a stretch of the script at a time.
#[derive(Debug, Clone)]
struct Responses {
    rng: ChaCha8Rng,
    person: Person,
    spans: Spans,
    span: Option<Span>,
    drawn_to_s: f64,
    queue: VecDeque<Response>,
}

/// Responses are drawn at most this far ahead: the last state of a script has no end.
const STRETCH_S: f64 = 30.0;
/// Latency of an evoked response, in seconds.
const LATENCY_S: std::ops::Range<f64> = 1.0..3.0;
/// Evoked responses are larger than spontaneous ones. Assumption.
const EVOKED_FACTOR: f64 = 1.5;
/// Spread of amplitudes within a person (standard deviation of the logarithm). Assumption.
const AMPLITUDE_SPREAD: f64 = 0.35;

impl Responses {
    fn new(seed: u64, person: Person, script: &Script) -> Self {
        Self {
            rng: stream(seed, Stream::SkinResponses),
            person,
            spans: script.spans(),
            span: None,
            drawn_to_s: 0.0,
            queue: VecDeque::new(),
        }
    }

    fn pop_before(&mut self, at_s: f64) -> Option<Response> {
        while self.drawn_to_s <= at_s {
            self.draw_stretch();
        }
        self.queue.pop_front_if(|response| response.onset_s <= at_s)
    }

    fn draw_stretch(&mut self) {
        let begins = self.span.is_none_or(|span| span.end_s <= self.drawn_to_s);
        if begins {
            self.span = self.spans.next();
        }
        // A script has no end, see `Spans`; should it have one, nothing more happens.
        let Some(span) = self.span else {
            self.drawn_to_s = f64::INFINITY;
            return;
        };
        let effect = span.state.effect().scaled(self.person.responsiveness);
        let (from_s, to_s) = (self.drawn_to_s, span.end_s.min(self.drawn_to_s + STRETCH_S));
        let mut drawn = Vec::new();
        let evoked_s = span.onset_s + self.rng.random_range(LATENCY_S);
        if begins
            && span.onset_s > 0.0
            && evoked_s < to_s
            && self.rng.random_bool(effect.onset_response)
        {
            drawn.push((evoked_s, EVOKED_FACTOR));
        }
        let per_s = effect.scr_per_minute * self.person.lability / 60.0;
        let mut onset_s = from_s;
        loop {
            let wait: f64 = self.rng.sample(Exp1);
            onset_s += wait / per_s;
            if onset_s >= to_s {
                break;
            }
            drawn.push((onset_s, 1.0));
        }
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (onset_s, factor) in drawn {
            let spread = (AMPLITUDE_SPREAD * normal(&mut self.rng)).exp();
            let amplitude_microsiemens =
                self.person.scr_amplitude_microsiemens * effect.scr_amplitude * factor * spread;
            self.queue.push_back(Response { onset_s, amplitude_microsiemens });
        }
        self.drawn_to_s = to_s;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_peaks_at_its_amplitude_after_its_rise() {
        let mut skin = Bateman::new(0.75, 2.0);
        skin.add(0.4, 0.0);
        let values: Vec<f64> = (0..1000)
            .map(|_| {
                skin.decay(0.01);
                skin.value()
            })
            .collect();
        let peak = values.iter().copied().fold(0.0, f64::max);
        let peak_s = values.iter().position(|v| *v == peak).unwrap() as f64 * 0.01;
        assert!((peak - 0.4).abs() < 1e-4, "{peak}");
        assert!((1.0..1.4).contains(&peak_s), "rise time {peak_s} s");
        assert!(values[999] < 0.02 * 0.4 * 2.0, "recovered");
    }

    #[test]
    fn the_body_is_the_same_at_any_sampling_rate() {
        let script = Script::demo();
        let (mut slow, mut fast) = (Skin::new(9, &script), Skin::new(9, &script));
        for second in 0..120u32 {
            let expected = slow.microsiemens_at(f64::from(second));
            for part in 1..=31 {
                fast.microsiemens_at(f64::from(second) - 1.0 + f64::from(part) / 32.0);
            }
            let value = fast.microsiemens_at(f64::from(second));
            assert!((value - expected).abs() < 0.06 * expected, "{value} {expected}");
        }
    }

    #[test]
    fn endless_scripts_are_drawn_without_end() {
        let script = Script::parse("segment = [{ state = 'stressed', duration_s = 5 }]").unwrap();
        let mut responses = Responses::new(3, Person::from_seed(3), &script);
        let mut count = 0;
        while responses.pop_before(600.0).is_some() {
            count += 1;
        }
        assert!(count > 40, "{count} responses in ten stressed minutes");
    }
}
