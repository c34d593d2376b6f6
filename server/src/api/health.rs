//! `/healthz` and `/readyz`: for whoever watches the server.

use super::ApiError;
use crate::app::App;
use axum::extract::State;
use protocol::problem::Problem;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Whether the process runs
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "It does", body = str, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the database can be written
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses(
        (status = 200, description = "It can", body = str, content_type = "text/plain"),
        (status = 503, description = "It cannot, or the server is about to end", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn readyz(State(app): State<App>) -> Result<&'static str, ApiError> {
    if app.ops.draining.is_cancelled() {
        return Err(ApiError::Draining);
    }
    app.store.ready().await?;
    Ok("ready\n")
}
