//! Orders in a running server: the desk, and what its settings make of it.

use super::{
    config::{OrdersConfig, OrdersConfigError},
    desk::Desk,
    life::Rules,
    pass::Passes,
    shop::{Shop, ShopError, Webhook},
    signing::Signer,
    threshold::Costs,
    wording::{Wording, WordingError},
};
use crate::{
    app::unix_ms,
    delivery::{DeliveryConfig, DeliveryError},
    ops::tasks::Tasks,
    store::Store,
};
use models::confidence::Wanted;
use protocol::log;
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often the desk looks for orders whose time has come, if nobody told it of one.
const EVERY: Duration = Duration::from_secs(1);

/// Why orders cannot be run.
#[derive(Debug, Error)]
pub enum OrdersError {
    /// Settings that cannot be.
    #[error(transparent)]
    Config(#[from] OrdersConfigError),
    /// A way to people cannot be used.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// A template does not do.
    #[error(transparent)]
    Wording(#[from] WordingError),
    /// The shop cannot be used.
    #[error(transparent)]
    Shop(#[from] ShopError),
}

/// The orders of a running server.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) config: OrdersConfig,
    pub(crate) desk: Desk,
    pub(crate) rules: Rules,
    pub(crate) costs: Costs,
    pub(crate) wanted: Wanted,
    /// Knows the links of messages again.
    pub(crate) signer: Signer,
    /// Knows the addresses of pages again.
    pub(crate) passes: Passes,
    /// Told when an order wants something.
    pub(crate) wake: Notify,
}

impl Orders {
    /// By the settings. `secret` makes links.
    ///
    /// # Errors
    /// [`OrdersError`] names the setting that does not do.
    pub(crate) fn new(
        config: OrdersConfig,
        delivery: &DeliveryConfig,
        secret: &[u8; 32],
    ) -> Result<Self, OrdersError> {
        let shop: Option<Arc<dyn Shop>> = match &config.shop {
            Some(shop) => Some(Arc::new(Webhook::new(shop, || unix_ms() / 1_000)?)),
            None => None,
        };
        let base = config.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let links = base.map(|base| (base, Signer::new(secret)));
        let wording = Wording::new(config.wording_dir.as_deref(), links)?;
        Ok(Self {
            desk: Desk::new(shop, delivery.channels()?, wording),
            rules: config.rules()?,
            costs: config.costs()?,
            wanted: config.wanted()?,
            signer: Signer::new(secret),
            passes: Passes::new(secret),
            wake: Notify::new(),
            config,
        })
    }
}

/// Starts what orders need to be done for them.
pub(crate) fn start(tasks: &Tasks, orders: &Arc<Orders>, store: &Store) {
    let (orders, store) = (Arc::clone(orders), store.clone());
    tasks.spawn_with(|stop| attend(orders, store, stop));
}

/// Does what orders want, as soon as they do.
async fn attend(orders: Arc<Orders>, store: Store, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = orders.wake.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        loop {
            match orders.desk.round(&store, unix_ms()).await {
                Ok(0) => break,
                Ok(_) if stop.is_cancelled() => return,
                Ok(_) => {}
                Err(error) => {
                    log!(error, "orders were not attended to; tried again later", error);
                    break;
                }
            }
        }
    }
}
