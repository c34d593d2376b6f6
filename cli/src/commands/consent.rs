//! `attune consent`: the person's own view of what they agreed to on this machine.

use crate::{Failure, output, person};
use clap::{Subcommand, ValueEnum};
use protocol::consent::{ConsentRecord, Modality, Purpose};
use std::process::ExitCode;

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
    },
    /// Stop sensing and keep the grants.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Take everything back.
    Withdraw,
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
    let gate = args.store.load()?;
    let now = person::unix_ms();
    let record = match args.action {
        Action::Show => gate.record(),
        Action::Grant { uses, hours } => {
            let uses: Vec<(Modality, Purpose)> = uses.into_iter().flat_map(granted).collect();
            let expires = hours.map(|h| now + i64::from(h) * MS_PER_HOUR);
            gate.grant(person::NOTICE_VERSION, &uses, expires, now)
        }
        Action::Pause => gate.pause(now),
        Action::Resume => gate.unpause(now),
        Action::Withdraw => gate.withdraw(now),
    };
    if record.epoch > 0 {
        args.store.save(&record)?;
    }
    if json {
        output::line(&record)?
    } else {
        output::text(&describe(&record))?
    }
    Ok(ExitCode::SUCCESS)
}

fn granted(each: Use) -> Vec<(Modality, Purpose)> {
    match each {
        Use::Adapt => person::ON_DEVICE.to_vec(),
        Use::RaisePrice => person::RAISE.to_vec(),
        Use::Share => person::SHARED.to_vec(),
    }
}

fn describe(record: &ConsentRecord) -> String {
    if record.epoch == 0 {
        return "Nothing was ever granted: no sensor is opened.\n\
                Agree with `attune consent grant adapt`."
            .into();
    }
    let mut lines = vec![format!("{:?}, change {} on this machine", record.state, record.epoch)];
    for modality in Modality::ALL {
        let grants = record.grants.iter().filter(|g| g.modality == modality);
        let purposes: Vec<&str> = grants.map(|g| g.purpose.name()).collect();
        if !purposes.is_empty() {
            lines.push(format!("  {:<10} {}", modality.name(), purposes.join(", ")));
        }
    }
    lines.join("\n")
}
