//! Cross-validation: every row judged by a forest that has not seen its fold.

use crate::{
    boosting::{FitError, Settings, fit},
    calibrate::Method,
    tabular::Table,
};
use models::booster::Forest;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use thiserror::Error;

/// Why nothing could be validated.
#[derive(Debug, Error)]
pub enum CrossError {
    /// Not as many folds as rows, or not at least two.
    #[error(
        "{rows} rows with {folds} different folds: cross-validation needs a fold a row, and two"
    )]
    Folds {
        /// Rows of the table.
        rows: usize,
        /// Different folds.
        folds: usize,
    },
    /// A forest could not be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// What cross-validation found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Of each row, by the forest that has not seen its fold.
    pub probabilities: Vec<f64>,
    /// How many folds.
    pub folds: usize,
    /// To fit all forests that judge, one after the other, one thread.
    pub fit_time: Duration,
    /// One of the forests, to measure with.
    pub forest: Forest,
}

/// Judges each fold by a forest fitted to the others.
///
/// With a calibration, that is fitted to scores of the *other* folds, each scored by a forest that
/// has seen neither it nor the judged fold: nothing of the judged fold enters. `done` is called
/// after each fold.
///
/// # Errors
/// [`CrossError`].
pub fn cross_validate(
    table: &Table,
    folds: &[u32],
    settings: &Settings,
    method: Method,
    mut done: impl FnMut(),
) -> Result<Outcome, CrossError> {
    let names: BTreeSet<u32> = folds.iter().copied().collect();
    let rows = table.rows.rows();
    if folds.len() != rows || names.len() < 2 {
        return Err(CrossError::Folds { rows, folds: names.len() });
    }
    let mut probabilities = vec![0.0; rows];
    let mut fit_time = Duration::ZERO;
    let mut forest = None;
    for judged in &names {
        let begun = Instant::now();
        let fitted = fit_without(table, folds, &[*judged], settings)?;
        fit_time += begun.elapsed();
        let calibrator = match method {
            Method::None => Method::None.fit(&[], &[]),
            _ => {
                let (scores, labels) = scores_of_others(table, folds, *judged, settings)?;
                method.fit(&scores, &labels)
            }
        };
        for row in (0..rows).filter(|row| folds[*row] == *judged) {
            probabilities[row] = calibrator.probability(fitted.score(table.rows.row(row)));
        }
        forest = Some(fitted);
        done();
    }
    let forest = forest.ok_or(CrossError::Folds { rows, folds: names.len() })?;
    Ok(Outcome { probabilities, folds: names.len(), fit_time, forest })
}

/// Raw scores and labels of all rows outside a fold, each scored without its own fold. With two
/// folds nothing else is left, so one half scores the other.
fn scores_of_others(
    table: &Table,
    folds: &[u32],
    judged: u32,
    settings: &Settings,
) -> Result<(Vec<f64>, Vec<f32>), CrossError> {
    let others: BTreeSet<u32> = folds.iter().copied().filter(|fold| *fold != judged).collect();
    let parts: Vec<u32> = if others.len() > 1 {
        folds.to_vec()
    } else {
        let half = |(row, fold): (usize, &u32)| if *fold == judged { 2 } else { row as u32 % 2 };
        folds.iter().enumerate().map(half).collect()
    };
    let judged = if others.len() > 1 { judged } else { 2 };
    let others: BTreeSet<u32> = parts.iter().copied().filter(|part| *part != judged).collect();
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    for other in others {
        let forest = fit_without(table, &parts, &[judged, other], settings)?;
        for row in (0..parts.len()).filter(|row| parts[*row] == other) {
            scores.push(forest.score(table.rows.row(row)));
            labels.push(table.labels[row]);
        }
    }
    Ok((scores, labels))
}

fn fit_without(
    table: &Table,
    folds: &[u32],
    without: &[u32],
    settings: &Settings,
) -> Result<Forest, FitError> {
    let rows: Vec<usize> = (0..folds.len()).filter(|row| !without.contains(&folds[*row])).collect();
    let labels: Vec<f32> = rows.iter().map(|row| table.labels[*row]).collect();
    fit(&table.rows.select(rows), &labels, settings)
}

/// Rows that a forest scores in a second on one thread: the best of several passes over the rows,
/// so that what else the machine does counts least.
#[must_use]
pub fn scoring_rate(forest: &Forest, table: &Table) -> f64 {
    /// As the peer is measured.
    const PASSES: usize = 7;
    let mut out = Vec::new();
    let pass = |_| {
        let begun = Instant::now();
        forest.score_rows(std::hint::black_box(table.rows.values()), &mut out);
        std::hint::black_box(&out);
        begun.elapsed().as_secs_f64()
    };
    table.rows.rows() as f64 / (0..PASSES).map(pass).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{boosting::Matrix, metrics::Metrics};
    use models::booster::Objective;

    /// Yes where the first column is above one half, the second is noise; every ninth label or so is
    /// wrong.
    fn table(rows: usize) -> Table {
        // Pseudo-random numbers 0 to 1 (Park and Miller 1988).
        let mut state = 1_u64;
        let mut next = || {
            state = state * 48_271 % 2_147_483_647;
            state as f32 / 2_147_483_647.0
        };
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let (value, noise, luck) = (next(), next(), next());
            values.extend([value, noise]);
            labels.push(f32::from(u8::from((value > 0.5) != (luck < 1.0 / 9.0))));
        }
        let names = vec!["a".to_owned(), "b".to_owned()];
        Table { names, rows: Matrix::new(values, 2).unwrap(), labels }
    }

    fn settings() -> Settings {
        Settings {
            rounds: 30,
            learning_rate: 0.2,
            least_rows: 20,
            ..Settings::new(Objective::Binary)
        }
    }

    #[test]
    fn each_row_is_judged_unseen_and_the_same_each_time() {
        let table = table(3_000);
        let folds: Vec<u32> = (0..3_000).map(|row| row % 4).collect();
        let run = |method| cross_validate(&table, &folds, &settings(), method, || ()).unwrap();
        let plain = run(Method::None);
        assert_eq!((plain.folds, plain.probabilities.len()), (4, 3_000));
        assert_eq!(plain.probabilities, run(Method::None).probabilities);
        let of = |outcome: &Outcome| Metrics::of(&outcome.probabilities, &table.labels);
        let (raw, platt, isotonic) =
            (of(&plain), of(&run(Method::Platt)), of(&run(Method::Isotonic)));
        for metrics in [raw, platt, isotonic] {
            assert!(metrics.auc > 0.8 && metrics.ece10 < 0.1, "{metrics:?}");
        }
        assert!(platt.log_loss < raw.log_loss, "{raw:?} {platt:?}");
        assert!(scoring_rate(&plain.forest, &table) > 0.0);
    }

    #[test]
    fn two_folds_are_enough_and_one_is_not() {
        let table = table(600);
        let folds: Vec<u32> = (0..600).map(|row| row / 300).collect();
        let run = |folds: &[u32]| cross_validate(&table, folds, &settings(), Method::Platt, || ());
        assert!(run(&folds).is_ok());
        assert!(run(&[0; 600]).unwrap_err().to_string().contains("600 rows with 1"));
        assert!(run(&folds[..599]).is_err());
    }
}
