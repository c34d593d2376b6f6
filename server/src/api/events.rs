//! `/v1/events`: what devices report, in batches.

use super::{ApiError, extract::Body, run_to_end};
use crate::{
    app::{App, unix_ms},
    ingest,
};
use axum::{Json, extract::State};
use protocol::{
    event::{BatchReply, EventBatch, ItemVerdict, MAX_BATCH_EVENTS, Verdict},
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
#[utoipa::path(post, path = "/v1/events", tag = "events", request_body = EventBatch,
    responses(
        (status = 200, description = "One verdict an event", body = BatchReply),
        (status = "4XX", description = "Refused, nothing was stored: 400 malformed, 403 no event \
            has consent, 413 too large", body = Problem,
            content_type = "application/problem+json"),
        (status = "5XX", description = "Not now, nothing was stored", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_events(
    State(app): State<App>,
    Body(batch): Body<EventBatch>,
) -> Result<Json<BatchReply>, ApiError> {
    let count = batch.events.len();
    if count > MAX_BATCH_EVENTS {
        app.live.refused(ErrorCode::TooLarge);
        let detail = format!("the batch has {count} events, at most {MAX_BATCH_EVENTS} are taken");
        return Err(ApiError::refused(ErrorCode::TooLarge, detail));
    }
    run_to_end(async move {
        let taken = ingest::take_events(&app.store, batch, unix_ms()).await?;
        app.live.events(&taken);
        match no_consent_at_all(&taken.verdicts) {
            Some(detail) => Err(ApiError::refused(ErrorCode::NoConsent, detail)),
            None => Ok(Json(BatchReply { verdicts: taken.verdicts })),
        }
    })
    .await
}

/// The first event's reason, if every event lacks consent.
fn no_consent_at_all(verdicts: &[ItemVerdict]) -> Option<String> {
    let reason = |item: &ItemVerdict| match &item.verdict {
        Verdict::Rejected { code: ErrorCode::NoConsent, detail } => Some(detail.clone()),
        _ => None,
    };
    let first = reason(verdicts.first()?)?;
    let all = verdicts.iter().all(|item| reason(item).is_some());
    all.then(|| format!("no event of the batch has consent; the first: {first}"))
}
