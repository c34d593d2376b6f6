//! Does the newest completed cut still tell of the others?

use super::Judged;
use crate::profile::psi;
use serde::{Deserialize, Serialize};

/// Bins of equal width of the probabilities.
const BINS: usize = 10;
/// Population stability index from which on probabilities have moved somewhat, and much: the usual
/// reading (Siddiqi, "Credit Risk Scorecards", 2006, chapter 8).
const PSI: (f64, f64) = (0.1, 0.25);
/// Calibration error from which on probabilities are off somewhat, and much. On Ta-Feng,
/// ordinary weeks differ by .017, those about the Chinese New Year by .035 to .076.
const CALIBRATION_ERROR: (f64, f64) = (0.03, 0.06);

/// How far two completed cuts are apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Population stability index of the probabilities, over 10 bins of equal width.
    pub psi: f64,
    /// Expected calibration error of the newer cut, over the same bins.
    pub calibration_error: f64,
}

impl Moved {
    /// Compares the newest completed cut with the one before. Both hold what was said *then*: the
    /// newer one is judged by the calibration of the older, not by one fitted to itself.
    #[must_use]
    pub fn between(newest: &[Judged], before: &[Judged]) -> Self {
        let (newest, before) = (Bins::of(newest), Bins::of(before));
        Self { psi: psi(&before.rows, &newest.rows), calibration_error: newest.error() }
    }
}

/// What a cut allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Cuts agree: thresholds hold as learned.
    Open,
    /// Probabilities moved somewhat: only what is very sure.
    Strict,
    /// They moved much: nothing.
    Closed,
}

impl Gate {
    /// Reads how far cuts are apart. What is no number closes.
    #[must_use]
    pub fn of(moved: &Moved) -> Self {
        let reads = |value: f64, (some, much): (f64, f64)| match value {
            value if value < some => Self::Open,
            value if value < much => Self::Strict,
            _ => Self::Closed,
        };
        match (reads(moved.psi, PSI), reads(moved.calibration_error, CALIBRATION_ERROR)) {
            (Self::Closed, _) | (_, Self::Closed) => Self::Closed,
            (Self::Strict, _) | (_, Self::Strict) => Self::Strict,
            (Self::Open, Self::Open) => Self::Open,
        }
    }
}

struct Bins {
    rows: [u64; BINS],
    /// Sum of the probabilities less what came.
    off: [f64; BINS],
}

impl Bins {
    fn of(rows: &[Judged]) -> Self {
        let mut bins = Self { rows: [0; BINS], off: [0.0; BINS] };
        for row in rows.iter().filter(|row| !row.probability.is_nan()) {
            let probability = row.probability.clamp(0.0, 1.0);
            let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
            bins.rows[bin] += 1;
            bins.off[bin] += probability - f64::from(u8::from(row.came));
        }
        bins
    }

    /// NaN without rows.
    fn error(&self) -> f64 {
        self.off.iter().map(|off| off.abs()).sum::<f64>() / self.rows.iter().sum::<u64>() as f64
    }
}
