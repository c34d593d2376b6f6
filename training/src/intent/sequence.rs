//! Sessions as the engine would have seen them: one moment a grid cell.

use super::{GRID_S, TrainingSession, dataset::Label};
use protocol::{
    consent::{Modality, Purpose},
    feature::FEATURES,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sdk_core::{
    clock::Nanos,
    consent::{Gate, Infer, Refused},
    intent::{Calibration, InferPermits, Row},
    signal::{EdaFeatures, HrvFeatures},
};

/// Which features are taken as logarithms, and in what unit: magnitudes that are always positive
/// and spread over decades between people. Units are near the least value that means something.
pub(super) const LOG_UNITS: [Option<f64>; FEATURES.len()] = [
    Some(0.1), // skin conductance level, uS
    None,
    Some(0.05), // phasic area, uS*s
    Some(0.01), // phasic deviation, uS
    Some(0.02), // summed response amplitude, uS
    Some(1.0),  // response rate, 1/min
    Some(0.01), // mean response amplitude, uS
    None,
    None,
    Some(5.0), // RMSSD, ms
    Some(5.0), // SDNN, ms
    Some(5.0), // pNN50, %
    Some(0.2), // coherence ratio
];

/// One cell of the grid.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// Its beginning, seconds of the recording.
    pub(super) at_s: f64,
    /// What the memory takes in at the grid point.
    pub(super) committed: Row,
    /// What the answer is given from, at a random phase within the cell.
    pub(super) provisional: Row,
    /// What was true then.
    pub(super) label: Option<Label>,
}

/// The moments of one session in which the engine would have answered.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub(super) subject: String,
    pub(super) moments: Vec<Moment>,
}

/// Feeds a session through the runtime's own features, baseline and rules of abstention.
pub(super) fn sequence(
    session: &TrainingSession,
    calibration: Calibration,
    seed: u64,
) -> Result<Sequence, Refused> {
    let permits = permits()?;
    let mut inputs = calibration.inputs(LOG_UNITS, (GRID_S * 1e3) as u64);
    let (mut eda, mut hrv) = (EdaFeatures::new(), HrvFeatures::new());
    let mut phases = ChaCha8Rng::seed_from_u64(seed);
    let samples = session.recording.samples();
    let mut pending = samples.iter().peekable();
    let mut moments = Vec::new();
    let cells = (session.recording.duration_s() / GRID_S) as usize;
    for cell in 0..cells {
        let at_s = cell as f64 * GRID_S;
        let answer_s = at_s + GRID_S * phases.random_range(0.0..1.0);
        let rows = [at_s, answer_s].map(|until_s| {
            let until = Nanos::from_secs_f64(until_s);
            while let Some(sample) = pending.next_if(|s| s.at <= until) {
                let vector = eda.push(sample).or_else(|| hrv.push(sample));
                vector.into_iter().for_each(|v| inputs.observe(v));
            }
            let row = inputs.row(until, &permits).ok();
            if until_s == at_s
                && let Some(row) = &row
            {
                inputs.commit(until, row);
            }
            row
        });
        let [Some(committed), Some(provisional)] = rows else { continue };
        if inputs.calibrated() {
            let label = session.labels.iter().find(|l| (l.start_s..l.end_s).contains(&answer_s));
            moments.push(Moment { at_s, committed, provisional, label: label.copied() });
        }
    }
    Ok(Sequence { subject: session.subject.clone(), moments })
}

/// A gate of its own: the people behind the data agreed to research, the simulated ones are none.
fn permits() -> Result<InferPermits, Refused> {
    let uses = [(Modality::Eda, Purpose::Infer), (Modality::Hrv, Purpose::Infer)];
    let gate = Gate::agreed_elsewhere(&uses);
    let eda = Some(gate.permit::<Infer>(Modality::Eda)?);
    let hrv = Some(gate.permit::<Infer>(Modality::Hrv)?);
    Ok(InferPermits { eda, hrv })
}
