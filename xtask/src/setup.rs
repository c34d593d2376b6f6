//! What the machine must have beside Rust and a C compiler.

use crate::project::{TaskError, start_error, succeed};
use std::{
    env, io,
    process::{Command, Stdio},
};

/// Debian packages, and what each is for.
const PACKAGES: [(&str, &str); 3] = [
    ("dbus", "the private bus that simulated wearables live on"),
    ("libdbus-1-dev", "Bluetooth on Linux speaks D-Bus through it"),
    ("pkg-config", "tells the compiler where it is"),
];

const OTHER_LINUX: &str = "\
this Linux has no apt, so install by its own means what gives:
  * the program dbus-daemon       (Fedora: dbus-daemon, Arch: dbus)
  * the headers of libdbus-1      (Fedora: dbus-devel, Arch: dbus)
  * the program pkg-config        (Fedora: pkgconf-pkg-config, Arch: pkgconf)";

const MACOS: &str = "\
macOS needs nothing more than Rust and the Xcode command line tools (xcode-select --install).
Terminals that use Bluetooth must be allowed to: System Settings, Privacy & Security, Bluetooth.
The simulated wearables of `attune demo` need D-Bus, so the demo runs on Linux; `attune replay`
runs the same pipeline over a recording everywhere.";

const WINDOWS: &str = "\
Windows needs nothing more than Rust and the Visual Studio build tools (workload: C++).
The simulated wearables of `attune demo` need D-Bus, so the demo runs on Linux (WSL 2 will do);
`attune replay` runs the same pipeline over a recording everywhere.";

/// `cargo xtask setup`: installs what is missing, or only names it, and says how it went.
///
/// # Errors
/// When something is missing that it may not or cannot install.
pub fn run(check: bool) -> Result<(), TaskError> {
    if let Some(advice) = advice(env::consts::OS) {
        println!("{advice}");
        return Ok(());
    }
    let missing = missing()?;
    if missing.is_empty() {
        println!("setup: this machine has all it needs ({})", names(&wanted()));
        return Ok(());
    }
    if check {
        return Err(TaskError::Found(format!(
            "this machine lacks {}: run `cargo xtask setup`",
            names(&missing)
        )));
    }
    install(&missing)?;
    println!("setup: installed {}", names(&missing));
    Ok(())
}

/// The same before another task: quiet when nothing is missing, and never a word on stdout.
///
/// # Errors
/// When something is missing that cannot be installed.
pub fn ensure() -> Result<(), TaskError> {
    if advice(env::consts::OS).is_some() {
        return Ok(());
    }
    let missing = missing()?;
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// What to tell people whose system we install nothing on.
fn advice(os: &str) -> Option<&'static str> {
    match os {
        "linux" => None,
        "windows" => Some(WINDOWS),
        _ => Some(MACOS),
    }
}

fn wanted() -> Vec<&'static str> {
    PACKAGES.iter().map(|(name, _)| *name).collect()
}

fn names(packages: &[&str]) -> String {
    packages.join(", ")
}

fn missing() -> Result<Vec<&'static str>, TaskError> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"]).args(wanted());
    // It exits with 1 when it does not know a package; what it does know it still prints.
    match query.stderr(Stdio::null()).output() {
        Ok(output) => Ok(not_installed(&String::from_utf8_lossy(&output.stdout))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if is_usable_without_dpkg() {
                Ok(Vec::new())
            } else {
                Err(TaskError::Found(OTHER_LINUX.to_owned()))
            }
        }
        Err(error) => Err(start_error(&query, error)),
    }
}

/// The packages that dpkg's list does not name as installed.
fn not_installed(listed: &str) -> Vec<&'static str> {
    let installed =
        |name: &str| listed.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    wanted().into_iter().filter(|name| !installed(name)).collect()
}

fn is_usable_without_dpkg() -> bool {
    let works = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    works("dbus-daemon", &["--version"]) && works("pkg-config", &["--exists", "dbus-1"])
}

fn install(packages: &[&str]) -> Result<(), TaskError> {
    for (name, reason) in PACKAGES.iter().filter(|(name, _)| packages.contains(name)) {
        eprintln!("setup: installing {name}: {reason}");
    }
    apt_get(&["update"])?;
    let arguments = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&arguments[..], packages].concat())
}

fn apt_get(arguments: &[&str]) -> Result<(), TaskError> {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        if env::var_os("CI").is_some() {
            sudo.arg("--non-interactive");
        }
        sudo.arg("apt-get");
        sudo
    };
    command.args(["--quiet", "-o", "Dpkg::Use-Pty=0"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    // Our stdout belongs to the task that setup prepares.
    succeed(command.stdout(io::stderr()))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listed: &str, expected: &[&str]) {
        assert_eq!(not_installed(listed), expected, "{listed:?}");
    }

    #[test]
    fn only_installed_packages_count() {
        check("", &["dbus", "libdbus-1-dev", "pkg-config"]);
        check("dbus installed\nlibdbus-1-dev installed\npkg-config installed\n", &[]);
        check("dbus config-files\npkg-config installed\n", &["dbus", "libdbus-1-dev"]);
        check("dbus-user-session installed\n", &["dbus", "libdbus-1-dev", "pkg-config"]);
    }

    #[test]
    fn systems_without_apt_are_told_what_to_do() {
        assert_eq!(advice("linux"), None);
        assert!(advice("macos").is_some_and(|text| text.contains("xcode-select")));
        assert!(advice("windows").is_some_and(|text| text.contains("Visual Studio")));
    }
}
