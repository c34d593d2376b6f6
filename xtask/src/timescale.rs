//! A Debian 13 root with PostgreSQL and TimescaleDB in it, for the tests that want it: Debian 12 has
//! no TimescaleDB. The tests start a server in it and stop it again; nothing of it runs otherwise.

use crate::{
    project::{TaskError, is_there, succeed},
    setup,
};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const RELEASE: &str = "trixie";
const MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const PACKAGES: &str = "--include=postgresql-17,postgresql-17-timescaledb";
/// Debian starts a server of its own wherever PostgreSQL is installed, unless this is there before.
const NO_CLUSTER: &str = "--setup-hook=mkdir -p \"$1/etc/postgresql-common\" && \
    echo create_main_cluster=false >\"$1/etc/postgresql-common/createcluster.conf\"";
/// The mark of a root that is whole; the tests look for it.
const READY: &str = "ready";

/// `cargo xtask setup timescale`: makes the root, about 500 MB, if it is not there.
///
/// # Errors
/// When this is not Debian or Ubuntu, not the superuser, or a package cannot be had.
pub fn run(check: bool) -> Result<(), TaskError> {
    let root = root()?;
    if root.join(READY).is_file() {
        println!("setup: {} is there", root.display());
        return Ok(());
    }
    if check {
        let text = "there is no root with TimescaleDB: run `cargo xtask setup timescale`";
        return Err(TaskError::Found(text.to_owned()));
    }
    if env::consts::OS != "linux" || !setup::is_root() {
        let text = "the root with TimescaleDB is made and used by the superuser of a Linux machine";
        return Err(TaskError::Found(text.to_owned()));
    }
    if !is_there(&mut Command::new("mmdebstrap")) {
        setup::install_packages(&["mmdebstrap", "debian-archive-keyring"])?;
    }
    make(&root)?;
    println!("setup: made {}", root.display());
    Ok(())
}

/// Whole, or not there.
fn make(root: &Path) -> Result<(), TaskError> {
    let failed = |source| TaskError::File { path: root.to_owned(), source };
    let unfinished = root.with_extension("unfinished");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    if let Some(folder) = root.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut strap = Command::new("mmdebstrap");
    strap.args(["--variant=minbase", "--keyring", KEYRING, PACKAGES, NO_CLUSTER, RELEASE]);
    strap.arg(&unfinished).arg(MIRROR).stdin(Stdio::null()).stdout(io::stderr());
    succeed(&mut strap)?;
    fs::write(unfinished.join(READY), "").map_err(failed)?;
    fs::rename(&unfinished, root).map_err(failed)
}

/// Where the tests look for it, too.
fn root() -> Result<PathBuf, TaskError> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let home = home.ok_or_else(|| TaskError::Found("HOME is not set".to_owned()))?;
    Ok(home.join(".cache/attune").join(RELEASE))
}
