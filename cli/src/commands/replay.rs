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
    sensor::recording::Recording,
    signal::FeatureVector,
};
use serde_json::{Map, Value, json};
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Run the edge path over a recording, as fast as it goes.
///
/// Nothing leaves this machine. Only replay recordings of people who agreed to it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An Empatica E4 folder: EDA.csv, IBI.csv.
    recording: PathBuf,
    /// Begins here.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    from: f64,
    /// Ends after so much of the recording [default: all]
    #[arg(long = "for", value_name = "SECONDS")]
    length: Option<f64>,
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
    let recording = open(&args.recording, args.from, args.length)?;
    let gate = person::stranger();
    gate.grant(person::NOTICE_VERSION, &person::ON_DEVICE, None, person::unix_ms());
    let mut pipeline = Pipeline::new(args.edge.load()?, gate.clone());
    let samples = recording.samples();
    let bar = ProgressBar::new(recording.duration_s() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} s of the recording")?);
    let mut counts = Counts::default();
    let mut failed: Option<Failure> = None;
    let begun = Instant::now();
    replay(&mut pipeline, &samples, |item| {
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
            "rejected_lines": recording.rejected_lines, "took_s": seconds,
        }))?;
    } else {
        output::text(&format!(
            "{:.0} s of recording in {seconds:.2} s: {} samples, {} feature vectors, {} estimates \
             ({} abstained), {} revisions, {} unreadable lines",
            recording.duration_s(),
            samples.len(),
            counts.features,
            counts.intents,
            counts.abstained,
            counts.revisions,
            recording.rejected_lines,
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a recording, or a part of it.
///
/// # Errors
/// With the file and the line, or the range that is empty.
pub fn open(
    folder: &std::path::Path,
    from_s: f64,
    length_s: Option<f64>,
) -> Result<Recording, Failure> {
    let whole = Recording::open(folder)?;
    let duration_s = whole.duration_s();
    if !(0.0..duration_s).contains(&from_s) {
        let folder = folder.display();
        return Err(format!("{folder} lasts {duration_s:.0} s: it cannot begin at {from_s}").into());
    }
    let untouched = from_s == 0.0 && length_s.is_none();
    Ok(if untouched { whole } else { whole.slice(from_s, length_s.unwrap_or(duration_s)) })
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
