//! Heart-rate variability, from RR intervals in milliseconds to numbers one can stand behind.
//!
//! Two ways lead through here. [`analyze`] takes a whole record: it corrects artefacts
//! ([`correct`]), judges whether the result means anything ([`Usability`]) and measures it in time
//! ([`TimeDomain`]), frequency ([`welch`], [`lomb`]), coherence ([`coherence`]) and breath
//! ([`respiration`]). [`HrvFeatures`] and [`SlidingHrv`] take one beat at a time.
//!
//! Everything is a function of the intervals alone: no clock, no I/O, no state between calls.
//! Numbers that cannot be told are NaN; a record that is not one of RR intervals is refused.

mod analysis;
mod coherence;
mod correction;
mod features;
mod fourier;
mod lomb;
mod quality;
mod refusal;
mod respiration;
mod rolling;
mod sliding;
mod spectrum;
mod spline;
mod time_domain;
mod welch;

pub use analysis::{HrvAnalysis, Options, Tachogram, analyze};
pub use coherence::{CoherenceWindow, coherence};
pub use correction::{BeatClass, ClassCounts, Correction, correct};
pub use features::HrvFeatures;
pub use lomb::lomb;
pub use quality::Usability;
pub use refusal::Refusal;
pub use respiration::{Respiration, respiration};
pub use sliding::{BadWindow, SlidingHrv};
pub use spectrum::{Bands, Spectrum};
pub use time_domain::TimeDomain;
pub use welch::welch;
