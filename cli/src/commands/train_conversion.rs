//! `attune train conversion`: a model of conversions from what a server's database knows.
//!
//! The server's scheduler runs it as a process of its own; the report that it reads is the last
//! line on standard output.

use super::{Data, time, tokio_runtime};
use crate::{Failure, output};
use models::{
    conversion::Predictor,
    profile::{Definitions, Reference},
};
use protocol::offer::Currency;
use serde_json::json;
use server::{Evidence, Paired, TrainingReport, Wanted};
use std::{fs, path::PathBuf, process::ExitCode};
use training::conversion::{Row, Schema, Settings, TrainingSet, fit};

/// The conversion model: whether a person converts within the horizon, how, and for how much.
///
/// Reads the database only; a server may be using it. The same facts and the same seed give the
/// same file, byte for byte.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    /// Nothing that became known later is seen: RFC 3339 with a zone, or Unix milliseconds
    /// [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    as_of: Option<String>,
    /// Of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How far ahead the model looks.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    horizon_days: u16,
    /// Weekly cuts at most.
    #[arg(long, default_value_t = 26)]
    cuts: u16,
    /// Examples at most: people at cuts.
    #[arg(long, default_value_t = 2_000_000)]
    most_examples: u64,
    /// ISO 4217 code of the values [default: that of the feature definitions, else EUR]
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// The feature definitions, TOML [default: those that come with Attune]
    #[arg(long, value_name = "FILE", env = "ATTUNE_FEATURE_DEFINITIONS")]
    features: Option<PathBuf>,
    /// The model that serves, to be compared with.
    #[arg(long, value_name = "FILE")]
    champion: Option<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let definitions = server::features::definitions(args.features.as_deref())?;
    let wanted = Wanted {
        as_of_unix_ms: time(args.as_of.as_deref())?,
        horizon_days: args.horizon_days,
        cuts: args.cuts,
        most: args.most_examples,
        currency: currency(args.currency.as_deref(), &definitions)?,
    };
    let set = examples(args, &definitions, &wanted)?;
    let settings = Settings::new(args.seed);
    let (predictor, scores) = fit(&set, &settings)?;
    let champion = args.champion.as_ref().map(fs::read).transpose()?;
    let champion = champion.as_deref().map(Predictor::from_json).transpose()?;
    // One that other features were made for cannot be asked.
    let rival = champion.filter(|champion| {
        let (ours, theirs) = (predictor.parts(), champion.parts());
        (ours.definitions, ours.horizon_days) == (theirs.definitions, theirs.horizon_days)
    });
    let report = TrainingReport {
        lineage: json!({
            "as_of_unix_ms": wanted.as_of_unix_ms,
            "cuts": args.cuts,
            "features": predictor.parts().features.iter().map(|f| &f.name).collect::<Vec<_>>(),
            "definitions": predictor.parts().definitions,
            "window": predictor.parts().lineage,
            "report": scores,
            "reference": reference(&set, &predictor),
        }),
        evidence: evidence(&set, &predictor, rival.as_ref()),
        against: rival.map(|rival| rival.id().to_owned()),
    };
    fs::write(&args.out, predictor.to_json()?)
        .map_err(|error| format!("cannot write {}: {error}", args.out.display()))?;
    if json {
        output::line(&report)?;
    } else {
        let Evidence { over_base, .. } = &report.evidence;
        output::text(&format!(
            "model {}: log-loss lower than the base rate's by {:.5} nats on {} people\n\
             written to {}",
            predictor.id(),
            over_base.mean(),
            over_base.count,
            args.out.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn examples(
    args: &Args,
    definitions: &Definitions,
    wanted: &Wanted,
) -> Result<TrainingSet, Failure> {
    let location = args.data.clone().location();
    let reading = server::examples(location, definitions, wanted);
    let snapshots = tokio_runtime()?.block_on(reading)?;
    let mut set = TrainingSet::new(Schema {
        features: definitions.inputs(),
        definitions: definitions.digest(),
        horizon_days: wanted.horizon_days,
        kinds: snapshots.kinds().to_vec(),
        currency: wanted.currency,
    });
    for (index, snapshot) in snapshots.rows().iter().enumerate() {
        let row = Row {
            person: snapshot.person,
            cut_unix_ms: snapshot.cut_unix_ms,
            converted: snapshot.converted,
            kind: snapshot.kind,
            value_minor: snapshot.value_minor,
            history: snapshot.history,
        };
        set.push(row, snapshots.features(index))?;
    }
    Ok(set)
}

/// How features and scores were spread over the latest cut: from this drift is told.
fn reference(set: &TrainingSet, predictor: &Predictor) -> Reference {
    let newest = set.rows().iter().map(|row| row.cut_unix_ms).max().unwrap_or_default();
    let (mut matrix, mut histories) = (Vec::new(), Vec::new());
    for (index, row) in set.rows().iter().enumerate().filter(|(_, r)| r.cut_unix_ms == newest) {
        matrix.extend_from_slice(set.features(index));
        histories.push(row.history);
    }
    let mut scores = Vec::with_capacity(histories.len());
    predictor.probabilities(&matrix, &histories, &mut scores);
    let names = predictor.parts().features.iter().map(|feature| feature.name.as_str());
    Reference::of(names, &matrix).with_scores(scores.into_iter().map(|score| score as f32))
}

/// How the model did on the latest rows, which nothing else has seen: beside the share of
/// conversions among all earlier rows, and beside the model that serves. That one was fitted
/// earlier, and has not seen them either.
fn evidence(set: &TrainingSet, predictor: &Predictor, rival: Option<&Predictor>) -> Evidence {
    let judged = judged_from(set, predictor.parts().lineage.judged_rows);
    let mut earlier = (0_u64, 0_u64);
    for row in set.rows().iter().filter(|row| row.cut_unix_ms < judged) {
        earlier = (earlier.0 + 1, earlier.1 + u64::from(row.converted));
    }
    let base_rate = earlier.1 as f64 / earlier.0.max(1) as f64;
    // Of its own latest cut the rival has seen nothing but the score.
    let common = rival.map_or(judged, |rival| rival.parts().lineage.until_unix_ms.max(judged));
    let (mut over_base, mut over_rival) = (Paired::default(), Paired::default());
    for (index, row) in set.rows().iter().enumerate() {
        if row.cut_unix_ms < judged {
            continue;
        }
        let said = |by: &Predictor| {
            let mut out = Vec::with_capacity(1);
            by.probabilities(set.features(index), &[row.history], &mut out);
            out.first().copied().unwrap_or(base_rate)
        };
        let ours = said(predictor);
        over_base.hold(ours, base_rate, row.converted);
        if let Some(rival) = rival.filter(|_| row.cut_unix_ms >= common) {
            over_rival.hold(ours, said(rival), row.converted);
        }
    }
    let over_champion = (over_rival.count > 0).then_some(over_rival);
    Evidence { over_base, over_champion, in_service: None }
}

/// The first cut that was judged on: the latest cuts hold so many rows.
fn judged_from(set: &TrainingSet, judged_rows: u64) -> i64 {
    let mut cuts: Vec<i64> = set.rows().iter().map(|row| row.cut_unix_ms).collect();
    cuts.sort_unstable();
    let first = cuts.len().saturating_sub(usize::try_from(judged_rows).unwrap_or(usize::MAX));
    cuts.get(first).copied().unwrap_or(i64::MAX)
}

fn currency(text: Option<&str>, definitions: &Definitions) -> Result<Currency, Failure> {
    match text {
        Some(text) => Ok(Currency::try_from(text.to_owned())?),
        None => Ok(definitions.currency().unwrap_or(Currency::EUR)),
    }
}
