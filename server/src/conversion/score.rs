//! From profiles to predictions: opening, features, models, sealing. Pure computation, for whatever
//! thread has time.

use super::{
    measure::Outcome,
    model::{Model, Scored},
    registry::Serving,
    sample::Sample,
};
use crate::store::{Closed, Foretold, StoreError};
use models::{
    customer_base::RepeatHistory,
    profile::{Definitions, Profile, Surroundings},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// What a model said of a person, kept until it can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forecast {
    /// By the model alone.
    #[serde(rename = "r")]
    pub(crate) raw: f64,
    /// As it was served, or would have been.
    #[serde(rename = "s")]
    pub(crate) served: f64,
}

impl Forecast {
    /// What was said by the model alone, and what came of it.
    pub(crate) const fn raw(self, happened: bool) -> Outcome {
        Outcome { probability: self.raw, happened }
    }

    /// What was served, and what came of it.
    pub(crate) const fn served(self, happened: bool) -> Outcome {
        Outcome { probability: self.served, happened }
    }
}

/// A prediction as it is stored: short, because there is one of everybody. Kind, value and reasons
/// are told from the profile when somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spoken {
    /// Of a conversion within the horizon.
    #[serde(rename = "p")]
    pub(crate) probability: f64,
    /// The version of the profile that it follows from.
    #[serde(rename = "v")]
    pub(crate) version: u64,
}

impl Spoken {
    fn of(scored: &Scored, version: u64) -> Self {
        Self { probability: scored.probability, version }
    }
}

/// How people are scored: by which models, as of when.
#[derive(Debug, Clone)]
pub(crate) struct Scoring {
    pub(crate) definitions: Arc<Definitions>,
    /// The weather and what goes on where people are.
    pub(crate) places: Arc<Surroundings>,
    pub(crate) serving: Arc<Serving>,
    pub(crate) as_of_unix_ms: i64,
    /// Whether that time was asked for, rather than being now.
    pub(crate) dated: bool,
    /// Whose forecasts are kept.
    pub(crate) sample: Option<Sample>,
    /// The probability at which a person is looked at more closely.
    pub(crate) crossing: f64,
}

/// What came of scoring some people.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    /// The champion's predictions.
    pub(crate) predictions: Vec<Foretold>,
    /// The kept forecasts, model by model in the order of [`Serving::all`].
    pub(crate) forecasts: Vec<Vec<Foretold>>,
    /// Who is at or above the crossing, with the probability.
    pub(crate) high: Vec<(Uuid, f64)>,
    /// People whose profile knows more than was known at the time asked for.
    pub(crate) later: Vec<Closed>,
    /// People whose profile cannot be read, or is still to be made anew: nothing is said of them.
    pub(crate) left_out: u64,
}

impl Scoring {
    /// Scores people.
    ///
    /// # Errors
    /// [`StoreError::Random`] when nothing can be sealed.
    pub(crate) fn score(&self, people: Vec<Closed>) -> Result<Scores, StoreError> {
        let (now, later): (Vec<_>, Vec<_>) =
            people.into_iter().partition(|closed| closed.changed_unix_ms <= self.as_of_unix_ms);
        let opened: Vec<_> =
            now.iter().filter_map(|closed| Some((closed, self.profile(closed)?))).collect();
        let profiles = opened.iter().map(|(closed, profile)| (*closed, profile));
        let left_out = (now.len() - opened.len()) as u64;
        Ok(Scores { later, left_out, ..self.say(profiles)? })
    }

    /// Scores people with these profiles.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub(crate) fn say<'a>(
        &self,
        people: impl Iterator<Item = (&'a Closed, &'a Profile)>,
    ) -> Result<Scores, StoreError> {
        let (mut asked, mut readable) = (Asked::default(), Vec::new());
        for (closed, profile) in people {
            self.ask(profile, &mut asked);
            readable.push(closed);
        }
        let mut scores = Scores::default();
        if let Some(champion) = &self.serving.champion {
            for (closed, scored) in readable.iter().zip(champion.score(&asked)) {
                if scored.probability >= self.crossing {
                    scores.high.push((closed.person, scored.probability));
                }
                let spoken = Spoken::of(&scored, closed.version());
                scores.predictions.push(closed.say(&spoken)?);
            }
        }
        scores.forecasts = self.forecasts(&readable, &asked)?;
        Ok(scores)
    }

    /// What every model says of the people of the sample.
    fn forecasts(
        &self,
        people: &[&Closed],
        asked: &Asked,
    ) -> Result<Vec<Vec<Foretold>>, StoreError> {
        let Some(sample) = self.sample else { return Ok(Vec::new()) };
        let kept: Vec<usize> =
            (0..people.len()).filter(|at| sample.has(people[*at].person)).collect();
        let asked = asked.only(&kept, self.definitions.features().len());
        let of_model = |model: &Arc<Model>| {
            let scored = model.score(&asked);
            let forecasts = kept.iter().zip(scored).map(|(at, scored)| {
                people[*at].say(&Forecast { raw: scored.raw, served: scored.probability })
            });
            forecasts.collect()
        };
        self.serving.all().map(of_model).collect()
    }

    /// Adds what models are asked with about a person.
    pub(crate) fn ask(&self, profile: &Profile, asked: &mut Asked) {
        profile.features(&self.definitions, self.as_of_unix_ms, &mut asked.row);
        self.places.fill(&self.definitions, profile, self.as_of_unix_ms, &mut asked.row);
        asked.rows.extend_from_slice(&asked.row);
        asked.histories.push(profile.history(&self.definitions, self.as_of_unix_ms));
    }

    /// The profile, if it can be read.
    fn profile(&self, closed: &Closed) -> Option<Profile> {
        let profile: Profile = closed.open().ok()?;
        profile.fits(&self.definitions).then_some(profile)
    }
}

/// What models are asked with about some people.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Features, row after row.
    pub(crate) rows: Vec<f32>,
    /// Purchases, person by person.
    pub(crate) histories: Vec<Option<RepeatHistory>>,
    row: Vec<f32>,
}

impl Asked {
    fn only(&self, people: &[usize], width: usize) -> Self {
        let row = |at: &usize| &self.rows[at * width..(at + 1) * width];
        Self {
            rows: people.iter().flat_map(row).copied().collect(),
            histories: people.iter().map(|at| self.histories[*at]).collect(),
            row: Vec::new(),
        }
    }
}
