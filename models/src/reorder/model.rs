//! The model that runs: two forests, one calibration, and what everybody has in common.

use super::{
    AHEAD, Amounts, Category, FEATURES, Person, Purchase, When, ahead, features, when::MAX_DAYS,
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
    /// The share of the hazards is no share.
    #[error("the share of the hazards is {0}, not 0 to 1: train the model anew")]
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

/// What `training` fits: see [`ReorderModel::when`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ReorderModel {
    horizon_days: u32,
    classifier: Forest,
    hazard: Forest,
    hazard_share: f64,
    calibrator: Calibrator,
    categories: Categories,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    horizon_days: u32,
    classifier: Forest,
    hazard: Forest,
    hazard_share: f64,
    calibrator: Calibrator,
    categories: Categories,
}

impl TryFrom<Stored> for ReorderModel {
    type Error = ReorderError;

    fn try_from(s: Stored) -> Result<Self, ReorderError> {
        let forests = (s.classifier, s.hazard);
        Self::new(s.horizon_days, forests, s.hazard_share, s.calibrator, s.categories)
    }
}

impl From<ReorderModel> for Stored {
    fn from(model: ReorderModel) -> Self {
        let ReorderModel { horizon_days, classifier, hazard, hazard_share, calibrator, categories } =
            model;
        Self { horizon_days, classifier, hazard, hazard_share, calibrator, categories }
    }
}

impl ReorderModel {
    /// Puts a model together. `forests` are the classifier, which tells from [`FEATURES`] values
    /// whether a category is needed within `horizon_days`, and the hazards, which tell from
    /// [`FEATURES`] and [`AHEAD`] values whether a day is the day if none before was.
    /// `hazard_share`, 0 to 1, is the weight of the hazards' log-odds beside the classifier's;
    /// `calibrator` makes a probability of their mean.
    ///
    /// # Errors
    /// [`ReorderError`] says what does not fit together.
    pub fn new(
        horizon_days: u32,
        forests: (Forest, Forest),
        hazard_share: f64,
        calibrator: Calibrator,
        categories: Categories,
    ) -> Result<Self, ReorderError> {
        let (classifier, hazard) = forests;
        if horizon_days == 0 || horizon_days > MAX_DAYS {
            return Err(ReorderError::Horizon(horizon_days as usize));
        }
        for (which, forest, expected) in
            [("classifier", &classifier, FEATURES), ("hazard", &hazard, FEATURES + AHEAD)]
        {
            if forest.objective() != Objective::Binary || forest.features() != expected {
                return Err(ReorderError::Forest { which, expected });
            }
        }
        if !(0.0..=1.0).contains(&hazard_share) {
            return Err(ReorderError::Share(hazard_share));
        }
        Ok(Self { horizon_days, classifier, hazard, hazard_share, calibrator, categories })
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

    /// Weight of the hazards in the probability within the horizon.
    #[must_use]
    pub fn hazard_share(&self) -> f64 {
        self.hazard_share
    }

    /// When the category is needed: for any number of days, also beyond the horizon.
    #[must_use]
    pub fn when(&self, subject: &Subject) -> When {
        self.scored(subject).when(&self.calibrator)
    }

    /// How much is needed: everybody's amounts, updated by the person's.
    #[must_use]
    pub fn amount(&self, subject: &Subject) -> Amounts {
        subject.category.amounts.updated(subject.bought)
    }

    /// The two models' answers before calibration.
    #[must_use]
    pub fn scored(&self, subject: &Subject) -> Scored {
        let Subject { bought, person, category, day } = *subject;
        let mut row = Vec::with_capacity(FEATURES + AHEAD);
        features(bought, person, category, day, &mut row);
        let classified = self.classifier.score(&row);
        let mut rows = Vec::with_capacity(self.horizon_days as usize * (FEATURES + AHEAD));
        for days_ahead in 1..=self.horizon_days {
            rows.extend_from_slice(&row);
            ahead(bought, person, category, day, days_ahead as i32, &mut rows);
        }
        let mut hazards = Vec::new();
        self.hazard.score_rows(&rows, &mut hazards);
        hazards.iter_mut().for_each(|score| *score = sigmoid(*score));
        Scored { classified, hazards, hazard_share: self.hazard_share }
    }
}

/// What both models say of a subject, before calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The classifier's log-odds.
    pub classified: f64,
    /// The hazards of the days ahead, up to the horizon.
    pub hazards: Vec<f64>,
    hazard_share: f64,
}

impl Scored {
    /// Log-odds within the horizon, by the hazards alone.
    #[must_use]
    pub fn by_hazards(&self) -> f64 {
        /// Log-odds that are never left: a probability of 1e-13, as calibration has it.
        const FARTHEST: f64 = crate::calibration::MAX_SCORE;
        // ln(p / (1 - p)) with 1 - p = exp(-L).
        let cumulative: f64 = -self.hazards.iter().map(|hazard| (-hazard).ln_1p()).sum::<f64>();
        let log_odds = cumulative.exp_m1().ln();
        if log_odds.is_nan() { 0.0 } else { log_odds.clamp(-FARTHEST, FARTHEST) }
    }

    /// Log-odds within the horizon, the hazards weighing so much.
    #[must_use]
    pub fn mixed(&self, hazard_share: f64) -> f64 {
        (1.0 - hazard_share) * self.classified + hazard_share * self.by_hazards()
    }

    fn when(&self, calibrator: &Calibrator) -> When {
        let probability = calibrator.probability(self.mixed(self.hazard_share));
        When::spread(probability, &self.hazards)
    }
}
