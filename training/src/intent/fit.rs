//! Fitting the network to sequences.

use super::{
    GRID_S, TrainConfig, TrainError,
    network::Network,
    sequence::{LOG_UNITS, Sequence},
};
use candle_core::{Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, ops::log_softmax};
use indicatif::ProgressBar;
use models::{FeatureScaling, Shapes};
use protocol::{feature::FEATURES, intent::IntentClass};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Inputs are clipped at so many scales: further out, more says nothing new.
const CLIP: f64 = 5.0;
/// Scales are taken between these quantiles, so that a few wild moments do not set them.
const QUANTILES: (f64, f64) = (0.1, 0.9);
/// How far apart those quantiles are in a normal distribution, in standard deviations.
const QUANTILE_SPREAD: f64 = 2.563;
/// A scale is never less than this share of the feature's range.
const LEAST_SCALE_SHARE: f64 = 1e-3;
/// Chunks shorter than this are left out.
const SHORTEST_CHUNK: usize = 20;

/// A sequence as numbers: inputs, targets and their weights.
pub(super) struct Prepared {
    committed: Vec<f32>,
    provisional: Vec<f32>,
    intent: Vec<Option<usize>>,
    arousal: Vec<Option<(bool, f32)>>,
}

impl Prepared {
    fn len(&self) -> usize {
        self.intent.len()
    }
}

/// Where a sequence comes from, and thus what its labels may teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A person: arousal, once calibration is over.
    Real,
    /// The simulator: intent, and arousal (stressed against neutral) at a low weight.
    Simulated,
}

pub(super) fn shapes(config: &TrainConfig) -> Shapes {
    let classes = IntentClass::ALL.len();
    Shapes { inputs: FEATURES.len() + 2, hidden: config.hidden, classes }
}

/// Scales each feature by its spread around the person's own level.
pub(super) fn scalings(sequences: &[(Origin, &Sequence)]) -> Vec<FeatureScaling> {
    let rows: Vec<_> = sequences
        .iter()
        .flat_map(|(_, s)| &s.moments)
        .map(|moment| moment.committed.differences())
        .collect();
    FEATURES
        .iter()
        .enumerate()
        .map(|(i, spec)| {
            let mut values: Vec<f64> =
                rows.iter().map(|r| r[i]).filter(|v| v.is_finite()).collect();
            values.sort_by(f64::total_cmp);
            let quantile = |q: f64| values.get((q * values.len() as f64) as usize).copied();
            let spread = match (quantile(QUANTILES.0), quantile(QUANTILES.1)) {
                (Some(low), Some(high)) => (high - low) / QUANTILE_SPREAD,
                _ => 0.0,
            };
            let top = FeatureScaling::level(LOG_UNITS[i], spec.range, spec.range.1);
            let scale = spread.max(LEAST_SCALE_SHARE * top);
            FeatureScaling { name: spec.name.to_owned(), log_unit: LOG_UNITS[i], scale, clip: CLIP }
        })
        .collect()
}

/// Turns a sequence into numbers.
pub(super) fn prepare(
    config: &TrainConfig,
    origin: Origin,
    sequence: &Sequence,
    scalings: &[FeatureScaling],
) -> Prepared {
    let calibrated_s = config.calibration.longest.as_secs_f64();
    let moments: Vec<_> = sequence
        .moments
        .iter()
        .filter(|m| origin == Origin::Simulated || m.at_s >= calibrated_s)
        .collect();
    let class = |c| IntentClass::ALL.iter().position(|&k| k == c);
    let arousal = |m: &super::sequence::Moment| match origin {
        Origin::Real => m.label?.arousal.map(|stressed| (stressed, 1.0)),
        Origin::Simulated => match m.label?.intent? {
            IntentClass::Stressed => Some((true, config.simulated_arousal_weight)),
            IntentClass::Neutral => Some((false, config.simulated_arousal_weight)),
            IntentClass::Interested | IntentClass::Hesitant => None,
        },
    };
    Prepared {
        committed: moments.iter().flat_map(|m| m.committed.inputs(scalings)).collect(),
        provisional: moments.iter().flat_map(|m| m.provisional.inputs(scalings)).collect(),
        intent: moments
            .iter()
            .map(|m| m.label.filter(|_| origin == Origin::Simulated)?.intent.and_then(class))
            .collect(),
        arousal: moments.iter().map(|m| arousal(m)).collect(),
    }
}

/// Fits a network. The same arguments give the same weights.
pub(super) fn fit(
    config: &TrainConfig,
    data: &[Prepared],
    seed: u64,
    progress: &ProgressBar,
) -> Result<Network, TrainError> {
    let shapes = shapes(config);
    let network = Network::new(shapes, seed)?;
    let params = ParamsAdamW {
        lr: config.learning_rate,
        weight_decay: config.weight_decay,
        ..ParamsAdamW::default()
    };
    let mut optimizer = AdamW::new(network.vars(), params)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5EED);
    let steps = 2 * config.horizon_steps();
    let weights = ClassWeights::of(data);
    for epoch in 0..config.epochs {
        let left = 1.0 - epoch as f64 / config.epochs as f64;
        optimizer.set_learning_rate(config.learning_rate * left.max(0.1));
        let mut chunks = Vec::new();
        for (sequence, prepared) in data.iter().enumerate() {
            let mut begin = rng.random_range(0..steps / 2);
            while begin + SHORTEST_CHUNK <= prepared.len() {
                chunks.push((sequence, begin));
                begin += steps;
            }
        }
        chunks.shuffle(&mut rng);
        for batch in chunks.chunks(config.batch) {
            let batch = Batch::gather(config, data, batch, steps, &weights, &mut rng)?;
            let logits = network.forward(&batch.committed, &batch.provisional)?;
            optimizer.backward_step(&batch.loss(&logits, shapes.classes)?)?;
        }
        progress.inc(1);
    }
    Ok(network)
}

/// What makes every class count the same.
struct ClassWeights {
    intent: Vec<f32>,
    arousal: [f32; 2],
}

impl ClassWeights {
    fn of(data: &[Prepared]) -> Self {
        let mut intent = vec![0.0f32; IntentClass::ALL.len()];
        let mut arousal = [0.0f32; 2];
        for prepared in data {
            prepared.intent.iter().flatten().for_each(|&class| intent[class] += 1.0);
            for &(stressed, weight) in prepared.arousal.iter().flatten() {
                arousal[usize::from(stressed)] += weight;
            }
        }
        let even = |counts: &[f32]| {
            let mean = counts.iter().sum::<f32>() / counts.len() as f32;
            counts.iter().map(|&n| if n > 0.0 { mean / n } else { 0.0 }).collect::<Vec<_>>()
        };
        let balanced = even(&arousal);
        Self { intent: even(&intent), arousal: [balanced[0], balanced[1]] }
    }
}

struct Batch {
    committed: Tensor,
    provisional: Tensor,
    /// `[B, T, C]`: the class weight at the true class, 0 elsewhere.
    intent: Tensor,
    /// `[B, T, 1]`: 1 when stressed.
    stressed: Tensor,
    /// `[B, T, 1]`: 0 where arousal is unknown.
    arousal_weight: Tensor,
}

impl Batch {
    /// Chunks of `steps` moments; what is missing at the end is zero, and counts nothing.
    fn gather(
        config: &TrainConfig,
        data: &[Prepared],
        chunks: &[(usize, usize)],
        steps: usize,
        weights: &ClassWeights,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, TrainError> {
        let shapes = shapes(config);
        let (count, f, c) = (chunks.len(), shapes.inputs, shapes.classes);
        let mut committed = vec![0.0; count * steps * f];
        let mut provisional = vec![0.0; count * steps * f];
        let mut intent = vec![0.0f32; count * steps * c];
        let mut stressed = vec![0.0f32; count * steps];
        let mut arousal_weight = vec![0.0f32; count * steps];
        for (row, &(sequence, begin)) in chunks.iter().enumerate() {
            let prepared = &data[sequence];
            let n = steps.min(prepared.len() - begin);
            let (to, from) = (row * steps * f, begin * f);
            committed[to..to + n * f].copy_from_slice(&prepared.committed[from..from + n * f]);
            provisional[to..to + n * f].copy_from_slice(&prepared.provisional[from..from + n * f]);
            if rng.random_bool(config.modality_dropout) {
                let hidden = hidden_columns(rng.random_bool(0.5));
                for inputs in [&mut committed, &mut provisional] {
                    for moment in inputs[to..to + n * f].chunks_mut(f) {
                        hidden.clone().for_each(|column| moment[column] = 0.0);
                    }
                }
            }
            for t in 0..n {
                let at = row * steps + t;
                if let Some(class) = prepared.intent[begin + t] {
                    intent[at * c + class] = weights.intent[class];
                }
                if let Some((is_stressed, weight)) = prepared.arousal[begin + t] {
                    stressed[at] = f32::from(u8::from(is_stressed));
                    arousal_weight[at] = weight * weights.arousal[usize::from(is_stressed)];
                }
            }
        }
        let device = &Device::Cpu;
        Ok(Self {
            committed: Tensor::from_vec(committed, (count, steps, f), device)?,
            provisional: Tensor::from_vec(provisional, (count, steps, f), device)?,
            intent: Tensor::from_vec(intent, (count, steps, c), device)?,
            stressed: Tensor::from_vec(stressed, (count, steps, 1), device)?,
            arousal_weight: Tensor::from_vec(arousal_weight, (count, steps, 1), device)?,
        })
    }

    /// Weighted cross-entropy of both heads; a head without targets adds nothing.
    fn loss(&self, logits: &Tensor, classes: usize) -> candle_core::Result<Tensor> {
        let mean = |sum: Tensor, weights: &Tensor| {
            let total = weights.sum_all()?.to_scalar::<f32>()?;
            sum.affine(1.0 / f64::from(total.max(1.0)), 0.0)
        };
        let likely = log_softmax(&logits.narrow(2, 0, classes)?, 2)?;
        let intent = mean((&likely * &self.intent)?.sum_all()?.neg()?, &self.intent)?;
        let z = logits.narrow(2, classes, 1)?;
        // max(z, 0) - z y + ln(1 + exp(-|z|)): the cross-entropy of a logit, without overflow.
        let softplus = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
        let each = ((z.relu()? - (&z * &self.stressed)?)? + softplus)?;
        let arousal = mean((each * &self.arousal_weight)?.sum_all()?, &self.arousal_weight)?;
        intent + arousal
    }
}

/// The input columns of one modality, its mask last.
fn hidden_columns(eda: bool) -> impl Iterator<Item = usize> + Clone {
    use protocol::feature::EDA_FEATURES;
    let (features, mask) = if eda {
        (0..EDA_FEATURES, FEATURES.len())
    } else {
        (EDA_FEATURES..FEATURES.len(), FEATURES.len() + 1)
    };
    features.chain([mask])
}

impl TrainConfig {
    /// Half the longest life of a hidden state, in steps.
    pub(super) fn horizon_steps(&self) -> usize {
        (self.horizon.as_secs_f64() / GRID_S) as usize
    }
}
