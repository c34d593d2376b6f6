//! The intent network on tract.

use crate::{
    bundle::{Bundle, BundleError},
    manifest::Manifest,
};
use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use thiserror::Error;
use tract_onnx::prelude::*;

/// The largest difference to a golden vector that rounding explains.
const GOLDEN_TOLERANCE: f32 = 1e-4;

/// Why a network cannot be used, or a step was not made.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The bundle around it.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// tract does not take it.
    #[error("model.onnx cannot be run: {0}; rebuild the bundle with `attune train intent`")]
    Network(String),
    /// It computes something else than its trainer did.
    #[error(
        "the model gives {found} where its trainer gave {expected} (golden vector {index}): the \
         bundle does not fit this runtime"
    )]
    Golden {
        /// Which golden vector, from 0.
        index: usize,
        /// By the manifest.
        expected: f32,
        /// By this runtime.
        found: f32,
    },
    /// A slice has the wrong length.
    #[error("the model takes {expected} numbers as {what}, got {found}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// Needed.
        expected: usize,
        /// Given.
        found: usize,
    },
    /// NaN or infinity.
    #[error("{0} of the model is not finite: a feature escaped its range or the model is damaged")]
    NotFinite(&'static str),
}

/// What one run of the network gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Uncalibrated score of each class, in the order of `IntentClass::ALL`.
    pub intent_logits: [f32; 4],
    /// Uncalibrated score of arousal.
    pub arousal_logit: f32,
    /// The hidden state after it.
    pub state: Vec<f32>,
}

impl Step {
    /// Calibrated: probabilities of the classes (sum 1) and of arousal.
    #[must_use]
    pub fn probabilities(&self, manifest: &Manifest) -> ([f32; 4], f32) {
        let calibration = &manifest.calibration;
        let arousal = calibration.arousal.probability(self.arousal_logit);
        (calibration.intent(self.intent_logits), arousal)
    }
}

/// A recurrent network that reads features one step at a time.
///
/// # Examples
/// ```
/// let model = models::bundled::intent()?;
/// let x = vec![0.0; model.inputs()];
/// let first = model.step(&x, &model.zero_state())?;
/// let second = model.step(&x, &first.state)?;
/// assert_eq!(second.state, model.window(&[&x[..], &x[..]].concat())?.state);
/// # Ok::<(), models::ModelError>(())
/// ```
pub struct IntentModel {
    manifest: Manifest,
    onnx: Vec<u8>,
    /// The plan for one time step. A window has another plan, of its own length.
    step: Arc<TypedRunnableModel>,
}

impl IntentModel {
    /// Builds the network and tries it: on zeros, then on the bundle's golden vectors.
    ///
    /// # Errors
    /// [`ModelError`] when tract refuses the network, or it computes something else.
    pub fn new(bundle: &Bundle) -> Result<Self, ModelError> {
        // tract asserts on some graphs that are damaged in a way the ONNX format allows. All that
        // is touched inside is made there and dropped with the panic.
        catch_unwind(AssertUnwindSafe(|| Self::load(bundle)))
            .unwrap_or_else(|_| Err(ModelError::Network("its graph is damaged".to_owned())))
    }

    fn load(bundle: &Bundle) -> Result<Self, ModelError> {
        let manifest = bundle.manifest().clone();
        let step = plan(bundle.onnx(), &manifest, 1)?;
        let model = Self { manifest, onnx: bundle.onnx().to_vec(), step };
        model.step(&vec![0.0; model.inputs()], &model.zero_state())?;
        model.check_golden()?;
        Ok(model)
    }

    /// What it is.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its name in decisions.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.manifest.model_id
    }

    /// Numbers in one input row.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.manifest.shapes.inputs
    }

    /// The state of one who has seen nothing.
    #[must_use]
    pub fn zero_state(&self) -> Vec<f32> {
        vec![0.0; self.manifest.shapes.hidden]
    }

    /// One step on from `state`.
    ///
    /// # Errors
    /// [`ModelError::Shape`] or [`ModelError::NotFinite`].
    pub fn step(&self, x: &[f32], state: &[f32]) -> Result<Step, ModelError> {
        self.run(&self.step, 1, x, state)
    }

    /// A whole window from a zero state: `rows` holds `T` input rows one after another.
    ///
    /// The plan is built for this length and run once, on a state of its own: tract's scan ignores
    /// the given hidden state when a plan's state is used a second time.
    ///
    /// # Errors
    /// [`ModelError::Shape`] or [`ModelError::NotFinite`].
    pub fn window(&self, rows: &[f32]) -> Result<Step, ModelError> {
        let steps = rows.len() / self.inputs();
        if steps == 0 {
            let expected = self.inputs();
            return Err(ModelError::Shape { what: "window", expected, found: rows.len() });
        }
        let plan = plan(&self.onnx, &self.manifest, steps)?;
        self.run(&plan, steps, rows, &self.zero_state())
    }

    fn run(
        &self,
        plan: &Arc<TypedRunnableModel>,
        steps: usize,
        x: &[f32],
        state: &[f32],
    ) -> Result<Step, ModelError> {
        let shapes = self.manifest.shapes;
        check_input("input", x, steps * shapes.inputs)?;
        check_input("state", state, shapes.hidden)?;
        let outputs = Tensor::from_shape(&[steps, 1, shapes.inputs], x)
            .and_then(|x| Ok((x, Tensor::from_shape(&[1, 1, shapes.hidden], state)?)))
            .and_then(|(x, h0)| plan.run(tvec!(x.into(), h0.into())))
            .map_err(network)?;
        let intent = output(&outputs, 0, "intent output", shapes.classes)?;
        let arousal = output(&outputs, 1, "arousal output", 1)?;
        let state = output(&outputs, 2, "state output", shapes.hidden)?;
        let logits = |found: Vec<f32>| {
            let found = found.len();
            ModelError::Shape { what: "intent output", expected: 4, found }
        };
        Ok(Step {
            intent_logits: intent.try_into().map_err(logits)?,
            arousal_logit: arousal[0],
            state,
        })
    }

    fn check_golden(&self) -> Result<(), ModelError> {
        for (index, golden) in self.manifest.golden.iter().enumerate() {
            let mut state = self.zero_state();
            let mut last = None;
            for x in &golden.inputs {
                let step = self.step(x, &state)?;
                state.clone_from(&step.state);
                last = Some(step);
            }
            let Some(last) = last else { continue };
            let found = last.intent_logits.into_iter().chain([last.arousal_logit]);
            let expected = golden.intent.into_iter().chain([golden.arousal]);
            for (found, expected) in found.zip(expected) {
                // NaN in the manifest is refused too.
                let off = (found - expected).abs();
                if off.is_nan() || off > GOLDEN_TOLERANCE {
                    return Err(ModelError::Golden { index, expected, found });
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for IntentModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntentModel").field("id", &self.id()).finish_non_exhaustive()
    }
}

fn plan(
    onnx: &[u8],
    manifest: &Manifest,
    steps: usize,
) -> Result<Arc<TypedRunnableModel>, ModelError> {
    let shapes = manifest.shapes;
    let build = || {
        tract_onnx::onnx()
            .model_for_read(&mut Cursor::new(onnx))?
            .with_input_fact(0, f32::fact([steps, 1, shapes.inputs]).into())?
            .with_input_fact(1, f32::fact([1, 1, shapes.hidden]).into())?
            .into_optimized()?
            .into_runnable()
    };
    build().map_err(network)
}

fn network(error: TractError) -> ModelError {
    ModelError::Network(format!("{error:#}"))
}

fn check_input(what: &'static str, values: &[f32], expected: usize) -> Result<(), ModelError> {
    if values.len() != expected {
        return Err(ModelError::Shape { what, expected, found: values.len() });
    }
    if values.iter().all(|v| v.is_finite()) { Ok(()) } else { Err(ModelError::NotFinite(what)) }
}

fn output(
    outputs: &TVec<TValue>,
    index: usize,
    what: &'static str,
    expected: usize,
) -> Result<Vec<f32>, ModelError> {
    let tensor =
        outputs.get(index).ok_or_else(|| ModelError::Network(format!("it has no {what}")))?;
    let values: Vec<f32> =
        tensor.to_plain_array_view::<f32>().map_err(network)?.iter().copied().collect();
    check_input(what, &values, expected)?;
    Ok(values)
}

#[cfg(test)]
mod tests;
