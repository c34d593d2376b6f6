//! Skin conductance: what a whole recording says, and what the stream says so far.
//!
//! [`analyze`] is the reference: it sees the recording whole, marks what is no skin conductance,
//! takes tonic and phasic apart without phase, and finds every response. [`EdaFeatures`] is the
//! stream: it may not look ahead, and agrees with the reference as well as that allows; the
//! delay of each feature is in [`protocol::feature::FEATURES`].
//!
//! Both follow the same rules: artefacts by Kleckner et al. 2018, one high-pass at 0.05 Hz,
//! responses by prominence. cvxEDA (cargo feature `offline`) is another way to take tonic and phasic
//! apart, for whole recordings only.

mod analysis;
mod artefact;
#[cfg(feature = "offline")]
mod banded;
#[cfg(feature = "offline")]
mod cvxeda;
mod features;
mod high_pass;
mod phasic_window;
mod resample;
mod responses;
mod trough_to_peak;

pub use analysis::{
    EdaAnalysis, EdaSeries, Method, Options, RESPONSE_MICROSIEMENS, Unusable, analyze,
};
pub use artefact::{Acceleration, Mark};
#[cfg(feature = "offline")]
pub use cvxeda::{CvxEda, CvxEdaError, cvxeda};
pub use features::EdaFeatures;
pub use resample::resample;
pub use responses::{Scr, Threshold, responses};

/// Corner between tonic and phasic, Hz: the usual one for EDA (Boucsein 2012, section 2.2.4.2;
/// Makowski et al. 2021, `eda_phasic`).
const CORNER_HZ: f64 = 0.05;
