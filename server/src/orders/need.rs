//! From what somebody buys to what they need, and whether it is asked for. Pure computation, for
//! whatever thread has time.

use super::{
    person::{Held, Language, Suggestion, Wishes},
    threshold::Costs,
};
use crate::{
    conversion::Sample,
    store::{Closed, Foretold, StoreError},
};
use models::{
    confidence::Level,
    reorder::{self, Bundle, Consumption, Need, When, left_alone, needs},
};
use protocol::{digest::Digest, offer::Money};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// Days of purchase from which on something is said: one tells nothing of how often.
pub const LEAST_PURCHASES: usize = 2;
/// Articles of a category that are suggested.
const MOST_ARTICLES: usize = 5;
/// It is due when it is at least so likely needed within the lead.
const DUE: f64 = 0.5;
/// Needs that are kept of a person.
const MOST_NEEDS: usize = 64;

/// The needs of one person at one time, kept until it is known what came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// The model.
    #[serde(rename = "m")]
    pub(crate) model: String,
    /// Whether it is of the sample, or kept because something was asked for.
    #[serde(rename = "s")]
    pub(crate) sampled: bool,
    /// From which probability on orders were proposed.
    #[serde(rename = "l")]
    pub(crate) level: Option<f64>,
    /// Those that are likely enough to be suggested.
    #[serde(rename = "n")]
    pub(crate) needs: Vec<SaidNeed>,
}

/// A category of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SaidNeed {
    #[serde(rename = "c")]
    pub(crate) category: String,
    #[serde(rename = "p")]
    pub(crate) probability: f64,
    /// Why it was not asked for; absent if it was.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<Held>,
}

/// How needs are told and judged.
#[derive(Debug, Clone)]
pub(crate) struct Telling {
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) level: Level,
    pub(crate) costs: Costs,
    pub(crate) as_of_unix_ms: i64,
    /// Days since 1970-01-01, at whose end it holds.
    pub(crate) day: i32,
    /// What is less likely is not spoken of.
    pub(crate) floor: f64,
    pub(crate) lead_days: u32,
    pub(crate) sample: Sample,
}

/// Something that is asked for, if the shop has it and nothing of it was asked for lately.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    /// What would be shown if it is not asked for.
    pub(crate) suggestion: Suggestion,
    /// Articles with what a unit cost last.
    pub(crate) articles: Vec<(String, Option<Money>)>,
    /// SHA-256 over what the model was asked with, hexadecimal.
    pub(crate) inputs_digest: String,
    /// How sure it had to be.
    pub(crate) threshold: f64,
    /// Whether by lot nobody asks for it.
    pub(crate) left_alone: bool,
}

/// What was told of a person.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) closed: Closed,
    pub(crate) suggestions: Vec<Suggestion>,
    pub(crate) candidates: Vec<Candidate>,
    /// Whether a chance was let pass that others would have been asked by.
    pub(crate) passed: bool,
    sampled: bool,
}

impl Telling {
    /// Tells what people need. Whose consumption cannot be read is left out.
    pub(crate) fn tell(&self, people: Vec<Closed>, wishes: &HashMap<Uuid, Wishes>) -> Vec<Told> {
        people
            .into_iter()
            .filter_map(|closed| {
                let consumption: Consumption = closed.open().ok()?;
                let own = wishes.get(&closed.person);
                Some(self.told(closed, &consumption, own))
            })
            .collect()
    }

    fn told(&self, closed: Closed, consumption: &Consumption, wishes: Option<&Wishes>) -> Told {
        let mut told = Told {
            sampled: self.sample.has(closed.person),
            closed,
            suggestions: Vec::new(),
            candidates: Vec::new(),
            passed: false,
        };
        let model = self.bundle.model();
        let needs = needs(model, consumption, self.day, LEAST_PURCHASES, self.floor);
        let personal = wishes.map(|wishes| wishes.threshold.probability(&self.costs));
        for need in needs.iter().take(MOST_NEEDS) {
            let held = self.held(need, wishes);
            let last_day = need.own.purchases().until(self.day).last().map(|last| last.day);
            let person = || told.closed.person.to_string();
            let threshold = self.level.threshold.map(|level| level.max(personal.unwrap_or(0.0)));
            told.passed |= held == Some(Held::Unsure) && self.level.proposes(need.probability);
            let suggestion = self.suggestion(need, wishes, threshold, held.unwrap_or(Held::Asked));
            match (held, threshold) {
                (None, Some(threshold)) => told.candidates.push(Candidate {
                    suggestion,
                    articles: articles(need),
                    inputs_digest: self.inputs(need),
                    threshold: threshold.min(need.probability),
                    left_alone: last_day
                        .is_some_and(|last| left_alone(&person(), need.category, last)),
                }),
                _ => told.suggestions.push(suggestion),
            }
        }
        told
    }

    /// Why it is not asked for; `None` if it is.
    fn held(&self, need: &Need<'_>, wishes: Option<&Wishes>) -> Option<Held> {
        if self.level.threshold.is_none() {
            return Some(Held::Level);
        }
        if !self.level.proposes(need.probability) {
            return Some(Held::Unsure);
        }
        if need.when.as_ref().is_none_or(|when| when.within(self.lead_days) < DUE) {
            return Some(Held::Early);
        }
        let Some(wishes) = wishes.filter(|wishes| wishes.may_ask()) else {
            return Some(Held::Wishes);
        };
        let sure = wishes.threshold.proposes(need.probability, &self.costs);
        (!sure).then_some(Held::Unsure)
    }

    fn suggestion(
        &self,
        need: &Need<'_>,
        wishes: Option<&Wishes>,
        threshold: Option<f64>,
        because: Held,
    ) -> Suggestion {
        let language = match wishes.map_or(Language::default(), |wishes| wishes.language) {
            Language::English => reorder::Language::English,
            Language::German => reorder::Language::German,
        };
        let profile = need.own.profile(self.day);
        Suggestion {
            category: need.category.to_owned(),
            skus: articles(need).into_iter().map(|(sku, _)| sku).collect(),
            quantity: need.quantity,
            confidence: need.probability,
            threshold,
            window_days: need.when.as_ref().map_or((None, None), When::window_days),
            because,
            reasons: profile.iter().map(|profile| profile.explain(language)).collect(),
            model_id: self.bundle.id().to_owned(),
        }
    }

    fn inputs(&self, need: &Need<'_>) -> String {
        let bought = need.own.purchases().all().iter();
        let mut bytes = need.category.as_bytes().to_vec();
        bytes.extend_from_slice(&self.day.to_le_bytes());
        for purchase in bought {
            bytes.extend_from_slice(&purchase.day.to_le_bytes());
            bytes.extend_from_slice(&purchase.quantity.to_le_bytes());
        }
        Digest::of(&bytes).to_string()
    }

    /// Seals what a person is shown, and what is kept to be checked, if it is: of the sample, of who
    /// was asked for something, and of who was not by lot. `asked` are the categories that were.
    ///
    /// # Errors
    /// [`StoreError::Random`] when nothing can be sealed.
    pub(crate) fn seal(
        &self,
        told: &Told,
        asked: &[Suggestion],
    ) -> Result<(Option<Foretold>, Option<Foretold>), StoreError> {
        let shown = (!told.suggestions.is_empty()).then(|| told.closed.say(&told.suggestions));
        let by_lot = told.suggestions.iter().any(|one| one.because == Held::Lot);
        if !told.sampled && asked.is_empty() && !by_lot {
            return Ok((shown.transpose()?, None));
        }
        let need = |suggestion: &Suggestion, held| SaidNeed {
            category: suggestion.category.clone(),
            probability: suggestion.confidence,
            held,
        };
        let held = told.suggestions.iter().map(|one| need(one, Some(one.because)));
        let said = Said {
            model: self.bundle.id().to_owned(),
            sampled: told.sampled,
            level: self.level.threshold,
            needs: asked.iter().map(|one| need(one, None)).chain(held).collect(),
        };
        Ok((shown.transpose()?, Some(told.closed.say(&said)?)))
    }
}

fn articles(need: &Need<'_>) -> Vec<(String, Option<Money>)> {
    let ranked = need.own.ranked().into_iter().take(MOST_ARTICLES);
    ranked.map(|(sku, unit)| (sku.to_owned(), unit)).collect()
}
