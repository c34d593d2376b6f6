//! The networks, in candle, and their export.

use crate::{
    gru::{Gru, uniform},
    onnx::{Axis, Graph},
};
use candle_core::{D, Device, IndexOp, Result, Tensor, Var};
use candle_nn::ops::{log_softmax, sigmoid};
use models::basket::{EMBEDDING, FEATURES, HIDDEN, STEP};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Width of the first and the second layer over a pair.
const WIDE: usize = 64;
const NARROW: usize = 32;
/// Items start near nothing: what is seldom bought stays there.
const ITEM_START: f32 = 0.05;
/// Added to a logit that does not count: its probability is 0.
const NEVER: f64 = -1e9;

/// Weights under training.
#[derive(Debug)]
pub(super) struct Network {
    /// `[items, EMBEDDING]`
    table: Var,
    gru: Gru,
    /// First layer: of a pair's features `[FEATURES, WIDE]`, the item `[EMBEDDING, WIDE]`, the
    /// person's state `[HIDDEN, WIDE]`, and its bias `[WIDE]`.
    pair: Var,
    item: Var,
    state: Var,
    first_bias: Var,
    /// Second layer `[WIDE, NARROW]`, `[NARROW]`.
    second: Var,
    second_bias: Var,
    /// `[NARROW, 1]` each.
    repeat: Var,
    explore: Var,
    /// `[HIDDEN, EMBEDDING]`: the items that go with a state.
    affinity: Var,
    /// `[HIDDEN, 1]`, `[1]`
    gate: Var,
    gate_bias: Var,
}

/// People and their candidates, all of one size: what is missing has mask 0.
pub(super) struct Batch {
    pub(super) people: usize,
    pub(super) steps: usize,
    pub(super) candidates: usize,
    /// `[N]` items of all baskets, `[N]` the step of each, `[N, 1]` its weight.
    pub(super) bought: Tensor,
    pub(super) bought_step: Tensor,
    pub(super) bought_weight: Tensor,
    /// `[B, T, MOMENT]`
    pub(super) moments: Tensor,
    /// `[B, T]`: 1 where there is a basket; missing ones stand first.
    pub(super) is_step: Tensor,
    /// `[B * C]`
    pub(super) items: Tensor,
    /// `[B * C, FEATURES]`
    pub(super) pairs: Tensor,
    /// `[B, C]`: 1 for the person's own, for others, and the share of the loss.
    pub(super) own: Tensor,
    pub(super) other: Tensor,
    pub(super) target: Tensor,
}

/// Shares of numbers that are left out while training (Srivastava et al., JMLR 2014), so that none
/// is relied on alone.
pub(super) struct Dropout<'a> {
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) share: f64,
    pub(super) item_share: f64,
}

impl Dropout<'_> {
    fn mask(&mut self, dims: &[usize], share: f64) -> Result<Tensor> {
        let kept = (1.0 / (1.0 - share)) as f32;
        let one = |_| if self.rng.random_bool(share) { 0.0 } else { kept };
        let values: Vec<f32> = (0..dims.iter().product::<usize>()).map(one).collect();
        Tensor::from_vec(values, dims, &Device::Cpu)
    }
}

impl Network {
    pub(super) fn new(items: usize, seed: u64) -> Result<Self> {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let gru = Gru::new(STEP, HIDDEN, rng)?;
        let inputs = FEATURES.len() + EMBEDDING + HIDDEN;
        let mut layer =
            |inputs: usize, dims: &[usize]| uniform(rng, 1.0 / (inputs as f32).sqrt(), dims);
        Ok(Self {
            gru,
            pair: layer(inputs, &[FEATURES.len(), WIDE])?,
            item: layer(inputs, &[EMBEDDING, WIDE])?,
            state: layer(inputs, &[HIDDEN, WIDE])?,
            first_bias: layer(inputs, &[WIDE])?,
            second: layer(WIDE, &[WIDE, NARROW])?,
            second_bias: layer(WIDE, &[NARROW])?,
            repeat: layer(NARROW, &[NARROW, 1])?,
            explore: layer(NARROW, &[NARROW, 1])?,
            affinity: layer(HIDDEN, &[HIDDEN, EMBEDDING])?,
            gate: layer(HIDDEN, &[HIDDEN, 1])?,
            gate_bias: layer(HIDDEN, &[1])?,
            table: uniform(rng, ITEM_START, &[items, EMBEDDING])?,
        })
    }

    pub(super) fn vars(&self) -> Vec<Var> {
        let others = [
            &self.table,
            &self.pair,
            &self.item,
            &self.state,
            &self.first_bias,
            &self.second,
            &self.second_bias,
            &self.repeat,
            &self.explore,
            &self.affinity,
            &self.gate,
            &self.gate_bias,
        ];
        self.gru.vars().into_iter().chain(others).cloned().collect()
    }

    /// What is remembered of each person, `[B, HIDDEN]`.
    fn remember(&self, batch: &Batch) -> Result<Tensor> {
        let (people, steps) = (batch.people, batch.steps);
        let items = self.table.index_select(&batch.bought, 0)?;
        let items = items.broadcast_mul(&batch.bought_weight)?;
        let baskets = Tensor::zeros((people * steps, EMBEDDING), items.dtype(), items.device())?
            .index_add(&batch.bought_step, &items, 0)?
            .reshape((people, steps, EMBEDDING))?;
        let x = Tensor::cat(&[&baskets, &batch.moments], 2)?.reshape((people * steps, STEP))?;
        let x = self.gru.project(&x)?.reshape((people, steps, 3 * HIDDEN))?;
        let x = x.transpose(0, 1)?.contiguous()?;
        let recurrent = self.gru.recurrent()?;
        let mut state = Tensor::zeros((people, HIDDEN), x.dtype(), x.device())?;
        for step in 0..steps {
            let next = self.gru.cell(&x.i(step)?, &state, &recurrent)?;
            let is_step = batch.is_step.narrow(1, step, 1)?;
            state = (&state + (next - &state)?.broadcast_mul(&is_step)?)?;
        }
        Ok(state)
    }

    /// Logits `[B, C]` of repeating and exploring, and `[B, 1]` of the gate.
    pub(super) fn logits(
        &self,
        batch: &Batch,
        mut dropout: Option<Dropout<'_>>,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let (people, candidates) = (batch.people, batch.candidates);
        let mut state = self.remember(batch)?;
        let mut items = self.table.index_select(&batch.items, 0)?;
        if let Some(dropout) = &mut dropout {
            state = (state * dropout.mask(&[people, HIDDEN], dropout.share)?)?;
            let mask = dropout.mask(&[people * candidates, 1], dropout.item_share)?;
            items = items.broadcast_mul(&mask)?;
        }
        let of_person = state.matmul(&self.state)?.broadcast_add(&self.first_bias)?;
        let first = (batch.pairs.matmul(&self.pair)? + items.matmul(&self.item)?)?
            .reshape((people, candidates, WIDE))?
            .broadcast_add(&of_person.unsqueeze(1)?)?;
        let mut first = first.relu()?;
        if let Some(dropout) = &mut dropout {
            first = first.broadcast_mul(&dropout.mask(&[people, 1, WIDE], dropout.share)?)?;
        }
        let second = first
            .reshape((people * candidates, WIDE))?
            .matmul(&self.second)?
            .broadcast_add(&self.second_bias)?
            .relu()?;
        let direction = state.matmul(&self.affinity)?.unsqueeze(2)?;
        let likely = items
            .reshape((people, candidates, EMBEDDING))?
            .matmul(&direction)?
            .reshape((people, candidates))?;
        let repeat = second.matmul(&self.repeat)?.reshape((people, candidates))?;
        let explore = second.matmul(&self.explore)?.reshape((people, candidates))?;
        let gate = state.matmul(&self.gate)?.broadcast_add(&self.gate_bias)?;
        Ok((repeat, (explore + likely)?, gate))
    }

    /// Minus the log-probability of what was bought next, the mean over a person's items, then over
    /// people: as [`models::basket::gated`].
    pub(super) fn loss(&self, batch: &Batch, dropout: Option<Dropout<'_>>) -> Result<Tensor> {
        let (repeat, explore, gate) = self.logits(batch, dropout)?;
        let among = |logits: Tensor, mask: &Tensor| {
            log_softmax(&(logits + mask.affine(-NEVER, NEVER)?)?, D::Minus1)
        };
        // The floor is that of a probability which rounding made 0.
        let likely = |logit: &Tensor| sigmoid(logit)?.affine(1.0, 1e-12)?.log();
        let repeat = among(repeat, &batch.own)?.broadcast_add(&likely(&gate)?)?;
        let explore = among(explore, &batch.other)?.broadcast_add(&likely(&gate.neg()?)?)?;
        let of = |logs: Tensor, mask: &Tensor| (logs * (&batch.target * mask)?)?.sum_all();
        let sum = (of(repeat, &batch.own)? + of(explore, &batch.other)?)?;
        sum.affine(-1.0 / batch.people.max(1) as f64, 0.0)
    }

    /// The items' table, as it is stored.
    pub(super) fn table(&self) -> Result<Vec<f32>> {
        self.table.flatten_all()?.to_vec1()
    }

    /// One step: `x [T, 1, STEP]`, `h0 [1, 1, HIDDEN]` -> `h1`.
    pub(super) fn step_onnx(&self) -> Result<Vec<u8>> {
        let mut g = Graph::new("basket");
        g.input("x", &[Axis::Free("T"), Axis::Fixed(1), Axis::Fixed(STEP)]);
        g.input("h0", &[Axis::Fixed(1), Axis::Fixed(1), Axis::Fixed(HIDDEN)]);
        g.output("h1", &[Axis::Fixed(1), Axis::Fixed(1), Axis::Fixed(HIDDEN)]);
        self.gru.export(&mut g, "x", "h0", "h1")?;
        Ok(g.into_bytes())
    }

    /// Pairs: `h [1, HIDDEN]`, `pairs [C, FEATURES]`, `items [C, EMBEDDING]` -> `repeat [C, 1]`,
    /// `explore [C, 1]`, `gate [1, 1]`.
    pub(super) fn pairs_onnx(&self) -> Result<Vec<u8>> {
        let mut g = Graph::new("pairs");
        g.input("h", &[Axis::Fixed(1), Axis::Fixed(HIDDEN)]);
        g.input("pairs", &[Axis::Free("C"), Axis::Fixed(FEATURES.len())]);
        g.input("items", &[Axis::Free("C"), Axis::Fixed(EMBEDDING)]);
        g.output("repeat", &[Axis::Free("C"), Axis::Fixed(1)]);
        g.output("explore", &[Axis::Free("C"), Axis::Fixed(1)]);
        g.output("gate", &[Axis::Fixed(1), Axis::Fixed(1)]);
        for (name, var) in [
            ("pair_weights", &self.pair),
            ("item_weights", &self.item),
            ("state_weights", &self.state),
            ("first_bias", &self.first_bias),
            ("second_weights", &self.second),
            ("second_bias", &self.second_bias),
            ("repeat_weights", &self.repeat),
            ("explore_weights", &self.explore),
            ("affinity", &self.affinity),
            ("gate_weights", &self.gate),
            ("gate_bias", &self.gate_bias),
        ] {
            g.floats(name, var.dims(), &var.flatten_all()?.to_vec1::<f32>()?);
        }
        for (op, from, to) in [
            ("MatMul", &["h", "state_weights"][..], "of_state"),
            ("Add", &["of_state", "first_bias"], "of_person"),
            ("MatMul", &["pairs", "pair_weights"], "of_pairs"),
            ("MatMul", &["items", "item_weights"], "of_items"),
            ("Add", &["of_pairs", "of_items"], "of_both"),
            ("Add", &["of_both", "of_person"], "first_sum"),
            ("Relu", &["first_sum"], "first"),
            ("MatMul", &["first", "second_weights"], "second_product"),
            ("Add", &["second_product", "second_bias"], "second_sum"),
            ("Relu", &["second_sum"], "second"),
            ("MatMul", &["second", "repeat_weights"], "repeat"),
            ("MatMul", &["second", "explore_weights"], "explore_pair"),
            ("MatMul", &["h", "affinity"], "direction"),
            ("Transpose", &["direction"], "direction_column"),
            ("MatMul", &["items", "direction_column"], "explore_item"),
            ("Add", &["explore_pair", "explore_item"], "explore"),
            ("MatMul", &["h", "gate_weights"], "gate_product"),
            ("Add", &["gate_product", "gate_bias"], "gate"),
        ] {
            g.node(op, from, &[to], &[]);
        }
        Ok(g.into_bytes())
    }
}
