//! `cargo xtask`: every habit of the project as one command.
//!
//! It is built before anything else, on machines that may still lack what the other crates need:
//! it has few dependencies, no C, and no async. It never goes through a shell.

mod bench;
mod book;
mod browser;
mod ci;
mod constants;
mod contract;
mod fuzz;
mod licences;
mod links;
mod logs;
mod project;
mod promises;
mod reference;
mod setup;
mod size;
mod smoke;
mod timescale;

use clap::{Args, Parser, Subcommand};
use project::{Project, TaskError};
use std::process::ExitCode;

/// Every habit of the project as one command.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what this machine lacks to build and run (Debian and Ubuntu; elsewhere: say what).
    Setup {
        /// Only say what is missing; fail if something is.
        #[arg(long)]
        check: bool,
        /// What is needed by some tests alone: timescale (a Debian 13 root, 500 MB).
        #[arg(value_parser = ["timescale"])]
        extra: Option<String>,
    },
    /// Run the whole loop on simulated wearables: `attune demo`, after setup.
    #[command(disable_help_flag = true)]
    Demo(Passed),
    /// Run every test of the workspace, doc tests included, after setup.
    #[command(disable_help_flag = true)]
    Test(Passed),
    /// Run all that a change has to pass; ends with a table of the steps and their times.
    Ci {
        /// Only these steps; all when none is named.
        #[arg(value_parser = ci::names())]
        steps: Vec<String>,
        /// Also run cargo-deny, and install it where it is missing (takes minutes).
        #[arg(long)]
        licences: bool,
    },
    /// Measure speed and memory, in release mode.
    Bench {
        /// Which benches; all when none is named.
        names: Vec<String>,
        /// One JSON object a line, on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Fuzz the parsers (needs a nightly toolchain and cargo-fuzz).
    Fuzz {
        /// Which targets; all when none is named.
        names: Vec<String>,
        /// How long each runs.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
    /// Measure the library that apps link and the command, in release mode.
    Size {
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Generate the reference pages, then the API documentation and the book.
    Docs {
        /// Write nothing: fail if a generated page is out of date or a link leads nowhere.
        #[arg(long)]
        check: bool,
    },
    /// Train the intent model that the repository carries.
    #[command(disable_help_flag = true)]
    Models(Passed),
    /// The rig with the real Bluetooth daemon (not built yet).
    Rig,
    /// Swift, Kotlin and Python packages (not built yet).
    Bindings {
        /// Which languages.
        languages: Vec<String>,
    },
}

/// What is handed on untouched.
#[derive(Debug, Args)]
struct Passed {
    /// Handed on to the command behind this one.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Project::find().and_then(|project| run(&project, cli.task)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(project: &Project, task: Task) -> Result<ExitCode, TaskError> {
    match task {
        Task::Setup { check, extra: None } => {
            setup::run(check)?;
            browser::setup(project, check)?;
        }
        Task::Setup { check, extra: Some(_) } => timescale::run(check)?,
        Task::Demo(passed) => {
            setup::ensure(setup::Use::Run)?;
            let mut demo = project.cargo(["run", "--package", "attune", "--", "demo"]);
            return project::exit_code(demo.args(passed.arguments));
        }
        Task::Test(passed) => {
            setup::ensure(setup::Use::Test)?;
            project::succeed(project.cargo(["test", "--workspace"]).args(passed.arguments))?;
        }
        Task::Ci { steps, licences } => return ci::run(project, &steps, licences),
        Task::Bench { names, json } => bench::run(project, &names, json)?,
        Task::Fuzz { names, seconds } => fuzz::run(project, &names, seconds)?,
        Task::Size { json } => size::run(project, json)?,
        Task::Docs { check: true } => book::check(project)?,
        Task::Docs { check: false } => book::build(project)?,
        Task::Models(passed) => {
            setup::ensure(setup::Use::Run)?;
            let mut train = project.cargo(["run", "--release", "--package", "attune", "--"]);
            train.args(["train", "intent"]).args(project.training_arguments()?);
            project::succeed(train.args(passed.arguments))?;
        }
        Task::Rig => return Err(TaskError::Later("the rig with the real Bluetooth daemon")),
        Task::Bindings { .. } => {
            return Err(TaskError::Later("Swift, Kotlin and Python packages"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_demo_is_handed_on_untouched() {
        let given = ["cargo xtask", "demo", "--for", "30", "--json", "--help"];
        let Task::Demo(passed) = Cli::parse_from(given).task else { panic!("not demo") };
        assert_eq!(passed.arguments, &given[2..]);
    }
}
