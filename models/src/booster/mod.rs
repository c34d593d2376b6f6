//! Gradient-boosted trees, scored by arithmetic of our own.
//!
//! A [`Forest`] is what a boosting library learned, without the library: the server and the device
//! carry no training code, no C++ and no thread pool. `training` fits it, this scores and explains
//! it.
//!
//! A forest adds, per output, a base value and one leaf of each of its trees (Friedman, "Greedy
//! function approximation: a gradient boosting machine", Annals of Statistics 29, 2001). The sum is
//! the *raw score*: log-odds for [`Objective::Binary`], the softmax's inputs for
//! [`Objective::MultiClass`], the value itself for [`Objective::Regression`].
//!
//! Missing values are NaN; each split has learned which way they go.

mod explain;
mod flat;
mod tree;

#[cfg(test)]
mod tests;

pub use tree::{Leaf, Split, Tree};

use explain::Quadrature;
use flat::Flat;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most features of a row.
pub const MAX_FEATURES: usize = 1 << 16;
/// Most classes of a multi-class forest.
pub const MAX_CLASSES: usize = 1 << 10;
/// Most trees of a forest.
pub const MAX_TREES: usize = 1 << 17;
/// Most splits between a root and a leaf. Bounds the work of one score and of one explanation.
pub const MAX_DEPTH: usize = 64;
/// Greatest magnitude of a leaf and of a base value: sums of [`MAX_TREES`] such stay finite.
pub const MAX_MAGNITUDE: f64 = 1e12;

/// What a forest predicts, and so what its raw scores mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Objective {
    /// Yes or no: one output, log-odds.
    Binary,
    /// One of several: one output a class.
    MultiClass {
        /// How many, at least 2.
        classes: usize,
    },
    /// A number: one output.
    Regression,
}

impl Objective {
    /// Raw scores a row gets.
    #[must_use]
    pub const fn outputs(self) -> usize {
        match self {
            Self::MultiClass { classes } => classes,
            Self::Binary | Self::Regression => 1,
        }
    }
}

/// Why a forest cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ForestError {
    /// A number of the whole forest is out of its range.
    #[error("a forest has {least} to {most} {what}, this one {found}: fit it anew")]
    Count {
        /// Of what.
        what: &'static str,
        /// At least.
        least: usize,
        /// At most.
        most: usize,
        /// In this forest.
        found: usize,
    },
    /// Trees are not the same number for each output.
    #[error("{trees} trees do not divide among {outputs} outputs: the model is damaged")]
    Uneven {
        /// Trees found.
        trees: usize,
        /// Outputs of the objective.
        outputs: usize,
    },
    /// A base value is no number, or absurd.
    #[error("the base value of output {output} is {value}: the model is damaged")]
    Base {
        /// Which.
        output: usize,
        /// What stands there.
        value: f64,
    },
    /// One tree is no tree.
    #[error("tree {tree}: {what}: the model is damaged")]
    Tree {
        /// Which, from 0.
        tree: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// Boosted trees, checked: scoring never fails and always ends.
///
/// # Examples
/// ```
/// use models::booster::{Forest, Leaf, Objective, Split, Tree};
///
/// // Whoever bought more than twice is likelier to return; the unknown counts as not.
/// let split = Split { feature: 0, threshold: 2.0, missing_left: true, left: -1, right: -2 };
/// let leaves = vec![Leaf { value: -0.5, count: 30 }, Leaf { value: 0.7, count: 10 }];
/// let tree = Tree { splits: vec![split], leaves };
/// let forest = Forest::new(Objective::Binary, 1, vec![-1.0], vec![tree])?;
///
/// assert!((forest.score(&[3.0]) - -0.3).abs() < 1e-12);
/// assert!((forest.score(&[f32::NAN]) - -1.5).abs() < 1e-12);
///
/// let mut reasons = vec![0.0];
/// let usual = forest.contributions(&[3.0], 0, &mut reasons);
/// assert!((usual + reasons[0] - forest.score(&[3.0])).abs() < 1e-12);
/// # Ok::<(), models::booster::ForestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Forest {
    objective: Objective,
    features: usize,
    base: Vec<f64>,
    trees: Vec<Tree>,
    flat: Flat,
    quadrature: Quadrature,
    /// Mean raw score over the rows it was fitted to, by output.
    usual: Vec<f64>,
}

/// The forest as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    objective: Objective,
    features: usize,
    base: Vec<f64>,
    trees: Vec<Tree>,
}

impl TryFrom<Stored> for Forest {
    type Error = ForestError;

    fn try_from(stored: Stored) -> Result<Self, ForestError> {
        Self::new(stored.objective, stored.features, stored.base, stored.trees)
    }
}

impl From<Forest> for Stored {
    fn from(forest: Forest) -> Self {
        let Forest { objective, features, base, trees, .. } = forest;
        Self { objective, features, base, trees }
    }
}

impl Forest {
    /// Puts a forest together: `base` has one value an output, and tree `i` adds to output
    /// `i % outputs`.
    ///
    /// # Errors
    /// [`ForestError`] says what is not as it must be.
    pub fn new(
        objective: Objective,
        features: usize,
        base: Vec<f64>,
        trees: Vec<Tree>,
    ) -> Result<Self, ForestError> {
        let outputs = objective.outputs();
        let least_classes = if matches!(objective, Objective::MultiClass { .. }) { 2 } else { 1 };
        within("classes", outputs, least_classes, MAX_CLASSES)?;
        within("features", features, 1, MAX_FEATURES)?;
        within("base values", base.len(), outputs, outputs)?;
        within("trees", trees.len(), 0, MAX_TREES)?;
        if !trees.len().is_multiple_of(outputs) {
            return Err(ForestError::Uneven { trees: trees.len(), outputs });
        }
        let absurd = |value: &f64| !value.is_finite() || value.abs() > MAX_MAGNITUDE;
        if let Some(output) = base.iter().position(absurd) {
            return Err(ForestError::Base { output, value: base[output] });
        }
        for (index, tree) in trees.iter().enumerate() {
            tree.check(features).map_err(|what| ForestError::Tree { tree: index, what })?;
        }
        let mut usual = base.clone();
        for (index, tree) in trees.iter().enumerate() {
            usual[index % outputs] += tree.mean();
        }
        let flat = Flat::new(&trees);
        let quadrature = Quadrature::new(flat.depth());
        Ok(Self { objective, features, base, trees, flat, quadrature, usual })
    }

    /// What it predicts.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// Values of a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Where each output starts from.
    #[must_use]
    pub fn base(&self) -> &[f64] {
        &self.base
    }

    /// Its trees, as they are stored.
    #[must_use]
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Raw score of one row, for forests with one output (of several: the first).
    ///
    /// `row` has [`Forest::features`] values; what is missing is NaN. Values that a shorter row
    /// lacks count as missing, those that a longer one has beyond are not looked at.
    #[must_use]
    pub fn score(&self, row: &[f32]) -> f64 {
        let outputs = self.objective.outputs();
        self.base[0]
            + (0..self.trees.len()).step_by(outputs).map(|t| self.flat.leaf(t, row)).sum::<f64>()
    }

    /// Raw scores of one row, as [`Forest::score`]; `out` is replaced by one a output.
    pub fn scores(&self, row: &[f32], out: &mut Vec<f64>) {
        out.clear();
        out.extend_from_slice(&self.base);
        for tree in 0..self.trees.len() {
            out[tree % self.base.len()] += self.flat.leaf(tree, row);
        }
    }

    /// Raw scores of many rows, each of [`Forest::features`] values, one after the other; `out` is
    /// replaced by as many scores a row as there are outputs. Much faster than row by row.
    ///
    /// A last row that is not whole gets no score.
    pub fn score_rows(&self, rows: &[f32], out: &mut Vec<f64>) {
        out.clear();
        let count = rows.len() / self.features;
        for _ in 0..count {
            out.extend_from_slice(&self.base);
        }
        self.flat.add_to(rows, self.features, self.base.len(), out);
    }

    /// Probabilities of one row: of yes for [`Objective::Binary`], of each class for
    /// [`Objective::MultiClass`]; for [`Objective::Regression`] the predicted value.
    pub fn predict(&self, row: &[f32], out: &mut Vec<f64>) {
        self.scores(row, out);
        match self.objective {
            Objective::Binary => out[0] = sigmoid(out[0]),
            Objective::MultiClass { .. } => softmax(out),
            Objective::Regression => {}
        }
    }

    /// What each feature adds to a raw score of a row: exact Shapley values of the trees, with
    /// features not yet known averaged over the rows that the forest was fitted to.
    ///
    /// `out` is replaced by one value a feature. Returned is the usual raw score, the mean over the
    /// fitted rows: it and all contributions add up to the row's raw score. An `output` that does
    /// not exist gets zeros.
    ///
    /// The values of TreeSHAP: Lundberg, Erion and Lee, "Consistent individualized feature
    /// attribution for tree ensembles", 2018 (arXiv:1802.03888).
    pub fn contributions(&self, row: &[f32], output: usize, out: &mut Vec<f64>) -> f64 {
        out.clear();
        out.resize(self.features, 0.0);
        let Some(&usual) = self.usual.get(output) else { return 0.0 };
        for tree in self.trees.iter().skip(output).step_by(self.base.len()) {
            explain::add(tree, &self.quadrature, row, out);
        }
        usual
    }
}

/// The probability that log-odds stand for, without overflow.
#[must_use]
pub fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Turns raw scores into probabilities that sum to 1.
fn softmax(scores: &mut [f64]) {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn within(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), ForestError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(ForestError::Count { what, least, most, found })
    }
}
