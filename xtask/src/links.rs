//! Whether the links of the project's texts lead somewhere.
//!
//! Looks at what Markdown calls inline links and at mdBook's includes; leaves the web alone.

use crate::project::{TaskError, read};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every Markdown file under a folder, in order.
///
/// # Errors
/// When a folder cannot be listed.
pub fn pages(folder: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let error = |source| TaskError::File { path: folder.to_owned(), source };
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.is_dir() {
            pages.extend(self::pages(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// What is wrong with the links of these files, a line each, with paths from `root`.
///
/// # Errors
/// When a file cannot be read.
pub fn broken(root: &Path, files: &[PathBuf]) -> Result<Vec<String>, TaskError> {
    let mut broken = Vec::new();
    for file in files {
        let text = read(file)?;
        let name = file.strip_prefix(root).unwrap_or(file).display();
        for (number, target) in targets(&text) {
            if let Some(problem) = problem(file, &text, &target)? {
                broken.push(format!("{name}:{number}: {target}: {problem}"));
            }
        }
    }
    Ok(broken)
}

/// What a link points to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// A file, as written, from the page's folder; empty = the page itself. Perhaps a heading.
    Link { path: String, heading: Option<String> },
    /// A file that mdBook puts in here.
    Include(String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Link { path, heading: None } => f.write_str(path),
            Self::Link { path, heading: Some(heading) } => write!(f, "{path}#{heading}"),
            Self::Include(path) => write!(f, "include {path}"),
        }
    }
}

fn problem(file: &Path, text: &str, target: &Target) -> Result<Option<&'static str>, TaskError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let (path, heading) = match target {
        Target::Include(path) => (path, None),
        Target::Link { path, heading } => (path, heading.as_ref()),
    };
    let leads_to = if path.is_empty() { file.to_owned() } else { folder.join(path) };
    if !leads_to.exists() {
        return Ok(Some("no such file"));
    }
    let Some(heading) = heading else { return Ok(None) };
    let there = if path.is_empty() { text.to_owned() } else { read(&leads_to)? };
    let found = prose(&there).any(|(_, line)| slug(line).as_deref() == Some(heading));
    Ok((!found).then_some("no such heading"))
}

/// Line number and target of each link that stays in the project.
fn targets(text: &str) -> Vec<(usize, Target)> {
    let mut targets = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        for piece in line.split("](").skip(1) {
            let target = piece.split([')', ' ']).next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") || target.is_empty() {
                continue;
            }
            let (path, heading) = match target.split_once('#') {
                Some((path, heading)) => (path, Some(heading.to_owned())),
                None => (target, None),
            };
            targets.push((number, Target::Link { path: path.to_owned(), heading }));
        }
        for piece in line.split("{{#include ").skip(1) {
            let path = piece.split(['}', ':']).next().unwrap_or_default().trim();
            targets.push((number, Target::Include(path.to_owned())));
        }
    }
    targets
}

/// The lines outside fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// The id that mdBook gives a heading: lower case, spaces to hyphens, punctuation dropped.
fn slug(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let id = heading.trim().chars().filter_map(|c| match c {
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c.to_ascii_lowercase()),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    });
    Some(id.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = targets(text).iter().map(|(_, target)| target.to_string()).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn only_links_of_prose_into_the_project_count() {
        check("[a](b.md) and [c](d/e.md#f-g \"title\")", &["b.md", "d/e.md#f-g"]);
        check("[a](#here), [web](https://example.org/x.md)", &["#here"]);
        check("{{#include ../x.md:2:9}}", &["include ../x.md"]);
        check("`[a](b.md)`\n```\n[c](d.md)\n```\n[e](f.md)", &["f.md"]);
        check("[a](", &[]);
    }

    #[test]
    fn headings_become_ids() {
        for (line, id) in [("## What `x` is, now", "what-x-is-now"), ("# A_b-C 2", "a_b-c-2")] {
            assert_eq!(slug(line).as_deref(), Some(id));
        }
        assert_eq!(slug("#hashtag"), None);
    }

    #[test]
    fn what_leads_nowhere_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.md");
        fs::write(&page, "# Title\n[a](page.md#title) [b](gone.md)\n[c](#nothing)\n").unwrap();
        let broken = broken(folder.path(), &pages(folder.path()).unwrap()).unwrap();
        let expected = ["page.md:2: gone.md: no such file", "page.md:3: #nothing: no such heading"];
        assert_eq!(broken, expected);
    }
}
