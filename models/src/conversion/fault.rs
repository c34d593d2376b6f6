//! Whether the parts of a predictor fit together.

use super::{KindModel, LnAmount, Parts, Predictor, ValueModel};
use crate::booster::{Forest, Objective};
use std::collections::BTreeSet;

/// Most inputs; also bounds what a reason costs.
const MOST_FEATURES: usize = 1 << 10;
/// Most conversion types.
const MOST_KINDS: usize = 1 << 10;
/// Longest name of a type, bytes.
const LONGEST_NAME: usize = 64;
/// Farthest look ahead, days.
const FARTHEST_DAYS: u16 = 366;
/// How far shares may be from adding up to one.
const ROUNDING: f64 = 1e-6;

/// What does not fit, in words.
pub(super) fn fault(parts: &Parts) -> Option<String> {
    let plain = |holds: bool, what: &str| (!holds).then(|| what.to_owned());
    let width = parts.features.len();
    plain(parts.format == Predictor::FORMAT, "`format` is not 1, this version reads no other")
        .or_else(|| features(parts))
        .or_else(|| {
            let names: BTreeSet<&String> = parts.kinds.iter().collect();
            let good = |name: &&String| !name.is_empty() && name.len() <= LONGEST_NAME;
            let holds = names.len() == parts.kinds.len()
                && (1..=MOST_KINDS).contains(&names.len())
                && names.iter().all(good);
            plain(holds, "`kinds` are not 1 to 1024 different names of 1 to 64 bytes")
        })
        .or_else(|| {
            let holds = (1..=FARTHEST_DAYS).contains(&parts.horizon_days);
            plain(holds, "`horizon_days` is not 1 to 366")
        })
        .or_else(|| forest("forest", &parts.forest, Objective::Binary, width))
        .or_else(|| kinds(&parts.kind, parts.kinds.len(), width))
        .or_else(|| parts.value.as_ref().and_then(|v| value(v, parts.kinds.len(), width)))
        .or_else(|| {
            let cold = &parts.cold_start;
            let holds = cold.until_weeks.is_finite() && cold.newcomers.is_none_or(is_share);
            plain(holds, "`cold_start` has a number out of range")
        })
        .or_else(|| {
            let holds = parts.lineage.scores.values().all(|score| score.is_finite());
            plain(holds, "`lineage` has a score that is no number")
        })
}

fn features(parts: &Parts) -> Option<String> {
    let count = parts.features.len();
    if !(1..=MOST_FEATURES).contains(&count) {
        return Some(format!("{count} features, must be 1 to {MOST_FEATURES}"));
    }
    let mut seen = BTreeSet::new();
    parts.features.iter().find_map(|feature| {
        let fault = feature.fault();
        let fault = fault.or_else(|| (!seen.insert(&feature.name)).then_some("it is there twice"));
        fault.map(|what| format!("feature `{}`: {what}", feature.name))
    })
}

fn forest(what: &str, forest: &Forest, objective: Objective, width: usize) -> Option<String> {
    let fits = forest.objective() == objective && forest.features() == width;
    (!fits).then(|| format!("`{what}` predicts something else, or from other features"))
}

fn kinds(model: &KindModel, count: usize, width: usize) -> Option<String> {
    match model {
        KindModel::Forest(trees) => {
            forest("kind", trees, Objective::MultiClass { classes: count }, width)
        }
        KindModel::Shares(shares) => {
            let sum: f64 = shares.iter().sum();
            let holds = shares.len() == count
                && shares.iter().copied().all(is_share)
                && (sum - 1.0).abs() <= ROUNDING;
            (!holds).then(|| "`kind` has not one share a kind that add up to 1".to_owned())
        }
    }
}

fn value(model: &ValueModel, kinds: usize, width: usize) -> Option<String> {
    let spread = model.spread.checked().err().map(|error| error.to_string());
    let placed = match &model.ln_amount {
        LnAmount::Forest(trees) => forest("value", trees, Objective::Regression, width),
        LnAmount::Kinds(means) => {
            let holds = means.len() == kinds && means.iter().all(|mean| mean.is_finite());
            (!holds).then(|| "`value` has not one number a kind".to_owned())
        }
    };
    let positive = (!is_share(model.positive)).then(|| "`value.positive` is no share".to_owned());
    spread.or(placed).or(positive)
}

fn is_share(share: f64) -> bool {
    (0.0..=1.0).contains(&share)
}
