//! The server as a value: bind it, run it, ask it.

use crate::{
    Config, Counters, ShutdownConfig, api,
    app::{App, Shared, unix_ms},
    conversion::{Conversion, Crossing, LoadError, work},
    features::{self, Features, FeaturesError},
    guard::Guard,
    intake::{self, Follow},
    live::Live,
    ops::{Ops, metrics::Metrics, ring::USE_EVERY},
    orders::{
        service::{Ending, Orders, OrdersError},
        work as order_work,
    },
    rehearsal::Attendant,
    retention,
    server_key::{self, ServerKeyError},
    store::{Expired, Finished, Store, StoreError},
    work::training::Source,
};
use axum::Router;
use protocol::log;
use std::{
    future::{Future, IntoFuture},
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Why the server cannot run.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The feature definitions cannot be used.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// The server's own key cannot be used.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
    /// The models that predict cannot be used.
    #[error(transparent)]
    Conversion(#[from] LoadError),
    /// Orders cannot be run by these settings.
    #[error(transparent)]
    Orders(#[from] OrdersError),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}; choose another address or end what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The listening socket failed.
    #[error("the server's socket failed: {0}; start the server again")]
    Socket(#[from] io::Error),
}

/// A server that listens, though it answers only once it runs.
///
/// # Examples
/// ```
/// # async fn example() -> Result<(), server::ServerError> {
/// let config = server::Config { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
/// let server = server::Server::bind(config).await?;
/// println!("{}", server.url());
/// let monitor = server.monitor();
/// let stop = tokio_util::sync::CancellationToken::new();
/// let running = tokio::spawn(server.run_until(stop.clone().cancelled_owned()));
/// // ... devices report ...
/// println!("{} events stored", monitor.counters().events);
/// stop.cancel();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    facts: Source,
    app: App,
    ending: ShutdownConfig,
    context_dir: Option<PathBuf>,
}

/// Reads a server's counters while it runs; clones read the same server.
#[derive(Debug, Clone)]
pub struct Monitor {
    live: Arc<Live>,
}

impl Monitor {
    /// What was stored and refused up to now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.live.counters()
    }
}

impl Server {
    /// Opens the database and the listening socket.
    ///
    /// # Errors
    /// [`ServerError`] when either cannot be used.
    pub async fn bind(config: Config) -> Result<Self, ServerError> {
        let address = config.listen;
        let failed = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() {
            log!(warn, "listening beyond loopback: keys need TLS in front");
        }
        let store = Store::open_as_server(&config.location()).await?;
        let key = server_key::load_or_make(&config.data_dir)?;
        finish_erasures(&store).await?;
        end_requests(&store).await?;
        let authorities = config.authorities.iter().map(|name| name.to_ascii_lowercase());
        let live = Arc::new(Live::load(&store).await?);
        let metrics = Metrics::new(Arc::clone(&live), store.load(), config.data_dir.clone());
        let definitions = features::definitions(config.feature_definitions.as_deref())?;
        let features = Arc::new(Features::load(&store, definitions).await?);
        let conversion =
            Conversion::load(&store, config.conversion, Arc::clone(&features), metrics.scoring())
                .await?;
        let links = server_key::links_secret(&config.data_dir)?;
        let follow: Arc<dyn Follow> = Arc::new(Ending(Arc::clone(&features) as Arc<dyn Follow>));
        let orders = Orders::load(
            &store,
            config.orders,
            &config.delivery,
            features.definitions(),
            Arc::clone(&follow),
            &links,
        )
        .await?;
        let ops = Ops::new(config.limits, metrics);
        let app = App::from(Shared {
            conversion: Arc::new(conversion),
            orders: Arc::new(orders),
            live,
            follow,
            features,
            store,
            key,
            guard: Guard::default(),
            authorities: authorities.collect(),
            retention: config.retention,
            request_timeout: Duration::from_millis(config.request_timeout_ms.max(1)),
            shutdown: ops.tasks.stop().clone(),
            ops: Arc::new(ops),
        });
        retention::run(&app, unix_ms()).await?;
        let (ending, context_dir) = (config.shutdown, config.context_dir);
        let database = config.database.map(|url| ("ATTUNE_DATABASE", url.0));
        let definitions = config
            .feature_definitions
            .map(|file| ("ATTUNE_FEATURE_DEFINITIONS", file.to_string_lossy().into_owned()));
        let environment = database.into_iter().chain(definitions).collect();
        let facts = Source { folder: config.data_dir, environment };
        Ok(Self { listener, address, facts, app, ending, context_dir })
    }

    /// The address it listens on, with the port that was chosen.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The same as the base of URLs, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether an operator's key was ever made; until then, nobody can ask for predictions.
    ///
    /// # Errors
    /// [`ServerError::Store`].
    pub async fn has_keys(&self) -> Result<bool, ServerError> {
        Ok(self.app.ops.ring.any(&self.app.store).await?)
    }

    /// Everybody whose probability comes to the crossing from now on: what content is delivered by.
    #[must_use]
    pub fn crossings(&self) -> tokio::sync::broadcast::Receiver<Crossing> {
        self.app.conversion.crossings()
    }

    /// What has it attend to its orders, to keep while it runs: for rehearsals.
    #[must_use]
    pub fn attendant(&self) -> Attendant {
        Attendant(self.app.clone())
    }

    /// A reader of its counters, to keep while it runs.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        Monitor { live: Arc::clone(&self.app.live) }
    }

    /// Deletes what has reached its age at a time, as the running server does every hour.
    ///
    /// # Errors
    /// [`ServerError::Store`].
    pub async fn run_retention(&self, now_unix_ms: i64) -> Result<Expired, ServerError> {
        Ok(retention::run(&self.app, now_unix_ms).await?)
    }

    /// All its routes, to be served by another axum application or asked without a socket.
    pub fn router(&self) -> Router {
        api::router(self.app.clone())
    }

    /// Answers until `shutdown` is ready. Then it says that it is not ready while it still answers,
    /// for as long as [`ShutdownConfig::drain_ms`]; ends the streams and lets requests and
    /// background work under way end, for [`ShutdownConfig::grace_ms`] each at most; and closes the
    /// database.
    ///
    /// # Errors
    /// [`ServerError::Socket`] when the listening socket failed.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let router = self.router();
        let app = self.app;
        let stop = app.shutdown.clone();
        let grace = Duration::from_millis(self.ending.grace_ms);
        app.ops.tasks.spawn(age(app.clone()));
        app.ops.tasks.spawn(keep_profiles(app.clone()));
        if let Some(folder) = self.context_dir {
            let provider = Box::new(intake::Folder::new(folder));
            app.ops.tasks.spawn(intake::keep_context(app.store.clone(), provider, unix_ms));
        }
        self.facts.remove_left();
        order_work::start(&app.ops, &app.orders, &app.store, self.facts.clone());
        work::start(&app.ops.tasks, &app.conversion, &app.store, self.facts);
        app.ops.tasks.spawn_with(|stop| note_uses(app.clone(), stop));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let mut serving = axum::serve(self.listener, service)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .into_future();
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = pin!(shutdown) => {
                app.ops.draining.cancel();
                let drain = Duration::from_millis(self.ending.drain_ms);
                // Still answers: whoever spreads requests has to see that it is not ready.
                let _ = tokio::time::timeout(drain, &mut serving).await;
                stop.cancel();
                // What is left after the grace is cut off from the database below.
                tokio::time::timeout(grace, serving).await.unwrap_or(Ok(()))
            }
        };
        stop.cancel();
        app.ops.tasks.finish(grace).await;
        app.guard.flush(&app.store, unix_ms()).await;
        app.store.close().await;
        Ok(ended?)
    }
}

/// Deletes what has reached its age, every hour.
async fn age(app: App) {
    loop {
        tokio::time::sleep(retention::EVERY).await;
        if let Err(error) = retention::run(&app, unix_ms()).await {
            log!(error, "what has reached its age was not deleted; tried again later", error);
        }
        app.guard.flush(&app.store, unix_ms()).await;
    }
}

/// How often it is seen whether more is known of places.
const PLACES_EVERY: Duration = Duration::from_secs(60);

/// Makes profiles anew if the definitions are others than they were; then looks at places.
async fn keep_profiles(app: App) {
    let rebuilt = app.features.rebuild_all(&app.store, &app.shutdown, unix_ms()).await;
    if let Err(error) = rebuilt {
        log!(error, "profiles were not made anew; tried again at the next start", error);
    }
    loop {
        tokio::time::sleep(PLACES_EVERY).await;
        if let Err(error) = app.features.refresh_surroundings(&app.store).await {
            log!(warn, "what is known of places was not read; tried again later", error);
        }
    }
}

/// Writes down when keys were last used, every minute and at the end.
async fn note_uses(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let _ = tokio::time::timeout(USE_EVERY, stop.cancelled()).await;
        app.ops.ring.flush(&app.store).await;
    }
}

/// What a crash cut short, or a restored backup undid.
async fn finish_erasures(store: &Store) -> Result<(), StoreError> {
    let unreadable_rows = store.unreadable_rows().await?;
    let Finished { people, keys } = store.finish_erasures(unix_ms()).await?;
    if unreadable_rows > 0 {
        log!(warn, "rows were found whose key is gone: they cannot be read", unreadable_rows);
    }
    if people > 0 || keys > 0 {
        log!(warn, "erasures were finished that a crash or a backup had undone", people, keys);
    }
    Ok(())
}

/// What a crash broke off says so: nothing runs yet.
async fn end_requests(store: &Store) -> Result<(), StoreError> {
    let requests = store.break_requests(None).await?;
    if requests > 0 {
        log!(warn, "requests broke off when the server ended: they are to be sent again", requests);
    }
    Ok(())
}

/// Runs a server until `shutdown` is ready.
///
/// # Errors
/// [`ServerError`].
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
    Server::bind(config).await?.run_until(shutdown).await
}
