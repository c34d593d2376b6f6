//! `/v1/outcomes`: how interactions ended.

use super::{ApiError, consents::one_item, error::accepted, extract::Body, run_to_end};
use crate::{
    app::{App, unix_ms},
    ingest,
};
use axum::{Json, extract::State, http::StatusCode};
use protocol::{event::ItemVerdict, outcome::Outcome, problem::Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(post_outcome))
}

/// Report how an interaction ended
///
/// Needs consent as an event does, for sharing `behaviour` with the operator.
#[utoipa::path(post, path = "/v1/outcomes", tag = "outcomes", request_body = Outcome,
    responses(
        (status = 201, description = "Stored", body = ItemVerdict),
        (status = 200, description = "Stored before", body = ItemVerdict),
        (status = "4XX", description = "Refused: 400 malformed, 403 no consent, 409 the id was \
            used for another body, 413 too large, 422 invalid", body = Problem,
            content_type = "application/problem+json"),
        (status = "5XX", description = "Not now", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_outcome(
    State(app): State<App>,
    Body(outcome): Body<Outcome>,
) -> Result<(StatusCode, Json<ItemVerdict>), ApiError> {
    run_to_end(async move {
        let verdict = ingest::take_outcome(&app.store, &outcome, unix_ms()).await?;
        app.live.outcome(&outcome, &verdict);
        Ok(one_item(outcome.id, accepted(verdict)?))
    })
    .await
}
