//! The one file a model is kept in.

use super::{
    FEATURES, Finder, Fitted, History, Method, Networks, Population, Recurrent, RecurrentError,
    Reranker, Scorer,
};
use crate::booster::{Forest, sigmoid};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a model cannot be used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// Its forest was fitted to something else.
    #[error(
        "the model's forest takes {found} features, this version makes {}: fit it anew",
        FEATURES.len()
    )]
    Features {
        /// How many it takes.
        found: usize,
    },
    /// Its forest predicts something else.
    #[error("the model's forest is no classifier of yes and no: fit it anew")]
    Objective,
    /// It shall re-rank, but has no forest.
    #[error("the model is a re-ranker without a forest: fit it anew, or choose another method")]
    Forest,
    /// It shall run a network, but has none.
    #[error("the model is recurrent, but has no networks: fit it anew, or choose another method")]
    Networks,
    /// Its networks cannot be run.
    #[error(transparent)]
    Recurrent(#[from] RecurrentError),
    /// It is no model.
    #[error("this is no model of baskets: {0}")]
    Json(#[from] serde_json::Error),
}

/// An item a person might buy next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Which.
    pub item: u32,
    /// The method's score; comparable for one person only, unless it is a re-ranker's.
    pub score: f64,
    /// Of being in the next basket, where the method knows it.
    pub probability: Option<f64>,
}

/// A method with all it needs to run: what it learned, and the population.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    population: Population,
    fitted: Fitted,
}

/// The model as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    method: Method,
    population: Population,
    forest: Option<Forest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    networks: Option<Networks>,
}

impl Model {
    /// Puts a model together; only a re-ranker needs the forest. One with networks is made with
    /// [`Model::of`].
    ///
    /// # Errors
    /// [`ModelError::Forest`] where it is missing, [`ModelError::Networks`] where those are.
    pub fn new(
        method: Method,
        population: Population,
        reranker: Option<Reranker>,
    ) -> Result<Self, ModelError> {
        Self::whole(method, population, reranker, None)
    }

    /// Puts a model together of a method that was fitted.
    #[must_use]
    pub fn of(fitted: Fitted, population: Population) -> Self {
        Self { population, fitted }
    }

    fn whole(
        method: Method,
        population: Population,
        reranker: Option<Reranker>,
        recurrent: Option<Recurrent>,
    ) -> Result<Self, ModelError> {
        let is_forest = method.has_forest() && reranker.is_none();
        let missing = if is_forest { ModelError::Forest } else { ModelError::Networks };
        let fitted = Fitted::new(method, reranker, recurrent).ok_or(missing)?;
        Ok(Self::of(fitted, population))
    }

    /// What it ranks by.
    #[must_use]
    pub fn method(&self) -> Method {
        self.fitted.method()
    }

    /// Whose histories it knows.
    #[must_use]
    pub fn population(&self) -> &Population {
        &self.population
    }

    /// What it ranks by, as a scorer.
    #[must_use]
    pub fn scorer(&self) -> &dyn Scorer {
        &self.fitted
    }

    /// The likeliest next items, at most `count`. Whoever has no history gets what is popular at
    /// present. `own`: see [`Finder::candidates`]; `finder` looks in the model's population.
    #[must_use]
    pub fn next(
        &self,
        finder: &mut Finder<'_>,
        history: &History,
        own: Option<u32>,
        count: usize,
    ) -> Vec<Ranked> {
        let candidates = finder.candidates(history, own);
        let mut scores = Vec::new();
        self.scorer().scores(history, &candidates, &mut scores);
        let knows = self.method() == Method::Rerank;
        let order = candidates.ranked(&scores).into_iter().take(count);
        order
            .map(|at| {
                let score = scores[at];
                let probability = knows.then(|| sigmoid(score));
                Ranked { item: candidates.items[at], score, probability }
            })
            .collect()
    }

    /// The one file: the same model gives the same bytes.
    ///
    /// # Errors
    /// [`ModelError::Json`], when there is no memory for it.
    pub fn to_json(&self) -> Result<String, ModelError> {
        Ok(serde_json::to_string(&Stored {
            method: self.method(),
            population: self.population.clone(),
            forest: self.fitted.reranker().map(|reranker| reranker.forest().clone()),
            networks: self.fitted.recurrent().map(|recurrent| recurrent.networks().clone()),
        })?)
    }

    /// Reads what [`Model::to_json`] wrote.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let Stored { method, population, forest, networks } = serde_json::from_str(text)?;
        let reranker = forest.map(Reranker::new).transpose()?;
        Self::whole(method, population, reranker, networks.map(Recurrent::new).transpose()?)
    }
}
