//! What a person can choose about the server.

use crate::{
    conversion::ConversionConfig,
    delivery::DeliveryConfig,
    ops::{
        limits::Rate,
        telemetry::{LogConfig, TracesConfig},
    },
    orders::config::OrdersConfig,
    retention::RetentionConfig,
    store::{DatabaseUrl, Location},
};
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
    /// Devices sign what they send, and programs show keys, over whatever connection they have: put
    /// something in front that speaks TLS where it leaves the machine.
    pub listen: SocketAddr,
    /// The folder of the keys and of the embedded database; made if it is not there.
    pub data_dir: PathBuf,
    /// The main database, if it is PostgreSQL (15 or newer): `postgres://user@host/name`, with
    /// `?sslmode=verify-full` beyond this machine. The keys stay in the folder.
    pub database: Option<DatabaseUrl>,
    /// How long one request may take, milliseconds, at least 1. Streams are exempt.
    pub request_timeout_ms: u64,
    /// The names, with port where it is not the scheme's, by which devices reach the server: a
    /// request that was signed for another is refused. Empty: any name, so that a request to
    /// another server of the same device could be repeated here.
    pub authorities: Vec<String>,
    /// How conversions are predicted.
    pub conversion: ConversionConfig,
    /// How orders are proposed.
    pub orders: OrdersConfig,
    /// The ways to people.
    pub delivery: DeliveryConfig,
    /// A folder of CSV files with circumstances of places, `place,name,event_timestamp,number`: read
    /// at the start and every ten minutes.
    pub context_dir: Option<PathBuf>,
    /// How often somebody may ask.
    pub limits: LimitsConfig,
    /// How the server ends.
    pub shutdown: ShutdownConfig,
    /// How log lines read.
    pub log: LogConfig,
    /// Where traces go.
    pub traces: TracesConfig,
    /// The file of the feature definitions, TOML; those that come with Attune, if absent.
    pub feature_definitions: Option<PathBuf>,
    /// How long what is kept.
    pub retention: RetentionConfig,
}

/// How the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long the server still answers after it was asked to end, while `/readyz` says that it is
    /// not ready, milliseconds: as long as whoever spreads requests takes to see that.
    pub drain_ms: u64,
    /// How long requests under way, and then background work, may take to end, milliseconds.
    pub grace_ms: u64,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain_ms: 0, grace_ms: 5_000 }
    }
}

/// How often somebody may ask; beyond, they are told to wait (429).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// An operator's key.
    pub key: Rate,
    /// An address without one: the page, health, wrong keys.
    pub address: Rate,
    /// An address, for what devices sign. Many devices may share one.
    pub device: Rate,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            key: Rate { per_second: 500, burst: 1_000 },
            address: Rate { per_second: 50, burst: 200 },
            device: Rate { per_second: 500, burst: 2_000 },
        }
    }
}

/// Loopback only: what leaves the machine should go through something that speaks TLS.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);
/// Ten times what a full batch takes on a slow disk.
const DEFAULT_REQUEST_TIMEOUT_MS: u64 = 10_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            data_dir: "attune-data".into(),
            database: None,
            request_timeout_ms: DEFAULT_REQUEST_TIMEOUT_MS,
            authorities: Vec::new(),
            conversion: ConversionConfig::default(),
            orders: OrdersConfig::default(),
            delivery: DeliveryConfig::default(),
            context_dir: None,
            limits: LimitsConfig::default(),
            shutdown: ShutdownConfig::default(),
            log: LogConfig::default(),
            traces: TracesConfig::default(),
            feature_definitions: None,
            retention: RetentionConfig::default(),
        }
    }
}

impl Config {
    /// Where the data is.
    #[must_use]
    pub fn location(&self) -> Location {
        Location { folder: self.data_dir.clone(), database: self.database.clone() }
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
