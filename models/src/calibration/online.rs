//! Calibration that follows a model in use.

use super::{CalibrationError, Line, MAX_SCORE};
use crate::booster::sigmoid;
use serde::{Deserialize, Serialize};

/// Standard deviations of scale and bias before the first label, around 1 and 0: a fitted model is
/// not far off.
const DOUBT: (f64, f64) = (0.5, 0.5);
/// Variances never grow beyond this, however long nothing is learned in one direction.
const MOST_VARIANCE: f64 = 1.0;
/// Where scale and bias may go.
const SCALES: (f64, f64) = (0.05, 20.0);
const MOST_BIAS: f64 = 20.0;
const LEAST_MEMORY: u32 = 2;

/// Platt scaling that learns with each label, and forgets.
///
/// Logistic regression of the label on the raw score, kept as a normal distribution of scale and
/// bias: each label is one Newton step, and a forgetting factor keeps the step from vanishing, so
/// that the line follows drift (McCormick, Raftery, Madigan and Burd, "Dynamic logistic regression
/// and dynamic model averaging for binary classification", Biometrics 68, 2012). Its state is six
/// bounded numbers.
///
/// # Examples
/// ```
/// use models::calibration::OnlinePlatt;
///
/// // The model says one in two, but only one in ten says yes.
/// let mut calibration = OnlinePlatt::remembering(1_000);
/// assert_eq!(calibration.probability(0.0), 0.5);
/// for n in 0..1_000 {
///     calibration.learn(0.0, n % 10 == 0);
/// }
/// assert!((calibration.probability(0.0) - 0.1).abs() < 0.02);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "State", into = "State")]
pub struct OnlinePlatt {
    /// Each label makes what was learned before count less: about so many matter.
    memory: u32,
    scale: f64,
    bias: f64,
    /// Variances of scale and bias, and their covariance.
    variance: (f64, f64),
    covariance: f64,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    memory: u32,
    scale: f64,
    bias: f64,
    variance: (f64, f64),
    covariance: f64,
}

impl TryFrom<State> for OnlinePlatt {
    type Error = CalibrationError;

    fn try_from(state: State) -> Result<Self, CalibrationError> {
        let State { memory, scale, bias, variance, covariance } = state;
        let read = Self { memory, scale, bias, variance, covariance };
        if read.is_sound() {
            Ok(read)
        } else {
            Err(CalibrationError("the online state is out of its bounds".to_owned()))
        }
    }
}

impl From<OnlinePlatt> for State {
    fn from(own: OnlinePlatt) -> Self {
        let OnlinePlatt { memory, scale, bias, variance, covariance } = own;
        Self { memory, scale, bias, variance, covariance }
    }
}

impl Default for OnlinePlatt {
    /// Remembers ten thousand labels: enough for a stable line, few enough to follow a season.
    fn default() -> Self {
        Self::remembering(10_000)
    }
}

impl OnlinePlatt {
    /// Before the first label: takes log-odds as they are. About the newest `labels` will matter,
    /// two at least.
    #[must_use]
    pub fn remembering(labels: u32) -> Self {
        let variance = (DOUBT.0 * DOUBT.0, DOUBT.1 * DOUBT.1);
        let memory = labels.max(LEAST_MEMORY);
        Self { memory, scale: 1.0, bias: 0.0, variance, covariance: 0.0 }
    }

    /// The probability, 0 to 1, that a raw score (log-odds) stands for now.
    #[must_use]
    pub fn probability(&self, score: f64) -> f64 {
        Line { scale: self.scale, bias: self.bias }.probability(score)
    }

    /// Learns what became of a row with this raw score. What is no number teaches nothing.
    pub fn learn(&mut self, score: f64, label: bool) {
        if score.is_nan() {
            return;
        }
        let score = score.clamp(-MAX_SCORE, MAX_SCORE);
        let mut next = *self;
        next.forget();
        let p = sigmoid(next.scale * score + next.bias);
        // The covariance times (score, 1), and what of the label's doubt is not its own.
        let along =
            (next.variance.0 * score + next.covariance, next.covariance * score + next.variance.1);
        let curvature = p * (1.0 - p);
        let gain = 1.0 / (1.0 + curvature * (along.0 * score + along.1));
        let error = f64::from(u8::from(label)) - p;
        next.scale = (next.scale + gain * along.0 * error).clamp(SCALES.0, SCALES.1);
        next.bias = (next.bias + gain * along.1 * error).clamp(-MOST_BIAS, MOST_BIAS);
        next.variance.0 -= gain * curvature * along.0 * along.0;
        next.variance.1 -= gain * curvature * along.1 * along.1;
        next.covariance -= gain * curvature * along.0 * along.1;
        // Rounding could take the covariance out of its cone; then the label is not worth it.
        if next.is_sound() {
            *self = next;
        }
    }

    fn forget(&mut self) {
        let kept = 1.0 - 1.0 / f64::from(self.memory);
        let grown = |variance: f64| (variance / kept).min(MOST_VARIANCE);
        let variance = (grown(self.variance.0), grown(self.variance.1));
        // As the two may have grown less than by the factor, the correlation is kept instead.
        let product = self.variance.0 * self.variance.1;
        self.covariance *= (variance.0 * variance.1 / product).sqrt();
        self.variance = variance;
    }

    fn is_sound(&self) -> bool {
        let possible = |variance: f64| variance > 0.0 && variance <= MOST_VARIANCE;
        self.memory >= LEAST_MEMORY
            && (SCALES.0..=SCALES.1).contains(&self.scale)
            && self.bias.abs() <= MOST_BIAS
            && possible(self.variance.0)
            && possible(self.variance.1)
            && self.covariance * self.covariance < self.variance.0 * self.variance.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pseudo-random numbers 0 to 1, the same each time (Park and Miller 1988).
    fn uniforms() -> impl Iterator<Item = f64> {
        std::iter::successors(Some(1_u64), |s| Some(s * 48_271 % 2_147_483_647))
            .skip(1)
            .map(|s| s as f64 / 2_147_483_647.0)
    }

    /// Twice too sure and biased, then suddenly biased the other way: it follows.
    #[test]
    fn it_finds_the_line_and_follows_when_it_moves() {
        let (mut calibration, mut random) = (OnlinePlatt::remembering(1_000), uniforms());
        let mut next = || random.next().unwrap();
        for bias in [-1.0, 1.0] {
            for _ in 0..6_000 {
                let score = 8.0 * next() - 4.0;
                let truth = sigmoid(0.5 * score + bias);
                calibration.learn(score, next() < truth);
            }
            for score in [-3.0, 0.0, 3.0] {
                let truth = sigmoid(0.5 * score + bias);
                let found = calibration.probability(score);
                assert!((found - truth).abs() < 0.05, "{bias} {score}: {found} {truth}");
            }
        }
    }

    #[test]
    fn its_state_survives_and_damage_is_refused() {
        let mut calibration = OnlinePlatt::remembering(1_000);
        calibration.learn(0.3, true);
        let text = serde_json::to_string(&calibration).unwrap();
        assert_eq!(serde_json::from_str::<OnlinePlatt>(&text).unwrap(), calibration);
        for (from, to) in [("\"scale\":1", "\"scale\":-1"), ("\"bias\":0", "\"bias\":90")] {
            let damaged =
                serde_json::to_string(&OnlinePlatt::remembering(1_000)).unwrap().replace(from, to);
            assert!(serde_json::from_str::<OnlinePlatt>(&damaged).is_err(), "{damaged}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_learns_it_stays_within_bounds(
            labels in prop::collection::vec((any::<f64>(), any::<bool>()), 0..300),
        ) {
            let mut calibration = OnlinePlatt::remembering(1_000);
            for (score, label) in labels {
                calibration.learn(score, label);
                prop_assert!(calibration.is_sound());
                prop_assert!((0.0..=1.0).contains(&calibration.probability(score)));
            }
        }
    }
}
