//! Fitting and judging the model of conversions.
//!
//! A [`TrainingSet`] holds people at past times and what they did next. [`fit`] learns a
//! [`models::conversion::Predictor`] from it: forests on the oldest cuts, calibration and choices
//! on later ones, scores on the latest.

mod calibrate;
mod cold;
mod fit;
mod kind;
mod report;
mod set;
mod slices;
#[cfg(test)]
mod tests;
mod worth;

pub use fit::{Settings, TrainError, fit};
pub use report::{KindReport, Report, Scores, ValueReport};
pub use set::{Row, RowError, Schema, TrainingSet};
