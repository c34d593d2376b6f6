//! What a predictor learns from: people at past times, and what they did next.

use models::{conversion::Feature, customer_base::RepeatHistory};
use protocol::{digest::Digest, offer::Currency};
use thiserror::Error;

/// What the columns and labels of a [`TrainingSet`] mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The columns, in order.
    pub features: Vec<Feature>,
    /// Digest of the feature definitions they follow from: a model answers only for the same.
    pub definitions: Digest,
    /// A row's label looks this many days ahead of its cut.
    pub horizon_days: u16,
    /// Names of the conversion types; [`Row::kind`] counts in it.
    pub kinds: Vec<String>,
    /// Currency of all values. Conversions in others are left without a value.
    pub currency: Currency,
}

/// A person at a cut, and what came after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Which person, by any numbering: rows of one person belong together.
    pub person: u32,
    /// Everything in the features was known by then; labels begin after it. Unix milliseconds.
    pub cut_unix_ms: i64,
    /// Whether a conversion came within the horizon.
    pub converted: bool,
    /// Type of the first one; `None` where none came or it is unknown.
    pub kind: Option<u16>,
    /// Sum of the values within the horizon, minor units; `None` where none came or is unknown.
    pub value_minor: Option<i64>,
    /// Purchases up to the cut; `None` before the first.
    pub history: Option<RepeatHistory>,
}

impl Row {
    /// The label as a number: 1 or 0.
    pub(super) fn label(&self) -> f32 {
        f32::from(u8::from(self.converted))
    }
}

/// Why a row was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RowError {
    /// Not the schema's columns.
    #[error("a row has {found} features, the schema {expected}: compute them by one definition")]
    Width {
        /// By the schema.
        expected: usize,
        /// In the row.
        found: usize,
    },
    /// No such type.
    #[error("a row has conversion type {found}, the schema names {known}: add the type's name")]
    Kind {
        /// In the row.
        found: u16,
        /// Types in the schema.
        known: usize,
    },
}

/// Rows in order of arrival, features row-major. Missing features are NaN.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    schema: Schema,
    rows: Vec<Row>,
    features: Vec<f32>,
}

impl TrainingSet {
    /// Without rows yet.
    #[must_use]
    pub const fn new(schema: Schema) -> Self {
        Self { schema, rows: Vec::new(), features: Vec::new() }
    }

    /// Adds a row. Infinite features become missing; a kind or value of who did not convert is
    /// dropped.
    ///
    /// # Errors
    /// [`RowError`]: the row does not fit the schema; nothing was added.
    pub fn push(&mut self, row: Row, features: &[f32]) -> Result<(), RowError> {
        let (expected, found) = (self.schema.features.len(), features.len());
        if expected != found {
            return Err(RowError::Width { expected, found });
        }
        let known = self.schema.kinds.len();
        if let Some(found) = row.kind.filter(|kind| usize::from(*kind) >= known) {
            return Err(RowError::Kind { found, known });
        }
        let kind = row.kind.filter(|_| row.converted);
        let value_minor = row.value_minor.filter(|_| row.converted);
        self.rows.push(Row { kind, value_minor, ..row });
        self.features.extend(features.iter().map(|f| if f.is_finite() { *f } else { f32::NAN }));
        Ok(())
    }

    /// What columns and labels mean.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// A row's features, by the schema's columns; empty beyond the last row.
    #[must_use]
    pub fn features(&self, row: usize) -> &[f32] {
        let width = self.schema.features.len();
        self.features.get(row * width..(row + 1) * width).unwrap_or_default()
    }
}
