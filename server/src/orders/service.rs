//! Orders in a running server: the desk, and what its settings make of it.

use super::{
    config::{OrdersConfig, OrdersConfigError},
    desk::{Desk, end_all_in},
    life::{Actor, Rules, Withdrawn},
    model::{Serving, ServingError},
    pass::Passes,
    shop::{Shop, ShopError, Webhook},
    signing::Signer,
    threshold::Costs,
    wording::{Wording, WordingError},
};
use crate::{
    app::unix_ms,
    delivery::{DeliveryConfig, DeliveryError},
    intake::{Effects, Follow},
    store::{Store, StoreError, Writing},
};
use futures::future::BoxFuture;
use models::{confidence::Wanted, profile::Definitions, reorder};
use std::sync::{Arc, RwLock};
use thiserror::Error;
use tokio::sync::Notify;

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
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
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
    /// Told when everybody's needs are to be looked at.
    pub(crate) wake_look: Notify,
    /// Told when a model is to be trained.
    pub(crate) wake_training: Notify,
    pub(super) serving: RwLock<Option<Arc<Serving>>>,
    /// The zone that days are counted in, minutes east of Greenwich.
    utc_offset_minutes: i16,
}

impl Orders {
    /// By the settings, with the model that the database says is at work. `secret` makes links;
    /// `follow` hears of what was bought.
    ///
    /// # Errors
    /// [`OrdersError`] names the setting that does not do.
    pub(crate) async fn load(
        store: &Store,
        config: OrdersConfig,
        delivery: &DeliveryConfig,
        definitions: &Definitions,
        follow: Arc<dyn Follow>,
        secret: &[u8; 32],
    ) -> Result<Self, OrdersError> {
        let shop: Option<Arc<dyn Shop>> = match &config.shop {
            Some(shop) => Some(Arc::new(Webhook::new(shop, || unix_ms() / 1_000)?)),
            None => None,
        };
        let base = config.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let links = base.map(|base| (base, Signer::new(secret)));
        let wording = Wording::new(config.wording_dir.as_deref(), links)?;
        let desk = Desk::new(shop, delivery.channels()?, wording).recording(follow);
        let orders = Self {
            desk,
            rules: config.rules()?,
            costs: config.costs()?,
            wanted: config.wanted()?,
            signer: Signer::new(secret),
            passes: Passes::new(secret),
            wake: Notify::new(),
            wake_look: Notify::new(),
            wake_training: Notify::new(),
            serving: RwLock::default(),
            utc_offset_minutes: definitions.utc_offset_minutes(),
            config,
        };
        match orders.refresh(store, unix_ms()).await {
            Ok(()) => Ok(orders),
            Err(ServingError::Store(error)) => Err(error.into()),
            // `refresh` says so of what cannot be read, and goes on without.
            Err(ServingError::Bundle(_)) => Ok(orders),
        }
    }

    /// The day that a time is in, since 1970-01-01.
    pub(crate) fn day_of(&self, unix_ms: i64) -> i32 {
        reorder::day_of(unix_ms, self.utc_offset_minutes)
    }
}

/// Hears of what is stored, and ends the orders of whom less may be known than before: who withdrew
/// consent is not sold anything on the strength of it.
#[derive(Debug)]
pub(crate) struct Ending(pub(crate) Arc<dyn Follow>);

impl Follow for Ending {
    fn follow<'a>(
        &'a self,
        writing: &'a mut Writing,
        effects: &'a Effects,
        now_unix_ms: i64,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.0.follow(writing, effects, now_unix_ms).await?;
            for root in &effects.forgotten {
                let because = Withdrawn::Consent;
                end_all_in(writing, *root, because, &Actor::Timer, now_unix_ms).await?;
            }
            Ok(())
        })
    }
}
