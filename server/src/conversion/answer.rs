//! A prediction as operators read it: what, how sure, why, by whom, and what the person can do.

use super::{
    Conversion,
    score::{Asked, Scoring, Spoken},
};
use crate::{
    store::{Closed, Store, StoreError, Stored},
    work::DAY_MS,
};
use models::{
    conversion::{self, Prediction},
    profile::Profile,
};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// What is expected of a person.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The person asked for.
    pub(crate) person: Uuid,
    /// Of a conversion within the horizon, 0 to 1.
    pub(crate) probability: f64,
    /// How far ahead, days.
    pub(crate) horizon_days: u16,
    /// What kind of conversion it will be, if there is one.
    pub(crate) kind: Kind,
    /// What it will be worth, if there is one; absent if nothing is known of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Value>,
    /// What it stands on.
    pub(crate) basis: Basis,
    /// Why, the strongest first.
    pub(crate) reasons: Vec<Reason>,
    /// By which model: see `/v1/models`.
    pub(crate) model: String,
    /// As of when, Unix milliseconds.
    pub(crate) scored_unix_ms: i64,
    /// How fresh what it stands on is.
    pub(crate) freshness: Freshness,
    /// What the person is to be told.
    pub(crate) automatic: Automatic,
}

/// What a prediction stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Basis {
    /// Everything that is known of the person.
    Features,
    /// How often and how recently the person bought: too little is known for more.
    CustomerBase,
    /// Nothing of the person: the share of everybody.
    BaseRate,
}

/// The kind of the conversion.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Kind {
    /// The most probable one; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) most_probable: Option<String>,
    /// The probability of each, given that there is a conversion.
    pub(crate) probabilities: BTreeMap<String, f64>,
}

/// The value of the conversion, minor units of the currency.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PredictedValue)]
pub(crate) struct Value {
    /// Mean over conversion or not: what the person can be expected to bring within the horizon.
    pub(crate) expected_minor: i64,
    /// Mean, given that there is a conversion.
    pub(crate) if_converted_minor: i64,
    /// The value lies below in 10 of 100 cases, given that there is a conversion.
    pub(crate) low_minor: i64,
    /// The same for 90 of 100.
    pub(crate) high_minor: i64,
    /// ISO 4217.
    pub(crate) currency: String,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Reason {
    /// The feature: see `/v1/features`.
    pub(crate) feature: String,
    /// What it says about the person.
    pub(crate) words: String,
    /// By how much it raises the log-odds, or lowers them if negative.
    pub(crate) log_odds: f64,
}

/// How fresh what a prediction stands on is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub(crate) struct Freshness {
    /// Since the newest fact of the person became known, milliseconds; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newest_fact_age_ms: Option<i64>,
    /// Since the time that the prediction holds for, milliseconds.
    pub(crate) prediction_age_ms: i64,
}

/// What the person is to be told: this was not decided by a human.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Automatic {
    /// That it is automatic, and by what.
    pub(crate) notice: String,
    /// How the person can have a human look at it.
    pub(crate) contest: String,
}

/// A stored prediction in short.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Brief {
    /// The root of the person's group.
    pub(crate) person: Uuid,
    /// Of a conversion within the horizon, 0 to 1.
    pub(crate) probability: f64,
    /// By which model.
    pub(crate) model: String,
    /// As of when, Unix milliseconds.
    pub(crate) scored_unix_ms: i64,
}

/// A page of them.
#[derive(Debug)]
pub(crate) struct Briefs {
    pub(crate) briefs: Vec<Brief>,
    /// The last person that was looked at; `None` at the end.
    pub(crate) last: Option<Uuid>,
}

impl Conversion {
    /// What is expected of the people of a root; `None` as long as no model serves.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn answer(
        &self,
        store: &Store,
        root: Uuid,
        now_unix_ms: i64,
    ) -> Result<Option<Answer>, StoreError> {
        let scoring = self.scoring(now_unix_ms);
        let Some(champion) = scoring.serving.champion.clone() else { return Ok(None) };
        let closed = store.closed_profile(root).await?;
        let stored = store.prediction::<Spoken>(root).await?;
        let opened = closed.as_ref().map(Closed::open).transpose()?;
        let profile = opened.unwrap_or_else(|| Profile::new(self.features.definitions()));
        // What was stored counts as long as it follows from what is known now, and from nothing
        // that was taken back since: it is what others saw.
        let holds = |stored: &Stored<Spoken>| {
            stored.model == champion.id()
                && closed.as_ref().is_some_and(|closed| closed.version() == stored.body.version)
        };
        let stored = stored.filter(holds);
        let as_of_unix_ms = stored.as_ref().map_or(now_unix_ms, |stored| stored.scored_unix_ms);
        let scoring = Scoring { as_of_unix_ms, ..scoring };
        let mut asked = Asked::default();
        scoring.ask(&profile, &mut asked);
        let fresh = champion.score(&asked).pop().map(|scored| scored.probability);
        let probability = stored.map(|stored| stored.body.probability).or(fresh);
        let probability = probability.ok_or(StoreError::Sealed)?;
        let said = champion.explain(&asked);
        let bought = asked.histories.first().is_some_and(Option::is_some);
        let known = closed.as_ref().map(|closed| closed.changed_unix_ms);
        Ok(Some(Answer {
            person: root,
            probability,
            horizon_days: champion.horizon_days(),
            kind: Kind::of(&said),
            value: said.value.as_ref().map(|value| Value::of(value, probability)),
            basis: match (said.cold_start, bought) {
                (false, _) => Basis::Features,
                (true, true) => Basis::CustomerBase,
                (true, false) => Basis::BaseRate,
            },
            reasons: said.reasons.into_iter().map(Reason::from).collect(),
            model: champion.id().to_owned(),
            scored_unix_ms: as_of_unix_ms,
            freshness: Freshness {
                newest_fact_age_ms: known.map(|known| now_unix_ms.saturating_sub(known)),
                prediction_age_ms: now_unix_ms.saturating_sub(as_of_unix_ms),
            },
            automatic: self.automatic(champion.id()),
        }))
    }

    /// Stored predictions in the order of people, after one of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn briefs(
        &self,
        store: &Store,
        after: Uuid,
        most: u32,
    ) -> Result<Briefs, StoreError> {
        let (stored, last) = store.predictions_after::<Spoken>(after, most).await?;
        let brief = |Stored { person, model, scored_unix_ms, body }: Stored<Spoken>| Brief {
            person,
            probability: body.probability,
            model,
            scored_unix_ms,
        };
        Ok(Briefs { briefs: stored.into_iter().map(brief).collect(), last })
    }

    fn automatic(&self, model: &str) -> Automatic {
        Automatic {
            notice: format!(
                "This was computed automatically by model {model}, from what is known of the \
                 person; no human has looked at it."
            ),
            contest: self.config.contest.clone(),
        }
    }
}

impl Kind {
    fn of(said: &Prediction) -> Self {
        let named = said.kinds.iter().map(|known| (known.kind.clone(), known.probability));
        Self {
            // They come the likeliest first.
            most_probable: said.kinds.first().map(|known| known.kind.clone()),
            probabilities: named.collect(),
        }
    }
}

impl Value {
    fn of(value: &conversion::Value, probability: f64) -> Self {
        let conversion::Value { expected_minor, low_minor, high_minor, currency } = *value;
        Self {
            // Beyond 64 bits the cast saturates.
            expected_minor: (expected_minor as f64 * probability).round() as i64,
            if_converted_minor: expected_minor,
            low_minor,
            high_minor,
            currency: currency.code().to_owned(),
        }
    }
}

impl From<conversion::Reason> for Reason {
    fn from(reason: conversion::Reason) -> Self {
        Self { feature: reason.feature, words: reason.text, log_odds: reason.contribution }
    }
}

impl Answer {
    /// For the document.
    pub(crate) fn example() -> Self {
        let probabilities = [("store_purchase", 0.94), ("service_request", 0.06)];
        let reason = |feature: &str, words: &str, log_odds| Reason {
            feature: feature.to_owned(),
            words: words.to_owned(),
            log_odds,
        };
        let config = super::ConversionConfig::default();
        Self {
            person: Uuid::from_u128(0x0199_7a10_5c00_7000_8000_0000_0000_000a),
            probability: 0.62,
            horizon_days: 7,
            kind: Kind {
                most_probable: Some("store_purchase".to_owned()),
                probabilities: probabilities.map(|(name, p)| (name.to_owned(), p)).into(),
            },
            value: Some(Value {
                expected_minor: 2_790,
                if_converted_minor: 4_500,
                low_minor: 1_200,
                high_minor: 9_900,
                currency: "EUR".to_owned(),
            }),
            basis: Basis::Features,
            reasons: vec![
                reason("conversion_due_ratio", "a purchase is due again", 0.81),
                reason("conversions_30d", "bought 4 times in the last 30 days", 0.44),
            ],
            model: "7d6a2f9c01b4e583".to_owned(),
            scored_unix_ms: 1_795_000_000_000,
            freshness: Freshness {
                newest_fact_age_ms: Some(3 * DAY_MS),
                prediction_age_ms: 60_000,
            },
            automatic: Automatic {
                notice: "This was computed automatically by model 7d6a2f9c01b4e583, from what is \
                         known of the person; no human has looked at it."
                    .to_owned(),
                contest: config.contest,
            },
        }
    }
}

impl Brief {
    /// For the document.
    pub(crate) fn example() -> Self {
        let Answer { person, probability, model, scored_unix_ms, .. } = Answer::example();
        Self { person, probability, model, scored_unix_ms }
    }
}
