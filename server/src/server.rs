//! The server as a value: bind it, run it, ask it.

use crate::{
    Config, Counters, api,
    app::{App, unix_ms},
    guard::Guard,
    live::Live,
    retention,
    server_key::{self, ServerKeyError},
    store::{Expired, Finished, Store, StoreError},
};
use axum::Router;
use protocol::log;
use std::{
    future::{Future, IntoFuture},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long requests under way may take to end once the server shuts down.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Why the server cannot run.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server's own key cannot be used.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
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
    app: App,
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
            log!(warn, "listening beyond loopback: the page is open to whoever reaches it");
        }
        let store = Store::open(&config.data_dir).await?;
        let key = server_key::load_or_make(&config.data_dir)?;
        finish_erasures(&store).await?;
        let authorities = config.authorities.iter().map(|name| name.to_ascii_lowercase());
        let app = App {
            live: Arc::new(Live::load(&store).await?),
            store,
            key: Arc::new(key),
            guard: Arc::new(Guard::default()),
            authorities: authorities.collect(),
            retention: config.retention,
            request_timeout: Duration::from_millis(config.request_timeout_ms.max(1)),
            shutdown: CancellationToken::new(),
        };
        retention::run(&app, unix_ms()).await?;
        Ok(Self { listener, address, app })
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

    /// Answers until `shutdown` is ready, then ends the streams, lets requests under way end, for
    /// five seconds at most, and closes the database.
    ///
    /// # Errors
    /// [`ServerError::Socket`] when the listening socket failed.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let router = self.router();
        let app = self.app;
        let stop = app.shutdown.clone();
        let ageing = tokio::spawn(stop.clone().run_until_cancelled_owned(age(app.clone())));
        let mut serving = axum::serve(self.listener, router)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .into_future();
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = pin!(shutdown) => {
                stop.cancel();
                // What is left after the grace is cut off from the database below.
                tokio::time::timeout(SHUTDOWN_GRACE, serving).await.unwrap_or(Ok(()))
            }
        };
        stop.cancel();
        // It ends at once, or when the step that it is in has.
        let _ = ageing.await;
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

/// Runs a server until `shutdown` is ready.
///
/// # Errors
/// [`ServerError`].
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
    Server::bind(config).await?.run_until(shutdown).await
}
