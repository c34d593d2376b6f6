//! Fitting and judging models.
//!
//! Runs as a process of its own (`attune train`, `attune evaluate`), so that a server never
//! carries a training stack. What a model needs at run time, normalisation and calibration
//! included, comes from [`models`] and [`sdk_core`]: nothing is written twice.

pub mod basket;
pub mod boosting;
pub mod calibrate;
pub mod conversion;
pub mod crossval;
pub mod customer_base;
pub mod drift;
mod gru;
pub mod intent;
pub mod metrics;
mod minimise;
mod onnx;
pub mod people;
pub mod reorder;
pub mod tabular;
