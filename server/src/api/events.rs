//! `/v1/events`: what devices report, in batches.

use super::{ApiError, examples, run_to_end, signed::SignedBody};
use crate::{
    app::{App, unix_ms},
    ingest,
};
use axum::{Json, extract::State};
use protocol::{
    event::{BatchReply, EventBatch, MAX_BATCH_EVENTS},
    problem::{ErrorCode, Problem},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(post_events))
}

/// Report a batch of events
///
/// Each event is stored, recognised or refused on its own; the verdicts come in the order sent.
/// An event is stored only under a consent record that is known, that permitted sharing every
/// modality it lists (`behaviour` if it lists none) with the operator when it was made, that was
/// not withdrawn since, and while the record in force permits the same. A batch in which every
/// event fails that is refused as a whole.
///
/// An offer revision needs a reason; a price that differs from the reference price needs its
/// disclosure; a price above it also needs the grant `raise_price` for every modality it stands on.
/// Not checked: that the reference price is the list price, and that the law of the place allows an
/// increase. The server knows neither.
#[utoipa::path(post, path = "/v1/events", tag = "events",
    request_body(content = EventBatch, example = json!(examples::events())),
    security(("device_signature" = [])),
    responses(
        (status = 200, description = "One verdict an event", body = BatchReply,
            example = json!(examples::events_taken())),
        (status = "4XX", description = "Refused, nothing was stored: 400 malformed, 401 not \
            signed by the events' device, or an old request number, 403 no event has consent, \
            410 the person was erased, 413 too large", body = Problem,
            content_type = "application/problem+json"),
        (status = "5XX", description = "Not now, nothing was stored", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_events(
    State(app): State<App>,
    SignedBody { signer, body: batch }: SignedBody<EventBatch>,
) -> Result<Json<BatchReply>, ApiError> {
    let count = batch.events.len();
    if count > MAX_BATCH_EVENTS {
        let detail = format!("the batch has {count} events, at most {MAX_BATCH_EVENTS} are taken");
        let error = ApiError::refused(ErrorCode::TooLarge, detail);
        app.refused(&error, None, unix_ms()).await;
        return Err(error);
    }
    run_to_end(async move {
        let now = unix_ms();
        let taken = ingest::take_events(&app.store, &signer, batch, now).await;
        let taken = app.or_refuse(taken, now).await?;
        app.live.events(&taken);
        match taken.refused {
            Some((code, detail)) => Err(ApiError::refused(code, detail)),
            None => Ok(Json(BatchReply { verdicts: taken.verdicts })),
        }
    })
    .await
}
