//! The network: one GRU with two heads, in candle, and its export.

use crate::{
    gru::{Gru, uniform},
    onnx::{Axis, Graph},
};
use candle_core::{Device, IndexOp, Result, Tensor, Var};
use models::Shapes;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Weights under training.
#[derive(Debug)]
pub(super) struct Network {
    shapes: Shapes,
    gru: Gru,
    /// `[H, C + 1]`: the intent classes, then arousal.
    head: Var,
    /// `[C + 1]`
    head_bias: Var,
}

impl Network {
    /// Uniform in `+-1/sqrt(H)`, from a seed.
    pub(super) fn new(shapes: Shapes, seed: u64) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bound = 1.0 / (shapes.hidden as f32).sqrt();
        let heads = shapes.classes + 1;
        Ok(Self {
            shapes,
            gru: Gru::new(shapes.inputs, shapes.hidden, &mut rng)?,
            head: uniform(&mut rng, bound, &[shapes.hidden, heads])?,
            head_bias: uniform(&mut rng, bound, &[heads])?,
        })
    }

    pub(super) fn vars(&self) -> Vec<Var> {
        self.gru.vars().into_iter().chain([&self.head, &self.head_bias]).cloned().collect()
    }

    /// Commits `committed [B, T, F]` step by step from a zero state; after each, one provisional
    /// step on `provisional [B, T, F]`. The logits of those: `[B, T, C + 1]`.
    pub(super) fn forward(&self, committed: &Tensor, provisional: &Tensor) -> Result<Tensor> {
        let (batch, steps, inputs) = committed.dims3()?;
        let (hidden, gates) = (self.shapes.hidden, 3 * self.shapes.hidden);
        let project = |x: &Tensor| self.gru.project(&x.reshape((batch * steps, inputs))?);
        let x =
            project(committed)?.reshape((batch, steps, gates))?.transpose(0, 1)?.contiguous()?;
        let recurrent = self.gru.recurrent()?;
        let mut state = Tensor::zeros((batch, hidden), x.dtype(), x.device())?;
        let mut states = Vec::with_capacity(steps);
        for step in 0..steps {
            state = self.gru.cell(&x.i(step)?, &state, &recurrent)?;
            states.push(state.clone());
        }
        let states = Tensor::stack(&states, 1)?.reshape((batch * steps, hidden))?;
        let answers = self.gru.cell(&project(provisional)?, &states, &recurrent)?;
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

    /// The network as ONNX: `x [T, 1, F]`, `h0 [1, 1, H]` -> `intent`, `arousal` (logits), `h1`.
    pub(super) fn to_onnx(&self) -> Result<Vec<u8>> {
        let Shapes { inputs, hidden, classes } = self.shapes;
        let mut g = Graph::new("intent");
        g.input("x", &[Axis::Free("T"), Axis::Fixed(1), Axis::Fixed(inputs)]);
        g.input("h0", &[Axis::Fixed(1), Axis::Fixed(1), Axis::Fixed(hidden)]);
        g.output("intent", &[Axis::Fixed(1), Axis::Fixed(classes)]);
        g.output("arousal", &[Axis::Fixed(1), Axis::Fixed(1)]);
        g.output("h1", &[Axis::Fixed(1), Axis::Fixed(1), Axis::Fixed(hidden)]);
        self.gru.export(&mut g, "x", "h0", "h1")?;
        g.integers("first", &[0]);
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
