//! Running models, on device and server alike.
//!
//! A model comes as a [`Bundle`]: a [`Manifest`] that says what it is and how its inputs are made,
//! and the network as ONNX. [`IntentModel`] runs it on tract.
//!
//! **Invariant.** Inference only: nothing here is fitted, and nothing here knows where a number
//! came from. Normalisation and calibration are written once, here, and training uses the same.
//!
//! **Signing.** The place of the signature is [`Bundle::from_bytes`], over the manifest's exact
//! bytes and before they are parsed; the manifest binds the network by its SHA-256. Bundles are
//! not signed yet: until then a bundle is as trustworthy as the folder it is read from.

mod bundle;
pub mod bundled;
mod intent;
mod manifest;

pub use bundle::{Bundle, BundleError};
pub use intent::{IntentModel, ModelError, Step};
pub use manifest::{Calibration, FeatureScaling, GoldenVector, Manifest, Platt, Shapes};
