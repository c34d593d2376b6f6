//! `attune consent`: the person's own view of what they agreed to on this machine.

mod view;

use crate::{
    Failure, output,
    person::{self, Person},
};
use clap::{Subcommand, ValueEnum};
use protocol::consent::{Modality, Notice, Purpose, export::verify_export};
use serde_json::json;
use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Show, give and withdraw consent on this machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    store: person::Store,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What you are told: what is measured, what for, who receives it, how to stop it.
    Notice,
    /// Say that you have read the notice. Without it nothing is inferred.
    Acknowledge {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// What is granted now.
    Show,
    /// Agree. What was granted before and is not named here is gone.
    Grant {
        /// Uses to agree to.
        #[arg(required = true, value_enum)]
        uses: Vec<Use>,
        /// Ends by itself after so many hours.
        #[arg(long, value_name = "HOURS")]
        hours: Option<u32>,
        /// Say that you have read the notice and agree, without being asked.
        #[arg(long)]
        yes: bool,
    },
    /// Stop sensing and keep the grants.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Take everything back, and destroy what was kept under it.
    Withdraw,
    /// Your copy: everything you ever agreed to, with the proof (ISO/IEC TS 27560).
    Export {
        /// A new file [default: standard output].
        file: Option<PathBuf>,
    },
    /// Check an exported copy, or this machine's own ledger.
    Verify {
        /// An exported copy [default: this machine's ledger].
        file: Option<PathBuf>,
    },
    /// Every change, oldest first.
    History,
    /// Put a ledger that does not hold aside, as evidence, and begin a new one. What was kept under
    /// the old one is destroyed.
    BeginAnew {
        /// Do it.
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Use {
    /// Measure skin conductance and heart rate, infer from them, adapt the offer; all on this
    /// device; prices never above list.
    Adapt,
    /// Let a price rise above list.
    RaisePrice,
    /// Tell the operator's server features, inferences and outcomes; never raw signals.
    Share,
}

const MS_PER_HOUR: i64 = 3_600_000;

pub fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let Args { store, action } = args;
    match action {
        Action::Notice => show_notice(&store.notice()?, json)?,
        Action::Verify { file: Some(file) } => verify(&read(&file)?, json)?,
        Action::BeginAnew { .. } => show(&store.begin_anew()?, json)?,
        action => act(&store.open()?, action, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn act(person: &Person, action: Action, json: bool) -> Result<(), Failure> {
    let (gate, now) = (person.gate(), person::unix_ms());
    match action {
        Action::Acknowledge { yes } => {
            if !yes && !agrees(&person.notice, "Have you read this?")? {
                return Err("the notice was not acknowledged: say yes, or --yes".into());
            }
            gate.acknowledge(now)?;
        }
        Action::Grant { uses, hours, yes } => grant(person, &uses, hours, yes)?,
        Action::Pause => drop(gate.pause(now)?),
        Action::Resume => drop(gate.unpause(now)?),
        Action::Withdraw => drop(gate.withdraw(now)?),
        Action::Export { file } => return export(person, file.as_deref(), json),
        Action::Verify { .. } => {
            return verify(&serde_json::to_vec(&person.ledger().export()?)?, json);
        }
        Action::History => return history(person, json),
        Action::Show | Action::Notice | Action::BeginAnew { .. } => {}
    }
    show(person, json)
}

/// Whoever sits at a terminal is shown the notice and asked. A script that does not say `--yes`
/// grants without anybody having read anything, so nothing is inferred from that grant.
fn grant(person: &Person, uses: &[Use], hours: Option<u32>, yes: bool) -> Result<(), Failure> {
    let now = person::unix_ms();
    let asks = !yes && io::stdin().is_terminal();
    if asks
        && !agrees(&person.notice, &view::question(uses.iter().map(|each| each.words()), hours))?
    {
        return Err("nothing was granted: you did not say yes".into());
    }
    if yes || asks {
        person.gate().acknowledge(now)?;
    }
    let granted: Vec<(Modality, Purpose)> =
        uses.iter().flat_map(|each| each.grants()).copied().collect();
    let expires = hours.map(|hours| now.saturating_add(i64::from(hours) * MS_PER_HOUR));
    person.gate().grant(&granted, expires, now)?;
    if !view::informed(person) {
        eprintln!(
            "attune: the notice was not acknowledged, so nothing is inferred: read it with `attune \
             consent notice`, then say `attune consent acknowledge`"
        );
    }
    Ok(())
}

impl Use {
    fn grants(self) -> &'static [(Modality, Purpose)] {
        match self {
            Self::Adapt => &person::ON_DEVICE,
            Self::RaisePrice => &person::RAISE,
            Self::Share => &person::SHARED,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Adapt => "measure, infer and adapt the offer, on this computer",
            Self::RaisePrice => "let a price rise above its list price",
            Self::Share => "tell the server that you name summaries and outcomes",
        }
    }
}

/// Shows the notice and asks, on standard error, so that standard output stays for the answer.
fn agrees(notice: &Notice, question: &str) -> Result<bool, Failure> {
    eprint!("{}\n\n{question} [y/N] ", view::notice(notice));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn show(person: &Person, json: bool) -> Result<(), Failure> {
    if json { output::line(&view::Status::of(person)) } else { output::text(&view::status(person)) }
}

fn show_notice(notice: &Notice, json: bool) -> Result<(), Failure> {
    if json {
        return output::line(&json!({"notice": notice, "sha256": notice.checked()?.sha256}));
    }
    output::text(&view::notice(notice))
}

fn export(person: &Person, file: Option<&Path>, json: bool) -> Result<(), Failure> {
    let record = person.ledger().export()?;
    let Some(path) = file else {
        let text = serde_json::to_string_pretty(&record)?;
        return if json { output::line(&record) } else { output::text(&text) };
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{} exists: name a new file", path.display()),
        _ => format!("cannot write {}: {error}", path.display()),
    };
    let mut out = fs::File::create_new(path).map_err(failed)?;
    out.write_all(&serde_json::to_vec_pretty(&record)?).map_err(failed)?;
    let receipts = record.proof.receipts.len();
    if json {
        return output::line(&json!({"file": path, "receipts": receipts}));
    }
    output::text(&format!(
        "{receipts} receipts are in {0}. Check them with `attune consent verify {0}`.",
        path.display()
    ))
}

fn verify(file: &[u8], json: bool) -> Result<(), Failure> {
    let report = verify_export(file)?;
    if json { output::line(&report) } else { output::text(&view::report(&report)) }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?)
}

fn history(person: &Person, json: bool) -> Result<(), Failure> {
    for receipt in person.ledger().receipts() {
        if json { output::line(&receipt)? } else { output::text(&view::change(&receipt))? }
    }
    Ok(())
}
