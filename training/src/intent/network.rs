//! The network: one GRU with two heads, in candle, and its export.

use crate::onnx::{Axis, Graph};
use candle_core::{Device, IndexOp, Result, Tensor, Var};
use candle_nn::ops::sigmoid;
use models::Shapes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Weights under training. Gates stand in candle's order: reset, update, new.
#[derive(Debug)]
pub(super) struct Network {
    shapes: Shapes,
    /// `[3H, F]`
    input: Var,
    /// `[3H, H]`
    recurrent: Var,
    /// `[3H]`
    input_bias: Var,
    /// `[3H]`
    recurrent_bias: Var,
    /// `[H, C + 1]`: the intent classes, then arousal.
    head: Var,
    /// `[C + 1]`
    head_bias: Var,
}

impl Network {
    /// Uniform in `+-1/sqrt(H)` (the usual start of a GRU), from a seed: candle's own initialiser
    /// cannot be seeded on the CPU.
    pub(super) fn new(shapes: Shapes, seed: u64) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bound = 1.0 / (shapes.hidden as f32).sqrt();
        let mut uniform = |dims: &[usize]| {
            let n = dims.iter().product();
            let values: Vec<f32> = (0..n).map(|_| rng.random_range(-bound..bound)).collect();
            Var::from_vec(values, dims, &Device::Cpu)
        };
        let (gates, heads) = (3 * shapes.hidden, shapes.classes + 1);
        Ok(Self {
            shapes,
            input: uniform(&[gates, shapes.inputs])?,
            recurrent: uniform(&[gates, shapes.hidden])?,
            input_bias: uniform(&[gates])?,
            recurrent_bias: uniform(&[gates])?,
            head: uniform(&[shapes.hidden, heads])?,
            head_bias: uniform(&[heads])?,
        })
    }

    pub(super) fn vars(&self) -> Vec<Var> {
        let all = [
            &self.input,
            &self.recurrent,
            &self.input_bias,
            &self.recurrent_bias,
            &self.head,
            &self.head_bias,
        ];
        all.into_iter().cloned().collect()
    }

    /// Commits `committed [B, T, F]` step by step from a zero state; after each, one provisional
    /// step on `provisional [B, T, F]`. The logits of those: `[B, T, C + 1]`.
    pub(super) fn forward(&self, committed: &Tensor, provisional: &Tensor) -> Result<Tensor> {
        let (batch, steps, inputs) = committed.dims3()?;
        let (hidden, gates) = (self.shapes.hidden, 3 * self.shapes.hidden);
        let project = |x: &Tensor| {
            x.reshape((batch * steps, inputs))?
                .matmul(&self.input.t()?)?
                .broadcast_add(&self.input_bias)
        };
        let x =
            project(committed)?.reshape((batch, steps, gates))?.transpose(0, 1)?.contiguous()?;
        let recurrent = self.recurrent.t()?.contiguous()?;
        let mut state = Tensor::zeros((batch, hidden), x.dtype(), x.device())?;
        let mut states = Vec::with_capacity(steps);
        for step in 0..steps {
            state = self.cell(&x.i(step)?, &state, &recurrent)?;
            states.push(state.clone());
        }
        let states = Tensor::stack(&states, 1)?.reshape((batch * steps, hidden))?;
        let answers = self.cell(&project(provisional)?, &states, &recurrent)?;
        let logits = answers.matmul(&self.head)?.broadcast_add(&self.head_bias)?;
        logits.reshape((batch, steps, self.shapes.classes + 1))
    }

    /// The logits after `rows` from a zero state.
    pub(super) fn answer(&self, rows: &[Vec<f32>]) -> Result<([f32; 4], f32)> {
        let shape = (1, rows.len().saturating_sub(1), self.shapes.inputs);
        let tensor = |rows: &[Vec<f32>]| Tensor::from_vec(rows.concat(), shape, &Device::Cpu);
        // Each answer comes from one provisional step: the last row is that of the last answer.
        let committed = tensor(rows.split_last().map_or(&[], |(_, before)| before))?;
        let provisional = tensor(rows.get(1..).unwrap_or(&[]))?;
        let logits = self.forward(&committed, &provisional)?.i((0, shape.1 - 1))?;
        let logits = logits.to_vec1::<f32>()?;
        Ok((std::array::from_fn(|i| logits[i]), logits[self.shapes.classes]))
    }

    /// One GRU step (Cho et al. 2014, in the form with the reset after the product).
    fn cell(&self, x: &Tensor, state: &Tensor, recurrent: &Tensor) -> Result<Tensor> {
        let h = self.shapes.hidden;
        let s = state.matmul(recurrent)?.broadcast_add(&self.recurrent_bias)?;
        let gates = sigmoid(&(x.narrow(1, 0, 2 * h)? + s.narrow(1, 0, 2 * h)?)?)?;
        let reset = gates.narrow(1, 0, h)?;
        let update = gates.narrow(1, h, h)?;
        let new = (x.narrow(1, 2 * h, h)? + (reset * s.narrow(1, 2 * h, h)?)?)?.tanh()?;
        &new + (update * (state - &new)?)?
    }

    /// The network as ONNX: `x [T, 1, F]`, `h0 [1, 1, H]` -> `intent`, `arousal` (logits), `h1`.
    pub(super) fn to_onnx(&self) -> Result<Vec<u8>> {
        let Shapes { inputs, hidden, classes } = self.shapes;
        let values = |v: &Var| v.flatten_all()?.to_vec1::<f32>();
        let bias =
            [onnx_gates(values(&self.input_bias)?), onnx_gates(values(&self.recurrent_bias)?)]
                .concat();
        let mut g = Graph::new("intent");
        g.input("x", &[Axis::Free("T"), Axis::Fixed(1), Axis::Fixed(inputs)]);
        g.input("h0", &[Axis::Fixed(1), Axis::Fixed(1), Axis::Fixed(hidden)]);
        g.output("intent", &[Axis::Fixed(1), Axis::Fixed(classes)]);
        g.output("arousal", &[Axis::Fixed(1), Axis::Fixed(1)]);
        g.output("h1", &[Axis::Fixed(1), Axis::Fixed(1), Axis::Fixed(hidden)]);
        g.floats("W", &[1, 3 * hidden, inputs], &onnx_gates(values(&self.input)?));
        g.floats("R", &[1, 3 * hidden, hidden], &onnx_gates(values(&self.recurrent)?));
        g.floats("B", &[1, 6 * hidden], &bias);
        g.integers("first", &[0]);
        g.node(
            "GRU",
            &["x", "W", "R", "B", "", "h0"],
            &["", "h1"],
            &[("hidden_size", hidden as i64), ("linear_before_reset", 1)],
        );
        g.node("Squeeze", &["h1", "first"], &["last"], &[]);
        for (name, from, width) in [("intent", 0, classes), ("arousal", classes, 1)] {
            let weights = self.head.narrow(1, from, width)?.flatten_all()?.to_vec1::<f32>()?;
            let bias = self.head_bias.narrow(0, from, width)?.to_vec1::<f32>()?;
            let [w, b, product] = ["weights", "bias", "product"].map(|p| format!("{name}_{p}"));
            g.floats(&w, &[hidden, width], &weights);
            g.floats(&b, &[width], &bias);
            g.node("MatMul", &["last", &w], &[&product], &[]);
            g.node("Add", &[&product, &b], &[name], &[]);
        }
        Ok(g.into_bytes())
    }
}

/// Candle's gate order (reset, update, new) to that of ONNX (update, reset, new).
fn onnx_gates(weights: Vec<f32>) -> Vec<f32> {
    let block = weights.len() / 3;
    [&weights[block..2 * block], &weights[..block], &weights[2 * block..]].concat()
}
