//! Fitting gradient-boosted forests.
//!
//! [`fit`] learns a [`Forest`], which `models` scores by itself: the boosting library behind it, an
//! implementation of [`Booster`], stays in this crate. Which library, and why, says the book's page
//! "Gradient boosting". Fitted forests depend on the rows, labels and [`Settings`] alone: not on
//! the clock, the machine's number of cores, or what was fitted before.

mod bins;
mod grow;
mod histogram;
mod random;

#[cfg(test)]
mod tests;

pub use histogram::Histogram;

use models::booster::{Forest, ForestError, MAX_FEATURES, MAX_TREES, Objective};
use std::ops::Range;
use thiserror::Error;

/// Rows of numbers, one after the other; missing values are NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    values: Vec<f32>,
    width: usize,
}

impl Matrix {
    /// Takes rows of `width` values each.
    ///
    /// # Errors
    /// [`FitError::Shape`] when there is no column or the last row is not whole.
    pub fn new(values: Vec<f32>, width: usize) -> Result<Self, FitError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(FitError::Shape { values: values.len(), width });
        }
        Ok(Self { values, width })
    }

    /// Values of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// All rows, one after the other.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One row; empty where there is none.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        self.values.chunks_exact(self.width).nth(index).unwrap_or_default()
    }

    /// Rows next to each other, as far as there are such.
    #[must_use]
    pub fn range(&self, rows: Range<usize>) -> Self {
        let end = rows.end.min(self.rows());
        let begin = rows.start.min(end);
        let values = self.values[begin * self.width..end * self.width].to_vec();
        Self { values, width: self.width }
    }

    /// The rows of some indices, in their order, as far as there are such.
    #[must_use]
    pub fn select(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let values = rows.into_iter().flat_map(|index| self.row(index)).copied().collect();
        Self { values, width: self.width }
    }
}

/// How to fit a forest. The defaults are what [`Settings::new`] says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// What to predict.
    pub objective: Objective,
    /// Trees an output.
    pub rounds: usize,
    /// Leaves of a tree, at least 2.
    pub leaves: usize,
    /// Share of each tree's answer that is kept, above 0, at most 1.
    pub learning_rate: f64,
    /// Fewest rows of a leaf.
    pub least_rows: usize,
    /// Share of the rows that each tree is fitted to, above 0, at most 1: stochastic boosting
    /// (Friedman 2002).
    pub row_share: f64,
    /// Share of the features that each split chooses from, above 0, at most 1, as in a random
    /// forest (Breiman 2001).
    pub feature_share: f64,
    /// Pulls the values of leaves towards zero (L2), at least 0.
    pub shrinkage: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Settings {
    /// Small trees, many of them, each on a part of the rows and each split on a part of the
    /// features. Chosen on `online_shoppers`, and found best on other folds of it than those that
    /// the bars are set on, too.
    #[must_use]
    pub const fn new(objective: Objective) -> Self {
        Self {
            objective,
            rounds: 600,
            leaves: 15,
            learning_rate: 0.015,
            least_rows: 40,
            row_share: 0.7,
            feature_share: 0.5,
            shrinkage: 0.0,
            seed: 1,
        }
    }

    fn check(&self) -> Result<(), FitError> {
        let share = |name, value: f64| {
            let good = value > 0.0 && value <= 1.0;
            if good { Ok(()) } else { Err(FitError::Setting { name, value }) }
        };
        let count = |name, value: usize, range: std::ops::RangeInclusive<usize>| {
            let good = range.contains(&value);
            if good { Ok(()) } else { Err(FitError::Setting { name, value: value as f64 }) }
        };
        count("rounds", self.rounds, 1..=MAX_TREES / self.objective.outputs().max(1))?;
        count("leaves", self.leaves, 2..=1 << 12)?;
        count("least_rows", self.least_rows, 1..=1 << 24)?;
        share("learning_rate", self.learning_rate)?;
        share("row_share", self.row_share)?;
        share("feature_share", self.feature_share)?;
        if !(0.0..=1e9).contains(&self.shrinkage) {
            return Err(FitError::Setting { name: "shrinkage", value: self.shrinkage });
        }
        Ok(())
    }
}

/// Why there is no forest.
#[derive(Debug, Error)]
pub enum FitError {
    /// Values do not make rows.
    #[error("{values} values do not make rows of {width}: give whole rows of one width")]
    Shape {
        /// How many values.
        values: usize,
        /// Of a row.
        width: usize,
    },
    /// Nothing to learn from.
    #[error("there is no row to fit to: give labelled rows")]
    Empty,
    /// Rows and labels do not belong together.
    #[error("{rows} rows and {labels} labels: give one label a row")]
    Labels {
        /// How many rows.
        rows: usize,
        /// How many labels.
        labels: usize,
    },
    /// A label that the objective does not know.
    #[error("row {row} has the label {label}, which {objective:?} does not know")]
    Label {
        /// Which row, from 0.
        row: usize,
        /// Its label.
        label: f32,
        /// What was to be predicted.
        objective: Objective,
    },
    /// Too many of something.
    #[error("{width} columns are too many: {MAX_FEATURES} are the most")]
    Wide {
        /// How many.
        width: usize,
    },
    /// A value that an algorithm cannot compute with.
    #[error("row {row}, column {column} is infinite: give numbers, or NaN for what is missing")]
    Infinite {
        /// Which row, from 0.
        row: usize,
        /// Which column, from 0.
        column: usize,
    },
    /// A setting out of its range.
    #[error("the setting {name} cannot be {value}: see `Settings` for its range")]
    Setting {
        /// Which.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// The library failed.
    #[error("the boosting library failed: {0}")]
    Library(String),
    /// What the library learned is no forest.
    #[error("the boosting library gave a forest that cannot be used: {0}")]
    Forest(#[from] ForestError),
}

/// A boosting library.
pub trait Booster {
    /// Fits trees to rows that are checked: as many labels as rows, at least one row, labels that
    /// the objective knows and, for a classifier, not all the same.
    ///
    /// # Errors
    /// [`FitError::Library`], [`FitError::Forest`].
    fn fit(&self, rows: &Matrix, labels: &[f32], settings: &Settings) -> Result<Forest, FitError>;
}

/// Fits a forest with the library that measured best.
///
/// Labels are 0 and 1 for [`Objective::Binary`], 0 to `classes - 1` for
/// [`Objective::MultiClass`], any finite number for [`Objective::Regression`]. Where all labels are
/// the same there is nothing to tell apart: the forest has no trees then.
///
/// # Errors
/// [`FitError`]: rows, labels or settings cannot be used.
pub fn fit(rows: &Matrix, labels: &[f32], settings: &Settings) -> Result<Forest, FitError> {
    fit_with(&Histogram, rows, labels, settings)
}

/// As [`fit`], with a library of choice.
///
/// # Errors
/// As [`fit`].
pub fn fit_with(
    booster: &impl Booster,
    rows: &Matrix,
    labels: &[f32],
    settings: &Settings,
) -> Result<Forest, FitError> {
    settings.check()?;
    let objective = settings.objective;
    if rows.rows() == 0 {
        return Err(FitError::Empty);
    }
    if rows.width() > MAX_FEATURES {
        return Err(FitError::Wide { width: rows.width() });
    }
    if labels.len() != rows.rows() {
        return Err(FitError::Labels { rows: rows.rows(), labels: labels.len() });
    }
    if let Some(at) = rows.values().iter().position(|value| value.is_infinite()) {
        return Err(FitError::Infinite { row: at / rows.width(), column: at % rows.width() });
    }
    if let Some(row) = labels.iter().position(|label| !is_known(objective, *label)) {
        return Err(FitError::Label { row, label: labels[row], objective });
    }
    if labels.iter().all(|label| *label == labels[0]) {
        let base = constant(objective, labels[0], labels.len());
        return Ok(Forest::new(objective, rows.width(), base, Vec::new())?);
    }
    booster.fit(rows, labels, settings)
}

fn is_known(objective: Objective, label: f32) -> bool {
    match objective {
        Objective::Regression => label.is_finite(),
        Objective::Binary => label == 0.0 || label == 1.0,
        Objective::MultiClass { classes } => {
            label >= 0.0 && label.fract() == 0.0 && label < classes as f32
        }
    }
}

/// Raw scores where all of `rows` have the same label: classes with half a row more each, so that
/// never and always stay possible (Krichevsky and Trofimov 1981).
fn constant(objective: Objective, label: f32, rows: usize) -> Vec<f64> {
    const HALF_A_ROW: f64 = 0.5;
    let odds = ((rows as f64 + HALF_A_ROW) / HALF_A_ROW).ln();
    match objective {
        Objective::Regression => vec![f64::from(label)],
        Objective::Binary if label == 1.0 => vec![odds],
        Objective::Binary => vec![-odds],
        Objective::MultiClass { classes } => {
            (0..classes).map(|class| if class as f32 == label { odds } else { 0.0 }).collect()
        }
    }
}
