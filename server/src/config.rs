//! What a person can choose about the server.

use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// The settings of a server. Every one has a default, so that an empty file is a valid one.
///
/// # Examples
/// ```
/// let config = server::Config { data_dir: "/var/lib/attune".into(), ..Default::default() };
/// assert!(config.listen.ip().is_loopback());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    ///
    /// **Devices are not authenticated yet.** Whoever reaches this address can report, and can
    /// read the page: keep it on loopback, or put something in front of it that authenticates.
    pub listen: SocketAddr,
    /// The folder of the database; made if it is not there.
    pub data_dir: PathBuf,
    /// How long one request may take, milliseconds, at least 1. Streams are exempt.
    pub request_timeout_ms: u64,
}

/// Loopback only, until devices are authenticated.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);
/// Ten times what a full batch takes on a slow disk.
const DEFAULT_REQUEST_TIMEOUT_MS: u64 = 10_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            data_dir: "attune-data".into(),
            request_timeout_ms: DEFAULT_REQUEST_TIMEOUT_MS,
        }
    }
}
