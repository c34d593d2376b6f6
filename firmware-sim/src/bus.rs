//! A D-Bus of one's own: a `dbus-daemon` that only this process's user can reach, gone with its
//! value. One for each test, so that tests run side by side.

use std::{
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use thiserror::Error;

/// A running private bus.
///
/// Point a Bluetooth client of the system bus at it by setting `DBUS_SYSTEM_BUS_ADDRESS` to
/// [`PrivateBus::address`] before its first connection; setting variables is the caller's business.
///
/// # Examples
/// ```no_run
/// let bus = firmware_sim::bus::PrivateBus::start()?;
/// println!("DBUS_SYSTEM_BUS_ADDRESS={}", bus.address());
/// # Ok::<(), firmware_sim::bus::BusError>(())
/// ```
#[derive(Debug)]
pub struct PrivateBus {
    daemon: Child,
    address: String,
    /// Holds configuration and socket; removed after the daemon is gone.
    _folder: TempDir,
}

/// Why there is no private bus.
#[derive(Debug, Error)]
pub enum BusError {
    /// Its program is not installed.
    #[error("dbus-daemon is not installed: run `cargo xtask setup` (Debian package: dbus)")]
    NotInstalled,
    /// The operating system refused.
    #[error("the private D-Bus could not be started: {0}")]
    Io(#[from] io::Error),
    /// It ended at once.
    #[error("dbus-daemon ended before it listened: {0}")]
    Ended(String),
}

impl PrivateBus {
    /// Starts a bus. Blocks for the few milliseconds until it listens.
    ///
    /// # Errors
    /// [`BusError`] when `dbus-daemon` is missing or does not come up.
    pub fn start() -> Result<Self, BusError> {
        let folder = tempfile::Builder::new().prefix("attune-bus-").tempdir()?;
        let config = folder.path().join("bus.conf");
        let socket = folder.path().join("socket");
        std::fs::write(&config, configuration(&socket.display().to_string()))?;
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => BusError::NotInstalled,
                _ => BusError::Io(error),
            })?;
        let mut address = String::new();
        if let Some(stdout) = daemon.stdout.take() {
            BufReader::new(stdout).read_line(&mut address)?;
        }
        let address = address.trim().to_owned();
        if address.is_empty() {
            let mut said = String::new();
            if let Some(mut stderr) = daemon.stderr.take() {
                stderr.read_to_string(&mut said)?;
            }
            daemon.wait()?;
            return Err(BusError::Ended(said.trim().to_owned()));
        }
        Ok(Self { daemon, address, _folder: folder })
    }

    /// Its address, as `DBUS_SYSTEM_BUS_ADDRESS` takes it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        // Both fail only when the daemon is gone already, which is what is wanted.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Everyone who reaches the socket may own any name and talk to anyone; its folder is the user's.
fn configuration(socket: &str) -> String {
    let socket = socket.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <keep_umask/>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"#
    )
}
