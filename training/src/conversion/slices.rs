//! Rows in time order: what is learned from, what choices are made on, what is judged on.

use super::{TrainError, TrainingSet};
use std::collections::BTreeSet;

/// Indices of rows, each slice later than the one before: no label of a slice reaches into the
/// features' time of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slices {
    /// The forests are fitted on these.
    pub fit: Vec<usize>,
    /// Probabilities are calibrated on these, and choices made.
    pub calibrate: Vec<usize>,
    /// Scores are of these, which nothing else has seen.
    pub judge: Vec<usize>,
}

/// The share of the cuts that each of the later slices gets, if there are that many.
const LATER_SHARE: f64 = 0.2;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

impl Slices {
    /// Parts the rows by their cuts.
    ///
    /// # Errors
    /// [`TrainError::Cuts`]: not three cuts that are a horizon apart.
    pub fn of(set: &TrainingSet) -> Result<Self, TrainError> {
        let cuts: BTreeSet<i64> = set.rows().iter().map(|row| row.cut_unix_ms).collect();
        let cuts: Vec<i64> = cuts.into_iter().collect();
        let horizon_ms = i64::from(set.schema().horizon_days) * DAY_MS;
        let few =
            || TrainError::Cuts { found: cuts.len(), horizon_days: set.schema().horizon_days };
        let newest = |cuts: &[i64]| {
            let count = ((cuts.len() as f64 * LATER_SHARE).round() as usize).max(1);
            cuts.get(cuts.len().checked_sub(count)?).copied()
        };
        let known_by = |time: i64| {
            let end = cuts.partition_point(|cut| cut.saturating_add(horizon_ms) <= time);
            &cuts[..end]
        };
        let judge_from = newest(&cuts).ok_or_else(few)?;
        let calibrate_until = known_by(judge_from);
        let calibrate_from = newest(calibrate_until).ok_or_else(few)?;
        let fit_until = known_by(calibrate_from);
        let (Some(last_fit), Some(last_calibrate)) = (fit_until.last(), calibrate_until.last())
        else {
            return Err(few());
        };
        let rows = |from: i64, until: i64| {
            let within = |index: &usize| (from..=until).contains(&set.rows()[*index].cut_unix_ms);
            let mut rows: Vec<usize> = (0..set.rows().len()).filter(within).collect();
            // The order of arrival is nobody's business.
            rows.sort_by_key(|index| (set.rows()[*index].cut_unix_ms, set.rows()[*index].person));
            rows
        };
        Ok(Self {
            fit: rows(i64::MIN, *last_fit),
            calibrate: rows(calibrate_from, *last_calibrate),
            judge: rows(judge_from, i64::MAX),
        })
    }
}
