//! Prequential evaluation: rows come in the order of time, each is scored before its label is
//! learned, and the model is fitted anew every so many rows (Gama, Sebastião and Rodrigues, "On
//! evaluating stream learning algorithms", Machine Learning 90, 2013).
//!
//! Random folds flatter a model where people change: they let it learn from the future.

use crate::{
    boosting::{FitError, Settings, fit},
    tabular::Table,
};
use models::{
    booster::{Forest, sigmoid},
    calibration::OnlinePlatt,
};
use thiserror::Error;

/// Labels that the online calibration remembers.
const MEMORY_LABELS: u32 = 1_000;

/// Why nothing could be evaluated.
#[derive(Debug, Error)]
pub enum DriftError {
    /// Nothing to fit the first model to, nothing to score, or no step forward.
    #[error(
        "starting after {start} of {rows} rows, with {every} rows between fits: both must be at \
         least 1, and --start below the number of rows"
    )]
    Span {
        /// Rows before the first score.
        start: usize,
        /// Rows between fits.
        every: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A forest could not be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Probabilities of all rows from `start`, each given before the row's label was known.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// By a model fitted anew to all that came before, calibrated online.
    pub online: Vec<f64>,
    /// By the same model without the online calibration.
    pub retrained: Vec<f64>,
    /// By the first model, for ever.
    pub frozen: Vec<f64>,
    /// How often a model was fitted.
    pub fits: usize,
}

/// Fits to the first `start` rows, scores the next `every`, fits to all up to there, and so on.
/// `done` is told how many rows are behind.
///
/// # Errors
/// [`DriftError`].
pub fn prequential(
    table: &Table,
    settings: &Settings,
    start: usize,
    every: usize,
    mut done: impl FnMut(usize),
) -> Result<Drift, DriftError> {
    let rows = table.rows.rows();
    if start == 0 || every == 0 || start >= rows {
        return Err(DriftError::Span { start, every, rows });
    }
    let fit_to = |end: usize| -> Result<Forest, FitError> {
        fit(&table.rows.range(0..end), &table.labels[..end], settings)
    };
    let frozen = fit_to(start)?;
    let (mut current, mut calibration) = (frozen.clone(), OnlinePlatt::remembering(MEMORY_LABELS));
    let mut drift =
        Drift { online: Vec::new(), retrained: Vec::new(), frozen: Vec::new(), fits: 1 };
    for begin in (start..rows).step_by(every) {
        if begin > start {
            current = fit_to(begin)?;
            drift.fits += 1;
        }
        let end = rows.min(begin + every);
        for index in begin..end {
            let row = table.rows.row(index);
            let score = current.score(row);
            drift.online.push(calibration.probability(score));
            drift.retrained.push(sigmoid(score));
            drift.frozen.push(sigmoid(frozen.score(row)));
            calibration.learn(score, table.labels[index] == 1.0);
        }
        done(end);
    }
    Ok(drift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{boosting::Matrix, metrics::Metrics};
    use models::booster::Objective;

    /// In the first half yes is above 5, in the second below.
    fn turning(rows: usize) -> Table {
        let value = |row: usize| (row * 7 % 11) as f32;
        let label = |row: usize| {
            f32::from(u8::from((value(row) > 5.0) ^ (row >= rows / 2) ^ row.is_multiple_of(10)))
        };
        Table {
            names: vec!["a".to_owned()],
            rows: Matrix::new((0..rows).map(value).collect(), 1).unwrap(),
            labels: (0..rows).map(label).collect(),
        }
    }

    fn settings() -> Settings {
        Settings {
            rounds: 20,
            learning_rate: 0.3,
            least_rows: 20,
            ..Settings::new(Objective::Binary)
        }
    }

    #[test]
    fn a_model_that_is_fitted_anew_outlives_a_turn() {
        let table = turning(4_000);
        let drift = prequential(&table, &settings(), 500, 250, |_| ()).unwrap();
        assert_eq!((drift.online.len(), drift.fits), (3_500, 14));
        let of = |p: &[f64]| Metrics::of(p, &table.labels[500..]);
        let (online, frozen) = (of(&drift.online), of(&drift.frozen));
        assert!(online.log_loss < frozen.log_loss, "{online:?} {frozen:?}");
        assert!(online.ece10 < frozen.ece10);
    }

    #[test]
    fn no_score_knows_what_comes_after() {
        let table = turning(1_200);
        let whole = prequential(&table, &settings(), 500, 250, |_| ()).unwrap();
        for cut in [700, 1_000] {
            let labels = table.labels[..cut].to_vec();
            let past = Table { rows: table.rows.range(0..cut), labels, names: table.names.clone() };
            let drift = prequential(&past, &settings(), 500, 250, |_| ()).unwrap();
            assert_eq!(drift.online, whole.online[..cut - 500]);
            assert_eq!(drift.frozen, whole.frozen[..cut - 500]);
        }
    }

    #[test]
    fn spans_must_leave_something_to_do() {
        for (start, every) in [(0, 1), (1, 0), (1_200, 10)] {
            let error = prequential(&turning(1_200), &settings(), start, every, |_| ());
            assert!(error.unwrap_err().to_string().contains("1200 rows"));
        }
    }
}
