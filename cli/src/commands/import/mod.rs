//! `attune import`: a file of rows to a server, of any size, with a place to go on from.

mod progress;
mod rows;
mod sender;

use super::tokio_runtime;
use crate::{Failure, output};
use clap::ValueEnum;
use progress::State;
use protocol::intake::{Consent, ConsentStatus, Encoding, RequestStatus, RowError, Scope};
use rows::{Format, Rows};
use sender::{Sender, Target};
use serde_json::json;
use server::table::{Charset, Field, Layout};
use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Send a file of rows to a server.
///
/// A table (CSV, TSV) of conversions, behaviour, transactions or bands, or JSON with a row a line.
/// The classic file of click conversions is understood as it is; any other by a mapping file, which
/// says what its columns stand for. Good rows are stored, bad ones are named. What was sent before
/// is recognised: sending a file twice changes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file: .csv, .tsv, .jsonl or .ndjson.
    file: PathBuf,
    /// The server, such as http://127.0.0.1:8787
    #[arg(long, value_name = "URL")]
    to: String,
    /// An operator's key with the scope ingest.
    #[arg(long, env = "ATTUNE_KEY", hide_env_values = true)]
    key: String,
    /// What the rows are; of transactions a column `source` says whether they are a third party's.
    #[arg(long, value_enum, default_value_t = Kind::Conversions)]
    kind: Kind,
    /// What the columns of a table stand for, TOML [default: told from the header]
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Goes on where an import of the same file to the same server stopped.
    #[arg(long)]
    resume: bool,
    /// Checks everything and stores nothing.
    #[arg(long)]
    validate_only: bool,
    /// E-mail addresses and phone numbers of a table are in plain text: hash them here, before they
    /// are sent.
    #[arg(long)]
    hash: bool,
    /// How the bytes of a table are read.
    #[arg(long, value_enum, default_value_t = Bytes::Utf8)]
    encoding: Bytes,
    /// How hashes are written in the file.
    #[arg(long, value_enum, default_value_t = Hashes::Hex)]
    hashes: Hashes,
    /// The data set that transaction ids are unique in; of behaviour, its source.
    #[arg(long, value_name = "NAME", default_value = "")]
    destination: String,
    /// What the people of all rows said, where the file does not say it; not for JSON of behaviour
    /// or transactions.
    #[arg(long, value_enum)]
    consent: Option<Said>,
    /// Since when the rows count as known, for keys with the scope backfill: a time with its zone,
    /// or `event`.
    #[arg(long, value_name = "TIME")]
    known_at: Option<String>,
    /// Rows of one request.
    #[arg(long, value_name = "ROWS", default_value_t = 500,
        value_parser = clap::value_parser!(u16).range(1..=2_000))]
    batch: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Conversions,
    Behaviour,
    Transactions,
    Demographics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bytes {
    #[value(name = "utf-8")]
    Utf8,
    #[value(name = "latin-1")]
    Latin1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Hashes {
    Hex,
    Base64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Said {
    Granted,
    Denied,
}

impl Kind {
    const fn path(self) -> &'static str {
        match self {
            Self::Conversions => "/v1/conversions",
            Self::Behaviour => "/v1/behaviour",
            Self::Transactions => "/v1/transactions",
            Self::Demographics => "/v1/demographics",
        }
    }

    const fn scope(self) -> Scope {
        match self {
            Self::Conversions => Scope::Conversion,
            Self::Behaviour => Scope::Behaviour,
            Self::Transactions => Scope::Loyalty,
            Self::Demographics => Scope::Demographics,
        }
    }
}

/// Rows named at the end.
const SHOWN: usize = 20;

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    tokio_runtime()?.block_on(import(args, json))
}

async fn import(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let format = format(&args.file)?;
    if format == Format::Lines {
        only_of_tables(&args)?;
    }
    let layout = layout(&args)?;
    let mut rows = Rows::open(&args.file, format, layout)?;
    let server = args.to.trim_end_matches('/');
    let target = Target {
        url: format!("{server}{}", args.kind.path()),
        statements: format!("{server}/v1/statements"),
        key: args.key,
        behaviour: args.kind == Kind::Behaviour,
        destination: args.destination,
        // The rows of a table say it themselves.
        consent: args.consent.filter(|_| format == Format::Lines).map(|said| match said {
            Said::Granted => Consent::only(args.kind.scope(), ConsentStatus::Granted),
            Said::Denied => Consent::only(args.kind.scope(), ConsentStatus::Denied),
        }),
        encoding: match args.hashes {
            Hashes::Hex => Encoding::Hex,
            Hashes::Base64 if args.hash => Encoding::Hex,
            Hashes::Base64 => Encoding::Base64,
        },
        validate_only: args.validate_only,
        known_at: args.known_at,
    };
    let mut state = State::new(&target.url);
    if args.resume
        && let Some(found) = State::load(&args.file, &target.url)?
    {
        rows.go_on(found.offset, found.rows)?;
        state = found;
    }
    let sender = Sender::new(target)?;
    let bar = progress::bar(rows.size(), state.offset);
    let mut shown: VecDeque<RowError> = VecDeque::new();
    loop {
        let batch = rows.next_batch(args.batch.into())?;
        if batch.is_empty() {
            break;
        }
        let (first, offset) = (state.rows, batch.end);
        let count = batch.len();
        let (status, errors) = sender.send(batch).await?;
        state.status.add(&status);
        (state.offset, state.rows) = (offset, first + count);
        if !args.validate_only {
            state.save(&args.file)?;
        }
        bar.set_position(offset);
        bar.set_message(message(&state.status));
        let numbered = errors.into_iter().map(|error| RowError { row: first + error.row, ..error });
        shown.extend(numbered.take(SHOWN.saturating_sub(shown.len())));
    }
    bar.finish_and_clear();
    State::remove(&args.file)?;
    report(&state.status, &shown, json)?;
    Ok(ExitCode::SUCCESS)
}

/// Rows of JSON are sent as they are: what would have to change them is refused.
fn only_of_tables(args: &Args) -> Result<(), Failure> {
    let says = match args {
        Args { hash: true, .. } => {
            "--hash is for tables: write the SHA-256 of addresses and numbers into the rows"
        }
        Args { map: Some(_), .. } => {
            "--map is for tables: write the rows as the server's /openapi.json has them"
        }
        Args { encoding: Bytes::Latin1, .. } => {
            "--encoding is for tables: JSON is UTF-8, save the file as that"
        }
        Args { consent: Some(_), kind: Kind::Behaviour | Kind::Transactions, .. } => {
            "--consent is not for JSON of this kind: write into each row's consent what the person \
             said about its own scope"
        }
        _ => return Ok(()),
    };
    Err(format!("{}: {says}", args.file.display()).into())
}

fn layout(args: &Args) -> Result<Layout, Failure> {
    let scope = args.kind.scope();
    let mut layout = match &args.map {
        None => Layout::classic(scope),
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|e| format!("cannot read the mapping {}: {e}", path.display()))?;
            Layout::from_toml(&text, scope).map_err(|e| format!("{}: {e}", path.display()))?
        }
    };
    layout.hash = args.hash;
    if args.kind == Kind::Transactions {
        layout.constants.entry(Field::Source).or_insert_with(|| scope.name().to_owned());
    }
    layout.charset = match args.encoding {
        Bytes::Utf8 => Charset::Utf8,
        Bytes::Latin1 => Charset::Latin1,
    };
    if let Some(said) = args.consent {
        let word = match said {
            Said::Granted => "granted",
            Said::Denied => "denied",
        };
        layout.constants.entry(Field::Consent).or_insert_with(|| word.to_owned());
    }
    Ok(layout)
}

fn format(file: &Path) -> Result<Format, Failure> {
    let extension = file.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("csv" | "tsv" | "txt") => Ok(Format::Table),
        Some("jsonl" | "ndjson") => Ok(Format::Lines),
        _ => Err(format!(
            "{}: name the file .csv or .tsv for a table, .jsonl for JSON with a row a line",
            file.display()
        )
        .into()),
    }
}

fn message(status: &RequestStatus) -> String {
    format!("{} stored, {} refused", status.stored, status.refused)
}

fn report(status: &RequestStatus, shown: &VecDeque<RowError>, json: bool) -> Result<(), Failure> {
    if json {
        return output::line(&json!({
            "type": "imported", "rows": status.rows, "stored": status.stored,
            "duplicates": status.duplicates, "refused": status.refused,
            "reasons": status.reasons, "validate_only": status.validate_only, "errors": shown,
        }));
    }
    output::text(&table(status, shown))
}

/// Counts, a line a reason, and the first rows that were refused.
fn table(status: &RequestStatus, shown: &VecDeque<RowError>) -> String {
    let verb = if status.validate_only { "would be stored" } else { "stored" };
    let mut text = format!(
        "{:>12} rows\n{:>12} {verb}\n{:>12} were there before\n{:>12} refused",
        status.rows, status.stored, status.duplicates, status.refused
    );
    for (reason, count) in &status.reasons {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{count:>20} {reason}");
    }
    for RowError { row, reason, detail } in shown {
        let _ = write!(text, "\n   row {row}: {reason}: {detail}");
    }
    let more = status.refused.saturating_sub(shown.len() as u64);
    if more > 0 && !shown.is_empty() {
        let _ =
            write!(text, "\n   and {more} more: GET /v1/requests/{{id}} of the server lists them");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, Command, FromArgMatches as _};

    fn args(line: &str) -> Args {
        let words = format!("import {line} --to http://127.0.0.1:1 --key k");
        let matches = Args::augment_args(Command::new("import"))
            .try_get_matches_from(words.split_whitespace())
            .unwrap();
        Args::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn what_rows_of_json_cannot_have_is_refused_and_not_passed_over() {
        let check = |line: &str, says: Option<&str>| {
            let refused = only_of_tables(&args(line)).err().map(|error| error.to_string());
            let right = match (&refused, says) {
                (Some(refused), Some(says)) => refused.contains(says),
                (refused, says) => refused.is_none() && says.is_none(),
            };
            assert!(right, "{line}: {refused:?}");
        };
        check("a.jsonl", None);
        check("a.jsonl --hash", Some("SHA-256"));
        check("a.jsonl --map map.toml", Some("/openapi.json"));
        check("a.jsonl --encoding latin-1", Some("UTF-8"));
        check("a.jsonl --consent granted", None);
        check("a.jsonl --consent denied --kind demographics", None);
        check("a.jsonl --consent granted --kind behaviour", Some("each row's consent"));
        check("a.jsonl --consent granted --kind transactions", Some("each row's consent"));
    }
}
