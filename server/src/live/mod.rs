//! What arrived, as it arrives: the page at `/` and its stream at `/live`.
//!
//! The page is five panels rendered here. The stream sends a panel again, whole, when it changed;
//! the page's script does nothing but put it in place. So the page after a reload, after a restart
//! and after an hour of streaming is made by the same code from the same state.

mod board;
mod session;
mod text;
mod view;

use crate::{
    api::ApiError,
    app::App,
    counters::Counters,
    ingest::{TakenBatch, TakenConsents},
    page,
    store::{Cutoffs, Expired, Removed, Store, StoreError},
};
use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::header,
    response::{
        Html, IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use board::Board;
use futures::{Stream, StreamExt, stream};
use protocol::problem::{ErrorCode, Problem};
use serde::Serialize;
pub(crate) use session::COOKIE;
use session::{Sessions, Viewer};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use view::{PANELS, Panels};

/// Least time between two updates of a page: calm to read, and little work when much arrives.
const LEAST_PAUSE: Duration = Duration::from_millis(250);
/// Most pages that stream at once: each costs a connection and a rendering per update.
const MOST_STREAMS: usize = 64;
/// How long a page may stream before it is asked again who it is.
const LONGEST_STREAM: Duration = Duration::from_secs(10 * 60);
/// Events read back at start: a few minutes of every session on the board.
const EVENTS_AT_START: u32 = 4_000;
/// Rows of other kinds read back at start.
const ROWS_AT_START: u32 = 50;

/// The board, and who watches it.
#[derive(Debug)]
pub(crate) struct Live {
    board: Mutex<Board>,
    changes: watch::Sender<()>,
    streams: Arc<Semaphore>,
    /// Who signed in to the page.
    sessions: Sessions,
}

impl Live {
    /// The board as the database has it.
    pub(crate) async fn load(store: &Store) -> Result<Self, StoreError> {
        let mut board = Board::default();
        for record in store.recent_consents(ROWS_AT_START).await? {
            board.consent(&record);
        }
        for event in store.recent_events(EVENTS_AT_START).await? {
            board.event(&event);
        }
        board.counters = Counters::starting_with(store.totals().await?);
        let streams = Arc::new(Semaphore::new(MOST_STREAMS));
        Ok(Self {
            board: Mutex::new(board),
            changes: watch::Sender::new(()),
            streams,
            sessions: Sessions::default(),
        })
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().counters
    }

    pub(crate) fn consent(&self, taken: &TakenConsents) {
        self.change(|board| {
            board.counters.duplicates += taken.known;
            board.counters.consents += taken.stored;
            board.counters.remove(taken.removed);
            let Some(in_force) = &taken.in_force else { return };
            if taken.stored > 0 {
                board.consent(in_force);
            }
            if let Some(epoch) = taken.withdrawn {
                board.forget(in_force.person, in_force.device, epoch);
            }
        });
    }

    pub(crate) fn events(&self, taken: &TakenBatch) {
        self.change(|board| {
            taken.verdicts.iter().for_each(|item| board.counters.count_rest(&item.verdict));
            board.counters.events += taken.stored.len() as u64;
            board.counters.events_taken += taken.stored.len() as u64;
            let dropped = &mut board.counters.dropped;
            *dropped = dropped.saturating_add(taken.newly_dropped);
            for event in &taken.stored {
                board.counters.outcomes += u64::from(board.event(event));
            }
        });
    }

    pub(crate) fn erased(&self, people: &[Uuid], removed: Removed) {
        self.change(|board| {
            board.counters.remove(removed);
            people.iter().for_each(|person| board.forget_person(*person));
        });
    }

    pub(crate) fn expired(&self, expired: &Expired, cutoffs: &Cutoffs) {
        self.change(|board| {
            let events = expired.derived + expired.behaviour;
            let (outcomes, receipts) = (expired.outcomes, expired.receipts);
            board.counters.remove(Removed { events, outcomes, receipts });
            board.forget_before(cutoffs.derived, cutoffs.behaviour);
        });
    }

    pub(crate) fn refused(&self, code: ErrorCode) {
        self.change(|board| board.counters.refused.count(code));
    }

    fn change(&self, change: impl FnOnce(&mut Board)) {
        change(&mut self.lock());
        self.changes.send_replace(());
    }

    fn render(&self) -> Result<Panels, ApiError> {
        view::panels(&self.lock()).map_err(|_| ApiError::Internal("rendering the page"))
    }

    /// A panic elsewhere leaves the board whole enough to show: it holds no invariant.
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(page))
        .routes(routes!(get_live))
        .routes(routes!(session::sign_in))
        .routes(routes!(session::sign_out))
        .routes(routes!(asset))
}

/// The page
///
/// For a key with the scope `live`, or its cookie. As long as no key was ever made, also for the
/// server's own machine.
#[utoipa::path(get, path = "/", tag = "live",
    security(("api_key" = ["live"]), ("live_session" = [])),
    responses(
        (status = 200, description = "What arrived", body = str, content_type = "text/html"),
        (status = 401, description = "The sign-in form", body = str, content_type = "text/html"),
    ))]
async fn page(
    State(app): State<App>,
    viewer: Result<Viewer, ApiError>,
) -> Result<Response, ApiError> {
    match viewer {
        Err(ApiError::Key(_)) => return Ok(session::form(None)),
        Err(error) => return Err(error),
        Ok(Viewer) => {}
    }
    let page = view::page(&app.live.render()?);
    let page = page.map_err(|_| ApiError::Internal("rendering the page"))?;
    Ok(Html(page).into_response())
}

/// A file of the page
#[utoipa::path(get, path = "/assets/{file}", tag = "live", security(()),
    params(("file" = String, Path, description = "live.css, live.js, me.css, me.js or icon.svg",
        example = "live.css")),
    responses(
        (status = 200, description = "The file", content(
            (str = "text/css"), (str = "text/javascript"), (str = "image/svg+xml"))),
        (status = 404, description = "There is no such file", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn asset(path: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let (media_type, text) = match path.as_ref().map(|Path(file)| file.as_str()) {
        Ok("live.css") => ("text/css; charset=utf-8", view::CSS),
        Ok("live.js") => ("text/javascript; charset=utf-8", view::SCRIPT),
        Ok("me.css") => ("text/css; charset=utf-8", page::CSS),
        Ok("me.js") => ("text/javascript; charset=utf-8", page::SCRIPT),
        Ok("icon.svg") => ("image/svg+xml", view::ICON),
        _ => return Err(ApiError::refused(ErrorCode::NotFound, "the page has no such file")),
    };
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

/// A panel of the page, as the stream sends it.
#[derive(Debug, Serialize)]
struct PanelUpdate<'a> {
    id: &'a str,
    html: &'a str,
}

/// The page's stream
///
/// Server-sent events named `panel`: `{"id": .., "html": ..}`, first every panel, then each that
/// changed, at most four times a second. A stream ends after ten minutes: ask for another, with
/// a key or cookie that still holds.
#[utoipa::path(get, path = "/live", tag = "live",
    security(("api_key" = ["live"]), ("live_session" = [])),
    responses(
        (status = 200, description = "Panels as they change", body = str,
            content_type = "text/event-stream"),
        (status = 503, description = "Too many streams", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn get_live(State(app): State<App>, _: Viewer) -> Result<impl IntoResponse, ApiError> {
    let place = Arc::clone(&app.live.streams).try_acquire_owned();
    let place = place.map_err(|_| ApiError::Streams(MOST_STREAMS))?;
    // Who may read is asked again with each stream: a key that was revoked ends with its streams.
    let shutdown = app.shutdown.clone();
    let ended = async move {
        let _ = tokio::time::timeout(LONGEST_STREAM, shutdown.cancelled()).await;
    };
    let updates = updates(Arc::clone(&app.live), place).take_until(Box::pin(ended));
    Ok(Sse::new(updates).keep_alive(KeepAlive::default()))
}

/// What one watcher has been sent.
struct Watcher {
    live: Arc<Live>,
    changes: watch::Receiver<()>,
    shown: Option<Panels>,
    _place: OwnedSemaphorePermit,
}

fn updates(
    live: Arc<Live>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let changes = live.changes.subscribe();
    let watcher = Watcher { live, changes, shown: None, _place: place };
    let batches = stream::unfold(watcher, |mut watcher| async move {
        if watcher.shown.is_some() {
            tokio::time::sleep(LEAST_PAUSE).await;
            watcher.changes.changed().await.ok()?;
        }
        // Seen before it is rendered: a change during the rendering comes again.
        watcher.changes.mark_unchanged();
        let panels = watcher.live.render().ok()?;
        let news = news(watcher.shown.as_ref(), &panels);
        watcher.shown = Some(panels);
        Some((stream::iter(news), watcher))
    });
    batches.flatten()
}

/// The panels that differ from what was shown; at first, all of them.
fn news(shown: Option<&Panels>, now: &Panels) -> Vec<Result<Event, Infallible>> {
    let changed = |at: &usize| shown.is_none_or(|shown| shown[*at] != now[*at]);
    let update = |at: usize| {
        let update = PanelUpdate { id: PANELS[at], html: &now[at] };
        Event::default().event("panel").json_data(update).ok().map(Ok)
    };
    (0..PANELS.len()).filter(changed).filter_map(update).collect()
}
