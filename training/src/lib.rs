//! Fitting and judging models.
//!
//! Runs as a process of its own (`attune train`, `attune evaluate`), so that a server never
//! carries a training stack. What a model needs at run time, normalisation and calibration
//! included, comes from [`models`] and [`sdk_core`]: nothing is written twice.

pub mod intent;
mod onnx;
