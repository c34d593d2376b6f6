//! Running models, on device and server alike.
//!
//! A model comes as a [`Bundle`]: a [`Manifest`] that says what it is and how its inputs are made,
//! and the network as ONNX. [`IntentModel`] runs it on tract.
//!
//! **Invariant.** Inference only: no model is fitted here, and nothing here knows where a number
//! came from. The one thing that learns is [`calibration::OnlinePlatt`], two numbers that correct a
//! model's probabilities by what came of them in service. Normalisation and calibration are written
//! once, here, and training uses the same.
//!
//! **Signing.** The place of the signature is [`Bundle::from_bytes`], over the manifest's exact
//! bytes and before they are parsed; the manifest binds the network by its SHA-256. Bundles are
//! not signed yet: until then a bundle is as trustworthy as the folder it is read from.

pub mod basket;
pub mod booster;
#[cfg(feature = "intent")]
mod bundle;
#[cfg(feature = "intent")]
pub mod bundled;
pub mod calibration;
pub mod confidence;
pub mod conversion;
pub mod customer_base;
#[cfg(feature = "intent")]
mod intent;
#[cfg(feature = "intent")]
mod manifest;
pub mod profile;
pub mod reorder;
pub mod value;

#[cfg(feature = "intent")]
pub use bundle::{Bundle, BundleError};
#[cfg(feature = "intent")]
pub use intent::{IntentModel, ModelError, Step};
#[cfg(feature = "intent")]
pub use manifest::{Calibration, FeatureScaling, GoldenVector, Manifest, Platt, Shapes};
