//! What every handler shares.

use crate::{guard::Guard, live::Live, retention::RetentionConfig, store::Store};
use protocol::key::SigningKey;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;

/// The server's parts; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) live: Arc<Live>,
    /// Signs chain heads.
    pub(crate) key: Arc<SigningKey>,
    pub(crate) guard: Arc<Guard>,
    /// The names by which devices reach the server; any, if empty.
    pub(crate) authorities: Arc<[String]>,
    pub(crate) retention: RetentionConfig,
    pub(crate) request_timeout: Duration,
    /// Cancelled when the server shuts down: streams end then.
    pub(crate) shutdown: CancellationToken,
}

/// The server's wall clock, Unix milliseconds: read once a request, at its edge.
pub(crate) fn unix_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
