//! Runs a recording through the pipeline as fast as it goes, in the time of the recording.

use super::pipeline::Pipeline;
use crate::{
    consent::Refused,
    offer::Decision,
    sensor::{Sample, Signal},
    signal::FeatureVector,
};

/// What a replay gives, in order of time.
#[derive(Debug)]
pub enum Replayed {
    /// Features of one modality.
    Features(FeatureVector),
    /// A step of the loop.
    Decision(Box<Decision>),
}

/// Feeds samples, in order of session time, and makes every step that falls due between them.
///
/// # Errors
/// [`Refused`] at the first sample without consent.
pub fn replay(
    pipeline: &mut Pipeline,
    samples: &[Sample],
    mut sink: impl FnMut(Replayed),
) -> Result<(), Refused> {
    for sample in samples {
        while pipeline.due() < sample.at {
            let decision = pipeline.step(pipeline.due());
            sink(Replayed::Decision(Box::new(decision)));
        }
        for vector in pipeline.samples(source(sample), std::slice::from_ref(sample))?.features {
            sink(Replayed::Features(vector));
        }
        if pipeline.due() <= sample.at {
            sink(Replayed::Decision(Box::new(pipeline.step(sample.at))));
        }
    }
    Ok(())
}

/// A recording may hold one heart twice, as a wave and as intervals: they count as two devices.
fn source(sample: &Sample) -> usize {
    match sample.signal {
        Signal::SkinConductance | Signal::RrInterval | Signal::Acceleration => 0,
        Signal::Ecg => 1,
        Signal::Ppg => 2,
    }
}
