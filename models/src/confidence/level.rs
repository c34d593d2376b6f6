//! The level that holds now, and why.

use super::{Adaptive, Gate, Judged, Moved, Realised, Tested, Wanted, learn_then_test};
use serde::Serialize;
use std::fmt;

/// The threshold of [`Gate::Strict`] at least: a tenth wrong, if probabilities are right.
const VERY_SURE: f64 = 0.9;

/// Whether orders are proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// From a threshold on that the data support.
    Held,
    /// Only what is very sure, because predictions have moved.
    Strict,
    /// Nothing is proposed: suggestions are shown on the page, no order is prepared, nobody is
    /// notified.
    SuggestionsOnly,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The loosest threshold that passed all tests on the newest completed cut.
    Tested,
    /// Late labels ask for more than the tests do.
    Adapted,
    /// Predictions moved between the two newest completed cuts.
    Moved,
    /// Too few predictions of the newest completed cut are sure enough to be judged.
    TooFew,
    /// So many of the surest ones were wrong that the wanted share cannot be supported.
    Unsupported,
    /// More was wrong lately than wanted: nothing is proposed until that is made up for.
    Pausing,
}

/// From which probability on orders are proposed now.
///
/// # Examples
/// ```
/// use models::confidence::{Adaptive, Judged, Level, Moved, State, Wanted};
///
/// let wanted = Wanted::default();
/// let cut: Vec<Judged> =
///     (0..1_000).map(|n| Judged { probability: 0.95, came: n % 20 != 0 }).collect();
/// let moved = Moved::between(&cut, &cut);
/// let level = Level::decide(&cut, &moved, &Adaptive::new(&wanted), &wanted);
/// assert_eq!(level.state, State::Held);
/// assert!(level.proposes(0.95) && !level.proposes(0.4));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Level {
    /// What it does.
    pub state: State,
    /// What decided that.
    pub why: Why,
    /// Proposed is what is at least so likely; `None` where nothing is.
    pub threshold: Option<f64>,
    /// The wrong share that is wanted at most.
    pub wanted_wrong_share: f64,
    /// What the newest completed cut supports.
    pub tested: Tested,
    /// The wrong share that late labels make it aim at.
    pub aim: f64,
    /// What the newest completed cut says to that aim.
    pub adapted_threshold: Option<f64>,
    /// How far the two newest completed cuts are apart.
    pub moved: Moved,
    /// What came of this threshold on the newest completed cut; of suggestions, nothing proposed.
    pub on_newest: Realised,
}

impl Level {
    /// Decides by the newest completed cut, with the calibration that is in use now, and how far it is
    /// from the one before: the stricter of
    /// [`learn_then_test`] and [`Adaptive::threshold`], within what the [`Gate`] allows.
    #[must_use]
    pub fn decide(newest: &[Judged], moved: &Moved, adaptive: &Adaptive, wanted: &Wanted) -> Self {
        let tested = learn_then_test(newest, wanted);
        let adapted = adaptive.threshold(newest, wanted);
        let (threshold, why) = match (tested.threshold, adapted, Gate::of(moved)) {
            (_, _, Gate::Closed) => (None, Why::Moved),
            (None, _, _) if tested.p_value.is_none() => (None, Why::TooFew),
            (None, _, _) => (None, Why::Unsupported),
            (Some(_), None, _) => (None, Why::Pausing),
            (Some(a), Some(b), Gate::Strict) => (Some(a.max(b).max(VERY_SURE)), Why::Moved),
            (Some(a), Some(b), Gate::Open) if b > a => (Some(b), Why::Adapted),
            (Some(a), Some(_), Gate::Open) => (Some(a), Why::Tested),
        };
        let state = match (threshold, why) {
            (None, _) => State::SuggestionsOnly,
            (Some(_), Why::Moved) => State::Strict,
            (Some(_), _) => State::Held,
        };
        let nothing = Realised { predictions: newest.len() as u64, ..Realised::default() };
        Self {
            state,
            why,
            threshold,
            wanted_wrong_share: wanted.wrong_share,
            tested,
            aim: adaptive.aim(),
            adapted_threshold: adapted,
            moved: *moved,
            on_newest: threshold.map_or(nothing, |threshold| Realised::at(threshold, newest)),
        }
    }

    /// Whether a prediction of this probability is proposed.
    #[must_use]
    pub fn proposes(&self, probability: f64) -> bool {
        self.threshold.is_some_and(|threshold| probability >= threshold)
    }
}

/// In plain words, for operators.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let percent = |share: f64| share * 100.0;
        let wanted = percent(self.wanted_wrong_share);
        match self.threshold {
            None => f.write_str("suggestions only: ")?,
            Some(threshold) => write!(f, "proposes from {:.0} % on: ", percent(threshold))?,
        }
        let seen = self.tested.seen;
        let wrong = percent(seen.wrong_share().unwrap_or(0.0));
        match self.why {
            Why::TooFew => write!(
                f,
                "only {} predictions of the newest completed cut reach even {LOOSEST} %, too few \
                 to judge whether at most {wanted:.0} % are wrong",
                seen.proposals,
                LOOSEST = super::LOOSEST,
            ),
            Why::Unsupported => write!(
                f,
                "of the {} surest predictions of the newest completed cut {wrong:.1} % were wrong, \
                 which cannot support at most {wanted:.0} %",
                seen.proposals,
            ),
            Why::Pausing => write!(
                f,
                "more than {wanted:.0} % of the latest proposals were wrong; it goes on when that \
                 is made up for",
            ),
            Why::Moved => write!(
                f,
                "predictions have moved since the cut before (stability index {:.2}, calibration \
                 error {:.3}), so past cuts say little of today",
                self.moved.psi, self.moved.calibration_error,
            ),
            Why::Tested | Why::Adapted => {
                let own = self.on_newest;
                write!(
                    f,
                    "of {} such predictions of the newest completed cut {:.1} % were wrong, at \
                     most {wanted:.0} % are wanted",
                    own.proposals,
                    percent(own.wrong_share().unwrap_or(0.0)),
                )?;
                let adapted = "; stricter than the tests ask, because of what came lately";
                f.write_str(if self.why == Why::Adapted { adapted } else { "" })
            }
        }
    }
}
