//! `attune train`: fitting models.

use super::{train_conversion, train_orders};
use crate::{Failure, output};
use clap::Subcommand;
use firmware_sim::physiology::{Script, State, session};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::intent::IntentClass;
use sdk_core::sensor::recording::{Beat, Recording};
use std::{path::PathBuf, process::ExitCode};
use training::intent::{Label, TrainConfig, TrainingSession, load_e4, train};

/// Train a model and write it with its manifest, card and report.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    model: Model,
}

#[derive(Debug, Subcommand)]
enum Model {
    Intent(Intent),
    Conversion(train_conversion::Args),
    Orders(train_orders::Args),
}

/// The intent model: states of mind from simulated people, arousal from recorded ones.
#[derive(Debug, clap::Args)]
struct Intent {
    #[command(flatten)]
    data: Data,
    /// The folder to write: model.onnx, manifest.json, MODEL_CARD.md, report.json.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Rounds over the data [default: that of the model in the repository]
    #[arg(long)]
    epochs: Option<usize>,
    /// The day in the manifest, YYYY-MM-DD: same day, same data, same bytes [default: today]
    #[arg(long, value_name = "DAY")]
    created: Option<String>,
}

/// What to learn from or to judge on.
#[derive(Debug, clap::Args)]
pub struct Data {
    /// A folder of Empatica E4 folders, one a subject.
    #[arg(long, value_name = "FOLDER", requires = "labels")]
    pub recordings: Option<PathBuf>,
    /// Phases: subject,phase,label (0 calm, 1 stress),start_epoch_s,end_epoch_s.
    #[arg(long, value_name = "FILE", requires = "recordings")]
    pub labels: Option<PathBuf>,
    /// How many simulated people.
    #[arg(long, value_name = "PEOPLE", default_value_t = 600)]
    pub simulated: u64,
}

/// Length of a simulated session: a rest of 10 to 60 s, then states that change.
const SIMULATED_S: f64 = 600.0;
/// EDA rate of simulated sessions. Wristbands sample faster, but the features are functions of
/// seconds, not of samples.
const SIMULATED_EDA_HZ: f64 = 8.0;
/// The first simulated body of training; the demo's and the tests' bodies lie below.
const FIRST_SEED: u64 = 100_000;

impl Data {
    /// Reads the recordings and simulates the people.
    ///
    /// # Errors
    /// With the file and line that cannot be read.
    pub fn load(&self) -> Result<(Vec<TrainingSession>, Vec<TrainingSession>), Failure> {
        let real = match (&self.recordings, &self.labels) {
            (Some(recordings), Some(labels)) => load_e4(recordings, labels)?,
            _ => Vec::new(),
        };
        Ok((real, (0..self.simulated).map(simulated_person).collect()))
    }
}

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let args = match args.model {
        Model::Intent(args) => args,
        Model::Conversion(args) => return train_conversion::run(&args, json),
        Model::Orders(args) => return train_orders::run(&args, json),
    };
    let (real, simulated) = args.data.load()?;
    let created = args.created.unwrap_or_else(|| jiff::Zoned::now().date().to_string());
    let mut config = TrainConfig::new(&created);
    config.epochs = args.epochs.unwrap_or(config.epochs);
    let bar = bar()?;
    let trained = train(&config, &real, &simulated, &bar)?;
    bar.finish_and_clear();
    trained.write(&args.out)?;
    if json {
        output::line(trained.report())?;
    } else {
        output::text(&trained.report().model_card())?;
        output::text(&format!("written to {}", args.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The progress bar of long work.
///
/// # Errors
/// Never in practice: the template is fixed.
pub fn bar() -> Result<ProgressBar, Failure> {
    let style = "{bar:40} {pos}/{len} epochs, {elapsed} of about {duration}: {msg}";
    Ok(ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?))
}

fn simulated_person(index: u64) -> TrainingSession {
    let seed = FIRST_SEED + index;
    let script = Script::random(seed, SIMULATED_S);
    let session = session(seed, &script, SIMULATED_S, SIMULATED_EDA_HZ);
    let onsets = session.states.clone();
    let ends = onsets.iter().skip(1).map(|(at, _)| *at).chain([SIMULATED_S]);
    let labels = onsets.iter().zip(ends).map(|(&(start_s, state), end_s)| Label {
        start_s,
        end_s,
        intent: Some(class(state)),
        arousal: None,
    });
    TrainingSession {
        subject: format!("simulated-{seed}"),
        labels: labels.collect(),
        rest_s: session.states.get(1).map(|(onset_s, _)| *onset_s),
        recording: Recording {
            start_unix_s: 0.0,
            eda_hz: session.eda_hz,
            beats: session.beats.iter().map(|b| Beat { at_s: b.at_s, rr_s: b.rr_s }).collect(),
            eda_microsiemens: session.eda_microsiemens,
            rejected_lines: 0,
        },
    }
}

const fn class(state: State) -> IntentClass {
    match state {
        State::Calm => IntentClass::Neutral,
        State::Interested => IntentClass::Interested,
        State::Hesitant => IntentClass::Hesitant,
        State::Stressed => IntentClass::Stressed,
    }
}
