//! The models that a predictor is made of.

use crate::{
    booster::Forest,
    calibration::Calibrator,
    customer_base::{CustomerBase, RepeatHistory},
    value::{Spread, Worth},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a conversion would come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KindModel {
    /// As often as each did, whoever it is.
    Shares(Vec<f64>),
    /// By the person's features.
    Forest(Box<Forest>),
}

impl KindModel {
    /// A probability a kind.
    #[must_use]
    pub fn probabilities(&self, features: &[f32]) -> Vec<f64> {
        match self {
            Self::Shares(shares) => shares.clone(),
            Self::Forest(forest) => {
                let mut out = Vec::new();
                forest.predict(features, &mut out);
                out
            }
        }
    }
}

/// What conversions are worth, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueModel {
    /// The share that is worth anything.
    pub positive: f64,
    /// Expectation of ln(minor units).
    pub ln_amount: LnAmount,
    /// About it.
    pub spread: Spread,
}

/// Where ln(minor units) is expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LnAmount {
    /// By the kind of conversion, in their order.
    Kinds(Vec<f64>),
    /// By the person's features.
    Forest(Box<Forest>),
}

impl ValueModel {
    /// What a conversion of this person is worth, if it comes as the kinds say.
    #[must_use]
    pub fn worth(&self, features: &[f32], kinds: &[f64]) -> Worth {
        let ln_amount = match &self.ln_amount {
            LnAmount::Forest(forest) => forest.score(features),
            LnAmount::Kinds(means) => means.iter().zip(kinds).map(|(mean, p)| mean * p).sum(),
        };
        Worth { positive: self.positive, ln_amount, spread: self.spread }
    }
}

/// What is said of people of whom too little is known for the features to count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColdStart {
    /// Repeat purchases; `None` where there were too few to fit one.
    pub base: Option<CustomerBase>,
    /// Of its probability of a purchase within the horizon.
    pub calibration: Calibrator,
    /// Customers are cold until so many weeks after their first purchase; 0 for never.
    pub until_weeks: f64,
    /// The probability of who has not bought yet; `None` where the features tell it better.
    pub newcomers: Option<f64>,
}

impl ColdStart {
    /// The probability of a conversion within the horizon, if this person is a cold one.
    #[must_use]
    pub fn probability(&self, history: Option<&RepeatHistory>, horizon_weeks: f64) -> Option<f64> {
        let Some(history) = history else { return self.newcomers };
        let is_cold = history.plausible().age_weeks < self.until_weeks;
        self.base.filter(|_| is_cold).map(|base| self.of_customer(&base, history, horizon_weeks))
    }

    /// What the customer base alone says of a customer.
    #[must_use]
    pub fn of_customer(&self, base: &CustomerBase, history: &RepeatHistory, weeks: f64) -> f64 {
        self.calibration.probability(log_odds(base.probability_of_purchase(history, weeks)))
    }
}

/// ln(p / (1 - p)), within what any calibration can bring back.
#[must_use]
pub fn log_odds(probability: f64) -> f64 {
    const MOST: f64 = 30.0;
    let p = if probability.is_nan() { 0.5 } else { probability.clamp(0.0, 1.0) };
    (p / (1.0 - p)).ln().clamp(-MOST, MOST)
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The oldest cut it learned from, Unix milliseconds.
    pub from_unix_ms: i64,
    /// The newest cut it was judged on, Unix milliseconds.
    pub until_unix_ms: i64,
    /// Rows the forests were fitted on: the oldest cuts.
    pub fitted_rows: u64,
    /// Rows that probabilities were calibrated on, and choices made: later cuts.
    pub calibrated_rows: u64,
    /// Rows it was judged on: the latest cuts, used for nothing else.
    pub judged_rows: u64,
    /// Of everything random.
    pub seed: u64,
    /// How it fared on the rows it was judged on, by name.
    pub scores: BTreeMap<String, f64>,
}
