//! `/metrics`, and the measuring of every request.

use super::{
    ApiError,
    operator::{Local, holder},
};
use crate::{
    app::App,
    ops::{metrics::MEDIA_TYPE, scope::Scope},
};
use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Instant;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Whoever may read metrics: the server's own machine, and keys with the scope `admin`.
#[derive(Debug, Clone, Copy)]
struct Reader;

impl FromRequestParts<App> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Local(local) = Local::from_request_parts(parts, app).await?;
        // Who shows a key is judged by it.
        if local && !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Self);
        }
        holder(parts, app, Scope::Admin).await.map(|_| Self)
    }
}

/// What the server measures of itself
///
/// OpenMetrics text, as Prometheus reads it. For a key with the scope `admin`, and without a key
/// for whoever asks from the server's own machine, through no proxy.
#[utoipa::path(get, path = "/metrics", tag = "health",
    security(("api_key" = ["admin"]), ()),
    responses((status = 200, description = "OpenMetrics 1.0", body = str,
        content_type = "application/openmetrics-text",
        example = "attune_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"2xx\"} 1\n"
    )))]
async fn metrics(State(app): State<App>, _: Reader) -> Result<Response, ApiError> {
    let text = app.ops.metrics.text(app.ops.tasks.under_way());
    let text = text.map_err(|_| ApiError::Internal("writing the metrics"))?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

/// The pattern of the route: nothing of the request.
pub(super) fn route(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str)
}

/// A method that HTTP knows: others are words of the client's.
pub(super) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

/// Measures a request and says in its span how it ended.
pub(super) async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, route) = (method(request.method()), route(&request).to_owned());
    let response = next.run(request).await;
    let status = response.status();
    app.ops.metrics.answered(method, &route, status.as_u16(), began.elapsed());
    let span = tracing::Span::current();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}
