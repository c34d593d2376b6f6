//! What happened, as the server keeps it: one thing at one time, known since another.

use protocol::offer::Money;
use serde::{Deserialize, Serialize};

/// Where a fact comes from. Each source is a consent scope of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Offline conversions: a purchase in a store, a loan applied for, a service asked for.
    Conversion,
    /// What the person does in apps and on pages.
    Behaviour,
    /// Circumstances of the person's place: weather, events.
    Context,
    /// Banded attributes: age band, income band.
    Demographics,
    /// A loyalty programme's transactions.
    Loyalty,
    /// What a third party reports: card transactions.
    ThirdParty,
}

impl Source {
    /// Every source, in the order of the type.
    pub const ALL: [Self; 6] = [
        Self::Conversion,
        Self::Behaviour,
        Self::Context,
        Self::Demographics,
        Self::Loyalty,
        Self::ThirdParty,
    ];

    /// The name on the wire, in the database and in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conversion => "conversion",
            Self::Behaviour => "behaviour",
            Self::Context => "context",
            Self::Demographics => "demographics",
            Self::Loyalty => "loyalty",
            Self::ThirdParty => "third_party",
        }
    }
}

/// The name of facts that are parts of another one of the same time: the items of a cart. They
/// tell what and how much, and are not counted themselves.
pub const PART: &str = "cart_item";

/// One thing that happened.
///
/// Nothing is ever changed: a retraction is a fact with `count` -1 and the negative value at the
/// time of what it takes back, an adjustment one with `count` 0 and the difference; both are known
/// only since they arrived, so that what was believed at any time can be said again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Where it comes from.
    pub source: Source,
    /// What it is: `store_purchase`, `page_view`, `age_band`, ...
    pub name: String,
    /// When it happened, Unix milliseconds.
    pub at_unix_ms: i64,
    /// Since when the server knows, Unix milliseconds.
    pub known_unix_ms: i64,
    /// 1; -1 takes one back; 0 changes the value alone.
    pub count: i32,
    /// What it was worth, or by how much that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
    /// How many or how much of the item; a band's ordinal; a measured circumstance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// Of what, by the operator's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Of which category, by the operator's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}
