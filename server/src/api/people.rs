//! `/v1/people`: a copy of everything about a person, and its end.

use super::{ApiError, examples, extract::Person, run_to_end, signed::Signed};
use crate::{
    app::{App, unix_ms},
    ingest, privacy,
};
use axum::{Json, extract::State, http::StatusCode};
use protocol::problem::Problem;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export)).routes(routes!(erase))
}

/// Everything that is stored about a person
///
/// `tables` has every row about the person, table by table, bodies as they were sent; `heads` the
/// server's signature under the chain. Signed by the person's device.
#[utoipa::path(get, path = "/v1/people/{person}/export", tag = "people",
    security(("device_signature" = [])),
    params(("person" = uuid::Uuid, Path, description = "The person's pseudonym")),
    responses(
        (status = 200, description = "person, exported_unix_ms, tables, heads", body = Value,
            example = json!(examples::export())),
        (status = "4XX", description = "401 not signed, or an old request number, 403 the \
            pseudonym belongs to another device, 404 nothing is known, 410 the person was erased, \
            422 not a UUID", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Not now", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn export(
    State(app): State<App>,
    Person(person): Person,
    Signed(signer): Signed,
) -> Result<Json<Value>, ApiError> {
    run_to_end(async move {
        let now = unix_ms();
        let admitted = ingest::export_for(&app.store, &signer, person, now).await;
        app.or_refuse(admitted, now).await?;
        Ok(Json(privacy::document(&app.store, &app.key, person, now).await?))
    })
    .await
}

/// Erase a person
///
/// Deletes every row about the person, under every pseudonym that is linked to this one, and the key that their bodies are sealed with: backups of
/// the database cannot be read any more either. What stays is a hash of the pseudonym, by which
/// whatever still arrives about them is refused with 410. Signed by the person's device.
#[utoipa::path(delete, path = "/v1/people/{person}", tag = "people",
    security(("device_signature" = [])),
    params(("person" = uuid::Uuid, Path, description = "The person's pseudonym")),
    responses(
        (status = 204, description = "Erased"),
        (status = "4XX", description = "401 not signed, or an old request number, 403 the \
            pseudonym belongs to another device, 404 nothing is known, 410 erased before, 422 not \
            a UUID", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Not now: repeat it", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn erase(
    State(app): State<App>,
    Person(person): Person,
    Signed(signer): Signed,
) -> Result<StatusCode, ApiError> {
    run_to_end(async move {
        let now = unix_ms();
        let erased = ingest::erase_for(&app.store, &signer, person, now).await;
        let (removed, people) = app.or_refuse(erased, now).await?;
        app.erased(&people, removed).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
