//! The one file of a model of needs: what tells when, and what its newest completed cut says of how
//! sure that is.

use super::{ReorderError, ReorderModel};
use crate::confidence::{Adaptive, Judged, LOOSEST_PROBABILITY, Level, Moved, Wanted};
use protocol::digest::Digest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most bytes of a file.
pub const MAX_BUNDLE_BYTES: usize = 64 << 20;
/// The format that this version writes and reads.
const FORMAT: u32 = 1;
/// Digits of a model's id.
const ID_DIGITS: usize = 16;
/// Rows of the newest cut below the loosest threshold that are believed in: more says no more.
const MAX_ROWS: u64 = 1 << 32;

/// Why a file is no model of needs.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Too much to be one.
    #[error("the model has more than {MAX_BUNDLE_BYTES} bytes: it is none of ours")]
    Large,
    /// Another version wrote it.
    #[error("the model has format {0}, this version reads {FORMAT}: train it anew")]
    Format(u32),
    /// It is no model.
    #[error("this is no model of needs: {0}")]
    Json(#[from] serde_json::Error),
    /// Its parts do not fit together.
    #[error(transparent)]
    Model(#[from] ReorderError),
    /// Numbers that cannot be.
    #[error("the model's record of its newest cut cannot be: train it anew")]
    Record,
}

/// A model of needs with its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    id: String,
    model: ReorderModel,
    calibrated_on: i32,
    moved: Moved,
    sure: Vec<Judged>,
    others: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    model: ReorderModel,
    calibrated_on: i32,
    moved: Moved,
    /// Probability and whether it came, of those that could be proposed.
    sure: Vec<(f64, bool)>,
    /// How many could not.
    others: u64,
}

impl Bundle {
    /// Puts a file together. `calibrated_on` is the day of the newest completed cut, since
    /// 1970-01-01; `newest` what the model says of that cut, and what came.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn new(
        model: ReorderModel,
        calibrated_on: i32,
        moved: Moved,
        newest: &[Judged],
    ) -> Result<Self, BundleError> {
        if ![moved.psi, moved.calibration_error].iter().all(|number| number.is_finite()) {
            return Err(BundleError::Record);
        }
        let sure = |row: &&Judged| row.probability >= LOOSEST_PROBABILITY;
        let sure: Vec<Judged> = newest.iter().filter(sure).copied().collect();
        let others = (newest.len() - sure.len()) as u64;
        let mut bundle = Self { id: String::new(), model, calibrated_on, moved, sure, others };
        bundle.id = id_of(&bundle.to_json()?);
        Ok(bundle)
    }

    /// The head of the digest of its file.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What tells when.
    #[must_use]
    pub fn model(&self) -> &ReorderModel {
        &self.model
    }

    /// The day of the newest completed cut, since 1970-01-01.
    #[must_use]
    pub fn calibrated_on(&self) -> i32 {
        self.calibrated_on
    }

    /// From which probability on orders are proposed now.
    #[must_use]
    pub fn level(&self, adaptive: &Adaptive, wanted: &Wanted) -> Level {
        let mut level = Level::decide(&self.sure, &self.moved, adaptive, wanted);
        for seen in [&mut level.on_newest, &mut level.tested.seen] {
            seen.predictions = seen.predictions.saturating_add(self.others);
        }
        level
    }

    /// The file: the same model gives the same bytes.
    ///
    /// # Errors
    /// [`BundleError::Json`], when there is no memory for it.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        let stored = Stored {
            format: FORMAT,
            model: self.model.clone(),
            calibrated_on: self.calibrated_on,
            moved: self.moved,
            sure: self.sure.iter().map(|row| (row.probability, row.came)).collect(),
            others: self.others,
        };
        Ok(serde_json::to_vec(&stored)?)
    }

    /// Reads what [`Bundle::to_json`] wrote.
    ///
    /// # Errors
    /// [`BundleError`] says what is wrong with it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::Large);
        }
        let Stored { format, model, calibrated_on, moved, sure, others } =
            serde_json::from_slice(bytes)?;
        if format != FORMAT {
            return Err(BundleError::Format(format));
        }
        let possible = |p: &f64| (LOOSEST_PROBABILITY..=1.0).contains(p);
        let numbers = [moved.psi, moved.calibration_error];
        if others > MAX_ROWS
            || !sure.iter().all(|(p, _)| possible(p))
            || !numbers.iter().all(|number| number.is_finite())
        {
            return Err(BundleError::Record);
        }
        let sure = sure.into_iter().map(|(probability, came)| Judged { probability, came });
        let id = id_of(bytes);
        Ok(Self { id, model, calibrated_on, moved, sure: sure.collect(), others })
    }
}

fn id_of(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string().chars().take(ID_DIGITS).collect()
}
