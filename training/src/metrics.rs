//! How good predicted probabilities are. Labels are 1 for yes, 0 for no.

use serde::Serialize;

/// Probabilities are kept so far from 0 and 1 when their logarithm is taken: one that was sure and
/// wrong costs 34.5, not infinity (as in scikit-learn's `log_loss`).
const SURE: f64 = 1e-15;
/// Bins of equal width of the calibration error.
pub const BINS: usize = 10;

/// All of them. NaN where undefined: without rows, and for rankings without both labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metrics {
    /// Area under the ROC curve.
    pub auc: f64,
    /// Area under the precision-recall curve, as average precision.
    pub pr_auc: f64,
    /// Mean squared error of the probabilities (Brier 1950).
    pub brier: f64,
    /// Mean negative log-likelihood, in nats.
    pub log_loss: f64,
    /// Expected calibration error over [`BINS`] bins.
    pub ece10: f64,
}

impl Metrics {
    /// Of as many probabilities as labels.
    #[must_use]
    pub fn of(probabilities: &[f64], labels: &[f32]) -> Self {
        Self {
            auc: auc(probabilities, labels),
            pr_auc: average_precision(probabilities, labels),
            brier: mean(probabilities, labels, |p, y| (p - y) * (p - y)),
            log_loss: mean(probabilities, labels, |p, y| {
                let p = p.clamp(SURE, 1.0 - SURE);
                -(y * p.ln() + (1.0 - y) * (1.0 - p).ln())
            }),
            ece10: ece(probabilities, labels),
        }
    }
}

/// Probability that a yes is ranked before a no, ties half (Mann and Whitney 1947).
#[must_use]
pub fn auc(scores: &[f64], labels: &[f32]) -> f64 {
    // Ranks from the lowest score; equal scores share the mean of theirs.
    let (mut ranks_of_yes, mut below) = (0.0, 0.0);
    for tied in ties(scores, labels).iter().rev() {
        ranks_of_yes += tied.yes * (below + (tied.all + 1.0) / 2.0);
        below += tied.all;
    }
    let yes = count_of_yes(labels);
    let no = labels.len() as f64 - yes;
    (ranks_of_yes - yes * (yes + 1.0) / 2.0) / (yes * no)
}

/// Precision at each score that is reached, weighted by the recall gained there.
#[must_use]
pub fn average_precision(scores: &[f64], labels: &[f32]) -> f64 {
    let (mut found, mut taken, mut area) = (0.0, 0.0, 0.0);
    for tied in ties(scores, labels) {
        found += tied.yes;
        taken += tied.all;
        area += tied.yes * found / taken;
    }
    area / count_of_yes(labels)
}

/// Mean distance of predicted probability and observed share in [`BINS`] bins of equal width,
/// weighted by their rows (Naeini, Cooper and Hauskrecht 2015).
#[must_use]
pub fn ece(probabilities: &[f64], labels: &[f32]) -> f64 {
    let bins = reliability(probabilities, labels);
    let off = |bin: &Bin| (bin.predicted - bin.observed).abs() * bin.rows as f64;
    bins.iter().map(off).sum::<f64>() / labels.len() as f64
}

/// What was predicted and what happened, where such was predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of yes.
    pub observed: f64,
    /// How many rows.
    pub rows: usize,
}

/// The bins of [`ece`] that hold rows, from the lowest: a reliability diagram.
#[must_use]
pub fn reliability(probabilities: &[f64], labels: &[f32]) -> Vec<Bin> {
    let mut sums = [(0.0, 0.0, 0_usize); BINS];
    for (p, y) in probabilities.iter().zip(labels) {
        let bin = &mut sums[((p * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + p, bin.1 + f64::from(*y), bin.2 + 1);
    }
    let filled = sums.iter().filter(|bin| bin.2 > 0);
    filled
        .map(|&(predicted, observed, rows)| {
            let n = rows as f64;
            Bin { predicted: predicted / n, observed: observed / n, rows }
        })
        .collect()
}

/// Rows of one score.
struct Tied {
    yes: f64,
    all: f64,
}

/// From the highest score.
fn ties(scores: &[f64], labels: &[f32]) -> Vec<Tied> {
    let mut order: Vec<usize> = (0..scores.len().min(labels.len())).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let groups = order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq());
    groups
        .map(|rows| Tied {
            yes: rows.iter().map(|row| f64::from(labels[*row])).sum(),
            all: rows.len() as f64,
        })
        .collect()
}

fn count_of_yes(labels: &[f32]) -> f64 {
    labels.iter().map(|label| f64::from(*label)).sum()
}

fn mean(probabilities: &[f64], labels: &[f32], of: impl Fn(f64, f64) -> f64) -> f64 {
    let pairs = probabilities.iter().zip(labels);
    pairs.map(|(p, y)| of(*p, f64::from(*y))).sum::<f64>() / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const P: [f64; 6] = [0.9, 0.8, 0.8, 0.35, 0.3, 0.05];
    const Y: [f32; 6] = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0];

    /// By hand, over the six rows above.
    #[test]
    fn figures_are_those_found_by_hand() {
        let m = Metrics::of(&P, &Y);
        // Pairs of yes and no: .9 wins 3; .8 wins 2 and ties 1; .3 wins 1: 6.5 of 9.
        assert!((m.auc - 6.5 / 9.0).abs() < 1e-12);
        // A third of the yes each: at .9 precision 1, at .8 2/3, at .3 3/5.
        assert!((m.pr_auc - (1.0 + 2.0 / 3.0 + 0.6) / 3.0).abs() < 1e-12);
        // .01 + .04 + .64 + .1225 + .49 + .0025 = 1.305
        assert!((m.brier - 1.305 / 6.0).abs() < 1e-12);
        // -ln of .9, .8, .2, .65, .3, .95
        assert!((m.log_loss - 3.623_991 / 6.0).abs() < 1e-6, "{}", m.log_loss * 6.0);
        // Bins: 0: .05 on 0; 3: .65 on 1 of two; 8: 1.6 on 1 of two; 9: .9 on 1.
        assert!((m.ece10 - (0.05 + 0.35 + 0.6 + 0.1) / 6.0).abs() < 1e-12);
        assert_eq!(
            reliability(&P, &Y).iter().map(|bin| bin.rows).collect::<Vec<_>>(),
            [1, 2, 2, 1]
        );
    }

    #[test]
    fn the_best_the_worst_and_the_blind() {
        let y = [0.0, 1.0, 0.0, 1.0];
        assert_eq!(auc(&[0.1, 0.9, 0.2, 0.8], &y), 1.0);
        assert_eq!(auc(&[0.9, 0.1, 0.8, 0.2], &y), 0.0);
        assert_eq!((auc(&[0.5; 4], &y), average_precision(&[0.5; 4], &y)), (0.5, 0.5));
        let sure = Metrics::of(&[1.0, 0.0], &[0.0, 1.0]);
        assert!(
            (sure.log_loss - 34.538_776).abs() < 1e-3 && sure.brier == 1.0 && sure.ece10 == 1.0
        );
    }

    #[test]
    fn what_is_undefined_is_no_number() {
        assert!(auc(&[0.1, 0.2], &[1.0, 1.0]).is_nan());
        assert!(average_precision(&[0.1], &[0.0]).is_nan());
        assert!(Metrics::of(&[], &[]).log_loss.is_nan());
    }

    proptest! {
        #[test]
        fn ranks_count_pairs(rows in prop::collection::vec((0u8..8, any::<bool>()), 2..40)) {
            let scores: Vec<f64> = rows.iter().map(|(s, _)| f64::from(*s)).collect();
            let labels: Vec<f32> = rows.iter().map(|(_, y)| f32::from(u8::from(*y))).collect();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (yes, _) in rows.iter().filter(|row| row.1) {
                for (no, _) in rows.iter().filter(|row| !row.1) {
                    pairs += 1.0;
                    won += if yes > no { 1.0 } else if yes == no { 0.5 } else { 0.0 };
                }
            }
            let found = auc(&scores, &labels);
            prop_assert!(found.is_nan() && pairs == 0.0 || (found - won / pairs).abs() < 1e-9);
        }

        #[test]
        fn any_numbers_are_survived(rows in prop::collection::vec((any::<f64>(), any::<bool>()), 0..30)) {
            let scores: Vec<f64> = rows.iter().map(|(s, _)| *s).collect();
            let labels: Vec<f32> = rows.iter().map(|(_, y)| f32::from(u8::from(*y))).collect();
            let _ = Metrics::of(&scores, &labels);
        }
    }
}
