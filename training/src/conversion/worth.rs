//! What conversions are worth: where, and how widely spread.

use super::{TrainError, TrainingSet, calibrate::mean};
use crate::{
    boosting::{self, Settings},
    minimise::minimise,
};
use models::{
    booster::Objective,
    conversion::{KindModel, LnAmount, ValueModel},
    value::Spread,
};

/// Amounts below which no forest is tried.
const FEWEST: usize = 500;
/// Amounts below which nothing is said at all.
const FEWEST_OF_ALL: usize = 10;

/// A conversion with an amount: which row, and ln(minor units).
type Amount = (usize, f64);

/// Fits on the older rows. Whether features tell amounts, and which distribution fits them, is
/// chosen by the likelihood of later rows that the spread was not fitted on.
pub(super) fn value_model(
    set: &TrainingSet,
    kind: &KindModel,
    fit: &[usize],
    later: &[usize],
    settings: &Settings,
) -> Result<Option<ValueModel>, TrainError> {
    let older = amounts(set, fit);
    if older.len() < FEWEST_OF_ALL {
        return Ok(None);
    }
    let positive = share_of_positive(set, fit);
    let mut places = vec![LnAmount::Kinds(means(set, &older))];
    if older.len() >= FEWEST {
        let rows = set.matrix(older.iter().map(|(index, _)| *index))?;
        let labels: Vec<f32> = older.iter().map(|(_, ln)| *ln as f32).collect();
        let settings = Settings { objective: Objective::Regression, ..*settings };
        let forest = boosting::fit(&rows, &labels, &settings)?;
        places.push(LnAmount::Forest(Box::new(forest)));
    }
    // Later amounts are out of the forest's sample; with too few of them, the older must do.
    let later = amounts(set, later);
    let held_out = if later.len() < FEWEST_OF_ALL { older } else { later };
    let (odd, even): (Vec<Amount>, Vec<Amount>) =
        held_out.iter().partition(|(index, _)| set.rows()[*index].person % 2 == 1);
    let mut best: Option<(f64, ValueModel)> = None;
    for ln_amount in places {
        let expected = |amounts: &[Amount]| -> Vec<(f64, f64)> {
            let at = |(index, ln): &Amount| {
                let features = set.features(*index);
                (placed(&ln_amount, kind, features), *ln)
            };
            amounts.iter().map(at).collect()
        };
        let (odd, even, all) = (expected(&odd), expected(&even), expected(&held_out));
        for family in [Family::Lognormal, Family::Gamma] {
            let spread = family.fit(&odd)?;
            let likelihood = mean(even.iter().map(|(at, ln)| spread.ln_density(*at, *ln)));
            if best.as_ref().is_none_or(|(most, _)| likelihood > *most) {
                let ln_amount = ln_amount.clone();
                let spread = family.fit(&all)?;
                best = Some((likelihood, ValueModel { positive, ln_amount, spread }));
            }
        }
    }
    Ok(best.map(|(_, model)| model))
}

fn placed(ln_amount: &LnAmount, kind: &KindModel, features: &[f32]) -> f64 {
    match ln_amount {
        LnAmount::Forest(forest) => forest.score(features),
        LnAmount::Kinds(means) => {
            means.iter().zip(kind.probabilities(features)).map(|(mean, p)| mean * p).sum()
        }
    }
}

/// How amounts are spread about the expectation of their logarithm.
#[derive(Debug, Clone, Copy)]
enum Family {
    Lognormal,
    Gamma,
}

impl Family {
    /// The likeliest spread; each entry is an expectation and what came, both logarithms.
    fn fit(self, pairs: &[(f64, f64)]) -> Result<Spread, TrainError> {
        match self {
            Self::Lognormal => {
                let square = mean(pairs.iter().map(|(at, ln)| (ln - at).powi(2)));
                let (least, most) = Spread::SIGMA;
                Ok(Spread::Lognormal { sigma: square.sqrt().clamp(least, most) })
            }
            Self::Gamma => {
                let (least, most) = Spread::SHAPE;
                let from = |at: &[f64]| Spread::Gamma { shape: at[0].exp().clamp(least, most) };
                let cost = |at: &[f64]| {
                    -pairs
                        .iter()
                        .map(|(expected, ln)| from(at).ln_density(*expected, *ln))
                        .sum::<f64>()
                };
                let (at, _) = minimise(&[0.0], cost).map_err(TrainError::optimiser)?;
                Ok(from(&at))
            }
        }
    }
}

/// Conversions with an amount above zero.
fn amounts(set: &TrainingSet, rows: &[usize]) -> Vec<Amount> {
    let worth = |index: &usize| {
        let minor = set.rows()[*index].value_minor.filter(|minor| *minor > 0)?;
        Some((*index, (minor as f64).ln()))
    };
    rows.iter().filter_map(worth).collect()
}

/// Of the conversions with a value, those above zero.
fn share_of_positive(set: &TrainingSet, rows: &[usize]) -> f64 {
    let values = || rows.iter().filter_map(|index| set.rows()[*index].value_minor);
    let positive = values().filter(|minor| *minor > 0).count() as f64;
    // Where each has a value, none is expected to be without.
    positive / (values().count() as f64).max(1.0)
}

/// Mean ln(amount) of each kind, drawn towards the mean of all as if by ten more amounts.
fn means(set: &TrainingSet, amounts: &[Amount]) -> Vec<f64> {
    const PRIOR: f64 = 10.0;
    let overall = mean(amounts.iter().map(|(_, ln)| *ln));
    let kinds = set.schema().kinds.len();
    let mut sums = vec![(PRIOR * overall, PRIOR); kinds];
    for (index, ln) in amounts {
        let kind = set.rows()[*index].kind.map(usize::from);
        if let Some((sum, count)) = kind.and_then(|kind| sums.get_mut(kind)) {
            *sum += ln;
            *count += 1.0;
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count).collect()
}
