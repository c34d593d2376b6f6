//! Raw scores turned into probabilities that mean what they say: of a hundred people with 0.2,
//! twenty convert.
//!
//! [`Calibrator`] is fitted once, in `training`, on rows that the model has not seen.
//! [`OnlinePlatt`] goes on learning where a model is in use, from each label as it becomes known.

mod online;

pub use online::OnlinePlatt;

use crate::booster::sigmoid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most steps of an isotonic curve.
pub const MAX_STEPS: usize = 1 << 16;
/// Raw scores count as at most so far from zero: a probability of 1e-13.
pub const MAX_SCORE: f64 = 30.0;

/// Why a calibration cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("the calibration is damaged: {0}; train the model anew")]
pub struct CalibrationError(String);

/// From a raw score, log-odds that mean little, to a probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibrator {
    /// A straight line in log-odds: few rows are enough.
    Platt(Line),
    /// Any curve that does not fall: needs many rows.
    Isotonic(Curve),
}

impl Calibrator {
    /// Takes log-odds as they are.
    pub const IDENTITY: Self = Self::Platt(Line { scale: 1.0, bias: 0.0 });

    /// The probability, 0 to 1, that a raw score stands for. What is no number stands for 0.5.
    #[must_use]
    pub fn probability(&self, score: f64) -> f64 {
        match self {
            Self::Platt(line) => line.probability(score),
            Self::Isotonic(curve) => curve.probability(score),
        }
    }
}

/// `p = 1 / (1 + exp(-(scale * score + bias)))` (Platt, "Probabilistic outputs for support vector
/// machines and comparisons to regularized likelihood methods", 1999).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(f64, f64)", into = "(f64, f64)")]
pub struct Line {
    scale: f64,
    bias: f64,
}

impl Line {
    /// A line with this scale and bias.
    ///
    /// # Errors
    /// [`CalibrationError`] when either is no finite number.
    pub fn new(scale: f64, bias: f64) -> Result<Self, CalibrationError> {
        if scale.is_finite() && bias.is_finite() {
            Ok(Self { scale, bias })
        } else {
            Err(CalibrationError(format!("its line is {scale} * score + {bias}")))
        }
    }

    /// Factor on the score, and what is added to the product.
    #[must_use]
    pub fn scale_and_bias(&self) -> (f64, f64) {
        (self.scale, self.bias)
    }

    /// See [`Calibrator::probability`].
    #[must_use]
    pub fn probability(&self, score: f64) -> f64 {
        if score.is_nan() {
            return 0.5;
        }
        sigmoid(self.scale * score.clamp(-MAX_SCORE, MAX_SCORE) + self.bias)
    }
}

impl TryFrom<(f64, f64)> for Line {
    type Error = CalibrationError;

    fn try_from((scale, bias): (f64, f64)) -> Result<Self, CalibrationError> {
        Self::new(scale, bias)
    }
}

impl From<Line> for (f64, f64) {
    fn from(line: Line) -> Self {
        line.scale_and_bias()
    }
}

/// A curve through points, straight between them and flat beyond (Zadrozny and Elkan, "Transforming
/// classifier scores into accurate multiclass probability estimates", 2002).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(f64, f64)>", into = "Vec<(f64, f64)>")]
pub struct Curve {
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// A curve through points of score and probability.
    ///
    /// # Errors
    /// [`CalibrationError`] unless there is a point, scores rise, probabilities do not fall, and
    /// these are 0 to 1.
    pub fn new(points: Vec<(f64, f64)>) -> Result<Self, CalibrationError> {
        if points.is_empty() || points.len() > MAX_STEPS {
            return Err(CalibrationError(format!("its curve has {} points", points.len())));
        }
        let good = |(score, p): &(f64, f64)| score.is_finite() && (0.0..=1.0).contains(p);
        let rises = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
        if points.iter().all(good) && points.windows(2).all(rises) {
            Ok(Self { points })
        } else {
            Err(CalibrationError("its curve falls or leaves 0 to 1".to_owned()))
        }
    }

    /// See [`Calibrator::probability`].
    #[must_use]
    pub fn probability(&self, score: f64) -> f64 {
        if score.is_nan() {
            return 0.5;
        }
        let above = self.points.partition_point(|(at, _)| *at < score);
        match (above.checked_sub(1).and_then(|i| self.points.get(i)), self.points.get(above)) {
            (Some(low), Some(high)) => {
                // Half of each first: the distance of the greatest numbers would overflow.
                let share = (score / 2.0 - low.0 / 2.0) / (high.0 / 2.0 - low.0 / 2.0);
                (low.1 + (high.1 - low.1) * share.clamp(0.0, 1.0)).clamp(low.1, high.1)
            }
            (Some(point), None) | (None, Some(point)) => point.1,
            (None, None) => 0.5,
        }
    }
}

impl TryFrom<Vec<(f64, f64)>> for Curve {
    type Error = CalibrationError;

    fn try_from(points: Vec<(f64, f64)>) -> Result<Self, CalibrationError> {
        Self::new(points)
    }
}

impl From<Curve> for Vec<(f64, f64)> {
    fn from(curve: Curve) -> Self {
        curve.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn curves_are_straight_between_their_points_and_flat_beyond() {
        let curve = Curve::new(vec![(-1.0, 0.1), (1.0, 0.5), (2.0, 0.5)]).unwrap();
        for (score, p) in [
            (-9.0, 0.1),
            (-1.0, 0.1),
            (0.0, 0.3),
            (1.0, 0.5),
            (f64::INFINITY, 0.5),
            (f64::NAN, 0.5),
        ] {
            assert!((curve.probability(score) - p).abs() < 1e-12, "{score}");
        }
    }

    #[test]
    fn damage_is_refused() {
        for text in [
            r#"{"isotonic":[]}"#,
            r#"{"isotonic":[[0,0.5],[0,0.6]]}"#,
            r#"{"isotonic":[[0,0.5],[1,0.4]]}"#,
            r#"{"isotonic":[[0,1.5]]}"#,
        ] {
            let error = serde_json::from_str::<Calibrator>(text).unwrap_err().to_string();
            assert!(error.contains("damaged"), "{text}: {error}");
        }
        assert!(Line::new(f64::NAN, 0.0).is_err());
        let text = serde_json::to_string(&Calibrator::IDENTITY).unwrap();
        assert_eq!(serde_json::from_str::<Calibrator>(&text).unwrap(), Calibrator::IDENTITY);
    }

    proptest! {
        #[test]
        fn probabilities_stay_within_bounds_and_never_fall(
            points in prop::collection::vec((any::<f64>(), any::<f64>()), 0..8),
            line in (any::<f64>(), any::<f64>()),
            scores in (any::<f64>(), any::<f64>()),
        ) {
            let curve = Curve::new(points).ok().map(Calibrator::Isotonic);
            let line = Line::new(line.0.abs(), line.1).ok().map(Calibrator::Platt);
            for calibrator in [curve, line].into_iter().flatten() {
                let (a, b) = (calibrator.probability(scores.0), calibrator.probability(scores.1));
                prop_assert!((0.0..=1.0).contains(&a));
                if scores.0 <= scores.1 {
                    prop_assert!(a <= b);
                }
            }
        }
    }
}
