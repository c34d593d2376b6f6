//! When what is due: pure functions over times, in Unix milliseconds.

use super::{
    config::{ConversionConfig, TrainingConfig},
    examples::CUT_EVERY_DAYS,
};
use crate::work::{DAY_MS, HOUR_MS};

/// At least this lies between two trainings, whatever drifts: labels need time to come in.
const LEAST_BETWEEN_TRAININGS_MS: i64 = DAY_MS;

/// Whether there is something to learn from, given since when something is known of somebody: a
/// model learns from three cuts that are a horizon apart, and the horizon of the last is to be over,
/// late facts included.
pub(crate) fn learnable(config: &ConversionConfig, now: i64, known_since: Option<i64>) -> bool {
    let horizon_days = u32::from(config.training.horizon_days);
    let apart_days = horizon_days.div_ceil(CUT_EVERY_DAYS) * CUT_EVERY_DAYS;
    let wait_days = 2 * apart_days + horizon_days + u32::from(config.late_days);
    known_since.is_some_and(|since| now.saturating_sub(since) >= i64::from(wait_days) * DAY_MS)
}

/// Whether everybody is to be swept, given when it was last done or asked for.
pub(crate) fn sweep_due(config: &ConversionConfig, now: i64, last: Option<i64>) -> bool {
    let every = i64::from(config.sweep_hours) * HOUR_MS;
    every > 0 && last.is_none_or(|last| now.saturating_sub(last) >= every)
}

/// What speaks for training early.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Drift {
    /// The greatest population stability index of a feature.
    pub(crate) psi: f64,
    /// The expected calibration error of the newest forecasts that were checked.
    pub(crate) ece: f64,
}

/// Why a model is to be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its time has come.
    Schedule,
    /// People are not what they were when the model was fitted.
    Drift,
    /// What the model says is no longer what happens.
    Calibration,
}

impl Cause {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Drift => "drift",
            Self::Calibration => "calibration",
        }
    }
}

/// Whether and why a model is to be trained, given when that was last done or asked for.
pub(crate) fn training_due(
    config: &TrainingConfig,
    now: i64,
    last: Option<i64>,
    drift: Drift,
) -> Option<Cause> {
    let since = last.map_or(i64::MAX, |last| now.saturating_sub(last));
    let every = i64::from(config.every_days) * DAY_MS;
    let exceeds = |value: f64, percent: u16| percent > 0 && value * 100.0 > f64::from(percent);
    if every > 0 && since >= every {
        Some(Cause::Schedule)
    } else if since < LEAST_BETWEEN_TRAININGS_MS {
        None
    } else if exceeds(drift.psi, config.drift_percent) {
        Some(Cause::Drift)
    } else {
        exceeds(drift.ece, config.calibration_percent.into()).then_some(Cause::Calibration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(since_hours: Option<i64>, psi: f64, ece: f64, expected: Option<Cause>) {
        let now = 1_000 * DAY_MS;
        let last = since_hours.map(|hours| now - hours * HOUR_MS);
        let config = TrainingConfig::default();
        assert_eq!(training_due(&config, now, last, Drift { psi, ece }), expected);
    }

    #[test]
    fn training_comes_by_schedule_or_early_by_drift() {
        check(None, 0.0, 0.0, Some(Cause::Schedule));
        check(Some(7 * 24), 0.0, 0.0, Some(Cause::Schedule));
        check(Some(7 * 24 - 1), 0.19, 0.04, None);
        check(Some(25), 0.21, 0.0, Some(Cause::Drift));
        check(Some(23), 0.21, 0.06, None);
        check(Some(25), 0.0, 0.06, Some(Cause::Calibration));
        check(Some(25), f64::NAN, f64::NAN, None);
        let never = TrainingConfig {
            every_days: 0,
            drift_percent: 0,
            calibration_percent: 0,
            ..TrainingConfig::default()
        };
        let all = Drift { psi: 9.0, ece: 1.0 };
        assert_eq!(training_due(&never, 1_000 * DAY_MS, None, all), None);
    }

    #[test]
    fn there_is_nothing_to_learn_until_three_horizons_are_over() {
        assert!(!learnable(&ConversionConfig::default(), 1_000 * DAY_MS, None));
        // Cuts are weeks apart.
        for (horizon_days, late_days, days) in [(7, 1, 22), (14, 0, 42), (1, 0, 15), (10, 2, 40)] {
            let training = TrainingConfig { horizon_days, ..TrainingConfig::default() };
            let config = ConversionConfig { late_days, training, ..ConversionConfig::default() };
            assert!(!learnable(&config, days * DAY_MS - 1, Some(0)), "{horizon_days}");
            assert!(learnable(&config, days * DAY_MS, Some(0)), "{horizon_days}");
        }
    }

    #[test]
    fn sweeps_come_by_the_hour() {
        let config = ConversionConfig::default();
        assert!(sweep_due(&config, 0, None));
        assert!(sweep_due(&config, DAY_MS, Some(0)) && !sweep_due(&config, DAY_MS - 1, Some(0)));
        assert!(!sweep_due(&ConversionConfig { sweep_hours: 0, ..config }, DAY_MS, None));
    }

    proptest! {
        #[test]
        fn no_time_is_out_of_range(now: i64, last: Option<i64>, psi: f64) {
            let config = ConversionConfig::default();
            let _ = (sweep_due(&config, now, last), learnable(&config, now, last));
            let _ = training_due(&config.training, now, last, Drift { psi, ece: psi });
        }
    }
}
