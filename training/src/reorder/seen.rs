//! What a model says of a completed cut beside what came: weights and calibration are chosen there.

use super::{Ledger, ReorderFitError, Snapshot};
use crate::{calibrate::Method, metrics::Metrics};
use models::{
    calibration::Calibrator,
    confidence::Judged,
    reorder::{ReorderModel, Scored},
};

/// Weights of the regression beside the classifier that are tried.
const REGRESSION_SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// What a model says of a completed cut, before calibration, and what came.
pub(super) struct Seen {
    scored: Vec<Scored>,
    pub(super) labels: Vec<f32>,
    /// Median days to the next purchase, of those that came.
    pub(super) usual_days: u32,
}

impl Seen {
    pub(super) fn of(
        model: &ReorderModel,
        ledger: &Ledger,
        cut: i32,
        least: usize,
    ) -> Result<Self, ReorderFitError> {
        let horizon_days = model.horizon_days() as i32;
        let snapshot = Snapshot::at(ledger, cut, horizon_days);
        let pairs = snapshot.pairs(least);
        if pairs.is_empty() {
            return Err(ReorderFitError::NoRows {
                day: cut.saturating_sub(ledger.first_day),
                least,
            });
        }
        let mut seen = Self { scored: Vec::new(), labels: Vec::new(), usual_days: 0 };
        let mut days = Vec::new();
        snapshot.each(&pairs, |pair, subject| {
            let outcome = snapshot.outcome(pair, horizon_days);
            seen.scored.push(model.scored(subject));
            seen.labels.push(f32::from(u8::from(outcome.is_some())));
            days.extend(outcome.map(|outcome| outcome.days));
        });
        days.sort_unstable();
        seen.usual_days = days.get(days.len() / 2).copied().unwrap_or(model.horizon_days());
        Ok(seen)
    }

    pub(super) fn scores(&self, regression_share: f64) -> Vec<f64> {
        self.scored.iter().map(|scored| scored.mixed(regression_share)).collect()
    }

    /// The weight of the regression whose calibrated log-odds lose least, and that calibration.
    pub(super) fn best(&self) -> (f64, Calibrator) {
        let tried = REGRESSION_SHARES.map(|share| {
            let scores = self.scores(share);
            let calibrator = Method::Platt.fit(&scores, &self.labels);
            let probabilities: Vec<f64> =
                scores.iter().map(|score| calibrator.probability(*score)).collect();
            (Metrics::of(&probabilities, &self.labels).log_loss, share, calibrator)
        });
        let [first, others @ ..] = tried;
        let (_, share, calibrator) =
            others.into_iter().fold(first, |best, next| if next.0 < best.0 { next } else { best });
        (share, calibrator)
    }

    pub(super) fn judged(&self, regression_share: f64, calibrator: &Calibrator) -> Vec<Judged> {
        let scores = self.scores(regression_share);
        let rows = scores.iter().zip(&self.labels).map(|(score, label)| Judged {
            probability: calibrator.probability(*score),
            came: *label == 1.0,
        });
        rows.collect()
    }
}
