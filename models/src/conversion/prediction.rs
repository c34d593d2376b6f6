//! What is said of a person, and why.

use protocol::offer::{Currency, Money};
use serde::{Deserialize, Serialize};

/// What a model says of a person's next days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The model, by the head of its digest.
    pub model: String,
    /// That a conversion comes within the horizon.
    pub probability: f64,
    /// Too little is known of the person for the features to count: told from the customer base.
    pub cold_start: bool,
    /// How it would come, the likeliest first; together 1.
    pub kinds: Vec<KindProbability>,
    /// What it would be worth; `None` where no conversion ever had a value.
    pub value: Option<Value>,
    /// What moved the probability most, the strongest first.
    pub reasons: Vec<Reason>,
}

/// A way to convert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindProbability {
    /// `store_purchase`, ...
    pub kind: String,
    /// If a conversion comes at all.
    pub probability: f64,
}

/// What conversions within the horizon are worth, if one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// On average, minor units.
    pub expected_minor: i64,
    /// One in ten stays below, minor units.
    pub low_minor: i64,
    /// One in ten goes beyond, minor units.
    pub high_minor: i64,
    /// Of all three.
    pub currency: Currency,
}

impl Value {
    /// The expectation with its currency.
    #[must_use]
    pub const fn expected(&self) -> Money {
        Money { minor: self.expected_minor, currency: self.currency }
    }
}

/// One feature's part in a probability. Of a cold start there is one at most, `purchases`: what the
/// person's own history adds to what is said of someone who just bought for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Which, by its name.
    pub feature: String,
    /// What it adds to the log-odds of the model's forest.
    pub contribution: f64,
    /// Which way that is.
    pub direction: Direction,
    /// What is so: "bought 4 times in the last 30 days".
    pub text: String,
}

/// Which way a reason moves a probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It is higher for it.
    Raises,
    /// It is lower for it.
    Lowers,
}

impl Direction {
    pub(super) fn of(contribution: f64) -> Self {
        if contribution > 0.0 { Self::Raises } else { Self::Lowers }
    }
}
