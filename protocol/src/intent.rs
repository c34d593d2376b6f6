//! What the model says about a person's state of mind toward the offer on screen.

use serde::{Deserialize, Serialize};

/// The states the model tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IntentClass {
    /// At rest with the offer: keep it.
    Neutral,
    /// High interest or positive emotion.
    Interested,
    /// Weighing, unsure.
    Hesitant,
    /// Strained: negative emotion.
    Stressed,
}

impl IntentClass {
    /// Every class, in the order of the model's outputs.
    pub const ALL: [Self; 4] = [Self::Neutral, Self::Interested, Self::Hesitant, Self::Stressed];

    /// The name on the wire and in model manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Interested => "interested",
            Self::Hesitant => "hesitant",
            Self::Stressed => "stressed",
        }
    }
}

/// Why the model gave no estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Abstention {
    /// No feature has arrived yet.
    NoData,
    /// Still learning the person's resting level.
    Calibrating,
    /// Too little of the window is real data.
    PoorQuality,
    /// The newest feature is too old.
    Stale,
}

/// One step of the intent model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntentEstimate {
    /// Session time of the estimate, milliseconds.
    pub at_ms: u64,
    /// Probability of each class in the order of [`IntentClass::ALL`], 0..=1, sum 1.
    /// All equal when the model abstained.
    pub probabilities: [f32; 4],
    /// Probability of physiological arousal as under laboratory stress, 0..=1; .5 on abstention.
    pub arousal: f32,
    /// Set when the model gave no estimate.
    pub abstained: Option<Abstention>,
}

impl IntentEstimate {
    /// An estimate that says nothing, and why.
    #[must_use]
    pub const fn abstained(at_ms: u64, reason: Abstention) -> Self {
        Self { at_ms, probabilities: [0.25; 4], arousal: 0.5, abstained: Some(reason) }
    }

    /// The likeliest class and its probability.
    #[must_use]
    pub fn top(&self) -> (IntentClass, f32) {
        let mut best = (IntentClass::Neutral, self.probabilities[0]);
        for (class, p) in IntentClass::ALL.into_iter().zip(self.probabilities) {
            if p > best.1 {
                best = (class, p);
            }
        }
        best
    }
}
