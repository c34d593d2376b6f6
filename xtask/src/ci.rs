//! All that a change has to pass, cheap checks first, with the time of each.

use crate::{
    book, browser, contract, licences, logs,
    project::{Project, TaskError, succeed},
    setup, smoke,
};
use std::{
    env,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// One line of the table.
struct Step {
    name: &'static str,
    /// Gives a remark for the table.
    run: fn(&Project) -> Result<String, TaskError>,
}

/// How a step went; `None` = it was not reached.
type Report = (&'static str, Option<(Duration, Result<String, String>)>);

const STEPS: [Step; 12] = [
    Step { name: "setup", run: |_| setup::ensure(setup::Use::Test).map(|()| String::new()) },
    Step { name: "format", run: |p| quiet(p.cargo(["fmt", "--all", "--check"])) },
    Step { name: "book", run: book::verify },
    Step { name: "logs", run: |p| logs::check(p).map(|()| String::new()) },
    Step { name: "licences", run: |p| licences::run(p, false) },
    Step { name: "clippy", run: clippy },
    Step { name: "core", run: portable_core },
    Step { name: "tests", run: |p| quiet(p.cargo(["test", "--workspace"])) },
    Step { name: "page", run: browser::run },
    Step { name: "contract", run: contract::run },
    Step { name: "docs", run: api_docs },
    Step { name: "demo", run: demo },
];

/// The names of all steps, in their order.
pub fn names() -> [&'static str; STEPS.len()] {
    STEPS.map(|step| step.name)
}

/// Runs the named steps, or all, up to the first that fails; then the table and a plain last line.
///
/// # Errors
/// Only when cargo-deny was asked for and cannot be installed: failed steps are in the table.
pub fn run(
    project: &Project,
    only: &[String],
    install_cargo_deny: bool,
) -> Result<ExitCode, TaskError> {
    if install_cargo_deny {
        licences::run(project, true)?;
    }
    let begun = Instant::now();
    let mut failed = None;
    let mut reports: Vec<Report> = Vec::new();
    let wanted = |step: &Step| only.is_empty() || only.iter().any(|name| name == step.name);
    for step in STEPS.into_iter().filter(wanted) {
        if failed.is_some() {
            reports.push((step.name, None));
            continue;
        }
        println!("\n== {} ==", step.name);
        let step_begun = Instant::now();
        let result = (step.run)(project).map_err(|error| error.to_string());
        if let Err(problem) = &result {
            eprintln!("error: {problem}");
            failed = Some(step.name);
        }
        reports.push((step.name, Some((step_begun.elapsed(), result))));
    }
    println!("\n{}", table(&reports));
    let took = minutes(begun.elapsed());
    Ok(match failed {
        None => {
            println!("ci: {} of {} steps run, all passed, in {took}", reports.len(), STEPS.len());
            ExitCode::SUCCESS
        }
        Some(name) => {
            println!(
                "ci: {name} failed, after {took} in all; what is wrong stands above the table"
            );
            ExitCode::FAILURE
        }
    })
}

/// Nothing may wait for an answer here, and a success has nothing to remark.
fn quiet(mut command: Command) -> Result<String, TaskError> {
    succeed(command.stdin(Stdio::null())).map(|()| String::new())
}

fn clippy(project: &Project) -> Result<String, TaskError> {
    quiet(project.cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
}

/// The core without cargo features: no async, no sockets.
fn portable_core(project: &Project) -> Result<String, TaskError> {
    quiet(project.cargo(["check", "--package", "sdk-core", "--no-default-features"]))
}

fn api_docs(project: &Project) -> Result<String, TaskError> {
    let mut doc = project.cargo(["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    quiet(doc)
}

fn demo(project: &Project) -> Result<String, TaskError> {
    if env::consts::OS == "linux" {
        smoke::run(project)
    } else {
        Ok("skipped: simulated wearables need D-Bus, so Linux".to_owned())
    }
}

fn table(reports: &[Report]) -> String {
    let width = reports.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let rows = reports.iter().map(|(name, report)| {
        let row = match report {
            None => format!("{name:<width$}      -  not run"),
            Some((took, Ok(remark))) => {
                format!("{name:<width$}  {:>5}  ok  {remark}", minutes(*took))
            }
            Some((took, Err(_))) => format!("{name:<width$}  {:>5}  FAILED", minutes(*took)),
        };
        row.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Minutes and seconds, to the nearest second.
fn minutes(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_passed_failed_and_was_not_reached() {
        let reports: [Report; 3] = [
            ("format", Some((Duration::from_millis(1_400), Ok(String::new())))),
            ("licences", Some((Duration::from_secs(75), Err("no".to_owned())))),
            ("tests", None),
        ];
        let expected = "format     0:01  ok\nlicences   1:15  FAILED\ntests         -  not run";
        assert_eq!(table(&reports), expected);
    }
}
