//! Predicting a conversion: whether one comes, how, and for how much.
//!
//! A [`Predictor`] is one file that training writes and servers read. What it says is a
//! [`Prediction`], with its reasons in plain words.

mod fault;
mod feature;
mod parts;
mod prediction;
mod predictor;
#[cfg(test)]
mod tests;

pub use feature::Feature;
pub use parts::{ColdStart, KindModel, Lineage, LnAmount, ValueModel, log_odds};
pub use prediction::{Direction, KindProbability, Prediction, Reason, Value};
pub use predictor::{Parts, Predictor, PredictorError};
