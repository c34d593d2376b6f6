//! Methods by name.

use super::{Candidates, History};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Gives each candidate of a person a score: the higher, the likelier it is bought next.
///
/// The seam for further models: whatever implements it is judged and shipped like the others.
pub trait Scorer {
    /// What the model is called.
    fn name(&self) -> &str;

    /// Replaces `out` by one score a candidate.
    fn scores(&self, history: &History, candidates: &Candidates, out: &mut Vec<f64>);
}

/// The methods that need no training, and those that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// TIFU-KNN.
    Tifu,
    /// How often, then how lately.
    Recency,
    /// TIFU-KNN + 0.3 of the neighbours' mean + 0.6 of the faded count times how often the item is
    /// bought again, each divided by the person's maximum. The default, and for people without a
    /// history.
    Ens,
    /// The trained re-ranker.
    Rerank,
    /// The recurrent model.
    Recurrent,
    /// The re-ranker's log-odds + the recurrent model's log-probability.
    Mixed,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Tifu, Self::Recency, Self::Ens, Self::Rerank, Self::Recurrent, Self::Mixed];

    /// Whether it has a re-ranker's forest.
    #[must_use]
    pub const fn has_forest(self) -> bool {
        matches!(self, Self::Rerank | Self::Mixed)
    }

    /// Whether it has a recurrent model's networks.
    #[must_use]
    pub const fn has_networks(self) -> bool {
        matches!(self, Self::Recurrent | Self::Mixed)
    }

    /// As it is called in files and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tifu => "tifu",
            Self::Recency => "recency",
            Self::Ens => "ens",
            Self::Rerank => "rerank",
            Self::Recurrent => "recurrent",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|method| method.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no method `{name}`: choose one of {names}")
        })
    }
}

/// The untrained methods are in the candidates already; those that are trained fall back to ENS
/// here, see [`Fitted`](super::Fitted).
impl Scorer for Method {
    fn name(&self) -> &str {
        Self::name(*self)
    }

    fn scores(&self, _: &History, candidates: &Candidates, out: &mut Vec<f64>) {
        let scores = match self {
            Self::Tifu => &candidates.tifu,
            Self::Recency => &candidates.recency,
            Self::Ens | Self::Rerank | Self::Recurrent | Self::Mixed => &candidates.ens,
        };
        out.clone_from(scores);
    }
}
