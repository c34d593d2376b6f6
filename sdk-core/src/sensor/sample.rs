//! One measured value.

use crate::clock::Nanos;
use protocol::consent::Modality;

/// What is known about a sample. A missing reading is a sample too: silence is not a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// As measured.
    Good,
    /// The device had no reading; the value is NaN.
    Missing,
    /// The electrodes did not touch skin.
    OffBody,
    /// At the end of the measuring range.
    Saturated,
    /// Outside what a body gives.
    Artefact,
}

/// Which physical quantity a sample is a value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Skin conductance, microsiemens.
    SkinConductance,
    /// One RR interval, milliseconds.
    RrInterval,
    /// Electrocardiogram, microvolts.
    Ecg,
    /// Photoplethysmogram, the device's own counts, rising with blood volume.
    Ppg,
    /// Length of the acceleration vector, gravity included, in g.
    Acceleration,
}

/// One value of one stream.
///
/// Deliberately not `Serialize`: a raw sample has no way to the wire (C9).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Whose consent covers it.
    pub modality: Modality,
    /// What was measured, and in which unit.
    pub signal: Signal,
    /// Time on the stream's own timeline, exact in device ticks: EDA, the sampling instant; RR,
    /// the sum of the intervals so far. Identical live and from a recording.
    pub stream_at: Nanos,
    /// Session time, mapped through the stream's clock model.
    pub at: Nanos,
    /// The value, in the signal's unit; NaN when missing.
    pub value: f64,
    /// What is known about it.
    pub quality: Quality,
    /// Whether it directly follows the sample before it: no loss, no pause, no clock reset
    /// between. An RR difference is only taken between contiguous intervals.
    pub contiguous: bool,
}
