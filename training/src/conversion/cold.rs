//! Whom the customer base tells better than the features do.

use super::{Row, TrainError, TrainingSet};
use crate::{
    calibrate::Method,
    customer_base::{FitError, fit_best},
    metrics::Metrics,
};
use models::{
    calibration::Calibrator,
    conversion::{ColdStart, log_odds},
    customer_base::RepeatHistory,
};
use std::collections::BTreeMap;

/// Weeks of which the best is chosen.
const UNTIL_WEEKS: [f64; 6] = [0.0, 1.0, 2.0, 4.0, 8.0, 13.0];
/// Customers that a customer-base model is fitted on at most: four parameters need no more.
const MOST_CUSTOMERS: usize = 5_000;
/// Newcomers below which their share says nothing.
const FEWEST_NEWCOMERS: usize = 100;

/// Fits the customer base on the older rows, and chooses on the later ones whom it speaks for;
/// `told` are the probabilities that the features give the later rows.
pub(super) fn cold_start(
    set: &TrainingSet,
    fit: &[usize],
    later: &[usize],
    told: &[f64],
) -> Result<ColdStart, TrainError> {
    let weeks = f64::from(set.schema().horizon_days) / 7.0;
    let base = match fit_best(&customers(set, fit)) {
        Ok(fitted) => Some(fitted.model),
        Err(FitError::TooLittle { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let row = |index: &usize| set.rows()[*index];
    let mut cold =
        ColdStart { base, calibration: Calibrator::IDENTITY, until_weeks: 0.0, newcomers: None };
    if let Some(base) = base {
        let of_customer = |row: Row| {
            let p = base.probability_of_purchase(&row.history?, weeks);
            Some((log_odds(p), row.label()))
        };
        let (scores, labels): (Vec<f64>, Vec<f32>) =
            later.iter().map(row).filter_map(of_customer).unzip();
        cold.calibration = Method::Platt.fit(&scores, &labels);
        cold.until_weeks = least(UNTIL_WEEKS, |until_weeks| {
            let candidate = ColdStart { until_weeks, ..cold.clone() };
            loss(&candidate, set, later, told)
        });
    }
    cold.newcomers = newcomers(set, fit).filter(|share| {
        let with = ColdStart { newcomers: Some(*share), ..cold.clone() };
        loss(&with, set, later, told) < loss(&cold, set, later, told)
    });
    Ok(cold)
}

/// What the customer base alone says of a row: who has not bought yet gets the newcomers' share.
pub(super) fn alone(cold: &ColdStart, newcomers: f64, row: &Row, weeks: f64) -> f64 {
    match (&cold.base, &row.history) {
        (Some(base), Some(history)) => cold.of_customer(base, history, weeks),
        _ => newcomers,
    }
}

/// The share of people without a purchase who convert; `None` where there were hardly any.
pub(super) fn newcomers(set: &TrainingSet, fit: &[usize]) -> Option<f64> {
    let rows = fit.iter().map(|index| set.rows()[*index]).filter(|row| row.history.is_none());
    let (count, came) =
        rows.fold((0, 0), |(count, came), row| (count + 1, came + usize::from(row.converted)));
    // Half a row more each, so that never stays possible (Krichevsky & Trofimov 1981).
    (count >= FEWEST_NEWCOMERS).then(|| (came as f64 + 0.5) / (count as f64 + 1.0))
}

/// Each customer's newest history, evenly thinned.
fn customers(set: &TrainingSet, fit: &[usize]) -> Vec<RepeatHistory> {
    let rows = fit.iter().map(|index| &set.rows()[*index]);
    let newest: BTreeMap<u32, RepeatHistory> =
        rows.filter_map(|row| Some((row.person, row.history?))).collect();
    let step = newest.len().div_ceil(MOST_CUSTOMERS).max(1);
    newest.into_values().step_by(step).collect()
}

fn loss(cold: &ColdStart, set: &TrainingSet, later: &[usize], told: &[f64]) -> f64 {
    let weeks = f64::from(set.schema().horizon_days) / 7.0;
    let scored = later.iter().zip(told).map(|(index, told)| {
        let row = &set.rows()[*index];
        (cold.probability(row.history.as_ref(), weeks).unwrap_or(*told), row.label())
    });
    let (probabilities, labels): (Vec<f64>, Vec<f32>) = scored.unzip();
    Metrics::of(&probabilities, &labels).log_loss
}

/// The first of the candidates at which the cost is least.
fn least<const N: usize>(candidates: [f64; N], cost: impl Fn(f64) -> f64) -> f64 {
    let costs = candidates.map(|candidate| (candidate, cost(candidate)));
    costs.into_iter().fold((0.0, f64::INFINITY), |best, c| if c.1 < best.1 { c } else { best }).0
}

#[cfg(test)]
mod tests {
    use super::{super::tests::set, *};

    /// People bought here whatever is known of them; `told` says what the features make of it.
    fn check(told: impl Fn(&Row) -> f64, until_weeks: f64, newcomers: bool) {
        let set = set(800);
        let (fit, later): (Vec<usize>, Vec<usize>) =
            (0..set.rows().len()).partition(|i| set.rows()[*i].cut_unix_ms < 9 * 604_800_000);
        let told: Vec<f64> = later.iter().map(|i| told(&set.rows()[*i])).collect();
        let cold = cold_start(&set, &fit, &later, &told).unwrap();
        assert_eq!((cold.until_weeks, cold.newcomers.is_some()), (until_weeks, newcomers));
        assert!(cold.base.is_some());
    }

    #[test]
    fn it_speaks_for_whom_the_features_tell_worse() {
        check(|row| if row.converted { 0.9 } else { 0.1 }, 0.0, false);
        check(|_| 0.9, 13.0, true);
        let young = |row: &Row| row.history.is_none_or(|h| h.age_weeks < 3.9);
        let wrong_of_young = |row: &Row| if young(row) == row.converted { 0.1 } else { 0.9 };
        check(wrong_of_young, 4.0, true);
    }
}
