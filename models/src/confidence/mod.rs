//! How sure a proposal must be, so that no more than a wanted share of them is wrong.
//!
//! An operator names the share ([`Wanted`], 10 % by default). Of a completed cut, a day whose
//! predictions have all come true or not, [`learn_then_test`] finds the threshold that supports it
//! even if the cut was lucky; [`Adaptive`] corrects by what proposals came to since, though that is
//! known only days later; [`Gate`] looks whether the cut still tells of today. [`Level::decide`]
//! takes the strictest of all, and says in words which it is and why.
//!
//! **What this does not do.** The share holds on average and as far as tomorrow is like yesterday.
//! In single periods it is exceeded; then [`Realised`] shows it. Where the data cannot support the
//! share, the level is [`State::SuggestionsOnly`]: shown on the page, but no order is prepared and
//! nobody is notified.

mod adaptive;
mod gate;
mod level;
mod tested;

#[cfg(test)]
mod tests;

pub use adaptive::{Adaptive, Period};
pub use gate::{Gate, Moved};
pub use level::{Level, State, Why};
pub use tested::{Tested, learn_then_test};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Thresholds that are considered, in hundredths, from the strictest: fixed before any label is
/// seen, as fixed-sequence testing demands.
const STRICTEST: u32 = 99;
/// The loosest: below, a proposal would rather be wrong than right.
const LOOSEST: u32 = 50;

/// What is less likely is never proposed, and says nothing about a threshold.
pub const LOOSEST_PROBABILITY: f64 = LOOSEST as f64 / 100.0;

/// Why a wish cannot be met by any threshold.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum WantedError {
    /// A share that is none, or leaves nothing to do.
    #[error("the {name} is {value}: give a share above 0 and below 1, such as 0.1")]
    Share {
        /// Which.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// No row is not evidence.
    #[error("at least one completed prediction is needed to judge by, not 0")]
    Rows,
}

/// What an operator wants of proposals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Wanted {
    wrong_share: f64,
    doubt: f64,
    least_rows: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    wrong_share: f64,
    doubt: f64,
    least_rows: u64,
}

impl Wanted {
    /// At most this share of the proposals wrong; probability that a cut misleads so far that the
    /// threshold learned of it does not hold; fewest predictions above a threshold to judge it by.
    ///
    /// # Errors
    /// [`WantedError`]: no shares, or no rows.
    pub fn new(wrong_share: f64, doubt: f64, least_rows: u64) -> Result<Self, WantedError> {
        for (name, value) in [("share of wrong proposals", wrong_share), ("doubt", doubt)] {
            if !(value > 0.0 && value < 1.0) {
                return Err(WantedError::Share { name, value });
            }
        }
        if least_rows == 0 {
            return Err(WantedError::Rows);
        }
        Ok(Self { wrong_share, doubt, least_rows })
    }

    /// The share of proposals that may be wrong.
    #[must_use]
    pub fn wrong_share(&self) -> f64 {
        self.wrong_share
    }

    /// Probability that a cut misleads.
    #[must_use]
    pub fn doubt(&self) -> f64 {
        self.doubt
    }

    /// Fewest predictions that a threshold is judged by.
    #[must_use]
    pub fn least_rows(&self) -> u64 {
        self.least_rows
    }
}

impl Default for Wanted {
    /// At most 10 % wrong, misled once in ten, judged by at least 100: with fewer, a lucky run
    /// decides.
    fn default() -> Self {
        Self { wrong_share: 0.1, doubt: 0.1, least_rows: 100 }
    }
}

impl TryFrom<Stored> for Wanted {
    type Error = WantedError;

    fn try_from(stored: Stored) -> Result<Self, WantedError> {
        Self::new(stored.wrong_share, stored.doubt, stored.least_rows)
    }
}

impl From<Wanted> for Stored {
    fn from(wanted: Wanted) -> Self {
        let Wanted { wrong_share, doubt, least_rows } = wanted;
        Self { wrong_share, doubt, least_rows }
    }
}

/// A prediction of a completed cut: what was said, before it was known, and what came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The calibrated probability, 0 to 1. What is no number is never proposed.
    pub probability: f64,
    /// Whether it came true.
    pub came: bool,
}

/// What came of proposals, to be shown always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Realised {
    /// Predictions, proposed or not.
    pub predictions: u64,
    /// Of these proposed.
    pub proposals: u64,
    /// Of these wrong.
    pub wrong: u64,
}

impl Realised {
    /// What would have come of proposals at a threshold and above.
    #[must_use]
    pub fn at(threshold: f64, rows: &[Judged]) -> Self {
        let mut all = Self { predictions: rows.len() as u64, ..Self::default() };
        for row in rows.iter().filter(|row| row.probability >= threshold) {
            all.proposals += 1;
            all.wrong += u64::from(!row.came);
        }
        all
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.predictions = self.predictions.saturating_add(other.predictions);
        self.proposals = self.proposals.saturating_add(other.proposals);
        self.wrong = self.wrong.saturating_add(other.wrong);
    }

    /// Share of the proposals that were wrong; `None` without any.
    #[must_use]
    pub fn wrong_share(&self) -> Option<f64> {
        (self.proposals > 0).then(|| (self.wrong as f64 / self.proposals as f64).min(1.0))
    }

    /// Share of the predictions that were proposed; `None` without any.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        (self.predictions > 0).then(|| self.proposals as f64 / self.predictions as f64)
    }
}

/// Thresholds from the strictest to the loosest, with what came at each and above.
fn ladder(rows: &[Judged]) -> impl Iterator<Item = (f64, Realised)> {
    let steps = (STRICTEST - LOOSEST + 1) as usize;
    let threshold = |step: usize| f64::from(STRICTEST - step as u32) / 100.0;
    // Each row belongs to the first step that it reaches.
    let mut reached = vec![Realised::default(); steps];
    for row in rows {
        if let Some(step) = (0..steps).find(|step| row.probability >= threshold(*step)) {
            reached[step].proposals += 1;
            reached[step].wrong += u64::from(!row.came);
        }
    }
    let mut above = Realised { predictions: rows.len() as u64, ..Realised::default() };
    reached.into_iter().enumerate().map(move |(step, own)| {
        above.add(&own);
        (threshold(step), above)
    })
}
