//! `/v1/context`: weather, events and other circumstances of places.

use super::{
    ApiError,
    conversions::read,
    intake::{RowsQuery, Sender, destination, of_type, rows_of, whole},
    run_to_end,
};
use crate::{
    app::App,
    intake::{self, Frame},
};
use axum::{
    Json,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::HeaderMap,
};
use protocol::{
    intake::{Circumstance, Ingest, IntakeReply, MAX_INTAKE_BYTES},
    problem::Problem,
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(post_context))
        .layer(DefaultBodyLimit::max(MAX_INTAKE_BYTES))
}

/// Report circumstances of places
///
/// Weather, concerts, holidays: about nobody, so nobody is asked. A forecast is a circumstance of a
/// time to come; what is known of it later stands beside it. The server also reads the folder
/// `context_dir` of its configuration. Needs the scope `ingest`.
#[utoipa::path(post, path = "/v1/context", tag = "intake",
    security(("api_key" = ["ingest"])), params(RowsQuery),
    request_body(content = Ingest<Circumstance>, example = json!({
        "events": [{"place": "berlin-mitte", "name": "temperature_celsius",
            "event_timestamp": "2026-11-20T17:00:00+01:00", "number": 4.5}]
    })),
    responses(
        (status = 200, description = "How many rows were stored, and which were not",
            body = IntakeReply),
        (status = 422, description = "A query or destination that cannot be", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn post_context(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<IntakeReply>, ApiError> {
    of_type(&headers, "application/json")?;
    let body = whole(body)?;
    let (rows, validate_only) = {
        let request = rows_of(&body)?;
        let frame = Frame {
            destination: destination(request.destination.reference)?,
            encoding: request.encoding,
            consent: None,
            scopes: &[],
            known: sender.known,
            received_unix_ms: sender.received_unix_ms,
        };
        let checked =
            |row| read::<Circumstance>(row).and_then(|row| intake::circumstance(&frame, row));
        let rows: Vec<_> = request.events.into_iter().map(checked).collect();
        (rows, request.validate_only)
    };
    let mut request = super::intake::begin(&app, "context", validate_only, sender);
    run_to_end(async move {
        request.take(intake::Rows::Circumstances(rows)).await?;
        Ok(Json(request.reply()))
    })
    .await
}
