//! The person's page in a browser: what that needs, and the test that does it.

use crate::{
    project::{Project, TaskError, succeed},
    setup,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What is needed of npm, with the exact versions and the digests of all that they need.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
const FOLDER: &str = "server/tests/page";
/// Programs, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 3] = [("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")];

/// Installs what is missing: Chromium and Node by apt, the packages into the cache. Says so, loudly,
/// where that cannot be: nothing but this test needs them.
///
/// # Errors
/// With `check`, when something is missing.
pub fn setup(project: &Project, check: bool) -> Result<(), TaskError> {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(name, _)| !runs(name)).map(|(_, package)| *package).collect();
    if check && (!missing.is_empty() || !is_fresh(project)?) {
        let lacks = "the browser test of the person's page lacks Chromium, Node or its packages";
        return Err(TaskError::Found(format!("{lacks}: run `cargo xtask setup`")));
    }
    if !missing.is_empty()
        && (env::consts::OS != "linux" || setup::install_packages(&missing).is_err())
    {
        println!("setup: skipped the browser test, it needs {}", missing.join(", "));
        return Ok(());
    }
    match packages(project)? {
        Some(folder) => {
            println!("setup: the browser test has its packages in {}", folder.display())
        }
        None => println!("setup: skipped the browser test, npm could not install its packages"),
    }
    Ok(())
}

/// Runs the browser test.
///
/// # Errors
/// When the page does something wrong.
pub fn run(project: &Project) -> Result<String, TaskError> {
    if let Some((name, _)) = PROGRAMS.iter().find(|(name, _)| !runs(name)) {
        return Ok(format!("skipped: needs {name} (cargo xtask setup)"));
    }
    if packages(project)?.is_none() {
        return Ok("skipped: npm could not install playwright-core and axe".to_owned());
    }
    let test = ["test", "--package", "server", "--test", "browser", "--", "--nocapture"];
    succeed(project.cargo(test).stdin(Stdio::null()))?;
    Ok("two sizes, two languages, axe".to_owned())
}

/// Where the packages are, installed if they are not; `None` where npm cannot.
fn packages(project: &Project) -> Result<Option<PathBuf>, TaskError> {
    let Some(folder) = folder() else { return Ok(None) };
    if is_fresh(project)? {
        return Ok(Some(folder));
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TaskError::File { path, source }
    };
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    for name in FILES {
        let (from, to) = (project.root.join(FOLDER).join(name), folder.join(name));
        fs::copy(&from, &to).map_err(failed(&to))?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    let installed = install.current_dir(&folder).stdin(Stdio::null()).status();
    if installed.is_ok_and(|status| status.success()) {
        return Ok(Some(folder));
    }
    // What is half installed must not look whole.
    let stamp = folder.join(FILES[1]);
    fs::remove_file(&stamp).map_err(failed(&stamp))?;
    Ok(None)
}

/// Whether the packages are those that are asked for now.
fn is_fresh(project: &Project) -> Result<bool, TaskError> {
    let Some(folder) = folder() else { return Ok(false) };
    let wanted = project.read(Path::new(FOLDER).join(FILES[1]))?;
    let there = fs::read_to_string(folder.join(FILES[1])).ok();
    Ok(there.as_deref() == Some(wanted.as_str()) && folder.join("node_modules").is_dir())
}

fn folder() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    cache.map(|cache| cache.join("attune/browser"))
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
