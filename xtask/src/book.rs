//! The user's book and the other texts of the project.

use crate::{
    links,
    project::{self, Project, TaskError, succeed},
    reference,
};

/// Texts for people beside the book.
const TEXTS: [&str; 11] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "bindings/swift/README.md",
    "bindings/kotlin/README.md",
    "bindings/python/README.md",
    "examples/kiosk/README.md",
    "examples/ios/README.md",
    "examples/android/README.md",
    "examples/web/README.md",
];

/// Generates the reference, then builds the API documentation and, where mdbook is installed, the
/// book.
///
/// # Errors
/// When something does not build.
pub fn build(project: &Project) -> Result<(), TaskError> {
    reference::write(project)?;
    succeed(&mut project.cargo(["doc", "--workspace", "--no-deps"]))?;
    let api = project.target_directory()?.join("doc");
    println!("docs: API documentation in {}", api.display());
    if mdbook(project)? {
        println!("docs: the book in {}", project.root.join("docs/book").display());
    } else {
        println!(
            "docs: mdbook is not installed (cargo install mdbook --locked), so the book was not \
             built; it reads well as it is, from docs/src/SUMMARY.md"
        );
    }
    Ok(())
}

/// Writes nothing: whether the generated pages are up to date and all links lead somewhere.
///
/// # Errors
/// Names each stale page, unlisted page and broken link.
pub fn check(project: &Project) -> Result<(), TaskError> {
    let mut problems: Vec<_> = reference::stale(project)?
        .iter()
        .map(|page| format!("{page}: out of date: run `cargo xtask docs`"))
        .collect();
    let source = project.root.join("docs/src");
    let mut files = links::pages(&source)?;
    let summary = project.read("docs/src/SUMMARY.md")?;
    for page in &files {
        let name = page.strip_prefix(&source).unwrap_or(page).display().to_string();
        if name != "SUMMARY.md" && !summary.contains(&format!("({name})")) {
            problems.push(format!("docs/src/{name}: not in SUMMARY.md, so nobody finds it"));
        }
    }
    files.extend(TEXTS.map(|text| project.root.join(text)));
    problems.extend(links::broken(&project.root, &files)?);
    if problems.is_empty() { Ok(()) } else { Err(TaskError::Found(problems.join("\n"))) }
}

/// [`check`], and the book built where mdbook is installed.
///
/// # Errors
/// As [`check`], or when the book does not build.
pub fn verify(project: &Project) -> Result<String, TaskError> {
    check(project)?;
    let built = mdbook(project)?;
    let remark =
        if built { "links, and built by mdbook" } else { "links; mdbook is not installed" };
    Ok(remark.to_owned())
}

/// Builds the book; `false` where mdbook is not installed.
fn mdbook(project: &Project) -> Result<bool, TaskError> {
    if !project::is_there(&mut project.command("mdbook")) {
        return Ok(false);
    }
    succeed(project.command("mdbook").args(["build", "docs"]))?;
    Ok(true)
}
