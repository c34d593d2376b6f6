//! What a person can choose about the server.

use crate::retention::RetentionConfig;
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
    /// Devices sign what they send, but **the page is open to whoever reaches this address**: keep
    /// it on loopback, or put something in front that authenticates readers of the page and speaks
    /// TLS.
    pub listen: SocketAddr,
    /// The folder of the database; made if it is not there.
    pub data_dir: PathBuf,
    /// How long one request may take, milliseconds, at least 1. Streams are exempt.
    pub request_timeout_ms: u64,
    /// The names, with port where it is not the scheme's, by which devices reach the server: a
    /// request that was signed for another is refused. Empty: any name, so that a request to
    /// another server of the same device could be repeated here.
    pub authorities: Vec<String>,
    /// How long what is kept.
    pub retention: RetentionConfig,
}

/// Loopback only: the page shows derived values to whoever reaches it.
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
            authorities: Vec::new(),
            retention: RetentionConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c16_an_older_file_and_a_part_of_the_retention_are_enough() {
        let older: Config = serde_json::from_str(r#"{"data_dir": "d"}"#).unwrap();
        assert_eq!(older, Config { data_dir: "d".into(), ..Config::default() });
        let part: Config = serde_json::from_str(r#"{"retention": {"derived_days": 7}}"#).unwrap();
        assert_eq!(part.retention, RetentionConfig { derived_days: 7, ..Default::default() });
        assert!(serde_json::from_str::<Config>(r#"{"retention": {"days": 7}}"#).is_err());
    }
}
