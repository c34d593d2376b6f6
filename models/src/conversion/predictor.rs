//! A model of conversions: one file, checked when it is read.

use super::{
    ColdStart, Direction, Feature, KindModel, KindProbability, Lineage, Prediction, Reason, Value,
    ValueModel, fault::fault, feature::spelled, log_odds,
};
use crate::{booster::Forest, calibration::Calibrator, customer_base::RepeatHistory};
use protocol::{digest::Digest, offer::Currency};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a file is no predictor.
#[derive(Debug, Error)]
pub enum PredictorError {
    /// More than any model needs.
    #[error("the model has {0} bytes, {most} are the most: train it with fewer trees",
            most = Predictor::MOST_BYTES)]
    TooLarge(usize),
    /// Not the expected JSON, or parts that are no models.
    #[error("the model cannot be read: {0}; train it again")]
    Malformed(#[from] serde_json::Error),
    /// Parts that do not fit together.
    #[error("the model contradicts itself: {0}; train it again")]
    Inconsistent(String),
}

/// What a predictor is put together from, and its file. JSON with these fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Version of this format: [`Predictor::FORMAT`].
    pub format: u32,
    /// The inputs, in order.
    pub features: Vec<Feature>,
    /// Digest of the feature definitions that give them: it answers for no others.
    pub definitions: Digest,
    /// How far ahead it looks, days.
    pub horizon_days: u16,
    /// Names of the conversion types.
    pub kinds: Vec<String>,
    /// Of all values.
    pub currency: Currency,
    /// Log-odds of a conversion.
    pub forest: Forest,
    /// From those log-odds to a probability.
    pub calibration: Calibrator,
    /// Which type.
    pub kind: KindModel,
    /// What it is worth; `None` where no conversion had a value.
    pub value: Option<ValueModel>,
    /// People of whom little is known.
    pub cold_start: ColdStart,
    /// Where it comes from.
    pub lineage: Lineage,
}

/// Predicts conversions: whether one comes within the horizon, how, and for how much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Predictor {
    id: String,
    parts: Parts,
}

/// Characters of a digest that name a model.
const ID_CHARS: usize = 16;
/// Reasons that are given at most.
const MOST_REASONS: usize = 5;
/// Less in log-odds moves no probability by a hundredth.
const LEAST_CONTRIBUTION: f64 = 0.02;

impl Predictor {
    /// Of the format of the file.
    pub const FORMAT: u32 = 1;
    /// Most bytes of the file: a hundred times what our models need.
    pub const MOST_BYTES: usize = 64 << 20;

    /// Puts a predictor together.
    ///
    /// # Errors
    /// [`PredictorError::Inconsistent`] says which parts do not fit.
    pub fn new(parts: Parts) -> Result<Self, PredictorError> {
        if let Some(fault) = fault(&parts) {
            return Err(PredictorError::Inconsistent(fault));
        }
        let mut id = Digest::of(&serde_json::to_vec(&parts)?).to_string();
        id.truncate(ID_CHARS);
        Ok(Self { id, parts })
    }

    /// Reads the file of one.
    ///
    /// # Errors
    /// [`PredictorError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, PredictorError> {
        if bytes.len() > Self::MOST_BYTES {
            return Err(PredictorError::TooLarge(bytes.len()));
        }
        Self::new(serde_json::from_slice(bytes)?)
    }

    /// Its file; the same predictor gives the same bytes.
    ///
    /// # Errors
    /// None in practice: every part has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, PredictorError> {
        Ok(serde_json::to_vec(&self.parts)?)
    }

    /// The head of the digest of its file.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is put together from.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// All it says of a person. `features` are values of [`Parts::features`], missing ones NaN;
    /// what a shorter row lacks counts as missing. `history` are the person's purchases.
    #[must_use]
    pub fn predict(&self, features: &[f32], history: Option<RepeatHistory>) -> Prediction {
        let parts = &self.parts;
        let cold = self.cold(history.as_ref());
        let probability =
            cold.unwrap_or_else(|| parts.calibration.probability(parts.forest.score(features)));
        let kinds = parts.kind.probabilities(features);
        Prediction {
            model: self.id.clone(),
            probability,
            cold_start: cold.is_some(),
            value: self.value(features, &kinds),
            reasons: match cold {
                Some(probability) => self.cold_reason(probability, history).into_iter().collect(),
                None => self.reasons(features),
            },
            kinds: self.named(&kinds),
        }
    }

    /// The probabilities alone, of many people: features row after row, one history a row. Much
    /// faster than person by person; `out` is replaced. A row without a history counts as one of a
    /// newcomer.
    pub fn probabilities(
        &self,
        rows: &[f32],
        histories: &[Option<RepeatHistory>],
        out: &mut Vec<f64>,
    ) {
        self.parts.forest.score_rows(rows, out);
        for (index, score) in out.iter_mut().enumerate() {
            let history = histories.get(index).and_then(Option::as_ref);
            *score =
                self.cold(history).unwrap_or_else(|| self.parts.calibration.probability(*score));
        }
    }

    fn cold(&self, history: Option<&RepeatHistory>) -> Option<f64> {
        let weeks = f64::from(self.parts.horizon_days) / 7.0;
        self.parts.cold_start.probability(history, weeks)
    }

    fn named(&self, kinds: &[f64]) -> Vec<KindProbability> {
        let named = self.parts.kinds.iter().zip(kinds);
        let mut named: Vec<KindProbability> = named
            .map(|(kind, p)| KindProbability { kind: kind.clone(), probability: *p })
            .collect();
        named.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        named
    }

    fn value(&self, features: &[f32], kinds: &[f64]) -> Option<Value> {
        let worth = self.parts.value.as_ref()?.worth(features, kinds);
        let (low, high) = worth.interval();
        // Beyond 64 bits the cast saturates.
        let minor = |worth: f64| worth.round() as i64;
        Some(Value {
            expected_minor: minor(worth.mean()),
            low_minor: minor(low),
            high_minor: minor(high),
            currency: self.parts.currency,
        })
    }

    /// What the person's purchases add to what is said of someone who just bought for the first time.
    fn cold_reason(&self, probability: f64, history: Option<RepeatHistory>) -> Option<Reason> {
        const FIRST: RepeatHistory =
            RepeatHistory { repeats: 0, recency_weeks: 0.0, age_weeks: 0.0 };
        let history = history?.plausible();
        let contribution = log_odds(probability) - log_odds(self.cold(Some(&FIRST))?);
        let say = |placeholder, value| spelled(placeholder, value, self.parts.currency);
        (contribution.abs() >= LEAST_CONTRIBUTION).then(|| Reason {
            feature: "purchases".to_owned(),
            contribution,
            direction: Direction::of(contribution),
            text: format!(
                "first bought {} ago, bought again {}",
                say("days", (history.age_weeks * 7.0).round()),
                say("times", f64::from(history.repeats)),
            ),
        })
    }

    /// By the Shapley values of the forest, in its own log-odds.
    fn reasons(&self, features: &[f32]) -> Vec<Reason> {
        let mut contributions = Vec::new();
        self.parts.forest.contributions(features, 0, &mut contributions);
        let mut moved: Vec<(usize, f64)> = contributions
            .into_iter()
            .enumerate()
            .filter(|(_, c)| c.abs() >= LEAST_CONTRIBUTION)
            .collect();
        moved.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        moved.truncate(MOST_REASONS);
        let reason = |(index, contribution): (usize, f64)| {
            let feature = self.parts.features.get(index)?;
            let value = features.get(index).copied().unwrap_or(f32::NAN);
            Some(Reason {
                feature: feature.name.clone(),
                contribution,
                direction: Direction::of(contribution),
                text: feature.say(value, self.parts.currency),
            })
        };
        moved.into_iter().filter_map(reason).collect()
    }
}

impl TryFrom<Parts> for Predictor {
    type Error = PredictorError;

    fn try_from(parts: Parts) -> Result<Self, PredictorError> {
        Self::new(parts)
    }
}

impl From<Predictor> for Parts {
    fn from(predictor: Predictor) -> Self {
        predictor.parts
    }
}
