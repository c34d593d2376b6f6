//! How sure a prediction must be before this person is asked: learnt from their own answers.
//!
//! A model says that something is needed with probability `p`. Some people cancel more of such
//! proposals than `1 - p`, some less. So P(they approve) = sigmoid(logit p + b), and what is learnt
//! is how much to believe of each `b`:
//! * a grid of [`GRID`] values over [-5, 5], beginning with the normal distribution N(0, 1.5^2);
//! * an explicit answer multiplies each belief with its likelihood, .02 + .96 l: one slip of the
//!   finger in twenty-five rules nothing out;
//! * a fixed share of the belief goes back to the beginning with each answer, and a smaller one with
//!   each time that nothing was asked, so that people may change (fixed share: Herbster and
//!   Warmuth, Machine Learning 32, 1998, section 5).
//!
//! It is right to ask where the expected P(they approve) is at least cost / (cost + value), where a
//! cancelled proposal costs and an approved one is worth something: 7 to 3, so .70. The threshold on
//! `p` is where that is so. Steps up and down by fixed amounts instead never settle: the tests
//! compare the two.
//!
//! Only explicit answers count (`Order::lesson`). That a time ran out is not a no.

mod compact;
mod explain;
#[cfg(test)]
mod simulation;

pub use compact::CompactFault;
pub use explain::{Explanation, Habit};

use compact::Compact;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use thiserror::Error;

/// Values of the offset that are believed in, evenly over [-5, 5].
pub const GRID: usize = 41;
/// The largest offset, logits.
const EDGE: f64 = 5.0;
/// Standard deviation of the offsets of people nobody knows yet, logits.
const PRIOR_SD: f64 = 1.5;
/// Share of answers that say nothing, one half each way.
const SLIP: f64 = 0.04;
/// What goes back to the beginning with each answer.
const SHARE_ANSWER: f64 = 0.02;
/// What goes back to the beginning each time that nothing was asked: the middle of .002 to .01, over
/// which it made no difference.
const SHARE_PASS: f64 = 0.005;
/// A probability is kept this far from 0 and 1, so that its logit is a number.
const LEAST_PROBABILITY: f64 = 1e-9;
/// Halvings of an interval of 42 logits: to within 1e-10.
const HALVINGS: usize = 40;
/// The last answers that an explanation speaks of.
pub const RECENT: u32 = 10;

/// The beginning: what is believed of somebody who has not answered yet.
static PRIOR: LazyLock<[f64; GRID]> = LazyLock::new(|| {
    let density = grid().map(|offset| (-0.5 * (offset / PRIOR_SD).powi(2)).exp());
    let sum: f64 = density.iter().sum();
    density.map(|one| one / sum)
});
/// exp(-b): with it a sigmoid costs a division.
static ODDS: LazyLock<[f64; GRID]> = LazyLock::new(|| grid().map(|offset| (-offset).exp()));

fn grid() -> [f64; GRID] {
    std::array::from_fn(|index| 2.0 * EDGE * index as f64 / (GRID - 1) as f64 - EDGE)
}

/// How the person wants to be asked. It changes what a cancelled proposal costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feel {
    /// Rather once too often: half the cost.
    Eager,
    /// As the operator set it.
    #[default]
    Balanced,
    /// Only when quite sure: twice the cost.
    Careful,
}

impl Feel {
    const fn factor(self) -> f64 {
        match self {
            Self::Eager => 0.5,
            Self::Balanced => 1.0,
            Self::Careful => 2.0,
        }
    }
}

/// What asking costs, and the bounds of every threshold: an operator's choice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Costs {
    /// What a cancelled proposal costs beside what an approved one is worth; above 0.
    pub cancel_to_approval: f64,
    /// Nobody is asked where the model is less sure, 0..=1, however much they approve.
    pub floor: f64,
    /// Everybody is asked where the model is this sure, 0..=1: or nobody could ever show that they
    /// have changed.
    pub ceiling: f64,
}

/// Costs that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CostsFault {
    /// No proportion.
    #[error("cancel_to_approval must be a number from 0.001 to 1000")]
    Cost,
    /// No bounds.
    #[error("floor and ceiling must be probabilities, the floor the lower one")]
    Bounds,
}

impl Default for Costs {
    /// 7 to 3: asks at a probability of .70 that the person approves.
    fn default() -> Self {
        Self { cancel_to_approval: 7.0 / 3.0, floor: 0.30, ceiling: 0.99 }
    }
}

impl Costs {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`CostsFault`] says what to put right.
    pub fn validate(&self) -> Result<(), CostsFault> {
        if !(0.001..=1_000.0).contains(&self.cancel_to_approval) {
            return Err(CostsFault::Cost);
        }
        let probability = |one: f64| (0.0..=1.0).contains(&one);
        if probability(self.floor) && probability(self.ceiling) && self.floor <= self.ceiling {
            Ok(())
        } else {
            Err(CostsFault::Bounds)
        }
    }

    /// The probability of an approval from which on it is right to ask.
    fn worth_asking(&self, feel: Feel) -> f64 {
        let cost = self.cancel_to_approval * feel.factor();
        cost / (cost + 1.0)
    }
}

/// What is known of how a person answers.
///
/// # Examples
/// ```
/// use server::orders::threshold::{Costs, Threshold};
/// let costs = Costs::default();
/// let mut threshold = Threshold::default();
/// let before = threshold.probability(&costs);
/// threshold.learn(0.9, false);
/// assert!(threshold.probability(&costs) > before);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Compact", into = "Compact")]
pub struct Threshold {
    /// Belief in each offset of the grid. Single precision, as it is stored: read back it is the
    /// same.
    beliefs: [f32; GRID],
    /// The last answers, the newest in the lowest bit, 1 = cancelled, under a leading 1.
    recent: u16,
    /// How the person wants to be asked.
    pub feel: Feel,
}

impl Default for Threshold {
    fn default() -> Self {
        Self::new(Feel::default())
    }
}

impl Threshold {
    /// Of somebody who has not answered yet.
    #[must_use]
    pub fn new(feel: Feel) -> Self {
        Self { beliefs: PRIOR.map(|belief| belief as f32), recent: 1, feel }
    }

    /// Forgets every answer. How the person wants to be asked stays.
    pub fn reset(&mut self) {
        *self = Self::new(self.feel);
    }

    /// Learns from an explicit answer to a proposal that the model gave this probability. What is no
    /// probability teaches nothing.
    pub fn learn(&mut self, probability: f64, approved: bool) {
        let Some(odds) = odds_against(probability) else { return };
        let mut beliefs = self.beliefs.map(f64::from);
        for (belief, factor) in beliefs.iter_mut().zip(ODDS.iter()) {
            let accepts = 1.0 / (1.0 + odds * factor);
            let likelihood = if approved { accepts } else { 1.0 - accepts };
            *belief *= SLIP / 2.0 + (1.0 - SLIP) * likelihood;
        }
        self.settle(beliefs, 1.0 - SHARE_ANSWER);
        let full = 1 << RECENT;
        let seen = (self.recent << 1) | u16::from(!approved);
        self.recent = if seen < 2 * full { seen } else { (seen & (full - 1)) | full };
    }

    /// So many times nothing was asked that could have been.
    pub fn pass(&mut self, times: u32) {
        let kept = (1.0 - SHARE_PASS).powf(f64::from(times));
        self.settle(self.beliefs.map(f64::from), kept);
    }

    /// The probability that the person approves a proposal of this probability; 0 for what is none.
    #[must_use]
    pub fn approves(&self, probability: f64) -> f64 {
        odds_against(probability).map_or(0.0, |odds| self.expected(odds))
    }

    /// Whether a proposal of this probability is to be made: it is at least
    /// [`Threshold::probability`], found forty times as fast.
    #[must_use]
    pub fn proposes(&self, probability: f64, costs: &Costs) -> bool {
        let worth_it = || self.approves(probability) >= costs.worth_asking(self.feel);
        probability >= costs.ceiling || (probability >= costs.floor && worth_it())
    }

    /// How sure the model must be, within the operator's bounds. Propose from here on.
    #[must_use]
    pub fn probability(&self, costs: &Costs) -> f64 {
        let worth = costs.worth_asking(self.feel);
        let edge = (1.0 / LEAST_PROBABILITY).ln();
        // The expectation grows with p: halve until the two sides meet.
        let (mut low, mut high) = (-edge, edge);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if self.expected((-middle).exp()) < worth {
                low = middle;
            } else {
                high = middle;
            }
        }
        // Bounds that cannot be are taken as they come, never a panic as in `clamp`.
        (1.0 / (1.0 + (-high).exp())).max(costs.floor).min(costs.ceiling)
    }

    /// The expectation of 1 / (1 + odds exp(-b)).
    fn expected(&self, odds: f64) -> f64 {
        let (mut sum, mut all) = (0.0, 0.0);
        for (belief, factor) in self.beliefs.iter().zip(ODDS.iter()) {
            sum += f64::from(*belief) / (1.0 + odds * factor);
            all += f64::from(*belief);
        }
        sum / all
    }

    /// Takes over beliefs, of which the share `kept` stays and the rest goes back to the beginning.
    fn settle(&mut self, beliefs: [f64; GRID], kept: f64) {
        let sum: f64 = beliefs.iter().sum();
        for (index, belief) in self.beliefs.iter_mut().enumerate() {
            *belief = (kept * beliefs[index] / sum + (1.0 - kept) * PRIOR[index]) as f32;
        }
    }
}

/// (1 - p) / p, kept finite; `None` for what is no probability.
fn odds_against(probability: f64) -> Option<f64> {
    let inside = probability.clamp(LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY);
    (0.0..=1.0).contains(&probability).then(|| (1.0 - inside) / inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(answers: &[bool], feel: Feel) -> f64 {
        let mut threshold = Threshold::new(feel);
        answers.iter().for_each(|&approved| threshold.learn(0.8, approved));
        threshold.probability(&Costs::default())
    }

    #[test]
    fn cancels_raise_it_and_approvals_lower_it() {
        let fresh = after(&[], Feel::Balanced);
        // Nobody is known yet: .70 of an average over people asks for more than .70.
        assert!((0.74..0.79).contains(&fresh), "{fresh}");
        let steps: Vec<f64> = (0..4).map(|n| after(&vec![false; n], Feel::Balanced)).collect();
        assert!(steps.is_sorted_by(|one, next| one < next), "{steps:?}");
        let steps: Vec<f64> = (0..4).map(|n| after(&vec![true; n], Feel::Balanced)).collect();
        assert!(steps.is_sorted_by(|one, next| one > next), "{steps:?}");
    }

    #[test]
    fn the_feel_moves_it() {
        let of = |feel| after(&[true, false], feel);
        assert!(of(Feel::Eager) < of(Feel::Balanced) && of(Feel::Balanced) < of(Feel::Careful));
    }

    #[test]
    fn it_is_where_asking_becomes_worth_it() {
        let mut threshold = Threshold::default();
        threshold.learn(0.8, false);
        threshold.learn(0.9, true);
        let at = threshold.probability(&Costs::default());
        assert!((threshold.approves(at) - 0.70).abs() < 1e-9);
    }

    #[test]
    fn it_keeps_within_its_bounds() {
        assert_eq!(after(&[false; 50], Feel::Careful), 0.99);
        assert_eq!(after(&[true; 50], Feel::Eager), 0.30);
    }

    #[test]
    fn silence_leads_back_to_the_beginning_and_a_reset_at_once() {
        let mut threshold = Threshold::new(Feel::Careful);
        (0..5).for_each(|_| threshold.learn(0.9, false));
        let mut slow = threshold.clone();
        (0..30).for_each(|_| slow.pass(1));
        let mut quick = threshold.clone();
        quick.pass(30);
        let costs = Costs { ceiling: 1.0, ..Costs::default() };
        assert!((slow.probability(&costs) - quick.probability(&costs)).abs() < 1e-4);
        assert!(quick.probability(&costs) < threshold.probability(&costs));
        quick.pass(u32::MAX);
        let fresh = Threshold::new(Feel::Careful).probability(&costs);
        assert!((quick.probability(&costs) - fresh).abs() < 1e-6);
        threshold.reset();
        assert_eq!(threshold, Threshold::new(Feel::Careful));
    }

    #[test]
    fn costs_that_cannot_be_are_named() {
        let fault = |cost, floor, ceiling| {
            Costs { cancel_to_approval: cost, floor, ceiling }.validate().err()
        };
        assert_eq!(Costs::default().validate(), Ok(()));
        assert_eq!(fault(f64::NAN, 0.1, 0.9), Some(CostsFault::Cost));
        assert_eq!(fault(0.0, 0.1, 0.9), Some(CostsFault::Cost));
        assert_eq!(fault(1.0, 0.9, 0.1), Some(CostsFault::Bounds));
        assert_eq!(fault(1.0, f64::NAN, 0.9), Some(CostsFault::Bounds));
    }

    proptest! {
        #[test]
        fn any_numbers_leave_a_threshold(
            answers in prop::collection::vec((any::<f64>(), any::<bool>(), any::<u32>()), 0..50),
            likely in prop::collection::vec((0.0..=1.0, any::<bool>()), 0..50),
            cost in 0.001..=1_000.0, floor in 0.0..=0.5, ceiling in 0.5..=1.0,
        ) {
            let mut threshold = Threshold::default();
            for (probability, approved, times) in answers {
                threshold.learn(probability, approved);
                threshold.pass(times);
            }
            likely.into_iter().for_each(|(probability, yes)| threshold.learn(probability, yes));
            let costs = Costs { cancel_to_approval: cost, floor, ceiling };
            let at = threshold.probability(&costs);
            prop_assert!((floor..=ceiling).contains(&at), "{at}");
            for beside in [at - 1e-6, at + 1e-6] {
                prop_assert_eq!(threshold.proposes(beside, &costs), beside >= at);
            }
            prop_assert!(!threshold.proposes(f64::NAN, &costs));
            let json = serde_json::to_string(&threshold).unwrap();
            prop_assert_eq!(serde_json::from_str::<Threshold>(&json).unwrap(), threshold);
        }

        #[test]
        fn a_surer_model_is_approved_more(
            answers in prop::collection::vec((0.0..=1.0, any::<bool>()), 0..30),
            one in 0.0..=1.0, other in 0.0..=1.0,
        ) {
            let mut threshold = Threshold::default();
            answers.into_iter().for_each(|(probability, yes)| threshold.learn(probability, yes));
            let (low, high) = if one < other { (one, other) } else { (other, one) };
            prop_assert!(threshold.approves(low) <= threshold.approves(high) + 1e-12);
        }
    }
}
