//! A logistic regression on the logs of features and on products of pairs of them.
//!
//! Trees cut; needs rise smoothly with how often, how long ago and how regularly something was
//! bought. A few hundred weights tell that from few weeks of data, and err elsewhere than a forest
//! does: the mean of both ranks better than either.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most features, so that the products of all pairs stay few.
const MOST_FEATURES: usize = 256;
/// Standard deviations from the mean beyond which a value counts as no farther: what was seldom
/// seen is not followed along a straight line.
const FARTHEST: f64 = 5.0;

/// Why a regression cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the regression is damaged: {0}; train the model anew")]
pub struct LogLinearError(&'static str);

/// How features become comparable: their signed logs, less the mean, by the standard deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Scale {
    centre: Vec<f64>,
    spread: Vec<f64>,
    /// Places of the features whose products count, ascending.
    crossed: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    centre: Vec<f64>,
    spread: Vec<f64>,
    crossed: Vec<usize>,
}

impl TryFrom<Stored> for Scale {
    type Error = LogLinearError;

    fn try_from(s: Stored) -> Result<Self, LogLinearError> {
        Self::new(s.centre, s.spread, s.crossed)
    }
}

impl From<Scale> for Stored {
    fn from(Scale { centre, spread, crossed }: Scale) -> Self {
        Self { centre, spread, crossed }
    }
}

impl Scale {
    /// Takes the mean and the standard deviation of each feature's [`signed_log`], and the places
    /// of the features whose products count, ascending.
    ///
    /// # Errors
    /// [`LogLinearError`] where these do not fit together.
    pub fn new(
        centre: Vec<f64>,
        spread: Vec<f64>,
        crossed: Vec<usize>,
    ) -> Result<Self, LogLinearError> {
        if centre.is_empty() || centre.len() > MOST_FEATURES || centre.len() != spread.len() {
            return Err(LogLinearError("means and deviations are not as many as features"));
        }
        let good = |(centre, spread): (&f64, &f64)| {
            centre.is_finite() && spread.is_finite() && *spread > 0.0
        };
        if !centre.iter().zip(&spread).all(good) {
            return Err(LogLinearError("a mean or deviation is not finite, or no deviation"));
        }
        let ascending = crossed.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || crossed.last().is_some_and(|last| *last >= centre.len()) {
            return Err(LogLinearError("products ask for features that there are not"));
        }
        Ok(Self { centre, spread, crossed })
    }

    /// Values of a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.centre.len()
    }

    /// Number of [`Scale::terms`].
    #[must_use]
    pub fn width(&self) -> usize {
        let crossed = self.crossed.len();
        self.centre.len() + crossed * crossed.saturating_sub(1) / 2 + 1
    }

    /// Appends a row's values as the regression sees them: each within 5 of zero, the mean where
    /// something is not known. A missing end of the row counts as not known.
    pub fn standard(&self, row: &[f32], out: &mut Vec<f32>) {
        let values = row.iter().copied().chain(std::iter::repeat(f32::NAN));
        let of_feature = |((value, centre), spread): ((f32, &f64), &f64)| {
            let value = (signed_log(value) - centre) / spread;
            if value.is_nan() { 0.0 } else { value.clamp(-FARTHEST, FARTHEST) as f32 }
        };
        out.extend(values.zip(&self.centre).zip(&self.spread).map(of_feature));
    }

    /// Appends what the weights are of: the [`Scale::standard`] values, the products of each
    /// crossed one with those before it, and 1. A shorter row adds nothing.
    pub fn terms(&self, standard: &[f32], out: &mut Vec<f32>) {
        let Some(standard) = standard.get(..self.features()) else { return };
        out.extend_from_slice(standard);
        for (index, place) in self.crossed.iter().enumerate() {
            out.extend(
                self.crossed[..index].iter().map(|other| standard[*place] * standard[*other]),
            );
        }
        out.push(1.0);
    }
}

/// `sign(x) ln(1 + |x|)`: large values count by their size's order, small ones as they are.
#[must_use]
pub fn signed_log(value: f32) -> f64 {
    let value = f64::from(value);
    value.abs().ln_1p().copysign(value)
}

/// A fitted regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredFit", into = "StoredFit")]
pub struct LogLinear {
    scale: Scale,
    /// Of [`Scale::terms`].
    weights: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFit {
    scale: Scale,
    weights: Vec<f32>,
}

impl TryFrom<StoredFit> for LogLinear {
    type Error = LogLinearError;

    fn try_from(s: StoredFit) -> Result<Self, LogLinearError> {
        Self::new(s.scale, s.weights)
    }
}

impl From<LogLinear> for StoredFit {
    fn from(LogLinear { scale, weights }: LogLinear) -> Self {
        Self { scale, weights }
    }
}

impl LogLinear {
    /// Takes a weight for each of [`Scale::terms`].
    ///
    /// # Errors
    /// [`LogLinearError`] unless there are as many, and all finite.
    pub fn new(scale: Scale, weights: Vec<f32>) -> Result<Self, LogLinearError> {
        if weights.len() != scale.width() {
            return Err(LogLinearError("weights are not as many as terms"));
        }
        if !weights.iter().all(|weight| weight.is_finite()) {
            return Err(LogLinearError("a weight is not finite"));
        }
        Ok(Self { scale, weights })
    }

    /// Values of a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.scale.features()
    }

    /// Log-odds of a row; NaN stands for what is not known.
    #[must_use]
    pub fn score(&self, row: &[f32]) -> f64 {
        let mut standard = Vec::with_capacity(self.features());
        self.scale.standard(row, &mut standard);
        let (singles, rest) = self.weights.split_at(self.features());
        let mut sum: f64 = dot(singles, standard.iter().copied());
        let mut at = 0;
        for (index, place) in self.scale.crossed.iter().enumerate() {
            let others = self.scale.crossed[..index].iter().map(|other| standard[*other]);
            sum += f64::from(standard[*place]) * dot(&rest[at..], others);
            at += index;
        }
        sum + rest.last().map_or(0.0, |bias| f64::from(*bias))
    }
}

/// Sum of products, as long as the values go.
fn dot(weights: &[f32], values: impl Iterator<Item = f32>) -> f64 {
    weights.iter().zip(values).map(|(weight, value)| f64::from(*weight) * f64::from(value)).sum()
}
