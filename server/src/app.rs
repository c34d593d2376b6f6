//! What every handler shares.

use crate::{
    conversion::Conversion,
    features::Features,
    guard::Guard,
    intake::Follow,
    live::Live,
    ops::Ops,
    orders::service::Orders,
    retention::RetentionConfig,
    store::{Removed, Store, StoreError},
};
use protocol::{key::SigningKey, log};
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The server's parts. Every layer and every handler of a request has one: a clone is one count.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

/// What clones share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) live: Arc<Live>,
    /// What everybody's features are.
    pub(crate) features: Arc<Features>,
    /// Hears of every fact that is stored.
    pub(crate) follow: Arc<dyn Follow>,
    /// Signs chain heads.
    pub(crate) key: SigningKey,
    pub(crate) guard: Guard,
    /// The names by which devices reach the server; any, if empty.
    pub(crate) authorities: Vec<String>,
    pub(crate) retention: RetentionConfig,
    pub(crate) request_timeout: Duration,
    /// Who predicts.
    pub(crate) conversion: Arc<Conversion>,
    /// Who proposes.
    pub(crate) orders: Arc<Orders>,
    /// Keys, limits, metrics, background work.
    pub(crate) ops: Arc<Ops>,
    /// Cancelled when the server shuts down: streams end then. That of [`Ops::tasks`].
    pub(crate) shutdown: CancellationToken,
}

impl From<Shared> for App {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// By how much this process's clock is ahead of the machine's, milliseconds: nothing, but in a
/// rehearsal.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

/// The server's wall clock, Unix milliseconds: read once a request, at its edge.
pub(crate) fn unix_ms() -> i64 {
    machine_unix_ms().saturating_add(AHEAD_MS.load(Ordering::Relaxed))
}

/// Sets the clock of this process, from where it goes on.
pub(crate) fn set_clock(unix_ms: i64) {
    AHEAD_MS.store(unix_ms.saturating_sub(machine_unix_ms()), Ordering::Relaxed);
}

fn machine_unix_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

impl App {
    /// What is to be done once people have been erased: pages that show them learn of it, and what
    /// the database still wrote ahead goes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn erased(&self, people: &[Uuid], removed: Removed) -> Result<(), StoreError> {
        self.live.erased(people, removed);
        people.iter().for_each(|person| self.orders.desk.in_app().changed(*person));
        if !self.store.checkpoint().await? {
            log!(warn, "a reader kept the write-ahead log from being emptied after an erasure");
        }
        Ok(())
    }
}
