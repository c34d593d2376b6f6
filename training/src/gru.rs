//! A gated recurrent unit under training, in candle, and as ONNX.

use crate::onnx::Graph;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::ops::sigmoid;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Weights of a GRU (Cho et al. 2014, in the form with the reset after the product). Gates stand in
/// candle's order: reset, update, new.
#[derive(Debug)]
pub(crate) struct Gru {
    inputs: usize,
    hidden: usize,
    /// `[3H, F]`
    input: Var,
    /// `[3H, H]`
    recurrent: Var,
    /// `[3H]`
    input_bias: Var,
    /// `[3H]`
    recurrent_bias: Var,
}

/// Uniform in `+-bound`, from a seed: candle's own initialiser cannot be seeded on the CPU.
pub(crate) fn uniform(rng: &mut ChaCha8Rng, bound: f32, dims: &[usize]) -> Result<Var> {
    let values: Vec<f32> =
        (0..dims.iter().product()).map(|_| rng.random_range(-bound..bound)).collect();
    Var::from_vec(values, dims, &Device::Cpu)
}

impl Gru {
    /// Uniform in `+-1/sqrt(H)`, the usual start.
    pub(crate) fn new(inputs: usize, hidden: usize, rng: &mut ChaCha8Rng) -> Result<Self> {
        let bound = 1.0 / (hidden as f32).sqrt();
        let gates = 3 * hidden;
        Ok(Self {
            inputs,
            hidden,
            input: uniform(rng, bound, &[gates, inputs])?,
            recurrent: uniform(rng, bound, &[gates, hidden])?,
            input_bias: uniform(rng, bound, &[gates])?,
            recurrent_bias: uniform(rng, bound, &[gates])?,
        })
    }

    pub(crate) fn vars(&self) -> [&Var; 4] {
        [&self.input, &self.recurrent, &self.input_bias, &self.recurrent_bias]
    }

    /// The inputs' part of the gates: `[N, F]` to `[N, 3H]`.
    pub(crate) fn project(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.input.t()?)?.broadcast_add(&self.input_bias)
    }

    /// `[H, 3H]`, as [`Gru::cell`] wants it: made once for many steps.
    pub(crate) fn recurrent(&self) -> Result<Tensor> {
        self.recurrent.t()?.contiguous()
    }

    /// One step on from `state [N, H]`, by inputs that were projected.
    pub(crate) fn cell(&self, x: &Tensor, state: &Tensor, recurrent: &Tensor) -> Result<Tensor> {
        let h = self.hidden;
        let s = state.matmul(recurrent)?.broadcast_add(&self.recurrent_bias)?;
        let gates = sigmoid(&(x.narrow(1, 0, 2 * h)? + s.narrow(1, 0, 2 * h)?)?)?;
        let reset = gates.narrow(1, 0, h)?;
        let update = gates.narrow(1, h, h)?;
        let new = (x.narrow(1, 2 * h, h)? + (reset * s.narrow(1, 2 * h, h)?)?)?.tanh()?;
        &new + (update * (state - &new)?)?
    }

    /// Adds the node to a graph: `x [T, B, F]` and `h0 [1, B, H]` give `h1 [1, B, H]`.
    pub(crate) fn export(&self, graph: &mut Graph, x: &str, h0: &str, h1: &str) -> Result<()> {
        let (gates, hidden) = (3 * self.hidden, self.hidden);
        let values = |v: &Var| v.flatten_all()?.to_vec1::<f32>();
        let biases = [&self.input_bias, &self.recurrent_bias].map(values);
        let [input_bias, recurrent_bias] = biases;
        let bias = [onnx_gates(input_bias?), onnx_gates(recurrent_bias?)].concat();
        graph.floats("W", &[1, gates, self.inputs], &onnx_gates(values(&self.input)?));
        graph.floats("R", &[1, gates, hidden], &onnx_gates(values(&self.recurrent)?));
        graph.floats("B", &[1, 2 * gates], &bias);
        graph.node(
            "GRU",
            &[x, "W", "R", "B", "", h0],
            &["", h1],
            &[("hidden_size", hidden as i64), ("linear_before_reset", 1)],
        );
        Ok(())
    }
}

/// Candle's gate order (reset, update, new) to that of ONNX (update, reset, new).
fn onnx_gates(weights: Vec<f32>) -> Vec<f32> {
    let block = weights.len() / 3;
    [&weights[block..2 * block], &weights[..block], &weights[2 * block..]].concat()
}
