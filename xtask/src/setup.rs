//! What the machine must have beside Rust and a C compiler.

use crate::project::{TaskError, start_error, succeed};
use std::{
    env, io,
    process::{Command, Stdio},
};

/// What a machine is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Build and run, the demo included.
    Run,
    /// Run all tests, too.
    Test,
}

/// Debian packages, what each is for, and who needs it.
const PACKAGES: [(&str, &str, Use); 6] = [
    ("dbus", "the private bus that simulated wearables live on", Use::Run),
    ("libdbus-1-dev", "Bluetooth on Linux speaks D-Bus through it", Use::Run),
    ("pkg-config", "tells the compiler where it is", Use::Run),
    (POSTGRES, "the tests of the store run on it, too", Use::Test),
    ("python3-aiosmtpd", "the tests of e-mail send to it", Use::Test),
    ("python3-venv", "the peers of the contract's test and of the benches are Python", Use::Test),
];
/// The distribution's own version: the name of each version is offered by some releases only.
const POSTGRES: &str = "postgresql";
/// The oldest version that the tests run on.
const OLDEST_POSTGRES: u32 = 15;

const OTHER_LINUX: &str = "\
this Linux has no apt, so install by its own means what gives:
  * the program dbus-daemon       (Fedora: dbus-daemon, Arch: dbus)
  * the headers of libdbus-1      (Fedora: dbus-devel, Arch: dbus)
  * the program pkg-config        (Fedora: pkgconf-pkg-config, Arch: pkgconf)
  * PostgreSQL 15 or later, for tests of the server: without it they say \"skipped\"";

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
    let missing = missing(Use::Test)?;
    if missing.is_empty() {
        println!("setup: this machine has all it needs ({})", names(&wanted(Use::Test)));
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
pub fn ensure(what_for: Use) -> Result<(), TaskError> {
    if advice(env::consts::OS).is_some() {
        return Ok(());
    }
    let missing = missing(what_for)?;
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

fn wanted(what_for: Use) -> Vec<&'static str> {
    let wanted = PACKAGES.iter().filter(|(.., needed)| *needed <= what_for);
    wanted.map(|(name, ..)| *name).collect()
}

fn names(packages: &[&str]) -> String {
    packages.join(", ")
}

fn missing(what_for: Use) -> Result<Vec<&'static str>, TaskError> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"]);
    query.args(wanted(what_for)).arg(format!("{POSTGRES}-*"));
    // It exits with 1 when it does not know a package; what it does know it still prints.
    match query.stderr(Stdio::null()).output() {
        Ok(output) => Ok(not_installed(&String::from_utf8_lossy(&output.stdout), what_for)),
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
fn not_installed(listed: &str, what_for: Use) -> Vec<&'static str> {
    let installed: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, status)| *status == "installed")
        .map(|(name, _)| name)
        .collect();
    let new_postgres = |name: &&str| {
        let version = name.strip_prefix(POSTGRES).and_then(|rest| rest.strip_prefix('-'));
        version.and_then(|version| version.parse().ok()).is_some_and(|v: u32| v >= OLDEST_POSTGRES)
    };
    let has_postgres = installed.iter().any(new_postgres);
    let is_there = |name: &str| installed.contains(&name) || (name == POSTGRES && has_postgres);
    wanted(what_for).into_iter().filter(|name| !is_there(name)).collect()
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
    for (name, reason, _) in PACKAGES.iter().filter(|(name, ..)| packages.contains(name)) {
        eprintln!("setup: installing {name}: {reason}");
    }
    install_packages(packages)
}

/// Installs Debian packages.
///
/// # Errors
/// When apt cannot.
pub fn install_packages(packages: &[&str]) -> Result<(), TaskError> {
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

/// Whether we are the superuser.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what_for: Use, listed: &str, expected: &[&str]) {
        assert_eq!(not_installed(listed, what_for), expected, "{listed:?}");
    }

    #[test]
    fn only_installed_packages_count() {
        let all = [
            "dbus",
            "libdbus-1-dev",
            "pkg-config",
            "postgresql",
            "python3-aiosmtpd",
            "python3-venv",
        ];
        check(Use::Test, "", &all);
        check(Use::Test, "dbus-user-session installed\n", &all);
        check(
            Use::Test,
            "dbus config-files\npkg-config installed\n",
            &["dbus", "libdbus-1-dev", "postgresql", "python3-aiosmtpd", "python3-venv"],
        );
    }

    #[test]
    fn the_demo_needs_nothing_of_the_tests() {
        check(Use::Run, "", &["dbus", "libdbus-1-dev", "pkg-config"]);
        check(Use::Run, "dbus installed\nlibdbus-1-dev installed\npkg-config installed\n", &[]);
    }

    #[test]
    fn any_postgresql_that_is_new_enough_will_do() {
        let rest = "dbus installed\nlibdbus-1-dev installed\npkg-config installed\n\
            python3-aiosmtpd installed\npython3-venv installed\n";
        let with = |line: &str| format!("{rest}{line}\n");
        check(Use::Test, &with("postgresql installed"), &[]);
        check(Use::Test, &with("postgresql-15 installed"), &[]);
        check(Use::Test, &with("postgresql-17 installed"), &[]);
        check(Use::Test, &with("postgresql-13 installed"), &["postgresql"]);
        check(Use::Test, &with("postgresql-17 config-files"), &["postgresql"]);
        check(Use::Test, &with("postgresql-client-17 installed"), &["postgresql"]);
        check(Use::Test, &with("postgresql-17-timescaledb installed"), &["postgresql"]);
    }

    #[test]
    fn systems_without_apt_are_told_what_to_do() {
        assert_eq!(advice("linux"), None);
        assert!(advice("macos").is_some_and(|text| text.contains("xcode-select")));
        assert!(advice("windows").is_some_and(|text| text.contains("Visual Studio")));
    }
}
