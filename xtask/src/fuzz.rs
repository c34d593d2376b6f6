//! Fuzzing: every parser of bytes from outside against what nobody thought of.
//!
//! Each target's corpus is kept as one archive in `fuzz/seeds`: thousands of tiny files are no joy
//! in a repository.

use crate::project::{self, Project, TaskError, output, succeed};
use std::{fs, path::Path, process::Command};

/// Runs the named targets, or all, one after the other, each for `seconds`; then keeps of what was
/// found only the inputs that reach code no other does.
///
/// Rust without `unsafe` needs no sanitiser: a finding here is a panic, an overflow, a hang or too
/// much memory. That keeps the targets fast.
///
/// # Errors
/// When a target finds something (its input lies in `fuzz/artifacts`), or cargo-fuzz or a nightly
/// toolchain is missing.
pub fn run(project: &Project, only: &[String], seconds: u64) -> Result<(), TaskError> {
    if !project::is_there(project.command("cargo-fuzz").arg("--help")) {
        return Err(TaskError::Found(
            "fuzzing needs a nightly toolchain and cargo-fuzz: rustup toolchain install nightly; \
             cargo install cargo-fuzz --locked"
                .to_owned(),
        ));
    }
    let all = output(fuzz(project).arg("list"))?;
    let all: Vec<&str> = all.lines().collect();
    if let Some(unknown) = only.iter().find(|name| !all.contains(&name.as_str())) {
        return Err(TaskError::Found(format!(
            "no fuzz target is called {unknown}; there are {}",
            all.join(", ")
        )));
    }
    let wanted = all.iter().filter(|name| only.is_empty() || only.iter().any(|o| o == *name));
    for name in wanted {
        println!("\n== {name}: {seconds} s ==");
        let corpus = project.root.join("fuzz/corpus").join(name);
        let seeds = project.root.join("fuzz/seeds").join(format!("{name}.tar.gz"));
        unpack(project, &seeds, &corpus)?;
        let limits = [
            format!("-max_total_time={seconds}"),
            "-timeout=10".to_owned(),
            "-rss_limit_mb=2048".to_owned(),
            "-print_final_stats=1".to_owned(),
        ];
        succeed(
            fuzz(project).args(["run", "-s", "none", name]).arg(&corpus).arg("--").args(limits),
        )?;
        succeed(fuzz(project).args(["cmin", "-s", "none", name]).arg(&corpus))?;
        let mut pack = project.command("tar");
        succeed(pack.arg("-czf").arg(&seeds).arg("-C").arg(&corpus).arg("."))?;
    }
    Ok(())
}

/// The kept inputs, beside those of runs before on this machine.
fn unpack(project: &Project, seeds: &Path, corpus: &Path) -> Result<(), TaskError> {
    for folder in [corpus, seeds.parent().unwrap_or(corpus)] {
        let failed = |source| TaskError::File { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
    }
    if !seeds.exists() {
        return Ok(());
    }
    succeed(project.command("tar").arg("-xzf").arg(seeds).arg("-C").arg(corpus))
}

fn fuzz(project: &Project) -> Command {
    let mut cargo = project.command("cargo");
    cargo.args(["+nightly", "fuzz"]);
    cargo
}
