//! The `attune` command: demo, server, simulator, replay, training and consent in one binary.
//!
//! This crate wires the others for people; it holds no logic of the product.

mod commands;
mod output;
mod person;
mod plot;
mod rig;
mod view;

use clap::{Parser, Subcommand};
use commands::{
    analyze, backup, completions, consent, demo, doctor, evaluate, import, keys, privacy, replay,
    run, serve, simulate, train,
};
use std::{alloc::System, process::ExitCode};
use tracing_subscriber::EnvFilter;
use zeroizing_alloc::ZeroAlloc;

/// What is freed is wiped: samples and features do not linger (C4).
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Wearable biofeedback that adapts an offer on the person's own device, and asks first.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// Machine output: one JSON object, or one a line where it streams, on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Simulate(simulate::Args),
    Run(run::Args),
    Record(run::RecordArgs),
    Replay(replay::Args),
    Analyze(analyze::Args),
    Train(train::Args),
    Evaluate(evaluate::Args),
    Import(import::Args),
    Consent(consent::Args),
    Privacy(privacy::Args),
    Keys(keys::Args),
    Backup(backup::Args),
    Restore(backup::RestoreArgs),
    Doctor(doctor::Args),
    Completions(completions::Args),
}

/// Any error, told to a person: what is wrong, where, what to do.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The server's lines go where its settings say.
    if !matches!(cli.command, Command::Serve(_)) {
        let filter = EnvFilter::try_from_env("ATTUNE_LOG").unwrap_or_else(|_| "warn".into());
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let json = cli.json;
    let done = match cli.command {
        Command::Demo(args) => demo::run(args, json),
        Command::Serve(args) => serve::run(args, json),
        Command::Simulate(args) => simulate::run(args, json),
        Command::Run(args) => run::run(args, json),
        Command::Record(args) => run::record(args, json),
        Command::Replay(args) => replay::run(args, json),
        Command::Analyze(args) => analyze::run(args, json),
        Command::Train(args) => train::run(args, json),
        Command::Evaluate(args) => evaluate::run(args, json),
        Command::Import(args) => import::run(args, json),
        Command::Consent(args) => consent::run(args, json),
        Command::Privacy(args) => privacy::run(args, json),
        Command::Keys(args) => keys::run(args, json),
        Command::Backup(args) => backup::run(args, json),
        Command::Restore(args) => backup::restore(args, json),
        Command::Doctor(args) => doctor::run(args, json),
        Command::Completions(args) => completions::run::<Cli>(args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("attune: {error}");
            ExitCode::FAILURE
        }
    }
}
