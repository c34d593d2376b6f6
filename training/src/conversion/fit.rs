//! Fitting a predictor, in time order.

use super::{
    Report, RowError, TrainingSet,
    calibrate::{calibrator, log_loss},
    cold::cold_start,
    kind::kind_model,
    report::judge,
    slices::Slices,
    worth::value_model,
};
use crate::{
    boosting::{self, Matrix},
    calibrate::Method,
    customer_base,
};
use models::{
    booster::{Forest, Objective},
    conversion::{Lineage, Parts, Predictor, PredictorError},
};
use std::collections::BTreeMap;
use thiserror::Error;

/// How to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Of the forests; their objective is set by what each predicts.
    pub boosting: boosting::Settings,
}

impl Settings {
    /// The defaults of [`boosting::Settings`], with a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let mut boosting = boosting::Settings::new(Objective::Binary);
        boosting.seed = seed;
        Self { boosting }
    }
}

/// Why there is no predictor.
#[derive(Debug, Error)]
pub enum TrainError {
    /// Too little time.
    #[error(
        "{found} cuts: three are needed that are {horizon_days} days apart, to learn from the \
         first, calibrate on the second and judge on the last; wait, or cut more often"
    )]
    Cuts {
        /// Different cuts in the rows.
        found: usize,
        /// How far labels look ahead.
        horizon_days: u16,
    },
    /// Too few of one outcome.
    #[error(
        "{came} of {rows} rows to learn from converted: {FEWEST} that did and {FEWEST} that did \
         not are needed"
    )]
    Few {
        /// Conversions.
        came: usize,
        /// Rows.
        rows: usize,
    },
    /// A row does not fit the schema.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A forest could not be fitted.
    #[error(transparent)]
    Boosting(#[from] boosting::FitError),
    /// The customer base could not be fitted.
    #[error(transparent)]
    CustomerBase(#[from] customer_base::FitError),
    /// An optimiser gave up.
    #[error("a calibration could not be fitted: {0}")]
    Optimiser(String),
    /// What was fitted is no predictor: the schema's names or phrases are at fault.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
}

impl TrainError {
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(super) fn optimiser(error: argmin::core::Error) -> Self {
        Self::Optimiser(error.to_string())
    }
}

/// Fewest conversions, and fewest rows without, that are learned from.
const FEWEST: usize = 20;
/// Shares of the trees of which the best is kept: fewer where more only learned by heart.
const KEPT: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 1.0];

/// Fits on the oldest cuts, calibrates and chooses on later ones, judges on the latest. The same
/// rows and settings give the same predictor, byte for byte, in whatever order the rows came.
///
/// # Errors
/// [`TrainError`]: too little time or too few conversions to learn from.
pub fn fit(set: &TrainingSet, settings: &Settings) -> Result<(Predictor, Report), TrainError> {
    let slices = Slices::of(set)?;
    let Slices { fit, calibrate, .. } = &slices;
    let came = fit.iter().filter(|index| set.rows()[**index].converted).count();
    if came < FEWEST || fit.len() - came < FEWEST {
        return Err(TrainError::Few { came, rows: fit.len() });
    }
    let boosting = settings.boosting;
    let binary = boosting::Settings { objective: Objective::Binary, ..boosting };
    let labels: Vec<f32> = fit.iter().map(|index| set.rows()[*index].label()).collect();
    let whole = boosting::fit(&set.matrix(fit.iter().copied())?, &labels, &binary)?;
    let forest = pruned(&whole, set, calibrate)?;
    let scores: Vec<f64> =
        calibrate.iter().map(|index| forest.score(set.features(*index))).collect();
    let calibration = calibrator(set, calibrate, &scores);
    let told: Vec<f64> = scores.iter().map(|score| calibration.probability(*score)).collect();
    let kind = kind_model(set, fit, calibrate, &boosting)?;
    let schema = set.schema();
    let mut parts = Parts {
        format: Predictor::FORMAT,
        features: schema.features.clone(),
        definitions: schema.definitions,
        horizon_days: schema.horizon_days,
        kinds: schema.kinds.clone(),
        currency: schema.currency,
        forest,
        calibration,
        value: value_model(set, &kind, fit, calibrate, &boosting)?,
        kind,
        cold_start: cold_start(set, fit, calibrate, &told)?,
        lineage: lineage(set, &slices, settings),
    };
    let mut report = judge(set, &slices, &parts);
    parts.lineage.scores = report.scores();
    let predictor = Predictor::new(parts)?;
    report.model = predictor.id().to_owned();
    Ok((predictor, report))
}

/// The first trees of a forest, as many as are best on rows it has not seen.
fn pruned(whole: &Forest, set: &TrainingSet, later: &[usize]) -> Result<Forest, TrainError> {
    let trees = whole.trees();
    let base = whole.base().to_vec();
    let labels: Vec<f32> = later.iter().map(|index| set.rows()[*index].label()).collect();
    let mut best: Option<(f64, Forest)> = None;
    for share in KEPT {
        let kept = (trees.len() as f64 * share).ceil() as usize;
        let forest =
            Forest::new(Objective::Binary, whole.features(), base.clone(), trees[..kept].to_vec())
                .map_err(boosting::FitError::from)?;
        let scores: Vec<f64> =
            later.iter().map(|index| forest.score(set.features(*index))).collect();
        let calibration = Method::Platt.fit(&scores, &labels);
        let loss = log_loss(&scores, &labels, |score| calibration.probability(score));
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            best = Some((loss, forest));
        }
    }
    Ok(best.map_or_else(|| whole.clone(), |(_, forest)| forest))
}

fn lineage(set: &TrainingSet, slices: &Slices, settings: &Settings) -> Lineage {
    let cut = |index: Option<&usize>| index.map_or(0, |index| set.rows()[*index].cut_unix_ms);
    Lineage {
        from_unix_ms: cut(slices.fit.first()),
        until_unix_ms: cut(slices.judge.last()),
        fitted_rows: slices.fit.len() as u64,
        calibrated_rows: slices.calibrate.len() as u64,
        judged_rows: slices.judge.len() as u64,
        seed: settings.boosting.seed,
        scores: BTreeMap::new(),
    }
}

impl TrainingSet {
    /// Some rows' features.
    pub(super) fn matrix(
        &self,
        rows: impl IntoIterator<Item = usize>,
    ) -> Result<Matrix, boosting::FitError> {
        let values = rows.into_iter().flat_map(|index| self.features(index)).copied().collect();
        Matrix::new(values, self.schema().features.len())
    }
}
