//! `/v1/consents`: what people agreed to, as their devices report it.

use super::{
    ApiError,
    error::accepted,
    extract::{Body, PersonDevice},
    run_to_end,
};
use crate::{
    app::{App, unix_ms},
    ingest,
};
use axum::{Json, extract::State, http::StatusCode};
use protocol::{
    consent::ConsentRecord,
    event::{ItemVerdict, Verdict},
    problem::{ErrorCode, Problem},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(post_consent)).routes(routes!(get_consent))
}

/// Report a consent record
///
/// Send a record before anything made under it. Of the records of a person and device only the
/// one with the highest epoch counts, whatever the order of arrival. After a withdrawal nothing
/// made under its epoch or a lower one is stored any more; what was stored before stays until it
/// is erased.
#[utoipa::path(post, path = "/v1/consents", tag = "consent", request_body = ConsentRecord,
    responses(
        (status = 201, description = "Stored", body = ItemVerdict),
        (status = 200, description = "Stored before", body = ItemVerdict),
        (status = "4XX", description = "Refused: 400 malformed, 409 the id or the epoch was used \
            for another record, 413 too large, 422 invalid", body = Problem,
            content_type = "application/problem+json"),
        (status = "5XX", description = "Not now", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_consent(
    State(app): State<App>,
    Body(record): Body<ConsentRecord>,
) -> Result<(StatusCode, Json<ItemVerdict>), ApiError> {
    run_to_end(async move {
        let taken = ingest::take_consent(&app.store, &record, unix_ms()).await?;
        app.live.consent(&record, &taken);
        Ok(one_item(record.id, accepted(taken.verdict)?))
    })
    .await
}

/// The consent record in force
#[utoipa::path(get, path = "/v1/consents/{person}/{device}", tag = "consent",
    params(("person" = Uuid, Path, description = "The person's pseudonym"),
        ("device" = Uuid, Path, description = "The device")),
    responses(
        (status = 200, description = "The record with the highest epoch", body = ConsentRecord),
        (status = "4XX", description = "404 none is known, 422 not two UUIDs", body = Problem,
            content_type = "application/problem+json"),
        (status = "5XX", description = "Not now", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn get_consent(
    State(app): State<App>,
    PersonDevice { person, device }: PersonDevice,
) -> Result<Json<ConsentRecord>, ApiError> {
    let none = || {
        let detail = "no consent record is known for this person and device";
        ApiError::refused(ErrorCode::NotFound, detail)
    };
    app.store.in_force(person, device).await?.map(Json).ok_or_else(none)
}

/// The answer to an item that came alone: 201 when it is new, 200 when it is not.
pub(super) fn one_item(id: Uuid, verdict: Verdict) -> (StatusCode, Json<ItemVerdict>) {
    let new = verdict == Verdict::Stored;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    (status, Json(ItemVerdict { id, verdict }))
}
