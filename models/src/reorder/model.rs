//! The model that runs: a forest and a regression for how likely, a forest for which day, one
//! calibration, and what everybody has in common.

use super::{
    AHEAD, Amounts, Category, FEATURES, LogLinear, Person, Purchase, When, ahead, features,
    when::MAX_DAYS,
};
use crate::{
    booster::{Forest, Objective, sigmoid},
    calibration::Calibrator,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a reorder model cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ReorderError {
    /// A horizon that nothing can be said for.
    #[error("a horizon of {0} days: 1 to {MAX_DAYS} are possible")]
    Horizon(usize),
    /// A forest that asks for other values than there are.
    #[error("the {which} is no yes-or-no forest of {expected} values: train the model anew")]
    Forest {
        /// Which of the two.
        which: &'static str,
        /// Values of a row.
        expected: usize,
    },
    /// A regression that asks for other values than there are.
    #[error("the regression takes {0} values, not {FEATURES}: train the model anew")]
    Regression(usize),
    /// The share of the regression is no share.
    #[error("the share of the regression is {0}, not 0 to 1: train the model anew")]
    Share(f64),
}

/// Values of every category, as known when the model was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categories {
    /// Of all together: what is known of a category nobody has bought.
    pub overall: Category,
    /// By name.
    pub named: BTreeMap<String, Category>,
}

impl Categories {
    /// A category's values; of one that is not known those of all.
    #[must_use]
    pub fn get(&self, name: &str) -> &Category {
        self.named.get(name).unwrap_or(&self.overall)
    }
}

/// Who and what is asked about: a person's purchases of a category, both at the end of a day.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Purchases up to the end of the day, in the order of days; empty for somebody new.
    pub bought: &'a [Purchase],
    /// The person's visits.
    pub person: &'a Person,
    /// The category.
    pub category: &'a Category,
    /// The day, since 1970-01-01.
    pub day: i32,
}

/// What a model is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Tells from [`FEATURES`] values whether a category is needed within the horizon.
    pub classifier: Forest,
    /// Tells the same from the same.
    pub regression: LogLinear,
    /// Tells from [`FEATURES`] and [`AHEAD`] values whether a day is the day if none before was.
    pub hazard: Forest,
}

/// What `training` fits: see [`ReorderModel::when`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ReorderModel {
    horizon_days: u32,
    parts: Parts,
    regression_share: f64,
    calibrator: Calibrator,
    categories: Categories,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    horizon_days: u32,
    parts: Parts,
    regression_share: f64,
    calibrator: Calibrator,
    categories: Categories,
}

impl TryFrom<Stored> for ReorderModel {
    type Error = ReorderError;

    fn try_from(s: Stored) -> Result<Self, ReorderError> {
        Self::new(s.horizon_days, s.parts, s.regression_share, s.calibrator, s.categories)
    }
}

impl From<ReorderModel> for Stored {
    fn from(model: ReorderModel) -> Self {
        let ReorderModel { horizon_days, parts, regression_share, calibrator, categories } = model;
        Self { horizon_days, parts, regression_share, calibrator, categories }
    }
}

impl ReorderModel {
    /// Puts a model together. `regression_share`, 0 to 1, is the weight of the regression's
    /// log-odds beside the classifier's; `calibrator` makes a probability of their mean, that of
    /// needing a category within `horizon_days`.
    ///
    /// # Errors
    /// [`ReorderError`] says what does not fit together.
    pub fn new(
        horizon_days: u32,
        parts: Parts,
        regression_share: f64,
        calibrator: Calibrator,
        categories: Categories,
    ) -> Result<Self, ReorderError> {
        if horizon_days == 0 || horizon_days > MAX_DAYS {
            return Err(ReorderError::Horizon(horizon_days as usize));
        }
        for (which, forest, expected) in [
            ("classifier", &parts.classifier, FEATURES),
            ("hazard", &parts.hazard, FEATURES + AHEAD),
        ] {
            if forest.objective() != Objective::Binary || forest.features() != expected {
                return Err(ReorderError::Forest { which, expected });
            }
        }
        if parts.regression.features() != FEATURES {
            return Err(ReorderError::Regression(parts.regression.features()));
        }
        if !(0.0..=1.0).contains(&regression_share) {
            return Err(ReorderError::Share(regression_share));
        }
        Ok(Self { horizon_days, parts, regression_share, calibrator, categories })
    }

    /// The horizon that it was fitted for.
    #[must_use]
    pub fn horizon_days(&self) -> u32 {
        self.horizon_days
    }

    /// What everybody has in common.
    #[must_use]
    pub fn categories(&self) -> &Categories {
        &self.categories
    }

    /// Weight of the regression in the probability within the horizon.
    #[must_use]
    pub fn regression_share(&self) -> f64 {
        self.regression_share
    }

    /// The probability that the category is needed within [`ReorderModel::horizon_days`]: what
    /// [`ReorderModel::when`] says of that day, without asking which day. Ask everybody this, and
    /// for days only whom it concerns.
    #[must_use]
    pub fn probability(&self, subject: &Subject) -> f64 {
        self.calibrated(&self.scored(subject))
    }

    /// When the category is needed: for any number of days, also beyond the horizon.
    #[must_use]
    pub fn when(&self, subject: &Subject) -> When {
        let Subject { bought, person, category, day } = *subject;
        let row = row(subject);
        let mut rows = Vec::with_capacity(self.horizon_days as usize * (FEATURES + AHEAD));
        for days_ahead in 1..=self.horizon_days {
            rows.extend_from_slice(&row);
            ahead(bought, person, category, day, days_ahead as i32, &mut rows);
        }
        let mut hazards = Vec::new();
        self.parts.hazard.score_rows(&rows, &mut hazards);
        hazards.iter_mut().for_each(|score| *score = sigmoid(*score));
        When::spread(self.calibrated(&self.scored_row(&row)), &hazards)
    }

    /// How much is needed: everybody's amounts, updated by the person's.
    #[must_use]
    pub fn amount(&self, subject: &Subject) -> Amounts {
        subject.category.amounts.updated(subject.bought)
    }

    /// Both answers to how likely, before calibration.
    #[must_use]
    pub fn scored(&self, subject: &Subject) -> Scored {
        self.scored_row(&row(subject))
    }

    fn scored_row(&self, row: &[f32]) -> Scored {
        let Parts { classifier, regression, .. } = &self.parts;
        Scored { classified: classifier.score(row), regressed: regression.score(row) }
    }

    fn calibrated(&self, scored: &Scored) -> f64 {
        self.calibrator.probability(scored.mixed(self.regression_share))
    }
}

fn row(subject: &Subject) -> Vec<f32> {
    let mut row = Vec::with_capacity(FEATURES);
    features(subject.bought, subject.person, subject.category, subject.day, &mut row);
    row
}

/// Log-odds that a category is needed within the horizon, before calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The classifier's.
    pub classified: f64,
    /// The regression's.
    pub regressed: f64,
}

impl Scored {
    /// Their mean, the regression weighing so much.
    #[must_use]
    pub fn mixed(&self, regression_share: f64) -> f64 {
        (1.0 - regression_share) * self.classified + regression_share * self.regressed
    }
}
