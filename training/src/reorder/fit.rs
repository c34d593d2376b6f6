//! Fitting: two forests and a regression on earlier cuts, calibrated on the newest completed one,
//! which they were not fitted to; then fitted again with it.

use super::{Ledger, Snapshot, loglinear, rows::Rows, seen::Seen};
use crate::{
    boosting::{self, FitError, Matrix, Settings},
    calibrate::Method,
};
use models::{
    booster::{Forest, ForestError, Objective},
    calibration::Calibrator,
    confidence::{Judged, Moved},
    reorder::{AHEAD, FEATURES, LogLinearError, MAX_DAYS, Parts, ReorderError, ReorderModel},
};
use thiserror::Error;

/// Days of history below which a cut teaches little.
const LEAST_HISTORY_DAYS: i32 = 21;

/// How models are fitted. The default was chosen on Ta-Feng, by cuts whose labels were complete
/// before its test day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// Cuts that are fitted to, at most; the newest completed one, for calibration, comes on top.
    pub cuts: usize,
    /// Days between cuts.
    pub stride_days: i32,
    /// Of the classifier.
    pub classifier: Settings,
    /// Of the hazards.
    pub hazard: Settings,
    /// Of the days without a purchase, one in so many is fitted to; the hazards' log-odds are
    /// corrected by as much.
    pub one_quiet_day_in: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        // Small trees of many rows, drawn towards zero: weeks differ from each other by more than
        // finer trees would tell.
        let settings = Settings {
            rounds: 220,
            leaves: 10,
            learning_rate: 0.04,
            least_rows: 400,
            row_share: 0.6,
            feature_share: 0.4,
            shrinkage: 50.0,
            seed: 1,
            ..Settings::new(Objective::Binary)
        };
        let hazard = Settings { rounds: 160, learning_rate: 0.08, shrinkage: 20.0, ..settings };
        Self { cuts: 8, stride_days: 7, classifier: settings, hazard, one_quiet_day_in: 8 }
    }
}

/// Why there is no model.
#[derive(Debug, Error)]
pub enum ReorderFitError {
    /// Nothing can be said so far ahead, or nothing at all.
    #[error("a horizon of {0} days: 1 to {MAX_DAYS} are possible")]
    Horizon(i32),
    /// Labels are not there yet.
    #[error(
        "no purchase is known after the cutoff, so nothing can be judged: the last is {days} days \
         before it; choose an earlier cutoff"
    )]
    NothingAfter {
        /// From the last purchase to the cutoff.
        days: i32,
    },
    /// Not enough was known by then.
    #[error(
        "{days} days are known up to the cutoff: {needed} are needed, so that what was learned by \
         one day can be calibrated on a later one; choose a later cutoff or a shorter horizon"
    )]
    TooEarly {
        /// From the first purchase to the cutoff.
        days: i32,
        /// At least.
        needed: i32,
    },
    /// Nobody to learn from or to judge.
    #[error("on day {day} since the first purchase, nobody had bought anything {least} times")]
    NoRows {
        /// Which cut.
        day: i32,
        /// Purchases that were asked for.
        least: usize,
    },
    /// Of fitting a forest.
    #[error(transparent)]
    Boosting(#[from] FitError),
    /// What was fitted is no forest.
    #[error(transparent)]
    Forest(#[from] ForestError),
    /// What was fitted is no regression.
    #[error(transparent)]
    Regression(#[from] LogLinearError),
    /// What was fitted is no model.
    #[error(transparent)]
    Model(#[from] ReorderError),
}

/// A model, and what it was calibrated on.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Ready to run.
    pub model: ReorderModel,
    /// Days that all was fitted to in the end, newest first.
    pub cuts: Vec<i32>,
    /// The newest completed cut: the calibration's.
    pub calibrated_on: i32,
    /// What the model says of that cut, and what came.
    pub newest: Vec<Judged>,
    /// How far that cut is from the one before, by the calibration of the one before.
    pub moved: Moved,
    /// Median days to the next purchase among those that came, on the newest cut.
    pub usual_days: u32,
}

/// Fits a model for the end of `day`: nothing after it is looked at. It tells of pairs with at least
/// `least_purchases` days of purchase, and of the next `horizon_days`. All is fitted twice: to cuts
/// before the newest completed one, which it is then calibrated on, and with that calibration once
/// more, the newest cut included. `step` is called after each of twice [`Recipe::cuts`] + 8 steps at
/// most.
///
/// # Errors
/// [`ReorderFitError`]: too little is known by then.
pub fn fit(
    ledger: &Ledger,
    day: i32,
    horizon_days: i32,
    least_purchases: usize,
    recipe: &Recipe,
    mut step: impl FnMut(),
) -> Result<Fitted, ReorderFitError> {
    if !(1..=MAX_DAYS as i32).contains(&horizon_days) {
        return Err(ReorderFitError::Horizon(horizon_days));
    }
    // Whole strides back, so that all cuts and the day itself fall on one weekday.
    let stride = recipe.stride_days.clamp(1, MAX_DAYS as i32);
    let back = (horizon_days + stride - 1) / stride * stride;
    let newest = day.saturating_sub(back);
    let earliest = ledger.first_day.saturating_add(LEAST_HISTORY_DAYS);
    let cuts: Vec<i32> = (1..=i32::try_from(recipe.cuts).unwrap_or(i32::MAX))
        .map_while(|cut| newest.checked_sub(cut.checked_mul(stride)?))
        .take_while(|cut| *cut >= earliest)
        .collect();
    let Some(&before) = cuts.first() else {
        let days = day.saturating_sub(ledger.first_day);
        let needed = LEAST_HISTORY_DAYS.saturating_add(back).saturating_add(stride);
        return Err(ReorderFitError::TooEarly { days, needed });
    };

    let task = Task { ledger, horizon_days, least_purchases, recipe };
    let parts = task.parts(&cuts, &mut step)?;
    let known = Snapshot::at(ledger, day, horizon_days).into_categories();
    let model = |parts, share, calibrator, categories| {
        ReorderModel::new(horizon_days as u32, parts, share, calibrator, categories)
    };
    let raw = model(parts, 0.0, Calibrator::IDENTITY, known.clone())?;
    let seen = Seen::of(&raw, ledger, newest, least_purchases)?;
    step();
    let earlier = Seen::of(&raw, ledger, before, least_purchases)?;
    step();
    let (share, calibrator) = seen.best();
    let then = Method::Platt.fit(&earlier.scores(share), &earlier.labels);
    let moved = Moved::between(&seen.judged(share, &then), &earlier.judged(share, &then));
    let judged = seen.judged(share, &calibrator);

    // Calibrated on the newest cut unseen, the parts then learn of it, too.
    let cuts: Vec<i32> = [newest].into_iter().chain(cuts).take(recipe.cuts).collect();
    let parts = task.parts(&cuts, &mut step)?;
    Ok(Fitted {
        model: model(parts, share, calibrator, known)?,
        calibrated_on: newest,
        moved,
        newest: judged,
        usual_days: seen.usual_days,
        cuts,
    })
}

/// What is to be learned.
struct Task<'a> {
    ledger: &'a Ledger,
    horizon_days: i32,
    least_purchases: usize,
    recipe: &'a Recipe,
}

impl Task<'_> {
    /// The parts of some cuts.
    fn parts(&self, cuts: &[i32], step: &mut impl FnMut()) -> Result<Parts, ReorderFitError> {
        let recipe = self.recipe;
        let mut rows =
            Rows::new(self.ledger, cuts, self.horizon_days, self.least_purchases, recipe);
        for cut in cuts {
            rows.add(*cut)?;
            step();
        }
        let Rows { pairs, pair_labels, days, day_labels, .. } = rows;
        let pairs = Matrix::new(pairs, FEATURES)?;
        let classifier = boosting::fit(&pairs, &pair_labels, &recipe.classifier)?;
        step();
        let regression = loglinear::fit(&pairs, &pair_labels)?;
        step();
        drop(pairs);
        let days = Matrix::new(days, FEATURES + AHEAD)?;
        let sampled = boosting::fit(&days, &day_labels, &recipe.hazard)?;
        step();
        let hazard = undo_sampling(&sampled, recipe.one_quiet_day_in)?;
        Ok(Parts { classifier, regression, hazard })
    }
}

/// Takes back what leaving out quiet days did to the odds of a purchase: all of its log-odds rose by
/// the same (King and Zeng, "Logistic regression in rare events data", 2001, section 4.1).
fn undo_sampling(sampled: &Forest, one_in: u64) -> Result<Forest, ForestError> {
    let raised = (one_in.max(1) as f64).ln();
    let base = sampled.base().iter().map(|base| base - raised).collect();
    Forest::new(Objective::Binary, sampled.features(), base, sampled.trees().to_vec())
}
