//! From features to what they say about the person, on a recurrent network.
//!
//! **Time.** The network's memory moves on a fixed grid of session time (the manifest's `grid_ms`,
//! 1 s): there, and only there, a step is *committed*. Between two grid points, every call of
//! [`IntentEngine::step`] runs a *provisional* step from the last committed state on the newest
//! features and forgets its state. So there is an estimate at each arrival, yet how often features
//! arrive does not change what is remembered. Training answers from provisional steps too, at
//! random phases between grid points.
//!
//! **No long memory.** A state kept for a session reads elapsed time, and with it the order of
//! events that people share. Two states are therefore reset in turn, each after two horizons of
//! 60 s, and the older one answers: it has seen between 60 and 120 s, less only at the beginning.
//!
//! **A person's own level.** Inputs are differences to the running median of the first minutes,
//! which is frozen when calibration ends. See [`Inputs`].

mod baseline;
mod inputs;
mod memory;

pub use inputs::{InferPermits, Inputs, Row};

use crate::{clock::Nanos, signal::FeatureVector};
use memory::Memory;
use models::{IntentModel, ModelError};
use protocol::{
    feature::FEATURES,
    intent::{Abstention, IntentEstimate},
};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// How a person's usual level is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calibration {
    /// The baseline learns for so long after the first usable features.
    pub longest: Duration,
    /// Estimates begin after so much of it.
    pub shortest: Duration,
}

impl Default for Calibration {
    /// 5 minutes, as in the evaluation; the first estimate after 8 s, as a demo is short.
    fn default() -> Self {
        Self { longest: Duration::from_secs(300), shortest: Duration::from_secs(8) }
    }
}

impl Calibration {
    /// Inputs of a model on a grid of `grid_ms`, taken as logarithms where there is a unit.
    #[must_use]
    pub fn inputs(&self, log_units: [Option<f64>; FEATURES.len()], grid_ms: u64) -> Inputs {
        let rows = self.shortest.as_millis() / u128::from(grid_ms.max(1));
        Inputs::new(log_units, self.longest, usize::try_from(rows).unwrap_or(usize::MAX))
    }
}

/// Reads features, one estimate a step. Sans-I/O: time is passed in.
///
/// # Examples
/// ```
/// use protocol::intent::Abstention;
/// use sdk_core::{clock::Nanos, intent::{InferPermits, IntentEngine}};
/// use std::sync::Arc;
///
/// let mut engine = IntentEngine::new(Arc::new(models::bundled::intent()?));
/// let estimate = engine.step(Nanos::ZERO, &InferPermits::default());
/// assert_eq!(estimate.abstained, Some(Abstention::NoData));
/// # Ok::<(), models::ModelError>(())
/// ```
#[derive(Debug)]
pub struct IntentEngine {
    model: Arc<IntentModel>,
    calibration: Calibration,
    inputs: Inputs,
    memory: Memory,
    /// The grid cell (session time / grid) of the last commit.
    last_cell: Option<u64>,
    last_input: Vec<f32>,
    failures: u64,
}

impl IntentEngine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(model: Arc<IntentModel>) -> Self {
        Self::with_calibration(model, Calibration::default())
    }

    /// The same with another calibration.
    #[must_use]
    pub fn with_calibration(model: Arc<IntentModel>, calibration: Calibration) -> Self {
        let manifest = model.manifest();
        let scalings = &manifest.features;
        let log_units = std::array::from_fn(|i| scalings.get(i).and_then(|f| f.log_unit));
        Self {
            inputs: calibration.inputs(log_units, manifest.grid_ms),
            memory: Memory::new(&model),
            calibration,
            last_cell: None,
            last_input: Vec::new(),
            failures: 0,
            model,
        }
    }

    /// Keeps the newest features of their modality for the next step.
    pub fn observe(&mut self, vector: FeatureVector) {
        self.inputs.observe(vector);
    }

    /// The estimate at a session time, which must not go back.
    pub fn step(&mut self, at: Nanos, permits: &InferPermits) -> IntentEstimate {
        let abstain = |reason| IntentEstimate::abstained(at.as_millis(), reason);
        let row = match self.inputs.row(at, permits) {
            Ok(row) => row,
            Err(reason) => return abstain(reason),
        };
        let input = row.inputs(&self.model.manifest().features);
        let estimate = self.remember(at, &row, &input).and_then(|()| {
            if !self.inputs.calibrated() {
                return Ok(abstain(Abstention::Calibrating));
            }
            let step = self.model.step(&input, self.memory.state())?;
            let (probabilities, arousal) = step.probabilities(self.model.manifest());
            Ok(IntentEstimate { at_ms: at.as_millis(), probabilities, arousal, abstained: None })
        });
        self.last_input = input;
        estimate.unwrap_or_else(|_: ModelError| {
            self.failures += 1;
            abstain(Abstention::PoorQuality)
        })
    }

    /// Commits the row once for each grid cell; a cell in which no step was made is left out.
    fn remember(&mut self, at: Nanos, row: &Row, input: &[f32]) -> Result<(), ModelError> {
        let cell = at.as_millis() / self.model.manifest().grid_ms;
        if self.last_cell.is_some_and(|last| cell <= last) {
            return Ok(());
        }
        let horizon = self.model.manifest().horizon_steps as u64;
        if self.last_cell.is_some_and(|last| cell - last > horizon) {
            self.memory = Memory::new(&self.model);
        }
        self.last_cell = Some(cell);
        self.inputs.commit(at, row);
        if self.inputs.calibrated() { self.memory.commit(&self.model, input) } else { Ok(()) }
    }

    /// Forgets the person: features, baseline and memory. To be called on withdrawal.
    pub fn reset(&mut self) {
        *self = Self::with_calibration(Arc::clone(&self.model), self.calibration);
    }

    /// SHA-256 over the bits of the last step's inputs, lower-case hexadecimal: two decisions with
    /// the same digest saw the same features.
    #[must_use]
    pub fn inputs_digest(&self) -> String {
        let mut hash = Sha256::new();
        for value in &self.last_input {
            hash.update(value.to_le_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The model's name in decisions.
    #[must_use]
    pub fn model_id(&self) -> &str {
        self.model.id()
    }

    /// Steps the network did not answer; each abstained as of poor quality. Never zero-cost to
    /// ignore: anything above 0 is a damaged model.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }
}

#[cfg(test)]
mod tests;
