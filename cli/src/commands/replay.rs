//! `attune replay`: the whole edge path over a recording, without Bluetooth.

use super::Edge;
use crate::{Failure, output, person};
use firmware_sim::{physiology::Beat, source::Tape};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::{
    consent::Modality,
    feature::{EDA_FEATURES, FEATURES},
};
use sdk_core::{
    consent::{Gate, Infer},
    offer::Action,
    runtime::{Pipeline, Replayed, replay},
    sensor::recording::{self, Opened, Recording, attune},
    signal::FeatureVector,
    vault::{Ending, is_sealed},
};
use serde_json::{Map, Value, json};
use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

/// Run the edge path over a recording, as fast as it goes.
///
/// Nothing leaves this machine. Only replay recordings of people who agreed to it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A recording: a folder of `attune record` or of an Empatica E4 (EDA.csv, IBI.csv), or a
    /// .attune, .avro (EmbracePlus) or .xdf (LabRecorder) file.
    recording: PathBuf,
    /// Begins here.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    from: f64,
    /// Ends after so much of the recording [default: all]
    #[arg(long = "for", value_name = "SECONDS")]
    length: Option<f64>,
    #[command(flatten)]
    store: person::Store,
    #[command(flatten)]
    edge: Edge,
}

#[derive(Debug, Default)]
struct Counts {
    features: u64,
    intents: u64,
    abstained: u64,
    revisions: u64,
}

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let whole = open(&args.recording, &args.store)?;
    within(&args.recording, args.from, whole.duration_s())?;
    let recording = part(whole, args.from, args.length);
    for finding in recording.findings() {
        eprintln!("attune: {}: {finding}", args.recording.display());
    }
    // Whoever was recorded agreed to it then.
    let gate = Gate::agreed_elsewhere(&person::ON_DEVICE);
    let mut pipeline = Pipeline::new(args.edge.load()?, gate.clone());
    let samples = recording.samples();
    let bar = ProgressBar::new(recording.duration_s() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} s of the recording")?);
    let mut counts = Counts::default();
    let mut failed: Option<Failure> = None;
    let begun = Instant::now();
    replay(&mut pipeline, samples, |item| {
        if failed.is_none() {
            failed = show(&item, &gate, json, &bar, &mut counts).err();
        }
    })?;
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(error);
    }
    let seconds = begun.elapsed().as_secs_f64();
    if json {
        output::line(&json!({
            "type": "summary", "seconds": recording.duration_s(), "samples": samples.len(),
            "features": counts.features, "intents": counts.intents,
            "abstained": counts.abstained, "offer_revisions": counts.revisions,
            "markers": recording.markers().len(), "rejected_lines": recording.rejected(),
            "took_s": seconds,
        }))?;
    } else {
        output::text(&format!(
            "{:.0} s of recording in {seconds:.2} s: {} samples, {} feature vectors, {} estimates \
             ({} abstained), {} revisions, {} unreadable pieces",
            recording.duration_s(),
            samples.len(),
            counts.features,
            counts.intents,
            counts.abstained,
            counts.revisions,
            recording.rejected(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens a recording; a sealed one with the keys of whoever uses this machine.
fn open(path: &Path, store: &person::Store) -> Result<Opened, Failure> {
    let file = if path.is_dir() { path.join(attune::FILE_NAME) } else { path.to_owned() };
    if !file.is_file() || !is_sealed(&file)? {
        return Ok(recording::open(path)?);
    }
    let person = store.open()?;
    let vault = person.store.vault().ok_or("nothing is kept on disk")?;
    let mut sealed = vault.open_sealed(&file)?;
    let mut bytes = Vec::new();
    sealed.read_to_end(&mut bytes)?;
    if let Some(Ending::Torn { bytes }) = sealed.ending() {
        eprintln!(
            "attune: {}: the recording was cut off; its last {bytes} bytes are not whole",
            file.display()
        );
    }
    Ok(attune::play(&bytes)?)
}

/// The part of a recording that was asked for.
fn part(whole: Opened, from_s: f64, length_s: Option<f64>) -> Opened {
    if from_s == 0.0 && length_s.is_none() {
        return whole;
    }
    whole.slice(from_s, length_s.unwrap_or(whole.duration_s()))
}

/// Whether a recording can begin there.
fn within(path: &Path, from_s: f64, duration_s: f64) -> Result<(), Failure> {
    if (0.0..duration_s.max(f64::MIN_POSITIVE)).contains(&from_s) {
        return Ok(());
    }
    let path = path.display();
    Err(format!("{path} lasts {duration_s:.0} s: it cannot begin at {from_s}").into())
}

/// Reads an Empatica E4 folder from `from_s` on, for a simulated device to play.
///
/// # Errors
/// With the file and the line, or the range that is empty.
pub fn e4(folder: &Path, from_s: f64) -> Result<Recording, Failure> {
    let whole = Recording::open(folder)?;
    let duration_s = whole.duration_s();
    within(folder, from_s, duration_s)?;
    Ok(if from_s == 0.0 { whole } else { whole.slice(from_s, duration_s) })
}

/// A recording as a simulated device plays it.
#[must_use]
pub fn tape(recording: &Recording) -> Tape {
    let beats = recording.beats.iter().map(|b| Beat { at_s: b.at_s, rr_s: b.rr_s });
    Tape {
        eda_hz: recording.eda_hz,
        eda_microsiemens: recording.eda_microsiemens.clone(),
        beats: beats.collect(),
    }
}

fn show(
    item: &Replayed,
    gate: &Gate,
    json: bool,
    bar: &ProgressBar,
    counts: &mut Counts,
) -> Result<(), Failure> {
    match item {
        Replayed::Features(vector) => {
            counts.features += 1;
            bar.set_position(vector.at.as_secs_f64() as u64);
            if json {
                output::line(&features(vector, gate)?)?;
            }
        }
        Replayed::Decision(decision) => {
            let estimate = &decision.estimate;
            match estimate.abstained {
                None => counts.intents += 1,
                Some(_) => counts.abstained += 1,
            }
            if json {
                let mut line = serde_json::to_value(estimate)?;
                line["type"] = "intent".into();
                output::line(&line)?;
            }
            if let Action::Revise(revision) = &decision.action {
                counts.revisions += 1;
                if json {
                    let mut line = serde_json::to_value(revision)?;
                    line["type"] = "offer".into();
                    output::line(&line)?;
                } else {
                    let seconds = decision.at.as_secs_f64();
                    bar.suspend(|| {
                        output::text(&format!(
                            "{seconds:8.1} s  {:<8}  {}  [{}]",
                            revision.rule.id(),
                            revision.reason,
                            revision.changes.join("; ")
                        ))
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// A feature vector as a line; a feature without enough data is null.
fn features(vector: &FeatureVector, gate: &Gate) -> Result<Value, Failure> {
    let values = vector.read(&gate.permit::<Infer>(vector.modality)?)?.to_vec();
    let specs = match vector.modality {
        Modality::Eda => &FEATURES[..EDA_FEATURES],
        _ => &FEATURES[EDA_FEATURES..],
    };
    let named: Map<String, Value> =
        specs.iter().zip(values).map(|(s, v)| (s.name.to_owned(), json!(v))).collect();
    Ok(json!({
        "type": "features", "at_ms": vector.at.as_millis(), "modality": vector.modality,
        "coverage": vector.coverage, "values": named,
    }))
}
