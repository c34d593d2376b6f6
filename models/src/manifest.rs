//! What a model is, and how its inputs and outputs are to be understood.

use protocol::{consent::Modality, intent::IntentClass};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Beside the network in a bundle; JSON in `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Names the model in logs and decisions, such as `intent-1-0a1b2c3d`.
    pub model_id: String,
    /// Grows with every release of the model.
    pub version: u32,
    /// Day it was made, `YYYY-MM-DD`.
    pub created: String,
    /// SHA-256 of the ONNX file, lower-case hexadecimal.
    pub onnx_sha256: String,
    /// [`protocol::feature::schema_hash`] of the features it was trained on.
    pub feature_schema: String,
    /// How each feature becomes an input, in the schema's order.
    pub features: Vec<FeatureScaling>,
    /// Modalities whose coverage (0..=1; 0 when stale) follows the features as further inputs.
    pub masks: Vec<Modality>,
    /// Names of the intent outputs; must be [`IntentClass::ALL`].
    pub classes: Vec<IntentClass>,
    /// Tensor sizes.
    pub shapes: Shapes,
    /// Time between two committed steps, ms.
    pub grid_ms: u64,
    /// Half the longest life of a hidden state, in committed steps.
    pub horizon_steps: usize,
    /// Output calibration.
    pub calibration: Calibration,
    /// The oldest runtime that understands the bundle, `major.minor.patch`.
    pub minimum_runtime: String,
    /// Scores of the training report, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Inputs with the outputs the trainer computed for them: a runtime that computes otherwise
    /// refuses the bundle.
    pub golden: Vec<GoldenVector>,
}

/// How one feature becomes a model input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureScaling {
    /// The feature's name in the schema.
    pub name: String,
    /// For magnitudes that spread over decades: `ln(1 + x / unit)` is taken first.
    pub log_unit: Option<f64>,
    /// What a difference to the person's own baseline is divided by.
    pub scale: f64,
    /// Bound of the result, both ways.
    pub clip: f64,
}

impl FeatureScaling {
    /// The value on the scale baselines are taken on: clipped to the feature's plausible `range`,
    /// then `ln(1 + x / log_unit)` where there is a unit. NaN stays NaN.
    #[must_use]
    pub fn level(log_unit: Option<f64>, range: (f64, f64), value: f64) -> f64 {
        let value = value.clamp(range.0, range.1);
        match log_unit {
            Some(unit) => (value.clamp(0.0, f64::INFINITY) / unit).ln_1p(),
            None => value,
        }
    }

    /// The model input for a `level` of a person whose usual level is `baseline`; 0 when either is
    /// unknown.
    #[must_use]
    pub fn input(&self, level: f64, baseline: f64) -> f32 {
        let scaled = (level - baseline) / self.scale;
        if scaled.is_nan() { 0.0 } else { scaled.clamp(-self.clip, self.clip) as f32 }
    }
}

/// Sizes of the network's tensors: `x [T, 1, inputs]`, `h0 [1, 1, hidden]` ->
/// `intent [1, classes]`, `arousal [1, 1]`, `h1 [1, 1, hidden]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shapes {
    /// Features and masks.
    pub inputs: usize,
    /// Units of the recurrent state.
    pub hidden: usize,
    /// Intent classes.
    pub classes: usize,
}

/// Turns logits into probabilities that mean what they say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Factor on the intent logits.
    pub intent_scale: f32,
    /// Added to each scaled intent logit.
    pub intent_bias: [f32; 4],
    /// Of the arousal logit.
    pub arousal: Platt,
}

/// `p = 1 / (1 + exp(-(scale * logit + bias)))` (Platt 1999).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// Factor on the logit.
    pub scale: f32,
    /// Added to the scaled logit.
    pub bias: f32,
}

impl Platt {
    /// The probability a logit stands for.
    #[must_use]
    pub fn probability(&self, logit: f32) -> f32 {
        1.0 / (1.0 + (-(self.scale * logit + self.bias)).exp())
    }
}

impl Calibration {
    /// Leaves logits as they are.
    pub const IDENTITY: Self =
        Self { intent_scale: 1.0, intent_bias: [0.0; 4], arousal: Platt { scale: 1.0, bias: 0.0 } };

    /// Calibrated softmax, summing to 1.
    #[must_use]
    pub fn intent(&self, logits: [f32; 4]) -> [f32; 4] {
        let scaled: [f32; 4] =
            std::array::from_fn(|i| self.intent_scale * logits[i] + self.intent_bias[i]);
        let most = scaled.into_iter().fold(f32::NEG_INFINITY, f32::max);
        let weights = scaled.map(|z| (z - most).exp());
        let sum: f32 = weights.iter().sum();
        weights.map(|w| w / sum)
    }
}

/// One input sequence and what the trainer's own arithmetic made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenVector {
    /// Inputs, one row a step.
    pub inputs: Vec<Vec<f32>>,
    /// Intent logits after the last step, from a zero state.
    pub intent: [f32; 4],
    /// Arousal logit after the last step.
    pub arousal: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_differences_to_the_baseline_clipped_and_zero_when_unknown() {
        let s = FeatureScaling { name: "x".into(), log_unit: Some(2.0), scale: 0.5, clip: 5.0 };
        let level =
            FeatureScaling::level(Some(2.0), (0.0, 10.0), 2.0 * (std::f64::consts::E - 1.0));
        assert!((level - 1.0).abs() < 1e-12);
        assert_eq!(s.input(1.0, 0.5), 1.0);
        assert_eq!(s.input(100.0, 0.5), 5.0);
        assert_eq!(s.input(f64::NAN, 0.5), 0.0);
        assert_eq!(s.input(1.0, f64::NAN), 0.0);
    }

    #[test]
    fn calibrated_probabilities_sum_to_one_even_for_huge_logits() {
        for logits in [[0.0; 4], [1e30, -1e30, 0.0, 3.0]] {
            let sum: f32 = Calibration::IDENTITY.intent(logits).iter().sum();
            assert!((sum - 1.0).abs() < 1e-6);
        }
        assert_eq!(Platt { scale: 2.0, bias: 0.0 }.probability(0.0), 0.5);
    }
}
