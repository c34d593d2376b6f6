//! Why somebody is asked as often as they are, in words.

use super::{Costs, Threshold};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the last answers did to the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Habit {
    /// There are none.
    Unknown,
    /// It is higher than at the beginning.
    Cancels,
    /// It is lower than at the beginning.
    Approves,
    /// It is about where it began.
    Mixed,
}

/// Why the threshold is where it is. The page writes it in the person's language; `Display` is
/// English.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// What the answers did.
    pub habit: Habit,
    /// Answers that are still spoken of, at most [`super::RECENT`].
    pub answers: u32,
    /// How many of them were cancels.
    pub cancels: u32,
    /// How sure the model must be now, 0..=1.
    pub threshold: f64,
    /// How sure it must be for somebody who has not answered yet.
    pub beginning: f64,
}

/// A smaller change than one percent is not one.
const NOTICED: f64 = 0.01;

impl Threshold {
    /// Why the threshold is where it is.
    #[must_use]
    pub fn explain(&self, costs: &Costs) -> Explanation {
        // Under the leading 1 there is a bit for each answer.
        let answers = self.recent.checked_ilog2().unwrap_or(0);
        let cancels = self.recent.count_ones().saturating_sub(1);
        let threshold = self.probability(costs);
        let beginning = Self::new(self.feel).probability(costs);
        let habit = if answers == 0 {
            Habit::Unknown
        } else if threshold > beginning + NOTICED && cancels > 0 {
            Habit::Cancels
        } else if threshold < beginning - NOTICED && cancels < answers {
            Habit::Approves
        } else {
            Habit::Mixed
        };
        Explanation { habit, answers, cancels, threshold, beginning }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, cancels, .. } = *self;
        let percent = (self.threshold * 100.0).round();
        let approvals = answers.saturating_sub(cancels);
        match self.habit {
            Habit::Unknown => {
                write!(f, "you have not answered yet, so I ask when I am {percent} % sure")
            }
            Habit::Cancels => write!(
                f,
                "you cancelled {cancels} of the last {answers}, so I ask only when I am {percent} % \
                 sure"
            ),
            Habit::Approves => write!(
                f,
                "you approved {approvals} of the last {answers}, so I ask when I am {percent} % sure"
            ),
            Habit::Mixed => write!(
                f,
                "you approved {approvals} and cancelled {cancels} of the last {answers}: I ask when \
                 I am {percent} % sure"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: &[bool], expected: &str) {
        let mut threshold = Threshold::default();
        answers.iter().for_each(|&approved| threshold.learn(0.85, approved));
        assert_eq!(threshold.explain(&Costs::default()).to_string(), expected);
    }

    #[test]
    fn it_speaks_of_the_last_answers() {
        check(&[], "you have not answered yet, so I ask when I am 77 % sure");
        check(
            &[false, true, false, false],
            "you cancelled 3 of the last 4, so I ask only when I am 94 % sure",
        );
        check(&[true; 30], "you approved 10 of the last 10, so I ask when I am 31 % sure");
        check(
            &[true, true, true, false],
            "you approved 3 and cancelled 1 of the last 4: I ask when I am 77 % sure",
        );
    }
}
