//! Fitting the recurrent model.
//!
//! It learns from the same pairs as the re-ranker, and so from nothing that comes after a cut. One
//! person in ten is held back: they say when to stop.

mod batch;
mod network;

use super::{BasketError, lessons::Lessons};
use batch::Pupils;
use candle_core::Tensor;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use models::basket::{FEATURES, KNOTS, Networks, Quantiles, Recurrent};
use network::{Dropout, Network};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// One person in so many says when to stop.
const HELD_BACK: u32 = 10;
/// Passes over all people, at most. The best one is kept.
pub(super) const PASSES: u64 = 16;
/// Passes without a gain, before it ends.
const PATIENCE: usize = 3;
/// People a step.
const BATCH: usize = 16;
const LEARNING_RATE: f64 = 1e-3;
/// The rate falls in a line, to this share of it.
const LAST_RATE: f64 = 0.1;
/// Strong, as what is left out is: thousands of people are few. These settings were chosen on
/// Ta-Feng's cut before the one that is judged.
const WEIGHT_DECAY: f64 = 0.3;
const DROPOUT: f64 = 0.3;
/// Of candidates' items: what sold in some weeks says little of the next.
const ITEM_DROPOUT: f64 = 0.8;
/// Numbers that a feature's borders are told from, at most.
const SAMPLE: usize = 100_000;

/// Fits the model. The same arguments give the same bytes. `progress` hears of each person in each
/// pass.
pub(super) fn fit(
    lessons: &Lessons,
    seed: u64,
    progress: &mut dyn FnMut(),
) -> Result<Recurrent, BasketError> {
    let quantiles = quantiles(lessons).ok_or(BasketError::Untaught)?;
    let pupils = Pupils::new(lessons, &quantiles);
    let network = train(&pupils, lessons.items, seed, progress)?;
    let networks =
        Networks::new(quantiles, network.table()?, network.step_onnx()?, network.pairs_onnx()?)?;
    Ok(Recurrent::new(networks)?)
}

fn train(
    pupils: &Pupils<'_>,
    items: usize,
    seed: u64,
    progress: &mut dyn FnMut(),
) -> Result<Network, BasketError> {
    let (held_back, mut taught): (Vec<usize>, Vec<usize>) =
        pupils.taught().partition(|pupil| pupils.person(*pupil).is_multiple_of(HELD_BACK));
    if held_back.is_empty() || taught.is_empty() {
        return Err(BasketError::Untaught);
    }
    let network = Network::new(items, seed)?;
    let vars = network.vars();
    let params = ParamsAdamW { weight_decay: WEIGHT_DECAY, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(vars.clone(), params)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5EED);
    let mut best: (f64, Vec<Tensor>) = (f64::INFINITY, Vec::new());
    let mut since_best = 0;
    for pass in 0..PASSES {
        let passed = pass as f64 / PASSES as f64;
        optimizer.set_learning_rate(LEARNING_RATE * (1.0 - (1.0 - LAST_RATE) * passed));
        taught.shuffle(&mut rng);
        for people in taught.chunks(BATCH) {
            let batch = pupils.batch(people)?;
            let dropout = Dropout { rng: &mut rng, share: DROPOUT, item_share: ITEM_DROPOUT };
            optimizer.backward_step(&network.loss(&batch, Some(dropout))?)?;
            people.iter().for_each(|_| progress());
        }
        let mut loss = 0.0;
        for people in held_back.chunks(BATCH) {
            let mean = network.loss(&pupils.batch(people)?, None)?.to_scalar::<f32>()?;
            loss += f64::from(mean) * people.len() as f64 / held_back.len() as f64;
        }
        if loss < best.0 {
            let weights: Result<Vec<Tensor>, _> = vars.iter().map(|var| var.copy()).collect();
            best = (loss, weights?);
            since_best = 0;
        } else {
            since_best += 1;
            if since_best == PATIENCE {
                break;
            }
        }
    }
    vars.iter().zip(&best.1).try_for_each(|(var, weights)| var.set(weights))?;
    Ok(network)
}

/// Borders of all features, from rows that are spread over all people.
fn quantiles(lessons: &Lessons) -> Option<Quantiles> {
    let step = lessons.rows.rows().div_ceil(SAMPLE).max(1);
    let mut knots = Vec::with_capacity(FEATURES.len() * KNOTS);
    for feature in 0..FEATURES.len() {
        let rows = lessons.rows.values().chunks_exact(FEATURES.len()).step_by(step);
        let mut values: Vec<f32> =
            rows.map(|row| row[feature]).filter(|value| value.is_finite()).collect();
        values.sort_by(f32::total_cmp);
        let last = values.len().saturating_sub(1);
        // A feature that nobody has stands at 0.
        let border = |knot: usize| values.get(knot * last / (KNOTS - 1)).copied().unwrap_or(0.0);
        knots.extend((0..KNOTS).map(border));
    }
    Quantiles::new(knots)
}

#[cfg(test)]
mod tests;
