//! Imported values as samples: one face for the files of other makers.

use crate::{
    clock::Nanos,
    sensor::{
        grade,
        sample::{Quality, Sample, Signal},
    },
};
use protocol::{consent::Modality, heart_rate::RR_TICKS_PER_SECOND};

/// A gap of more than this share of an interval means that something is missing there.
const GAP_SHARE: f64 = 0.5;

/// Values of one stream with their session times, in seconds since the recording began.
pub(super) fn samples(signal: Signal, series: &[(f64, f64)], interval_s: f64) -> Vec<Sample> {
    let mut before: Option<f64> = None;
    let mut out = Vec::with_capacity(series.len());
    for &(at_s, value) in series.iter().filter(|(at_s, _)| at_s.is_finite() && *at_s >= 0.0) {
        let (value, quality) = graded(signal, value);
        // What a beat follows on is told by its own length.
        let expected_s = if signal == Signal::RrInterval { value / 1e3 } else { interval_s };
        let gap_s = before.map(|before| at_s - before - expected_s);
        let contiguous = gap_s.is_some_and(|gap| gap.abs() <= GAP_SHARE * expected_s);
        before = Some(at_s);
        let at = Nanos::from_secs_f64(at_s);
        let modality = modality(signal);
        out.push(Sample { modality, signal, stream_at: at, at, value, quality, contiguous });
    }
    out
}

fn graded(signal: Signal, value: f64) -> (f64, Quality) {
    if !value.is_finite() {
        return (f64::NAN, Quality::Missing);
    }
    match signal {
        Signal::SkinConductance => grade::eda(Some(value)),
        // On the grid of the Heart Rate profile, as a strap would send it.
        Signal::RrInterval => {
            let ticks = value / 1e3 * f64::from(RR_TICKS_PER_SECOND);
            grade::rr(ticks.round().clamp(0.0, f64::from(u16::MAX)) as u16)
        }
        _ => (value, Quality::Good),
    }
}

const fn modality(signal: Signal) -> Modality {
    match signal {
        // Movement is of use for skin conductance: it tells what is none.
        Signal::SkinConductance | Signal::Acceleration => Modality::Eda,
        _ => Modality::Hrv,
    }
}
