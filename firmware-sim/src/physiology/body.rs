//! A whole body, and whole sessions of it far faster than real time.

use super::{
    heart::{Beat, Heart},
    script::{Script, State},
    skin::Skin,
};

/// One simulated body under a script: heart and skin of the same person in the same states.
///
/// # Examples
/// ```
/// use firmware_sim::physiology::{Body, Script};
/// let mut body = Body::new(7, &Script::demo());
/// let first = body.heart.next().unwrap();
/// assert!((0.5..1.5).contains(&first.rr_s));
/// assert!(body.skin.microsiemens_at(0.25) > 0.1);
/// ```
#[derive(Debug, Clone)]
pub struct Body {
    /// Its heart: an iterator of beats.
    pub heart: Heart,
    /// Its skin: conductance at any time, forward.
    pub skin: Skin,
}

impl Body {
    /// The body of `seed` under `script`.
    #[must_use]
    pub fn new(seed: u64, script: &Script) -> Self {
        Self { heart: Heart::new(seed, script), skin: Skin::new(seed, script) }
    }
}

/// What a perfect recorder would have kept of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Samples a second of `eda_microsiemens`.
    pub eda_hz: f64,
    /// Skin conductance; sample `k` was taken at `k / eda_hz` seconds.
    pub eda_microsiemens: Vec<f64>,
    /// Every heart beat of the session, in order.
    pub beats: Vec<Beat>,
    /// Onset in seconds of each state, in order.
    pub states: Vec<(f64, State)>,
    /// Length in seconds.
    pub duration_s: f64,
}

/// A session of `duration_s` seconds of the body `seed` under `script`.
///
/// # Examples
/// ```
/// use firmware_sim::physiology::{Script, session};
/// let one = session(7, &Script::random(7, 60.0), 60.0, 4.0);
/// assert_eq!(one.eda_microsiemens.len(), 240);
/// assert_eq!(one, session(7, &Script::random(7, 60.0), 60.0, 4.0));
/// ```
#[must_use]
pub fn session(seed: u64, script: &Script, duration_s: f64, eda_hz: f64) -> Session {
    let Body { heart, mut skin } = Body::new(seed, script);
    let samples = (duration_s * eda_hz).floor() as usize;
    Session {
        eda_hz,
        eda_microsiemens: (0..samples).map(|k| skin.microsiemens_at(k as f64 / eda_hz)).collect(),
        beats: heart.take_while(|beat| beat.at_s < duration_s).collect(),
        states: script.onsets(duration_s),
        duration_s,
    }
}
