//! Scores of binary predictions.

/// The mean; 0 of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values.fold((0.0, 0.0), |(n, sum), v| (n + 1.0, sum + v));
    if n > 0.0 { sum / n } else { 0.0 }
}

/// Mean of sensitivity and specificity at a score of 0; `None` unless both kinds occur.
pub(super) fn balanced_accuracy(scored: &[(f32, bool)]) -> Option<f64> {
    let rate = |kind: bool| {
        let of_kind = scored.iter().filter(|s| s.1 == kind);
        let n = of_kind.clone().count();
        (n > 0).then(|| of_kind.filter(|s| (s.0 > 0.0) == kind).count() as f64 / n as f64)
    };
    Some(f64::midpoint(rate(true)?, rate(false)?))
}

/// Area under the ROC curve: the chance that a positive scores above a negative, ties half
/// (Hanley & McNeil 1982); `None` unless both kinds occur.
pub(super) fn roc_auc(scored: &[(f32, bool)]) -> Option<f64> {
    let of_kind = |kind| scored.iter().filter(move |s| s.1 == kind).map(|s| s.0);
    let pairs = of_kind(true).count() * of_kind(false).count();
    let wins: f64 = of_kind(true)
        .flat_map(|p| of_kind(false).map(move |n| (p, n)))
        .map(|(p, n)| {
            if p > n {
                1.0
            } else if p < n {
                0.0
            } else {
                0.5
            }
        })
        .sum();
    (pairs > 0).then(|| wins / pairs as f64)
}

/// Expected calibration error over 10 equal bins of the predicted probability
/// (Naeini et al. 2015); each entry is a probability and whether it came true.
pub(super) fn ece(predicted: &[(f32, bool)]) -> f64 {
    const BINS: usize = 10;
    let mut bins = [(0.0f64, 0.0f64, 0.0f64); BINS];
    for &(p, happened) in predicted {
        let bin = ((f64::from(p) * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += 1.0;
        bins[bin].1 += f64::from(p);
        bins[bin].2 += f64::from(u8::from(happened));
    }
    let gaps: f64 = bins.iter().map(|(_, expected, seen)| (expected - seen).abs()).sum();
    gaps / predicted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let scored = [(0.9, true), (-0.2, true), (-0.5, false), (0.3, false), (-0.9, false)];
        assert_eq!(balanced_accuracy(&scored), Some((0.5 + 2.0 / 3.0) / 2.0));
        assert_eq!(roc_auc(&scored), Some(5.0 / 6.0));
        assert_eq!(roc_auc(&[(1.0, true)]), None);
        assert_eq!(roc_auc(&[(0.0, true), (0.0, false)]), Some(0.5));
        assert!((ece(&[(0.85, true), (0.85, false)]) - 0.35).abs() < 1e-6);
        assert_eq!(mean([1.0, 2.0].into_iter()), 1.5);
    }
}
