//! The script of a session: which state the person is in, and from when.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    effect::Effect,
    rng::{Stream, stream},
};

/// What the simulated person is going through. See [`super::Effect`] for what each does to the
/// body, and what of it is assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// At rest, nothing on offer matters.
    Calm,
    /// Drawn to the offer: attention, anticipation.
    Interested,
    /// In conflict about the offer.
    Hesitant,
    /// Under strain.
    Stressed,
}

impl State {
    /// Every state, in declaration order.
    pub const ALL: [Self; 4] = [Self::Calm, Self::Interested, Self::Hesitant, Self::Stressed];

    /// The name scripts and labels use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Interested => "interested",
            Self::Hesitant => "hesitant",
            Self::Stressed => "stressed",
        }
    }
}

/// One line of a script.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The state.
    pub state: State,
    /// How long it lasts, in seconds: 0.1 to 86,400.
    pub duration_s: f64,
}

/// States one after another, once or over and over. After the end of a script that does not
/// repeat, its last state goes on.
///
/// # Examples
/// ```
/// use firmware_sim::physiology::{Script, State};
/// let script = Script::parse(
///     "repeat = true
///      segment = [
///        { state = 'calm', duration_s = 10 },
///        { state = 'stressed', duration_s = 5 },
///      ]",
/// ).unwrap();
/// assert_eq!(script.state_at(12.0), State::Stressed);
/// assert_eq!(script.onsets(26.0).len(), 4);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScriptText")]
pub struct Script {
    repeat: bool,
    #[serde(rename = "segment")]
    segments: Vec<Segment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptText {
    #[serde(default)]
    repeat: bool,
    #[serde(default)]
    segment: Vec<Segment>,
}

/// Why a script cannot be played.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ScriptError {
    /// Not the expected TOML.
    #[error(
        "the script cannot be read: {0}\nwrite segment = [{{ state = \"calm\", duration_s = 10 }}, ...]"
    )]
    Toml(Box<toml::de::Error>),
    /// Nothing to play.
    #[error("the script has no segment: add at least one state with a duration")]
    Empty,
    /// A duration that cannot be.
    #[error(
        "segment {number} lasts {duration_s} s: a duration is {MIN_SEGMENT_S} to {MAX_SEGMENT_S} s"
    )]
    Duration {
        /// Which segment, from 1.
        number: usize,
        /// What it says.
        duration_s: f64,
    },
}

/// Shorter than any bodily response; bounds the work a hostile script can ask for.
const MIN_SEGMENT_S: f64 = 0.1;
/// One day.
const MAX_SEGMENT_S: f64 = 86_400.0;

/// Training sessions start with this much calm, in seconds.
const RANDOM_LEAD_IN_S: std::ops::RangeInclusive<f64> = 10.0..=60.0;
/// States of training sessions last this long, in seconds.
const RANDOM_STATE_S: std::ops::RangeInclusive<f64> = 8.0..=60.0;

impl Script {
    /// A script of `segments`.
    ///
    /// # Errors
    /// [`ScriptError`] when there is no segment or a duration is out of range.
    pub fn new(segments: Vec<Segment>, repeat: bool) -> Result<Self, ScriptError> {
        for (index, segment) in segments.iter().enumerate() {
            let duration_s = segment.duration_s;
            if !(MIN_SEGMENT_S..=MAX_SEGMENT_S).contains(&duration_s) {
                return Err(ScriptError::Duration { number: index + 1, duration_s });
            }
        }
        if segments.is_empty() {
            return Err(ScriptError::Empty);
        }
        Ok(Self { repeat, segments })
    }

    /// Reads a script from TOML: `repeat` (default false) and an array `segment` of
    /// `{ state, duration_s }`.
    ///
    /// # Errors
    /// [`ScriptError`] says where.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let parsed: ScriptText =
            toml::from_str(text).map_err(|error| ScriptError::Toml(Box::new(error)))?;
        Self::try_from(parsed)
    }

    /// The demo's script: 30 seconds show calm and interest; 80 seconds show every state, then it
    /// starts over.
    #[must_use]
    pub fn demo() -> Self {
        let segment = |state, duration_s| Segment { state, duration_s };
        Self {
            repeat: true,
            segments: vec![
                segment(State::Calm, 10.0),
                segment(State::Interested, 20.0),
                segment(State::Calm, 15.0),
                segment(State::Hesitant, 20.0),
                segment(State::Stressed, 15.0),
            ],
        }
    }

    /// A session for training: 10-60 s of calm, then states of 8-60 s at random, no state twice in
    /// a row, until `duration_s` is filled.
    #[must_use]
    pub fn random(seed: u64, duration_s: f64) -> Self {
        let mut rng = stream(seed, Stream::Script);
        let lead_in =
            Segment { state: State::Calm, duration_s: rng.random_range(RANDOM_LEAD_IN_S) };
        let mut end_s = lead_in.duration_s;
        let mut segments = vec![lead_in];
        let mut state = State::Calm;
        while end_s < duration_s {
            let others: Vec<State> = State::ALL.into_iter().filter(|s| *s != state).collect();
            state = others[rng.random_range(0..others.len())];
            let segment = Segment { state, duration_s: rng.random_range(RANDOM_STATE_S) };
            end_s += segment.duration_s;
            segments.push(segment);
        }
        Self { repeat: false, segments }
    }

    /// The states with their begin and end on the session's time line, without end.
    #[must_use]
    pub fn spans(&self) -> Spans {
        Spans { script: self.clone(), index: 0, at_s: 0.0 }
    }

    /// The state at `at_s` seconds; the first one before 0. Walks the script from its start: use
    /// [`Script::spans`] to follow a session.
    #[must_use]
    pub fn state_at(&self, at_s: f64) -> State {
        let last = self.segments[self.segments.len() - 1].state;
        let length_s: f64 = self.segments.iter().map(|s| s.duration_s).sum();
        let mut into_s = if self.repeat { at_s.rem_euclid(length_s) } else { at_s };
        for segment in self.segments.iter() {
            if into_s < segment.duration_s {
                return segment.state;
            }
            into_s -= segment.duration_s;
        }
        last
    }

    /// Onset in seconds and state of everything that begins before `duration_s`.
    #[must_use]
    pub fn onsets(&self, duration_s: f64) -> Vec<(f64, State)> {
        self.spans()
            .take_while(|span| span.onset_s < duration_s)
            .map(|span| (span.onset_s, span.state))
            .collect()
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::demo()
    }
}

impl TryFrom<ScriptText> for Script {
    type Error = ScriptError;

    fn try_from(text: ScriptText) -> Result<Self, ScriptError> {
        Self::new(text.segment, text.repeat)
    }
}

/// One state on the time line of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Begin, in seconds of the session.
    pub onset_s: f64,
    /// End, in seconds of the session; infinite for the last state of a script that does not
    /// repeat.
    pub end_s: f64,
    /// The state.
    pub state: State,
}

/// Iterator over a script's [`Span`]s; see [`Script::spans`].
#[derive(Debug, Clone)]
pub struct Spans {
    script: Script,
    index: usize,
    at_s: f64,
}

impl Iterator for Spans {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let segments = &self.script.segments;
        if self.script.repeat && self.index == segments.len() {
            self.index = 0;
        }
        let segment = segments.get(self.index)?;
        self.index += 1;
        let last = !self.script.repeat && self.index == segments.len();
        let onset_s = self.at_s;
        self.at_s += segment.duration_s;
        let end_s = if last { f64::INFINITY } else { self.at_s };
        Some(Span { onset_s, end_s, state: segment.state })
    }
}

/// Follows what a script does to one person, forward in time.
#[derive(Debug, Clone)]
pub(super) struct Follower {
    spans: Spans,
    responsiveness: f64,
    effect: Effect,
    end_s: f64,
}

impl Follower {
    pub(super) fn new(script: &Script, responsiveness: f64) -> Self {
        let effect = State::Calm.effect();
        Self { spans: script.spans(), responsiveness, effect, end_s: f64::NEG_INFINITY }
    }

    /// The effect at `at_s`, which must not go back.
    pub(super) fn effect_at(&mut self, at_s: f64) -> Effect {
        while at_s >= self.end_s {
            let Some(span) = self.spans.next() else { break };
            self.effect = span.state.effect().scaled(self.responsiveness);
            self.end_s = span.end_s;
        }
        self.effect
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_error(text: &str, says: &str) {
        let message = Script::parse(text).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn errors_say_what_and_where() {
        check_error("", "no segment");
        check_error("segment = [{ state = 'bored', duration_s = 1 }]", "unknown variant `bored`");
        check_error("segment = [{ state = 'calm', duration_s = 0 }]", "segment 1 lasts 0 s");
        check_error("segment = [{ state = 'calm', duration_s = nan }]", "segment 1 lasts NaN s");
        check_error("segment = [{ state = 'calm', seconds = 1 }]", "seconds");
        check_error("repeat = 1", "invalid type");
    }

    #[test]
    fn demo_shows_interest_within_30_s_and_every_state_within_80() {
        let onsets = Script::demo().onsets(80.0);
        assert_eq!(onsets[1], (10.0, State::Interested));
        assert!(State::ALL.iter().all(|s| onsets.iter().any(|(_, state)| state == s)));
        assert_eq!(Script::demo().state_at(81.0), State::Calm);
    }

    #[test]
    fn a_script_that_ends_stays_in_its_last_state() {
        let script = Script::parse("segment = [{ state = 'hesitant', duration_s = 3 }]").unwrap();
        assert_eq!(script.state_at(1e9), State::Hesitant);
        assert_eq!(script.spans().count(), 1);
        assert_eq!(Follower::new(&script, 1.0).effect_at(1e9), State::Hesitant.effect());
    }

    #[test]
    fn random_scripts_lead_in_calm_and_never_repeat_a_state() {
        for seed in 0..50 {
            let onsets = Script::random(seed, 600.0).onsets(600.0);
            assert_eq!(onsets[0], (0.0, State::Calm));
            assert!(onsets.windows(2).all(|w| w[0].1 != w[1].1 && w[1].0 - w[0].0 >= 8.0));
        }
        assert_eq!(Script::random(3, 600.0), Script::random(3, 600.0));
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in "\\PC*") {
            let _ = Script::parse(&text);
        }

        #[test]
        fn follower_agrees_with_state_at(
            durations in prop::collection::vec(0.1..20.0, 1..6), repeat: bool,
        ) {
            let segments = durations.iter().zip(State::ALL.iter().cycle())
                .map(|(d, s)| Segment { state: *s, duration_s: *d }).collect();
            let script = Script::new(segments, repeat).unwrap();
            let mut follower = Follower::new(&script, 1.0);
            for step in 0..200 {
                let at_s = f64::from(step) * 0.731;
                let expected = script.state_at(at_s).effect();
                prop_assert_eq!(follower.effect_at(at_s), expected, "{}", at_s);
            }
        }
    }
}
