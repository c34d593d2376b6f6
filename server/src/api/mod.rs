//! The HTTP surface: one module an endpoint family, each with its own `router()`, joined here with
//! what holds for all of them: limits, headers, errors, tracing.
//!
//! **Invariant.** No log line carries a body, a header or a path with values in it: spans name the
//! route's pattern.

mod consents;
mod error;
mod events;
mod extract;
mod health;
mod people;
mod signed;

pub(crate) use error::ApiError;

use crate::{app::App, live};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use protocol::{
    event::MAX_BODY_BYTES,
    problem::ErrorCode,
    signing::{CONTENT_DIGEST, REQUEST_NUMBER, SIGNATURE, SIGNATURE_INPUT},
};
use std::future::Future;
use tower_http::{set_header::SetResponseHeaderLayer, trace::TraceLayer};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

/// Sent with every answer: only our own files run, nobody frames or sniffs them, no address leaks,
/// and nothing about a person stays in a cache.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         object-src 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Attune",
        description = "Takes what devices report, as far as people agreed to it. Devices sign \
            their requests; the page and its stream are for the operator and are not protected: \
            serve them on loopback, or behind something that authenticates.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "consent", description = "What people agreed to"),
        (name = "events", description = "What devices report"),
        (name = "people", description = "What a person can ask for"),
        (name = "live", description = "What arrives, as it arrives"),
        (name = "health", description = "For whoever watches the server"),
    ),
    modifiers(&DeviceSignature)
)]
struct Document;

/// How requests are signed, for the document.
struct DeviceSignature;

impl Modify for DeviceSignature {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = format!(
            "HTTP Message Signatures (RFC 9421) in one profile, Ed25519. Four headers: \
             `{CONTENT_DIGEST}` (RFC 9530, SHA-256 of the body, which may be empty), \
             `{REQUEST_NUMBER}` (decimal, greater than that of any request of the device before), \
             `{SIGNATURE_INPUT}` (`attune=(\"@method\" \"@authority\" \"@path\" \"@query\" \
             \"content-digest\" \"attune-request\");keyid=\"HEX OF THE PUBLIC KEY\";\
             alg=\"ed25519\"`) and `{SIGNATURE}` (`attune=:BASE64:`). The device's id is the \
             UUIDv8 of the SHA-256 of its public key. 401 `replayed` names the last number \
             accepted in `last_request`."
        );
        let header = ApiKeyValue::with_description(SIGNATURE, &description);
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(header));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("device_signature", scheme);
    }
}

/// Every route of the server.
pub(crate) fn router(app: App) -> Router {
    let (routes, document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(consents::router())
        .merge(events::router())
        .merge(people::router())
        .merge(live::router())
        .merge(health::router())
        .split_for_parts();
    let routes = routes
        .route("/openapi.json", get(async move || Json(document)))
        .fallback(not_found)
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(app.clone(), limit_time))
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

async fn not_found() -> ApiError {
    ApiError::refused(ErrorCode::NotFound, "nothing is at this path: see /openapi.json")
}

/// Limits the time until the head of the answer, so that streams may go on.
async fn limit_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.request_timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => axum::response::IntoResponse::into_response(ApiError::Timeout(limit.as_millis())),
    }
}

/// A method and the pattern of a route: nothing of the request.
fn span(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    tracing::info_span!("request", method = %request.method(), route)
}
