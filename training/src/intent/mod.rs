//! The intent model: trained, judged and exported.
//!
//! Sessions go through the runtime's own features, baseline and rules of abstention
//! ([`sdk_core::signal`], [`sdk_core::intent`]); the network is fitted with candle, written as
//! ONNX, and from then on judged through [`models::IntentModel`], as it will run.
//!
//! The network answers from *provisional* steps: after each committed step of the one-second grid
//! comes one step on the features of a random moment before the next. Sequences are as long as the
//! engine's memory lives (two horizons) and every age counts, so the network has met every age it
//! is asked at.
//!
//! **Honesty.** Intent classes exist only in simulated sessions, arousal under stress in real ones.
//! Neither is ever scored on someone it was fitted to, and no score stands without its null.

mod dataset;
mod fit;
mod judge;
mod network;
mod report;
mod sequence;
mod statistics;

pub use dataset::{DatasetError, Label, TrainingSession, load_e4};
pub use report::{ArousalReport, DataReport, IntentReport, NullScore, Report, SubjectScore};

use fit::Origin;
use indicatif::ProgressBar;
use models::{
    Bundle, BundleError, Calibration, FeatureScaling, GoldenVector, IntentModel, Manifest,
    ModelError,
};
use network::Network;
use protocol::{consent::Modality, feature::schema_hash, intent::IntentClass};
use sequence::{Sequence, sequence};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, io, path::Path, path::PathBuf, time::Duration};
use thiserror::Error;

/// Time between committed steps, seconds.
const GRID_S: f64 = 1.0;
/// How far labels are moved for the nulls, minutes.
const NULL_SHIFTS_MIN: [f64; 3] = [10.0, 20.0, 30.0];
/// Of ten simulated people, one calibrates and two are for scores only.
const CALIBRATION_PEOPLE: usize = 10;
const TEST_PEOPLE: usize = 5;
/// Rows of a golden vector.
const GOLDEN_ROWS: usize = 8;

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Units of the recurrent state.
    pub hidden: usize,
    /// Rounds over the data.
    pub epochs: usize,
    /// Sequences a step of the optimiser.
    pub batch: usize,
    /// AdamW's, at the beginning; it falls to a tenth.
    pub learning_rate: f64,
    /// AdamW's.
    pub weight_decay: f64,
    /// Share of sequences that are shown with one modality hidden, 0..=1.
    pub modality_dropout: f64,
    /// Weight of the simulator's stressed and neutral moments for arousal; real ones count 1.
    pub simulated_arousal_weight: f32,
    /// Groups of subjects held out in turn.
    pub folds: usize,
    /// Simulated people that help the networks which only judge: enough to keep the recipe, few
    /// enough to keep judging affordable.
    pub judging_people: usize,
    /// Whether the nulls are trained too: as much work again for each of three.
    pub nulls: bool,
    /// How a person's usual level is learned, as at run time.
    pub calibration: sdk_core::intent::Calibration,
    /// Half the longest life of a hidden state.
    pub horizon: Duration,
    /// Version of the model.
    pub version: u32,
    /// Day for the manifest, `YYYY-MM-DD`. Passed in, so that a run can be repeated to the byte.
    pub created: String,
}

impl TrainConfig {
    /// The configuration of the model in the repository.
    #[must_use]
    pub fn new(created: &str) -> Self {
        Self {
            seed: 1,
            hidden: 24,
            epochs: 16,
            batch: 32,
            learning_rate: 5e-3,
            weight_decay: 0.05,
            modality_dropout: 0.2,
            simulated_arousal_weight: 0.25,
            folds: 5,
            judging_people: 84,
            nulls: true,
            calibration: sdk_core::intent::Calibration::default(),
            horizon: Duration::from_secs(60),
            version: 1,
            created: created.to_owned(),
        }
    }
}

/// Why there is no model.
#[derive(Debug, Error)]
pub enum TrainError {
    /// Nothing to learn from.
    #[error(
        "no session has a usable labelled moment: give simulated sessions, recordings, or both"
    )]
    NoData,
    /// Too few subjects to hold any out.
    #[error(
        "{subjects} subjects cannot be held out in {folds} groups: lower `folds` or add subjects"
    )]
    TooFewSubjects {
        /// With recordings.
        subjects: usize,
        /// Asked for.
        folds: usize,
    },
    /// The tensor library.
    #[error("training failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// What was exported does not run.
    #[error("the trained network does not run: {0}")]
    Model(#[from] ModelError),
    /// The manifest.
    #[error("the manifest cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// The gate refused training's own permits.
    #[error("training has no access to its features: {0}")]
    Refused(#[from] sdk_core::consent::Refused),
    /// A file of the bundle cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A model with what is known about it.
#[derive(Debug)]
pub struct Trained {
    manifest_json: Vec<u8>,
    onnx: Vec<u8>,
    report: Report,
}

impl Trained {
    /// Scores and sizes.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Writes `model.onnx`, `manifest.json`, `MODEL_CARD.md` and `report.json` into a folder, which
    /// is made if it is missing.
    ///
    /// # Errors
    /// [`TrainError::Write`] names the file.
    pub fn write(&self, dir: &Path) -> Result<(), TrainError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TrainError::Write { path, source }
        };
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let mut report = serde_json::to_vec_pretty(&self.report)?;
        report.push(b'\n');
        let card = self.report.model_card();
        let files: [(&str, &[u8]); 4] = [
            ("model.onnx", &self.onnx),
            ("manifest.json", &self.manifest_json),
            ("MODEL_CARD.md", card.as_bytes()),
            ("report.json", &report),
        ];
        for (name, bytes) in files {
            let path = dir.join(name);
            fs::write(&path, bytes).map_err(failed(&path))?;
        }
        Ok(())
    }
}

/// How many steps [`train`] reports to its progress bar.
#[must_use]
pub fn progress_steps(config: &TrainConfig, real: &[TrainingSession]) -> u64 {
    let judged = if real.is_empty() { 0 } else { config.folds };
    let nulls = if config.nulls { judged * NULL_SHIFTS_MIN.len() } else { 0 };
    ((1 + judged + nulls) * config.epochs) as u64
}

/// Trains on all `real` and most `simulated` sessions, and judges: arousal by networks that have
/// not seen the subject, intent on simulated people kept apart (by the order of `simulated`).
///
/// # Errors
/// [`TrainError`].
pub fn train(
    config: &TrainConfig,
    real: &[TrainingSession],
    simulated: &[TrainingSession],
    progress: &ProgressBar,
) -> Result<Trained, TrainError> {
    progress.set_length(progress_steps(config, real));
    progress.set_message("computing features");
    let real = sequences(config, real)?;
    let simulated = sequences(config, simulated)?;
    let people = People::split(&simulated);
    let mut data: Vec<(Origin, &Sequence)> = origin(Origin::Real, &real);
    data.extend(people.training.iter().map(|&s| (Origin::Simulated, s)));
    if data.iter().all(|(_, s)| s.moments.is_empty()) {
        return Err(TrainError::NoData);
    }

    progress.set_message("training the model");
    let mut candidate = Candidate::fit(config, &data, progress)?;
    let model = candidate.model()?;
    if !people.calibration.is_empty() {
        let answers = judge::session_answers(&model, &people.calibration)?;
        let (scale, bias) = judge::intent_calibration(&answers);
        candidate.manifest.calibration.intent_scale = scale;
        candidate.manifest.calibration.intent_bias = bias;
    }
    let arousal = if real.is_empty() {
        None
    } else {
        let (folds, abstained) = cross_validated(config, &real, &people.training, progress)?;
        candidate.manifest.calibration.arousal = judge::platt(&folds.concat());
        let nulls = nulls(config, &real, &people.training, progress)?;
        Some(judge::arousal_report(&folds, abstained, nulls))
    };
    let model = candidate.model()?;
    let intent = if people.test.is_empty() {
        None
    } else {
        let answers = judge::session_answers(&model, &people.test)?;
        Some(judge::intent_report(&model, people.test.len(), &answers))
    };
    let report = Report {
        model_id: candidate.manifest.model_id.clone(),
        data: DataReport {
            real_subjects: real.len(),
            real_hours: hours(&real, config.calibration.longest.as_secs_f64()),
            simulated_training: people.training.len(),
            simulated_judging: people.training.len().min(config.judging_people),
            simulated_calibration: people.calibration.len(),
            simulated_test: people.test.len(),
            simulated_hours: hours(&simulated, 0.0),
            epochs: config.epochs,
            hidden: config.hidden,
            seed: config.seed,
        },
        arousal,
        intent,
    };
    candidate.manifest.metrics = metrics(&report);
    let mut manifest_json = serde_json::to_vec_pretty(&candidate.manifest)?;
    manifest_json.push(b'\n');
    Ok(Trained { manifest_json, onnx: candidate.onnx, report })
}

/// Judges arousal by networks trained anew without the subject, simulated sessions helping.
///
/// # Errors
/// [`TrainError`].
pub fn evaluate(
    config: &TrainConfig,
    real: &[TrainingSession],
    simulated: &[TrainingSession],
    progress: &ProgressBar,
) -> Result<ArousalReport, TrainError> {
    let one_less = progress_steps(config, real).saturating_sub(config.epochs as u64);
    progress.set_length(one_less);
    let (real, simulated) = (sequences(config, real)?, sequences(config, simulated)?);
    let people = People::split(&simulated);
    let (folds, abstained) = cross_validated(config, &real, &people.training, progress)?;
    let nulls = nulls(config, &real, &people.training, progress)?;
    Ok(judge::arousal_report(&folds, abstained, nulls))
}

/// Judges the arousal of a given model, as it is. On people it was trained on this is no evidence;
/// the nulls move the labels under the same answers.
///
/// # Errors
/// [`TrainError`].
pub fn evaluate_model(
    config: &TrainConfig,
    model: &IntentModel,
    real: &[TrainingSession],
) -> Result<ArousalReport, TrainError> {
    let calibrated_s = config.calibration.longest.as_secs_f64();
    let judged = |real: &[Sequence]| judge::windows(model, &all(real), calibrated_s);
    let real = sequences(config, real)?;
    let (windows, abstained) = judged(&real)?;
    let nulls = NULL_SHIFTS_MIN
        .iter()
        .map(|&shift_min| Ok(null_score(shift_min, &[judged(&shifted(&real, shift_min))?.0])))
        .collect::<Result<_, TrainError>>()?;
    Ok(judge::arousal_report(&[windows], abstained, nulls))
}

/// Simulated people by what they are for. By position, so that adding people moves nobody.
struct People<'a> {
    training: Vec<&'a Sequence>,
    calibration: Vec<&'a Sequence>,
    test: Vec<&'a Sequence>,
}

impl<'a> People<'a> {
    fn split(all: &'a [Sequence]) -> Self {
        let mut people = Self { training: vec![], calibration: vec![], test: vec![] };
        for (i, sequence) in all.iter().enumerate() {
            if i % TEST_PEOPLE == TEST_PEOPLE - 1 {
                people.test.push(sequence);
            } else if i % CALIBRATION_PEOPLE == CALIBRATION_PEOPLE / 2 {
                people.calibration.push(sequence);
            } else {
                people.training.push(sequence);
            }
        }
        people
    }
}

/// A network on its way to a bundle.
struct Candidate {
    manifest: Manifest,
    onnx: Vec<u8>,
}

impl Candidate {
    fn fit(
        config: &TrainConfig,
        data: &[(Origin, &Sequence)],
        progress: &ProgressBar,
    ) -> Result<Self, TrainError> {
        let features = fit::scalings(data);
        let prepared: Vec<_> =
            data.iter().map(|&(o, s)| fit::prepare(config, o, s, &features)).collect();
        let network = fit::fit(config, &prepared, config.seed, progress)?;
        let onnx = network.to_onnx()?;
        let golden = golden(&network, data, &features)?;
        let onnx_sha256: String =
            Sha256::digest(&onnx).iter().map(|byte| format!("{byte:02x}")).collect();
        let manifest = Manifest {
            model_id: format!("intent-{}-{}", config.version, &onnx_sha256[..8]),
            version: config.version,
            created: config.created.clone(),
            onnx_sha256,
            feature_schema: schema_hash(),
            features,
            masks: vec![Modality::Eda, Modality::Hrv],
            classes: IntentClass::ALL.to_vec(),
            shapes: fit::shapes(config),
            grid_ms: (GRID_S * 1e3) as u64,
            horizon_steps: config.horizon_steps(),
            calibration: Calibration::IDENTITY,
            minimum_runtime: env!("CARGO_PKG_VERSION").to_owned(),
            metrics: BTreeMap::new(),
            golden,
        };
        Ok(Self { manifest, onnx })
    }

    fn model(&self) -> Result<IntentModel, TrainError> {
        let manifest = serde_json::to_vec(&self.manifest)?;
        let bundle = Bundle::from_bytes(&manifest, &self.onnx).map_err(bundle_error)?;
        Ok(IntentModel::new(&bundle)?)
    }
}

fn bundle_error(error: BundleError) -> TrainError {
    TrainError::Model(ModelError::Bundle(error))
}

/// What candle itself computes for the beginnings of two sequences.
fn golden(
    network: &Network,
    data: &[(Origin, &Sequence)],
    features: &[FeatureScaling],
) -> Result<Vec<GoldenVector>, TrainError> {
    let mut long_enough = data.iter().filter(|(_, s)| s.moments.len() > GOLDEN_ROWS);
    let ends = [long_enough.next(), long_enough.next_back()];
    ends.into_iter()
        .flatten()
        .map(|(_, sequence)| {
            let rows = sequence.moments.iter().take(GOLDEN_ROWS);
            let inputs: Vec<Vec<f32>> = rows.map(|m| m.committed.inputs(features)).collect();
            let (intent, arousal) = network.answer(&inputs)?;
            Ok(GoldenVector { inputs, intent, arousal })
        })
        .collect()
}

fn sequences(
    config: &TrainConfig,
    sessions: &[TrainingSession],
) -> Result<Vec<Sequence>, TrainError> {
    let seeds = config.seed.wrapping_mul(0x9E37_79B9)..;
    let each = sessions.iter().zip(seeds);
    let calibration = |s: &TrainingSession| {
        let longest = s.rest_s.map_or(config.calibration.longest, Duration::from_secs_f64);
        sdk_core::intent::Calibration { longest, ..config.calibration }
    };
    Ok(each.map(|(s, seed)| sequence(s, calibration(s), seed)).collect::<Result<_, _>>()?)
}

fn all(sequences: &[Sequence]) -> Vec<&Sequence> {
    sequences.iter().collect()
}

fn origin(origin: Origin, sequences: &[Sequence]) -> Vec<(Origin, &Sequence)> {
    sequences.iter().map(|s| (origin, s)).collect()
}

fn hours(sequences: &[Sequence], from_s: f64) -> f64 {
    let moments = sequences.iter().flat_map(|s| &s.moments).filter(|m| m.at_s >= from_s);
    moments.count() as f64 * GRID_S / 3600.0
}

/// Windows of each fold, judged by a network that has not seen its subjects.
fn cross_validated(
    config: &TrainConfig,
    real: &[Sequence],
    simulated: &[&Sequence],
    progress: &ProgressBar,
) -> Result<(Vec<Vec<judge::Scored>>, usize), TrainError> {
    if config.folds < 2 || real.len() < config.folds {
        return Err(TrainError::TooFewSubjects { subjects: real.len(), folds: config.folds });
    }
    let mut subjects: Vec<&str> = real.iter().map(|s| s.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let fold_of =
        |s: &Sequence| subjects.binary_search(&s.subject.as_str()).unwrap_or(0) % config.folds;
    let calibrated_s = config.calibration.longest.as_secs_f64();
    let mut folds = Vec::new();
    let mut abstained = 0;
    for fold in 0..config.folds {
        progress.set_message(format!("judging, subjects of group {} held out", fold + 1));
        let (held_out, seen): (Vec<&Sequence>, Vec<&Sequence>) =
            real.iter().partition(|s| fold_of(s) == fold);
        let mut data: Vec<_> = seen.into_iter().map(|s| (Origin::Real, s)).collect();
        let helpers = simulated.iter().take(config.judging_people);
        data.extend(helpers.map(|&s| (Origin::Simulated, s)));
        let model = Candidate::fit(config, &data, progress)?.model()?;
        let (windows, missing) = judge::windows(&model, &held_out, calibrated_s)?;
        folds.push(windows);
        abstained += missing;
    }
    Ok((folds, abstained))
}

fn nulls(
    config: &TrainConfig,
    real: &[Sequence],
    simulated: &[&Sequence],
    progress: &ProgressBar,
) -> Result<Vec<NullScore>, TrainError> {
    let shifts = if config.nulls { &NULL_SHIFTS_MIN[..] } else { &[] };
    shifts
        .iter()
        .map(|&shift_min| {
            let moved = shifted(real, shift_min);
            let (folds, _) = cross_validated(config, &moved, simulated, progress)?;
            Ok(null_score(shift_min, &folds))
        })
        .collect()
}

fn null_score(shift_min: f64, folds: &[Vec<judge::Scored>]) -> NullScore {
    let subjects = judge::subjects(folds);
    NullScore {
        shift_min,
        balanced_accuracy: statistics::mean(subjects.iter().map(|s| s.balanced_accuracy)),
        auc: statistics::mean(subjects.iter().map(|s| s.auc)),
    }
}

/// The same signals with labels that belong to another time.
fn shifted(real: &[Sequence], shift_min: f64) -> Vec<Sequence> {
    let shift = (shift_min * 60.0 / GRID_S) as i64;
    let mut moved = real.to_vec();
    for sequence in &mut moved {
        let labels: BTreeMap<i64, Option<Label>> =
            sequence.moments.iter().map(|m| ((m.at_s / GRID_S) as i64, m.label)).collect();
        for moment in &mut sequence.moments {
            let before = (moment.at_s / GRID_S) as i64 - shift;
            moment.label = labels.get(&before).copied().flatten();
        }
    }
    moved
}

fn metrics(report: &Report) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, value: f64| {
        metrics.insert(name.to_owned(), value);
    };
    if let Some(a) = &report.arousal {
        put("arousal_balanced_accuracy", a.balanced_accuracy);
        put("arousal_auc", a.auc);
        put("arousal_ece", a.ece_calibrated);
        for null in &a.nulls {
            put(&format!("arousal_auc_null_{:.0}_min", null.shift_min), null.auc);
        }
    }
    if let Some(i) = &report.intent {
        put("simulated_intent_accuracy", i.accuracy);
        put("simulated_intent_ece", i.ece_calibrated);
        put("simulated_intent_delay_median_s", i.delay_median_s);
    }
    metrics
}

#[cfg(test)]
mod tests;
