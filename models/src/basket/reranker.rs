//! The trained order of candidates, and the one file a model is kept in.

use super::{Candidates, FEATURES, Finder, History, Method, Population, Scorer};
use crate::booster::{Forest, Objective, sigmoid};
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
    /// It is no model.
    #[error("this is no model of baskets: {0}")]
    Json(#[from] serde_json::Error),
}

/// A forest that says how likely each candidate is in the next basket.
#[derive(Debug, Clone, PartialEq)]
pub struct Reranker(Forest);

impl Reranker {
    /// Takes a binary forest over [`FEATURES`].
    ///
    /// # Errors
    /// [`ModelError::Features`], [`ModelError::Objective`].
    pub fn new(forest: Forest) -> Result<Self, ModelError> {
        if forest.features() != FEATURES.len() {
            return Err(ModelError::Features { found: forest.features() });
        }
        if forest.objective() != Objective::Binary {
            return Err(ModelError::Objective);
        }
        Ok(Self(forest))
    }
}

impl Scorer for Reranker {
    fn name(&self) -> &str {
        Method::Rerank.name()
    }

    /// Log-odds.
    fn scores(&self, _: &History, candidates: &Candidates, out: &mut Vec<f64>) {
        self.0.score_rows(&candidates.features, out);
    }
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

/// A method with all it needs to run: the population, and for re-ranking the forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    method: Method,
    population: Population,
    reranker: Option<Reranker>,
}

/// The model as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    method: Method,
    population: Population,
    forest: Option<Forest>,
}

impl Model {
    /// Puts a model together; only a re-ranker needs the forest.
    ///
    /// # Errors
    /// [`ModelError::Forest`] where it is missing.
    pub fn new(
        method: Method,
        population: Population,
        reranker: Option<Reranker>,
    ) -> Result<Self, ModelError> {
        if method == Method::Rerank && reranker.is_none() {
            return Err(ModelError::Forest);
        }
        Ok(Self { method, population, reranker })
    }

    /// What it ranks by.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Whose histories it knows.
    #[must_use]
    pub fn population(&self) -> &Population {
        &self.population
    }

    /// What it ranks by, as a scorer.
    #[must_use]
    pub fn scorer(&self) -> &dyn Scorer {
        match &self.reranker {
            Some(reranker) if self.method == Method::Rerank => reranker,
            _ => &self.method,
        }
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
        let knows = self.method == Method::Rerank;
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
        let forest = self.reranker.as_ref().map(|reranker| reranker.0.clone());
        let population = self.population.clone();
        Ok(serde_json::to_string(&Stored { method: self.method, population, forest })?)
    }

    /// Reads what [`Model::to_json`] wrote.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let Stored { method, population, forest } = serde_json::from_str(text)?;
        Self::new(method, population, forest.map(Reranker::new).transpose()?)
    }
}
