//! From the newest features to one row of model inputs. Training builds its rows here as well.

use super::baseline::{Baseline, COUNT};
use crate::{
    clock::Nanos,
    consent::{Infer, Permit},
    signal::FeatureVector,
};
use models::FeatureScaling;
use protocol::{
    consent::Modality,
    feature::{EDA_FEATURES, FEATURES, HRV_FEATURES},
    intent::Abstention,
};
use std::time::Duration;

/// EDA features older than this say nothing about now: their main window has passed.
const EDA_FRESH: Duration = Duration::from_secs(10);
/// Wrist sensors lose beats for seconds at a time; their variability holds a little longer.
const HRV_FRESH: Duration = Duration::from_secs(15);
/// A modality with less of its window on good data does not carry an estimate by itself.
const LEAST_COVERAGE: f32 = 0.5;

/// Consent to infer, per modality. What is `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct InferPermits {
    /// For skin conductance.
    pub eda: Option<Permit<Infer>>,
    /// For heart-rate variability.
    pub hrv: Option<Permit<Infer>>,
}

/// The newest features of each modality, and what is usual for the person.
#[derive(Debug, Clone)]
pub struct Inputs {
    log_units: [Option<f64>; COUNT],
    calibration: Duration,
    minimum_rows: usize,
    eda: Option<FeatureVector>,
    hrv: Option<FeatureVector>,
    baseline: Baseline,
    medians: [f64; COUNT],
    /// When the baseline learned first.
    learning_since: Option<Nanos>,
}

/// One moment, ready to be scaled into model inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Features on the scale baselines are taken on; NaN where unknown.
    levels: [f64; COUNT],
    /// What is usual, on the same scale; NaN where unknown.
    medians: [f64; COUNT],
    /// Coverage of EDA and HRV; 0 when stale, unknown or not permitted.
    masks: [f32; 2],
}

impl Inputs {
    /// Nothing known. The manifest's `log_units` tell which features are taken as logarithms; the
    /// baseline learns for `calibration` and counts as known after `minimum_rows` rows.
    #[must_use]
    pub fn new(
        log_units: [Option<f64>; COUNT],
        calibration: Duration,
        minimum_rows: usize,
    ) -> Self {
        Self {
            log_units,
            calibration,
            minimum_rows,
            eda: None,
            hrv: None,
            baseline: Baseline::default(),
            medians: [f64::NAN; COUNT],
            learning_since: None,
        }
    }

    /// Keeps the newest features of their modality.
    pub fn observe(&mut self, vector: FeatureVector) {
        match vector.modality {
            Modality::Eda => self.eda = Some(vector),
            Modality::Hrv => self.hrv = Some(vector),
            Modality::Face | Modality::Gaze | Modality::Behaviour => {}
        }
    }

    /// The row at a time.
    ///
    /// # Errors
    /// The reason to abstain: [`Abstention::NoData`], [`Abstention::Stale`] or
    /// [`Abstention::PoorQuality`].
    pub fn row(&self, at: Nanos, permits: &InferPermits) -> Result<Row, Abstention> {
        let eda = permitted(self.eda.as_ref(), permits.eda.as_ref());
        let hrv = permitted(self.hrv.as_ref(), permits.hrv.as_ref());
        if eda.is_none() && hrv.is_none() {
            return Err(Abstention::NoData);
        }
        let eda = eda.filter(|(v, _)| at.since(v.at) <= EDA_FRESH);
        let hrv = hrv.filter(|(v, _)| at.since(v.at) <= HRV_FRESH);
        if eda.is_none() && hrv.is_none() {
            return Err(Abstention::Stale);
        }
        let masks = [eda, hrv].map(|seen| seen.map_or(0.0, |(v, _)| v.coverage));
        if masks.iter().all(|&coverage| coverage < LEAST_COVERAGE) {
            return Err(Abstention::PoorQuality);
        }
        let eda = eda.map_or(&[][..], |(_, values)| values);
        let hrv = hrv.map_or(&[][..], |(_, values)| values);
        Ok(Row { levels: self.levels(eda, hrv), medians: self.medians, masks })
    }

    /// Lets the baseline learn from a row of the grid, until calibration is over.
    pub fn commit(&mut self, at: Nanos, row: &Row) {
        let since = *self.learning_since.get_or_insert(at);
        if at.since(since) < self.calibration {
            self.baseline.learn(&row.levels);
            self.medians = self.baseline.medians();
        }
    }

    /// Whether enough is known of what is usual.
    #[must_use]
    pub fn calibrated(&self) -> bool {
        self.baseline.rows() >= self.minimum_rows
    }

    fn levels(&self, eda: &[f64], hrv: &[f64]) -> [f64; COUNT] {
        let mut raw = [f64::NAN; COUNT];
        for (slot, value) in raw[..EDA_FEATURES].iter_mut().zip(eda) {
            *slot = *value;
        }
        for (slot, value) in raw[COUNT - HRV_FEATURES..].iter_mut().zip(hrv) {
            *slot = *value;
        }
        std::array::from_fn(|i| FeatureScaling::level(self.log_units[i], FEATURES[i].range, raw[i]))
    }
}

impl Row {
    /// Differences to what is usual, unscaled; NaN where unknown.
    #[must_use]
    pub fn differences(&self) -> [f64; COUNT] {
        std::array::from_fn(|i| self.levels[i] - self.medians[i])
    }

    /// Coverage of EDA and HRV; 0 where stale, unknown or not permitted.
    #[must_use]
    pub fn masks(&self) -> [f32; 2] {
        self.masks
    }

    /// The model's inputs: scaled differences, 0 where unknown, then the masks.
    #[must_use]
    pub fn inputs(&self, scalings: &[FeatureScaling]) -> Vec<f32> {
        let mut inputs: Vec<f32> = scalings
            .iter()
            .zip(self.levels.iter().zip(&self.medians))
            .map(|(scaling, (&level, &median))| scaling.input(level, median))
            .collect();
        inputs.extend(self.masks);
        inputs
    }
}

/// What may be read, with its values.
fn permitted<'a>(
    vector: Option<&'a FeatureVector>,
    permit: Option<&Permit<Infer>>,
) -> Option<(&'a FeatureVector, &'a [f64])> {
    let vector = vector?;
    Some((vector, vector.read(permit?).ok()?))
}
