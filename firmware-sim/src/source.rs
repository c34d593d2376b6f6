//! What a device measures: a simulated body, or a recording.

use std::sync::Arc;

use thiserror::Error;

use crate::physiology::{Beat, Heart, Script, Session, Skin};

/// What a device measures. Devices given the same source measure the same body: a wristband and a
/// strap with clones of one source stay aligned.
#[derive(Debug, Clone)]
pub enum Source {
    /// A simulated body. It never ends.
    Simulated {
        /// Which body.
        seed: u64,
        /// What it goes through.
        script: Script,
    },
    /// A recording, once. At its end the device falls silent but stays connected.
    Tape(Arc<Tape>),
}

impl Source {
    /// The body of `seed` under `script`.
    #[must_use]
    pub fn simulated(seed: u64, script: Script) -> Self {
        Self::Simulated { seed, script }
    }

    /// A recording.
    #[must_use]
    pub fn tape(tape: Tape) -> Self {
        Self::Tape(Arc::new(tape))
    }

    /// The beats of the source from its start.
    pub(crate) fn beats(&self) -> Beats {
        match self {
            Self::Simulated { seed, script } => Beats::Body(Box::new(Heart::new(*seed, script))),
            Self::Tape(tape) => Beats::Tape(Arc::clone(tape), 0),
        }
    }

    /// The skin of the source from its start.
    pub(crate) fn conductance(&self) -> Conductance {
        match self {
            Self::Simulated { seed, script } => {
                Conductance::Body(Box::new(Skin::new(*seed, script)))
            }
            Self::Tape(tape) => Conductance::Tape(Arc::clone(tape)),
        }
    }
}

/// The beats of a source.
#[derive(Debug, Clone)]
pub(crate) enum Beats {
    /// Of a body: a device times the intervals by its own clock.
    Body(Box<Heart>),
    /// Of a recording: the intervals were timed by its own device.
    Tape(Arc<Tape>, usize),
}

impl Beats {
    /// What a device whose clock runs at `rate` makes of an interval.
    pub(crate) fn timed_by(&self, rate: f64) -> f64 {
        match self {
            Self::Body(_) => rate,
            Self::Tape(..) => 1.0,
        }
    }
}

impl Iterator for Beats {
    type Item = Beat;

    fn next(&mut self) -> Option<Beat> {
        match self {
            Self::Body(heart) => heart.next(),
            Self::Tape(tape, index) => {
                *index += 1;
                tape.beats.get(*index - 1).copied()
            }
        }
    }
}

/// The skin of a source.
#[derive(Debug, Clone)]
pub(crate) enum Conductance {
    Body(Box<Skin>),
    Tape(Arc<Tape>),
}

impl Conductance {
    /// Microsiemens at `at_s`, which does not go back; the latest sample of a recording. `None`
    /// after the end of a recording.
    pub(crate) fn microsiemens_at(&mut self, at_s: f64) -> Option<f64> {
        match self {
            Self::Body(skin) => Some(skin.microsiemens_at(at_s)),
            // A device sample that falls on a tape sample is that one, whatever the rounding.
            Self::Tape(tape) => {
                let index = (at_s * tape.eda_hz + TAPE_ROUNDING).floor() as usize;
                tape.eda_microsiemens.get(index).copied()
            }
        }
    }
}

/// A thousandth of a sample of a tape: more than a nanosecond at any rate.
const TAPE_ROUNDING: f64 = 1e-3;

/// A recording, on the time line of its session (0 = its start). Any of its parts may be empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Tape {
    /// Samples a second of `eda_microsiemens`: 1 to 1024. A rate that divides 32,768 is played
    /// exactly; any other at the nearest whole number of device ticks a sample.
    pub eda_hz: f64,
    /// Skin conductance; sample `k` belongs to `k / eda_hz` seconds. A value that no device can
    /// send (not finite, negative, over its range) is sent as "no reading".
    pub eda_microsiemens: Vec<f64>,
    /// Heart beats in order of time. They need not be contiguous.
    pub beats: Vec<Beat>,
}

/// Why a tape cannot be played.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum TapeError {
    /// The sampling rate cannot be expressed in device ticks.
    #[error("the tape's EDA rate is {hz} Hz: it must be {MIN_EDA_HZ} to {MAX_EDA_HZ} Hz")]
    Rate {
        /// The rate.
        hz: f64,
    },
    /// A beat before the start, or not a time.
    #[error(
        "beat {index} of the tape is at {at_s} s: times are finite, from 0, and do not go back"
    )]
    BeatTime {
        /// Which beat, from 0.
        index: usize,
        /// Its time.
        at_s: f64,
    },
    /// An interval that the payload cannot carry.
    #[error(
        "beat {index} of the tape has an RR interval of {rr_s} s: it must be over 0, below 64 s"
    )]
    Interval {
        /// Which beat, from 0.
        index: usize,
        /// Its interval.
        rr_s: f64,
    },
}

/// Slowest EDA rate: 32,768 ticks a sample, which the profile's 16 bits hold.
pub const MIN_EDA_HZ: f64 = 1.0;
/// Fastest EDA rate: 32 ticks a sample.
pub const MAX_EDA_HZ: f64 = 1024.0;
/// RR intervals are 16 bits of 1/1024 s.
const MAX_RR_S: f64 = 64.0 - 1.0 / 1024.0;

impl Tape {
    /// Whether the tape can be played.
    ///
    /// # Errors
    /// [`TapeError`] names the first value that cannot.
    pub fn check(&self) -> Result<(), TapeError> {
        let rate_ok = (MIN_EDA_HZ..=MAX_EDA_HZ).contains(&self.eda_hz);
        if !rate_ok && !self.eda_microsiemens.is_empty() {
            return Err(TapeError::Rate { hz: self.eda_hz });
        }
        let mut last_s = 0.0;
        for (index, Beat { at_s, rr_s }) in self.beats.iter().copied().enumerate() {
            if !at_s.is_finite() || at_s < last_s {
                return Err(TapeError::BeatTime { index, at_s });
            }
            if !(rr_s > 0.0 && rr_s <= MAX_RR_S) {
                return Err(TapeError::Interval { index, rr_s });
            }
            last_s = at_s;
        }
        Ok(())
    }
}

impl From<Session> for Tape {
    fn from(session: Session) -> Self {
        Self {
            eda_hz: session.eda_hz,
            eda_microsiemens: session.eda_microsiemens,
            beats: session.beats,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(eda_hz: f64, beats: &[(f64, f64)], expected: Result<(), &str>) {
        let beats = beats.iter().map(|&(at_s, rr_s)| Beat { at_s, rr_s }).collect();
        let result = Tape { eda_hz, eda_microsiemens: vec![f64::NAN], beats }.check();
        match (result.map_err(|e| e.to_string()), expected) {
            (Ok(()), Ok(())) => {}
            (Err(message), Err(says)) if message.contains(says) => {}
            (result, expected) => panic!("{result:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn errors_name_the_value() {
        check(4.0, &[(1.0, 0.8), (1.0, 0.8)], Ok(()));
        check(0.1, &[], Err("EDA rate is 0.1 Hz"));
        check(f64::NAN, &[], Err("EDA rate is NaN Hz"));
        check(4.0, &[(2.0, 0.8), (1.0, 0.8)], Err("beat 1 of the tape is at 1 s"));
        check(4.0, &[(-1.0, 0.8)], Err("beat 0 of the tape is at -1 s"));
        check(4.0, &[(1.0, 0.0)], Err("RR interval of 0 s"));
        check(4.0, &[(1.0, 64.0)], Err("RR interval of 64 s"));
    }
}
