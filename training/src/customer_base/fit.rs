//! Maximum likelihood.

use crate::minimise::minimise;
use models::customer_base::{CustomerBase, Kind, ParameterError, RepeatHistory};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a model could not be fitted.
#[derive(Debug, Error)]
pub enum FitError {
    /// Rates and endings are told from repeats alone.
    #[error(
        "{customers} customers with {repeats} repeat purchases: at least {MOST_FEW} repeats are \
         needed to tell how often and how long people buy; take a longer time"
    )]
    TooLittle {
        /// Customers given.
        customers: usize,
        /// Their repeat purchases together.
        repeats: u64,
    },
    /// The optimiser gave up.
    #[error("{model} could not be fitted: {reason}")]
    Optimiser {
        /// Which model.
        model: &'static str,
        /// Why.
        reason: String,
    },
    /// It ended where no model is.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
}

/// Fewer repeats than parameters times five tell nothing.
const MOST_FEW: u64 = 20;

/// A fitted model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: CustomerBase,
    /// Of all histories.
    pub log_likelihood: f64,
}

/// The model under which these histories are likeliest. The same histories, in any order, give the
/// same model.
///
/// # Errors
/// [`FitError`]: too few repeats to learn from.
pub fn fit(kind: Kind, histories: &[RepeatHistory]) -> Result<Fitted, FitError> {
    let repeats = histories.iter().map(|h| u64::from(h.repeats)).sum();
    if repeats < MOST_FEW {
        return Err(FitError::TooLittle { customers: histories.len(), repeats });
    }
    let grouped = group(histories);
    let negative = |logs: &[f64]| match model(kind, logs) {
        Ok(model) => -grouped.iter().map(|(h, n)| n * model.log_likelihood(h)).sum::<f64>(),
        Err(_) => f64::INFINITY,
    };
    let (logs, least) = minimise(&start(kind, histories), negative)
        .map_err(|e| FitError::Optimiser { model: kind.name(), reason: e.to_string() })?;
    Ok(Fitted { model: model(kind, &logs)?, log_likelihood: -least })
}

/// The likeliest of all models.
///
/// # Errors
/// As [`fit`].
pub fn fit_best(histories: &[RepeatHistory]) -> Result<Fitted, FitError> {
    let [first, rest @ ..] = Kind::ALL;
    rest.into_iter().try_fold(fit(first, histories)?, |best, kind| {
        let other = fit(kind, histories)?;
        Ok(if other.log_likelihood > best.log_likelihood { other } else { best })
    })
}

/// Least and greatest parameter that is searched: beyond, everybody is the same.
const SEARCHED: (f64, f64) = (1e-4, 1e4);

fn model(kind: Kind, logs: &[f64]) -> Result<CustomerBase, ParameterError> {
    let mut parameters = [f64::NAN; 4];
    for (parameter, log) in parameters.iter_mut().zip(logs) {
        let value = log.exp();
        if (SEARCHED.0..=SEARCHED.1).contains(&value) {
            *parameter = value;
        }
    }
    CustomerBase::new(kind, parameters)
}

/// Rates spread widely (a shape of a half) about the mean rate seen, and a leaving that takes about
/// as long as people were watched.
fn start(kind: Kind, histories: &[RepeatHistory]) -> Vec<f64> {
    let plausible = histories.iter().map(|h| h.plausible());
    let (repeats, weeks) = plausible.fold((0.0, 0.0), |(repeats, weeks), h| {
        (repeats + f64::from(h.repeats), weeks + h.age_weeks)
    });
    let people = histories.len().max(1) as f64;
    let shape = 0.5;
    let alpha = (shape * weeks / repeats).clamp(0.01, 1e3);
    let beta = match kind {
        Kind::BgNbd | Kind::MbgNbd => 2.0,
        Kind::ParetoNbd => (shape * weeks / people).clamp(0.01, 1e3),
    };
    [shape, alpha, shape, beta].map(f64::ln).to_vec()
}

/// Equal histories count once, with their number: most customers bought once.
fn group(histories: &[RepeatHistory]) -> Vec<(RepeatHistory, f64)> {
    let mut groups = BTreeMap::new();
    for history in histories.iter().map(|h| h.plausible()) {
        let key = (history.repeats, history.recency_weeks.to_bits(), history.age_weeks.to_bits());
        groups.entry(key).or_insert((history, 0.0)).1 += 1.0;
    }
    groups.into_values().collect()
}
