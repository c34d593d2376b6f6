//! That something changed for one person, as it does: look anew. The stream says no more than that,
//! for the page and for apps.

use crate::{api::ApiError, app::App};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::{Semaphore, SemaphorePermit, broadcast},
    time::timeout,
};
use uuid::Uuid;

/// Most streams of people at once: each costs a connection.
const MOST_STREAMS: usize = 4_096;
/// How long one may last before whoever listens has to show again who they are.
const LONGEST: Duration = Duration::from_secs(10 * 60);

static PLACES: Semaphore = Semaphore::const_new(MOST_STREAMS);

/// Hears of changes of a person's orders and wishes.
struct Listener {
    people: Vec<Uuid>,
    changes: broadcast::Receiver<Uuid>,
    _place: SemaphorePermit<'static>,
}

/// The stream of a person, under whatever pseudonym.
///
/// # Errors
/// [`ApiError`]: every place is taken, or the database does not answer.
pub(crate) async fn of(
    app: &App,
    person: Uuid,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, ApiError> {
    let place = PLACES.try_acquire().map_err(|_| ApiError::Streams(MOST_STREAMS))?;
    let changes = app.orders.desk.in_app().changes();
    let people = app.store.pseudonyms_of(person).await?;
    let listener = Listener { people, changes, _place: place };
    let shutdown = app.shutdown.clone();
    let ended = Box::pin(async move {
        let _ = timeout(LONGEST, shutdown.cancelled()).await;
    });
    let notices = futures::StreamExt::take_until(notices(listener), ended);
    Ok(Sse::new(notices).keep_alive(KeepAlive::default()))
}

fn notices(listener: Listener) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(listener, |mut listener| async move {
        loop {
            match listener.changes.recv().await {
                Ok(person) if !listener.people.contains(&person) => {}
                // Who was too slow to hear all of them may have missed theirs.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    return Some((Ok(Event::default().event("anew").data("{}")), listener));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
}
