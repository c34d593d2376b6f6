//! The trained order of candidates.

use super::{Candidates, FEATURES, History, Method, ModelError, Scorer};
use crate::booster::{Forest, Objective};

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

    pub(super) fn forest(&self) -> &Forest {
        &self.0
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
