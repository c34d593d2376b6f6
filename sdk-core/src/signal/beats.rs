//! Heartbeats in a sampled signal: what [`super::ppg`] and [`super::ecg`] share.
//!
//! Both work in the same four steps, each sample once, causally and in bounded memory:
//! 1. a band-pass makes every heartbeat one rise of a wave (`rise`);
//! 2. a threshold that follows the signal picks the rises that are beats (`picker`);
//! 3. the beat's place is read from the unfiltered samples, between samples (`history`);
//! 4. its shape is compared with those before it: that is its quality (`shape`).
//!
//! The batch form is the streaming form run over the record, so that what was judged on records
//! is what runs live. [`BeatStream`] turns sensor samples into RR intervals.

mod analysis;
pub(super) mod detector;
pub(super) mod history;
pub(super) mod picker;
pub(super) mod rise;
pub(super) mod shape;
mod stream;

pub use analysis::{BeatAnalysis, RrInterval, Unusable};
pub use stream::BeatStream;

/// One heartbeat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// When, in seconds since the first sample, interpolated between samples. ECG: the R peak.
    /// PPG: the foot of the pulse, where the vessel begins to fill.
    pub at_s: f64,
    /// When the wave is highest, in the same seconds. ECG: the R peak too. PPG: the systolic peak.
    pub peak_s: f64,
    /// How much what lies between the beat before and this one looks like a heartbeat: the
    /// correlation with the usual shape, halved where strength or interval leap; 0..=1. 0 for a
    /// beat without one before it, and where samples in between were missing or saturated.
    pub quality: f64,
    /// Whether the quality suffices for an RR interval that ends here.
    pub good: bool,
    /// Whether a beat lies before it with no break of the signal between.
    pub follows: bool,
}

/// Why beats cannot be looked for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BeatError {
    /// The sampling rate is too low to hold the signal's shape, or absurd.
    #[error(
        "{rate_hz} samples a second; {signal} beats need {least_hz} to {most_hz}: check the \
             rate, or resample"
    )]
    Rate {
        /// The rate that was asked for, Hz.
        rate_hz: f64,
        /// Which signal.
        signal: &'static str,
        /// The lowest that works, Hz.
        least_hz: f64,
        /// The highest that works, Hz.
        most_hz: f64,
    },
}
