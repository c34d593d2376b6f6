//! From samples to features: what the body did lately, as a few numbers.
//!
//! [`EdaFeatures`] and [`HrvFeatures`] are state machines without I/O and without a clock. What
//! they return is a function of the samples' `(stream_at, value, quality, contiguous)` alone;
//! session time is copied through and never computed with. The same samples therefore give the
//! same features, bit for bit, whether they came over the air or from a recording.
//!
//! Where a device gives a PPG or an ECG instead of RR intervals, [`BeatStream`] stands before
//! [`HrvFeatures`]; [`ppg`] and [`ecg`] hold the detectors, for records too.
//!
//! The features are those of [`protocol::feature::FEATURES`], in its order. A feature whose window
//! holds too little good data is NaN; how much of the window is good is the vector's coverage.

mod beats;
pub mod ecg;
pub mod eda;
pub mod filter;
pub mod hrv;
pub mod ppg;
mod vector;

pub use beats::{Beat, BeatAnalysis, BeatError, BeatStream, RrInterval, Unusable};
pub use eda::EdaFeatures;
pub use hrv::HrvFeatures;
pub use vector::FeatureVector;
