//! `attune completions`: what a shell needs to complete this command.

use crate::Failure;
use clap::CommandFactory;
use clap_complete::Shell;
use std::process::ExitCode;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn run<C: CommandFactory>(args: Args) -> Result<ExitCode, Failure> {
    clap_complete::generate(args.shell, &mut C::command(), "attune", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
