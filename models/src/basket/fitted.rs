//! Methods with what they learned.

use super::{Candidates, History, Method, Recurrent, Reranker, Scorer};

/// A method, ready to score.
#[derive(Debug, Clone, PartialEq)]
pub enum Fitted {
    /// One that needs no training.
    Untrained(Method),
    /// [`Method::Rerank`].
    Reranker(Reranker),
    /// [`Method::Recurrent`].
    Recurrent(Recurrent),
    /// [`Method::Mixed`].
    Mixed(Reranker, Recurrent),
}

impl Fitted {
    /// A method of what was learned: nothing, where something is missing.
    #[must_use]
    pub fn new(
        method: Method,
        reranker: Option<Reranker>,
        recurrent: Option<Recurrent>,
    ) -> Option<Self> {
        Some(match method {
            Method::Rerank => Self::Reranker(reranker?),
            Method::Recurrent => Self::Recurrent(recurrent?),
            Method::Mixed => Self::Mixed(reranker?, recurrent?),
            untrained => Self::Untrained(untrained),
        })
    }

    /// Which method it is.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Untrained(method) => *method,
            Self::Reranker(_) => Method::Rerank,
            Self::Recurrent(_) => Method::Recurrent,
            Self::Mixed(..) => Method::Mixed,
        }
    }

    pub(super) fn reranker(&self) -> Option<&Reranker> {
        match self {
            Self::Reranker(reranker) | Self::Mixed(reranker, _) => Some(reranker),
            Self::Untrained(_) | Self::Recurrent(_) => None,
        }
    }

    pub(super) fn recurrent(&self) -> Option<&Recurrent> {
        match self {
            Self::Recurrent(recurrent) | Self::Mixed(_, recurrent) => Some(recurrent),
            Self::Untrained(_) | Self::Reranker(_) => None,
        }
    }
}

impl Scorer for Fitted {
    fn name(&self) -> &str {
        self.method().name()
    }

    /// By [`Method::Mixed`] the sum of both: the product of the odds and the probability. Where the
    /// network cannot be run, the re-ranker alone.
    fn scores(&self, history: &History, candidates: &Candidates, out: &mut Vec<f64>) {
        match self {
            Self::Untrained(method) => method.scores(history, candidates, out),
            Self::Reranker(reranker) => reranker.scores(history, candidates, out),
            Self::Recurrent(recurrent) => recurrent.scores(history, candidates, out),
            Self::Mixed(reranker, recurrent) => {
                reranker.scores(history, candidates, out);
                let other = recurrent.log_probabilities(history, candidates).unwrap_or_default();
                out.iter_mut().zip(other).for_each(|(sum, score)| *sum += score);
            }
        }
    }
}
