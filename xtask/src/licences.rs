//! Under which licences what we build on may be used.
//!
//! `deny.toml` is the one list. cargo-deny reads it where it is installed; this check reads the
//! same list and always runs. Cargo says what is built, for every platform: packages that are only
//! in the lock file, behind a feature that is off, do not count.

use crate::project::{self, Project, TaskError, output, succeed};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};
use std::{collections::BTreeSet, env, path::PathBuf};

/// The part of `deny.toml` that is read here.
#[derive(Debug, Deserialize)]
struct Deny {
    licenses: Policy,
}

#[derive(Debug, Deserialize)]
struct Policy {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// Checks every package of every platform; with cargo-deny too, where it is there or `install`
/// asks for it.
///
/// # Errors
/// Names each package whose licence is not on the list.
pub fn run(project: &Project, install: bool) -> Result<String, TaskError> {
    let checked = check(&project.read("deny.toml")?, &packages(project)?)?;
    let Some(deny) = cargo_deny(project, install)? else {
        return Ok(format!("{checked} packages; cargo-deny is not installed, so ours alone"));
    };
    succeed(project.command(deny).args(["check", "bans", "licenses", "sources"]))?;
    Ok(format!("{checked} packages, and cargo-deny"))
}

/// One line a package: name and version, tab, licence.
fn packages(project: &Project) -> Result<String, TaskError> {
    let mut tree = project.cargo(["tree", "--workspace", "--target", "all"]);
    tree.args(["--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}\t{l}"]);
    output(&mut tree)
}

/// Gives the number of packages that were checked.
fn check(deny: &str, packages: &str) -> Result<usize, TaskError> {
    let policy = toml::from_str::<Deny>(deny)
        .map_err(|error| TaskError::Found(format!("deny.toml cannot be read: {error}")))?
        .licenses;
    // A package that was listed before is marked with "(*)".
    let packages: BTreeSet<_> = packages
        .lines()
        .filter_map(|line| line.trim_end_matches(" (*)").split_once('\t'))
        .map(|(package, licence)| (package.trim_end_matches(" (proc-macro)"), licence))
        .collect();
    let mut refused = Vec::new();
    for (package, licence) in &packages {
        if let Err(problem) = judge(&policy, package, licence)? {
            refused.push(format!("  {package}: {problem}"));
        }
    }
    if refused.is_empty() {
        return Ok(packages.len());
    }
    Err(TaskError::Found(format!(
        "licences that deny.toml does not allow:\n{}\nuse another package, or add the licence or \
         an exception to deny.toml with the reason",
        refused.join("\n")
    )))
}

/// The outer error: the list itself is wrong. The inner: this package may not be used.
fn judge(policy: &Policy, package: &str, licence: &str) -> Result<Result<(), String>, TaskError> {
    let name = package.split(' ').next().unwrap_or(package);
    let exceptions = policy.exceptions.iter().filter(|exception| exception.name == name);
    let allowed = policy.allow.iter().chain(exceptions.flat_map(|exception| &exception.allow));
    let allowed = allowed
        .map(|text| {
            Licensee::parse(text).map_err(|error| {
                TaskError::Found(format!("deny.toml allows {text:?}, no SPDX licence: {error}"))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if licence.trim().is_empty() {
        return Ok(Err("states no licence".to_owned()));
    }
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Ok(Err(format!("{licence:?} is no SPDX expression")));
    };
    let satisfied = |request: &spdx::LicenseReq| allowed.iter().any(|one| one.satisfies(request));
    Ok(if expression.evaluate(satisfied) { Ok(()) } else { Err(licence.to_owned()) })
}

/// cargo-deny: on the PATH, or where an earlier run put it, or put there now.
fn cargo_deny(project: &Project, install: bool) -> Result<Option<PathBuf>, TaskError> {
    let cache = env::home_dir().map(|home| home.join(".cache/attune"));
    let cached = cache.as_ref().map(|cache| cache.join("bin").join("cargo-deny"));
    let places = [Some(PathBuf::from("cargo-deny")), cached.clone()];
    let found =
        places.into_iter().flatten().find(|place| project::is_there(&mut project.command(place)));
    let (None, true, Some(cache)) = (&found, install, cache) else { return Ok(found) };
    let mut cargo = project.cargo(["install", "cargo-deny", "--locked", "--root"]);
    succeed(cargo.arg(cache))?;
    Ok(cached)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0", "Unicode-3.0"]
        exceptions = [{ crate = "roots", allow = ["CDLA-Permissive-2.0"] }]
    "#;

    fn verdict(deny: &str, packages: &str) -> Result<usize, String> {
        check(deny, packages).map_err(|error| error.to_string())
    }

    fn refused(packages: &str, says: &str) {
        let message = verdict(DENY, packages).unwrap_err();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn expressions_are_judged_as_a_whole() {
        let fine = "a v1.0.0\tMIT\nb v1.0.0 (proc-macro)\tMIT/GPL-3.0-only\nb v1.0.0\tMIT/GPL-3.0-only (*)\n\
                    c v2.0.0\t(MIT OR Apache-2.0) AND Unicode-3.0\nroots v1.0.0\tCDLA-Permissive-2.0";
        assert_eq!(verdict(DENY, fine), Ok(4));
        refused("d v1.0.0\tMIT AND GPL-3.0-only", "d v1.0.0: MIT AND GPL-3.0-only");
        refused("e v1.0.0\tApache-2.0 WITH LLVM-exception", "LLVM-exception");
        refused("f v1.0.0\tCDLA-Permissive-2.0", "f v1.0.0");
        refused("g v1.0.0\t", "states no licence");
        refused("h v1.0.0\tlook inside", "no SPDX expression");
    }

    #[test]
    fn a_wrong_list_is_named() {
        let message = verdict("[licenses]\nallow = ['Mine']", "a v1\tMIT").unwrap_err();
        assert!(message.contains("deny.toml allows \"Mine\""), "{message}");
        assert!(verdict("", "").unwrap_err().contains("deny.toml cannot be read"));
    }
}
