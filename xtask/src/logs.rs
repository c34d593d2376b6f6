//! Nothing is logged but through `protocol::log!`, which takes nothing of a person (C12).

use crate::project::{Project, TaskError};
use std::{fs, path::Path};

/// Crates whose lines may be about people.
const FOLDERS: [&str; 6] =
    ["protocol/src", "models/src", "sdk-core/src", "sdk-ffi/src", "server/src", "cli/src"];
/// What writes a line, or a part of one.
const MACROS: [&str; 7] = ["error", "warn", "info", "debug", "trace", "event", "span"];
/// Where it is right, and why.
const RIGHT: [&str; 2] = [
    // The macro itself.
    "protocol/src/log.rs",
    // The span of a request: its method and the pattern of its route.
    "server/src/api/mod.rs",
];

/// Finds every line that logs in another way.
///
/// # Errors
/// Names the lines.
pub fn check(project: &Project) -> Result<(), TaskError> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        collect(project, &project.root.join(folder), &mut found)?;
    }
    if found.is_empty() {
        return Ok(());
    }
    found.push("write it with protocol::log!, which refuses what must not be logged".to_owned());
    Err(TaskError::Found(found.join("\n")))
}

fn collect(project: &Project, folder: &Path, found: &mut Vec<String>) -> Result<(), TaskError> {
    let failed = |source| TaskError::File { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(project, &path, found)?;
            continue;
        }
        let file = path.strip_prefix(&project.root).unwrap_or(&path).display().to_string();
        if path.extension().is_some_and(|e| e == "rs") && !RIGHT.contains(&file.as_str()) {
            let text = project.read(&file)?;
            let lines = text.lines().enumerate().filter(|(_, line)| logs(line));
            found.extend(lines.map(|(at, line)| format!("{file}:{}: {}", at + 1, line.trim())));
        }
    }
    Ok(())
}

/// Whether a line logs by itself, or brings in what would.
fn logs(line: &str) -> bool {
    let by_path = |name: &str| {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("tracing::") {
            let word = after.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            let word = word.unwrap_or_default();
            if word == name || word.strip_suffix("_span").is_some_and(|level| level == name) {
                return after[word.len()..].starts_with(['!', ';']);
            }
            rest = after;
        }
        false
    };
    line.contains("use tracing::{") || MACROS.iter().any(|name| by_path(name))
}

#[cfg(test)]
mod tests {
    use super::logs;

    #[test]
    fn every_way_to_log_is_seen() {
        for line in [
            "    tracing::warn!(id, \"x\");",
            "use tracing::info;",
            "use tracing::{info, warn};",
            "tracing::info_span!(\"x\")",
        ] {
            assert!(logs(line), "{line}");
        }
        for line in ["protocol::log!(warn, \"x\");", "tracing::Level::TRACE", "tracing::warned!()"]
        {
            assert!(!logs(line), "{line}");
        }
    }
}
