//! The hidden state, bounded in age.

use models::{IntentModel, ModelError};

/// Two hidden states, reset in turn, so that one of them is always old enough to answer and none
/// is ever old enough to have read elapsed time.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    lanes: [Vec<f32>; 2],
    /// Committed steps since the beginning.
    commits: usize,
    /// Lanes are reset every two horizons, one horizon apart.
    horizon: usize,
}

impl Memory {
    /// Nothing seen.
    pub(super) fn new(model: &IntentModel) -> Self {
        let zero = model.zero_state();
        let horizon = model.manifest().horizon_steps;
        Self { lanes: [zero.clone(), zero], commits: 0, horizon }
    }

    /// Takes one row of the grid for good.
    ///
    /// # Errors
    /// The model's; the memory is then as before.
    pub(super) fn commit(&mut self, model: &IntentModel, x: &[f32]) -> Result<(), ModelError> {
        let first = model.step(x, &self.lanes[0])?.state;
        let second = model.step(x, &self.lanes[1])?.state;
        self.lanes = [first, second];
        self.commits += 1;
        let phase = self.commits % (2 * self.horizon);
        if phase == 0 {
            self.lanes[0] = model.zero_state();
        } else if phase == self.horizon {
            self.lanes[1] = model.zero_state();
        }
        Ok(())
    }

    /// The older state: it has seen one to two horizons, less only at the beginning.
    pub(super) fn state(&self) -> &[f32] {
        let first_answers =
            self.commits < self.horizon || self.commits % (2 * self.horizon) >= self.horizon;
        &self.lanes[usize::from(!first_answers)]
    }

    #[cfg(test)]
    pub(super) fn commits(&self) -> usize {
        self.commits
    }
}
