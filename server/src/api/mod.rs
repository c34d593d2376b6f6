//! The HTTP surface: one module an endpoint family, each with its own `router()`, joined here with
//! what holds for all of them: limits, headers, errors, tracing.
//!
//! **Invariant.** No log line carries a body, a header or a path with values in it: spans name the
//! route's pattern.

mod activity;
mod behaviour;
mod consents;
mod context;
mod conversions;
mod document;
mod error;
mod events;
mod examples;
pub(crate) mod extract;
mod features;
mod health;
mod identity;
mod intake;
mod keys;
mod metrics;
mod models;
mod needs;
pub(crate) mod operator;
mod orders;
mod people;
mod predictions;
mod requests;
mod signed;
mod table;
mod work;

pub(crate) use error::ApiError;

use crate::{app::App, live, page};
use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};
use document::Document;
use operator::Gate;
use protocol::event::MAX_BODY_BYTES;
use std::{future::Future, sync::Arc};
use tower_http::{set_header::SetResponseHeaderLayer, trace::TraceLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// Sent with every answer: only our own files run, nobody frames or sniffs them, no address leaks,
/// and nothing about a person stays in a cache.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
         object-src 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Every route of the server.
pub(crate) fn router(app: App) -> Router {
    let (routes, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(consents::router())
        .merge(conversions::router())
        .merge(behaviour::router())
        .merge(table::router())
        .merge(context::router())
        .merge(requests::router())
        .merge(features::router())
        .merge(activity::router())
        .merge(events::router())
        .merge(people::router())
        .merge(identity::router())
        .merge(live::router())
        .merge(predictions::router())
        .merge(models::router())
        .merge(needs::router())
        .merge(orders::router())
        .merge(page::router())
        .merge(work::router())
        .merge(keys::router())
        .merge(metrics::router())
        .merge(health::router())
        .merge(document::router())
        .split_for_parts();
    document::complete(&mut document);
    let signed = Arc::new(document::signed_by_devices(&document));
    let gate = Gate { app: app.clone(), signed };
    let routes = routes
        .layer(Extension(Arc::new(document)))
        .fallback(document::not_found)
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(gate, operator::identify))
        .layer(middleware::from_fn_with_state(app.clone(), limit_time))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::measure))
        .layer(TraceLayer::new_for_http().make_span_with(span));
    let with_headers = SECURITY_HEADERS.into_iter().fold(routes, |routes, (name, value)| {
        let value = HeaderValue::from_static(value);
        routes.layer(SetResponseHeaderLayer::overriding(name, value))
    });
    with_headers.with_state(app)
}

/// Runs to its end even if the client hangs up: what is stored and what is shown must not part.
async fn run_to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::spawn(work).await.unwrap_or(Err(ApiError::Internal("a task of the server")))
}

/// Limits the time until the head of the answer, so that streams may go on.
async fn limit_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.request_timeout;
    // A table may take as long as it is large: its handler limits how long the sender is silent.
    if request.extensions().get::<MatchedPath>().is_some_and(|path| path.as_str() == table::PATH) {
        return next.run(request).await;
    }
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => axum::response::IntoResponse::into_response(ApiError::Timeout(limit.as_millis())),
    }
}

/// A method and the pattern of a route: nothing of the request. By OpenTelemetry's names.
fn span(request: &Request) -> tracing::Span {
    let (method, route) = (metrics::method(request.method()), metrics::route(request));
    tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    )
}
