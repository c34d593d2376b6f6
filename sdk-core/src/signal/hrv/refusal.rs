//! Why heart-rate variability is not told.

use std::ops::RangeInclusive;

/// What can be the time between two heart beats at all, ms. Far wider than any rhythm (Lown's
/// limits are 200 to 3000): it keeps out other units and bounds what a record can cost.
pub(super) const INTERVAL_MS: RangeInclusive<f64> = 1.0..=10_000.0;

/// A record or window that cannot be used, and why.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Less than the least a measure needs.
    #[error(
        "{seconds:.1} s in {beats} beats are too short, {needed_s} s are needed: record longer"
    )]
    TooShort {
        /// Beats given.
        beats: usize,
        /// How long they last.
        seconds: f64,
        /// How long they would have to last.
        needed_s: f64,
    },
    /// A number that is no RR interval in milliseconds.
    #[error(
        "interval {index} is {value} ms, outside the 1 to 10000 ms between two heart beats: give RR \
         intervals in milliseconds"
    )]
    NotAnInterval {
        /// Which interval, from 0.
        index: usize,
        /// What it was.
        value: f64,
    },
    /// Beats are missing inside the record.
    #[error(
        "beats are missing in interval {index}, at {at_s:.1} s: analyse the parts before and after \
         it on their own"
    )]
    Gap {
        /// The interval that spans the gap, from 0.
        index: usize,
        /// Where it ends, seconds of beats from the record's beginning.
        at_s: f64,
    },
    /// More beats are artefacts than correction can stand in for.
    #[error(
        "{artefacts} of {beats} beats ({:.1} %) are artefacts, more than {:.0} %: check how the \
         sensor sits and record again",
        percent(artefacts, beats),
        100.0 * super::quality::MOST_ARTEFACTS
    )]
    TooManyArtefacts {
        /// Beats found to be ectopic, missed, extra, long or short.
        artefacts: usize,
        /// Beats given.
        beats: usize,
    },
    /// The rhythm itself is irregular; correction did not help.
    #[error(
        "{jumps} of {beats} beats ({:.1} %) still jump as ectopic beats do after {artefacts} were \
         corrected, more than {:.0} %: the rhythm is irregular (frequent premature beats or \
         fibrillation), and its variability says nothing about the autonomic nervous system",
        percent(jumps, beats),
        100.0 * super::quality::MOST_ARTEFACTS
    )]
    Irregular {
        /// Intervals that jump from the one before.
        jumps: usize,
        /// Beats classified as artefacts.
        artefacts: usize,
        /// Intervals judged.
        beats: usize,
    },
}

fn percent(part: &usize, whole: &usize) -> f64 {
    100.0 * *part as f64 / *whole as f64
}

/// That every number is an RR interval.
///
/// # Errors
/// [`Refusal::NotAnInterval`] with the first that is not.
pub(super) fn check_intervals(rr_ms: &[f64]) -> Result<(), Refusal> {
    match rr_ms.iter().position(|rr| !INTERVAL_MS.contains(rr)) {
        Some(index) => Err(Refusal::NotAnInterval { index, value: rr_ms[index] }),
        None => Ok(()),
    }
}

/// How long intervals last together, seconds.
pub(super) fn seconds(rr_ms: &[f64]) -> f64 {
    rr_ms.iter().sum::<f64>() / 1e3
}
