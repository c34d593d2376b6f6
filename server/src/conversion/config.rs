//! What an operator can choose about predictions. Shares are whole percents, so that a file says
//! what it means.

use serde::{Deserialize, Serialize};

/// Settings of the predictions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConversionConfig {
    /// Whether people are scored as soon as something new is known of them. Without it they are
    /// scored by sweeps alone.
    pub score_changes: bool,
    /// Hours between two sweeps of everybody; 0: only when asked for.
    pub sweep_hours: u32,
    /// A person whose probability comes to this many percent is reported as a crossing.
    pub crossing_percent: u8,
    /// Of about how many people a sweep keeps the forecasts, model by model, until they can be
    /// checked.
    pub checked_people: u32,
    /// For how many days after the horizon facts that arrive late are waited for.
    pub late_days: u16,
    /// How many challengers forecast beside the champion.
    pub challengers: u8,
    /// How a person can have a human look at a prediction, told with every one of them (C18).
    pub contest: String,
    /// How models are trained.
    pub training: TrainingConfig,
}

/// Settings of the training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Days between two trainings; 0: only when asked for.
    pub every_days: u16,
    /// Train early when the population stability index of a feature comes to this many percent.
    /// Above 25 a population counts as changed, below 10 as the same (Siddiqi 2006). 0: never.
    pub drift_percent: u16,
    /// Train early when the newest checked forecasts are off by this many percent on average (the
    /// expected calibration error). 0: never.
    pub calibration_percent: u8,
    /// How many days ahead models look.
    pub horizon_days: u16,
    /// What makes a training repeatable.
    pub seed: u64,
    /// The command that trains, options left out; `attune train conversion --json` of this
    /// executable, if empty.
    pub command: Vec<String>,
    /// After how many minutes it is given up.
    pub limit_minutes: u32,
}

impl Default for ConversionConfig {
    fn default() -> Self {
        Self {
            score_changes: true,
            sweep_hours: 24,
            crossing_percent: 70,
            checked_people: 10_000,
            late_days: 1,
            challengers: 2,
            contest: "The person can have a human look at this, correct what it stands on, or \
                      object to it: they ask whoever runs this service, who answers for it."
                .to_owned(),
            training: TrainingConfig::default(),
        }
    }
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            every_days: 7,
            drift_percent: 20,
            calibration_percent: 5,
            horizon_days: 7,
            seed: 1,
            command: Vec::new(),
            limit_minutes: 240,
        }
    }
}
