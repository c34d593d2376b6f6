//! A recurrent model of consumption.
//!
//! A GRU reads a person's baskets in the order of time; what it remembers decides, through a gate,
//! how likely they buy again what they bought before, and what else they might take ([`gated`]).
//! Two small networks do it, both on tract: one takes a step a basket, the other looks at a block of
//! candidates. The items' numbers stand beside them in a table.

mod inputs;
mod stored;

#[cfg(test)]
mod tests;

pub use inputs::{
    EMBEDDING, HIDDEN, KNOTS, MOMENT, MOST_STEPS, Moment, Quantiles, STEP, gated, is_own,
    item_weight, steps,
};
pub use stored::{Networks, RecurrentError};

use super::{Candidates, FEATURES, History, Method, Scorer};
use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tract_onnx::prelude::*;

/// Candidates that are looked at in one run: most people have twice as many.
pub const BLOCK: usize = 64;

/// The model, ready to run.
pub struct Recurrent {
    networks: Networks,
    step: Arc<TypedRunnableModel>,
    pairs: Arc<TypedRunnableModel>,
}

impl Recurrent {
    /// Builds the networks and tries them once, on zeros.
    ///
    /// # Errors
    /// [`RecurrentError::Network`] where tract does not take them or they have other shapes.
    pub fn new(networks: Networks) -> Result<Self, RecurrentError> {
        // tract asserts on some graphs that are damaged in a way the ONNX format allows. All that
        // is touched inside is made there and dropped with the panic.
        catch_unwind(AssertUnwindSafe(|| Self::load(networks)))
            .unwrap_or_else(|_| Err(RecurrentError::Network("its graph is damaged".to_owned())))
    }

    fn load(networks: Networks) -> Result<Self, RecurrentError> {
        let build = || {
            let step: [&[usize]; 2] = [&[1, 1, STEP], &[1, 1, HIDDEN]];
            let pairs: [&[usize]; 3] =
                [&[1, HIDDEN], &[BLOCK, FEATURES.len()], &[BLOCK, EMBEDDING]];
            Ok((plan(networks.step(), &step)?, plan(networks.pairs(), &pairs)?))
        };
        let (step, pairs) = build().map_err(network)?;
        let model = Self { networks, step, pairs };
        let state = model.advance(&[0.0; STEP], &[0.0; HIDDEN]).map_err(network)?;
        let rows = vec![0.0; BLOCK * FEATURES.len()];
        model.look(&state, &rows, &vec![0.0; BLOCK * EMBEDDING]).map_err(network)?;
        Ok(model)
    }

    /// What it is made of.
    #[must_use]
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The state after one basket more.
    fn advance(&self, x: &[f32], state: &[f32]) -> TractResult<Vec<f32>> {
        // One step at a time: over several, tract's scan ignores the state it is given when a plan
        // is run a second time.
        let x = Tensor::from_shape(&[1, 1, STEP], x)?;
        let state = Tensor::from_shape(&[1, 1, HIDDEN], state)?;
        values(&self.step.run(tvec!(x.into(), state.into()))?, 0, HIDDEN)
    }

    /// Logits of a block: repeat, explore, and of the gate.
    fn look(
        &self,
        state: &[f32],
        rows: &[f32],
        items: &[f32],
    ) -> TractResult<(Vec<f32>, Vec<f32>, f32)> {
        let state = Tensor::from_shape(&[1, HIDDEN], state)?;
        let rows = Tensor::from_shape(&[BLOCK, FEATURES.len()], rows)?;
        let items = Tensor::from_shape(&[BLOCK, EMBEDDING], items)?;
        let found = self.pairs.run(tvec!(state.into(), rows.into(), items.into()))?;
        let gate = values(&found, 2, 1)?;
        Ok((values(&found, 0, BLOCK)?, values(&found, 1, BLOCK)?, gate[0]))
    }

    /// What the network remembers of a person.
    fn state(&self, history: &History) -> TractResult<Vec<f32>> {
        let mut state = vec![0.0; HIDDEN];
        for (basket, moment) in steps(history) {
            let mut x = [0.0; STEP];
            let weight = item_weight(basket);
            for item in &basket.items {
                let row = self.networks.item(*item);
                x.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
            x[EMBEDDING..].copy_from_slice(&moment);
            state = self.advance(&x, &state)?;
        }
        Ok(state)
    }

    fn log_probabilities(
        &self,
        history: &History,
        candidates: &Candidates,
        out: &mut Vec<f64>,
    ) -> TractResult<()> {
        let state = self.state(history)?;
        let (mut repeat, mut explore, mut gate) = (Vec::new(), Vec::new(), 0.0);
        let all = candidates.items.chunks(BLOCK);
        for (items, features) in all.zip(candidates.features.chunks(BLOCK * FEATURES.len())) {
            let mut rows = features.to_vec();
            self.networks.quantiles().place(&mut rows);
            rows.resize(BLOCK * FEATURES.len(), 0.0);
            let mut table: Vec<f32> =
                items.iter().flat_map(|item| self.networks.item(*item)).copied().collect();
            table.resize(BLOCK * EMBEDDING, 0.0);
            let found = self.look(&state, &rows, &table)?;
            repeat.extend_from_slice(&found.0[..items.len()]);
            explore.extend_from_slice(&found.1[..items.len()]);
            gate = found.2;
        }
        let own: Vec<bool> =
            (0..candidates.items.len()).map(|at| is_own(candidates, at)).collect();
        gated(&own, &repeat, &explore, gate, out);
        Ok(())
    }
}

impl Scorer for Recurrent {
    fn name(&self) -> &str {
        Method::Recurrent.name()
    }

    /// Log-probabilities of being the next purchase; ENS where the network cannot be run.
    fn scores(&self, history: &History, candidates: &Candidates, out: &mut Vec<f64>) {
        if self.log_probabilities(history, candidates, out).is_err() {
            out.clone_from(&candidates.ens);
        }
    }
}

impl std::fmt::Debug for Recurrent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recurrent").field("networks", &self.networks).finish_non_exhaustive()
    }
}

impl PartialEq for Recurrent {
    fn eq(&self, other: &Self) -> bool {
        self.networks == other.networks
    }
}

fn plan(onnx: &[u8], inputs: &[&[usize]]) -> TractResult<Arc<TypedRunnableModel>> {
    let mut model = tract_onnx::onnx().model_for_read(&mut Cursor::new(onnx))?;
    for (at, shape) in inputs.iter().enumerate() {
        model = model.with_input_fact(at, f32::fact(*shape).into())?;
    }
    model.into_optimized()?.into_runnable()
}

fn network(error: TractError) -> RecurrentError {
    RecurrentError::Network(format!("{error:#}"))
}

/// One output: so many finite numbers.
fn values(outputs: &TVec<TValue>, index: usize, expected: usize) -> TractResult<Vec<f32>> {
    let wrong = |what: &str| TractError::msg(format!("output {index} {what}"));
    let tensor = outputs.get(index).ok_or_else(|| wrong("is missing"))?;
    let values: Vec<f32> = tensor.to_plain_array_view::<f32>()?.iter().copied().collect();
    if values.len() != expected {
        return Err(wrong("has another shape"));
    }
    if !values.iter().all(|value| value.is_finite()) {
        return Err(wrong("is not finite"));
    }
    Ok(values)
}
