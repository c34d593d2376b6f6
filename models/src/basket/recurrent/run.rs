//! The networks on tract.

use super::{BLOCK, Networks, RecurrentError};
use crate::basket::{EMBEDDING, FEATURES, HIDDEN, STEP};
use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tract_onnx::prelude::*;

/// Both networks, ready to run.
#[derive(Clone)]
pub(super) struct Plans {
    step: Arc<TypedRunnableModel>,
    pairs: Arc<TypedRunnableModel>,
}

impl Plans {
    /// Builds the networks and tries them once, on zeros.
    pub(super) fn new(networks: &Networks) -> Result<Self, RecurrentError> {
        // tract asserts on some graphs that are damaged in a way the ONNX format allows. All that
        // is touched inside is made there and dropped with the panic.
        catch_unwind(AssertUnwindSafe(|| Self::load(networks).map_err(network)))
            .unwrap_or_else(|_| Err(RecurrentError::Network("its graph is damaged".to_owned())))
    }

    fn load(networks: &Networks) -> TractResult<Self> {
        let step: [&[usize]; 2] = [&[1, 1, STEP], &[1, 1, HIDDEN]];
        let pairs: [&[usize]; 3] = [&[1, HIDDEN], &[BLOCK, FEATURES.len()], &[BLOCK, EMBEDDING]];
        let plans =
            Self { step: plan(networks.step(), &step)?, pairs: plan(networks.pairs(), &pairs)? };
        let state = plans.advance(&[0.0; STEP], &[0.0; HIDDEN]).map_err(TractError::msg)?;
        let (rows, items) = (vec![0.0; BLOCK * FEATURES.len()], vec![0.0; BLOCK * EMBEDDING]);
        plans.look(&state, &rows, &items).map_err(TractError::msg)?;
        Ok(plans)
    }

    /// The state after one basket more: `x [STEP]`, `state [HIDDEN]`.
    pub(super) fn advance(&self, x: &[f32], state: &[f32]) -> Result<Vec<f32>, RecurrentError> {
        // One step at a time: over several, tract's scan ignores the state it is given when a plan
        // is run a second time.
        let run = || {
            let x = Tensor::from_shape(&[1, 1, STEP], x)?;
            let state = Tensor::from_shape(&[1, 1, HIDDEN], state)?;
            values(&self.step.run(tvec!(x.into(), state.into()))?, 0, HIDDEN)
        };
        run().map_err(network)
    }

    /// Logits of a block: repeat and explore `[BLOCK]`, and of the gate. Takes the features' places
    /// `[BLOCK, FEATURES]` and the items' numbers `[BLOCK, EMBEDDING]`.
    pub(super) fn look(
        &self,
        state: &[f32],
        rows: &[f32],
        items: &[f32],
    ) -> Result<(Vec<f32>, Vec<f32>, f32), RecurrentError> {
        let run = || {
            let state = Tensor::from_shape(&[1, HIDDEN], state)?;
            let rows = Tensor::from_shape(&[BLOCK, FEATURES.len()], rows)?;
            let items = Tensor::from_shape(&[BLOCK, EMBEDDING], items)?;
            let found = self.pairs.run(tvec!(state.into(), rows.into(), items.into()))?;
            let gate = values(&found, 2, 1)?;
            Ok((values(&found, 0, BLOCK)?, values(&found, 1, BLOCK)?, gate[0]))
        };
        run().map_err(network)
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
