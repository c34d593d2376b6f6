//! How a predictor fares on the latest rows, which nothing else has seen.

use super::{
    Row, TrainingSet,
    calibrate::mean,
    cold::{alone, newcomers},
    kind::{self, shares},
    slices::Slices,
};
use crate::metrics::Metrics;
use models::conversion::{KindModel, LnAmount, Parts};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model's id.
    pub model: String,
    /// Rows that were fitted, calibrated and judged on.
    pub rows: [usize; 3],
    /// Share of the judged rows that converted.
    pub converted: f64,
    /// Trees of the forest.
    pub trees: usize,
    /// Share of the judged rows that the customer base speaks for.
    pub cold_start: f64,
    /// The predictor's scores.
    pub probability: Scores,
    /// The same of one probability for all: the share among the fitted rows.
    pub base_rate: Scores,
    /// The same of the customer base alone.
    pub customer_base: Scores,
    /// Types of conversions.
    pub kind: KindReport,
    /// Values; `None` where nothing had one.
    pub value: Option<ValueReport>,
}

/// Scores of probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// Area under the ROC curve; `None` where all or nobody converted.
    pub auc: Option<f64>,
    /// Mean -ln of what was given to what came.
    pub log_loss: f64,
    /// Expected calibration error, 10 bins.
    pub ece10: f64,
}

/// Scores of types, over conversions whose type is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KindReport {
    /// Whether features tell types.
    pub by_features: bool,
    /// Mean -ln of what was given to the type that came.
    pub log_loss: f64,
    /// The same of the shares among the fitted rows.
    pub shares_log_loss: f64,
}

/// Scores of values, over conversions that have one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ValueReport {
    /// Whether features tell values.
    pub by_features: bool,
    /// Share that lay within the interval that is meant to hold 80 %.
    pub within_interval: f64,
    /// All that was expected over all that came.
    pub expected_over_actual: f64,
    /// Mean absolute error of the expectation, minor units.
    pub mae_minor: f64,
}

impl Report {
    /// The scores that a model's lineage keeps.
    pub(super) fn scores(&self) -> BTreeMap<String, f64> {
        let mut scores = BTreeMap::new();
        for (name, of) in [
            ("", &self.probability),
            ("base_rate_", &self.base_rate),
            ("customer_base_", &self.customer_base),
        ] {
            scores.extend(of.auc.map(|auc| (format!("{name}auc"), auc)));
            scores.insert(format!("{name}log_loss"), of.log_loss);
            scores.insert(format!("{name}ece10"), of.ece10);
        }
        scores
    }
}

/// Judges parts that are not yet put together.
pub(super) fn judge(set: &TrainingSet, slices: &Slices, parts: &Parts) -> Report {
    let weeks = f64::from(parts.horizon_days) / 7.0;
    let rows = || slices.judge.iter().map(|index| (set.features(*index), &set.rows()[*index]));
    let came = |row: &Row| f64::from(row.label());
    let base_rate = mean(slices.fit.iter().map(|index| came(&set.rows()[*index])));
    let cold = |row: &Row| parts.cold_start.probability(row.history.as_ref(), weeks);
    let said = |features: &[f32], row: &Row| {
        cold(row).unwrap_or_else(|| parts.calibration.probability(parts.forest.score(features)))
    };
    let without_history = newcomers(set, &slices.fit).unwrap_or(base_rate);
    let scored = |by: &dyn Fn(&[f32], &Row) -> f64| {
        let (said, labels): (Vec<f64>, Vec<f32>) =
            rows().map(|(features, row)| (by(features, row), row.label())).unzip();
        let metrics = Metrics::of(&said, &labels);
        Scores {
            auc: Some(metrics.auc).filter(|auc| auc.is_finite()),
            log_loss: metrics.log_loss,
            ece10: metrics.ece10,
        }
    };
    Report {
        model: String::new(),
        rows: [slices.fit.len(), slices.calibrate.len(), slices.judge.len()],
        converted: mean(rows().map(|(_, row)| came(row))),
        trees: parts.forest.trees().len(),
        cold_start: mean(rows().map(|(_, row)| f64::from(u8::from(cold(row).is_some())))),
        probability: scored(&said),
        base_rate: scored(&|_, _| base_rate),
        customer_base: scored(&|_, row| alone(&parts.cold_start, without_history, row, weeks)),
        kind: kind_report(set, slices, parts),
        value: value_report(set, slices, parts),
    }
}

fn kind_report(set: &TrainingSet, slices: &Slices, parts: &Parts) -> KindReport {
    let known = slices.fit.iter().filter_map(|index| Some((*index, set.rows()[*index].kind?)));
    let shares = KindModel::Shares(shares(&known.collect::<Vec<_>>(), parts.kinds.len()));
    KindReport {
        by_features: matches!(parts.kind, KindModel::Forest(_)),
        log_loss: kind::log_loss(&parts.kind, set, &slices.judge),
        shares_log_loss: kind::log_loss(&shares, set, &slices.judge),
    }
}

fn value_report(set: &TrainingSet, slices: &Slices, parts: &Parts) -> Option<ValueReport> {
    let model = parts.value.as_ref()?;
    let judged: Vec<(f64, f64, bool)> = slices
        .judge
        .iter()
        .filter_map(|index| {
            let came = set.rows()[*index].value_minor? as f64;
            let features = set.features(*index);
            let worth = model.worth(features, &parts.kind.probabilities(features));
            let (low, high) = worth.interval();
            Some((worth.mean(), came, (low..=high).contains(&came)))
        })
        .collect();
    if judged.is_empty() {
        return None;
    }
    let total = |pick: fn(&(f64, f64, bool)) -> f64| judged.iter().map(pick).sum::<f64>();
    Some(ValueReport {
        by_features: matches!(model.ln_amount, LnAmount::Forest(_)),
        within_interval: mean(judged.iter().map(|(_, _, within)| f64::from(u8::from(*within)))),
        expected_over_actual: total(|j| j.0) / total(|j| j.1).abs().max(1.0),
        mae_minor: mean(judged.iter().map(|(said, came, _)| (said - came).abs())),
    })
}
