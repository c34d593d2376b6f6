//! Which type of conversion: by features where that tells them apart, else as often as each came.

use super::{TrainError, TrainingSet, calibrate::mean};
use crate::boosting::{self, Settings};
use models::{booster::Objective, conversion::KindModel};

/// Conversions below which a forest of types is not tried.
const FEWEST: usize = 200;

/// Fits on the older rows; a forest is kept where it is better on the later ones.
pub(super) fn kind_model(
    set: &TrainingSet,
    fit: &[usize],
    later: &[usize],
    settings: &Settings,
) -> Result<KindModel, TrainError> {
    let classes = set.schema().kinds.len();
    let labels: Vec<(usize, u16)> = known(set, fit).collect();
    let shares = KindModel::Shares(shares(&labels, classes));
    if classes < 2 || labels.len() < FEWEST {
        return Ok(shares);
    }
    let rows = set.matrix(labels.iter().map(|(index, _)| *index))?;
    let targets: Vec<f32> = labels.iter().map(|(_, kind)| f32::from(*kind)).collect();
    let settings = Settings { objective: Objective::MultiClass { classes }, ..*settings };
    let forest = KindModel::Forest(Box::new(boosting::fit(&rows, &targets, &settings)?));
    let better = log_loss(&forest, set, later) < log_loss(&shares, set, later);
    Ok(if better { forest } else { shares })
}

/// Mean -ln of the probability given to the type that came.
pub(super) fn log_loss(model: &KindModel, set: &TrainingSet, rows: &[usize]) -> f64 {
    const SUREST: f64 = 1e-12;
    mean(known(set, rows).map(|(index, kind)| {
        let probabilities = model.probabilities(set.features(index));
        -probabilities.get(usize::from(kind)).map_or(SUREST, |p| p.max(SUREST)).ln()
    }))
}

/// The rows whose type is known.
fn known<'a>(set: &'a TrainingSet, rows: &'a [usize]) -> impl Iterator<Item = (usize, u16)> + 'a {
    rows.iter().filter_map(|index| Some((*index, set.rows()[*index].kind?)))
}

/// With half a row more each (Krichevsky & Trofimov 1981).
pub(super) fn shares(labels: &[(usize, u16)], classes: usize) -> Vec<f64> {
    let mut counts = vec![0.5; classes];
    for (_, kind) in labels {
        if let Some(count) = counts.get_mut(usize::from(*kind)) {
            *count += 1.0;
        }
    }
    let sum: f64 = counts.iter().sum();
    counts.into_iter().map(|count| count / sum).collect()
}
