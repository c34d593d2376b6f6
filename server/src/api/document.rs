//! The OpenAPI document: what holds for every endpoint is said here once, and added to each.

use super::ApiError;
use crate::app::App;
use axum::{Extension, Json};
use protocol::{
    problem::{ErrorCode, MEDIA_TYPE, Problem},
    signing::{CONTENT_DIGEST, REQUEST_NUMBER, SIGNATURE, SIGNATURE_INPUT},
};
use std::{collections::HashSet, sync::Arc};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, Header, HeaderBuilder, Ref, RefOr, ResponseBuilder,
        path::{Operation, PathItem},
        schema::{ObjectBuilder, Type},
        security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The name of the scheme by which devices sign.
const DEVICE: &str = "device_signature";
/// The name of the scheme of operators' keys.
const KEY: &str = "api_key";
/// The name of the scheme of the page's cookie.
const COOKIE: &str = "live_session";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Attune",
        description = "Takes what devices and other systems report, as far as people agreed to \
            it, and predicts from it. Devices sign their requests; programs of the operator show \
            a key. Every answer that is not a success is an RFC 9457 problem with a code for \
            programs. How often somebody may ask, the headers RateLimit and RateLimit-Policy say \
            (draft-ietf-httpapi-ratelimit-headers-10).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "consent", description = "What people agreed to"),
        (name = "events", description = "What devices report"),
        (name = "intake", description = "What the operator's programs report"),
        (name = "identity", description = "Who is who"),
        (name = "people", description = "What a person can ask for"),
        (name = "intake", description = "What operators report"),
        (name = "features", description = "What is computed about people"),
        (name = "orders", description = "What is proposed to people, and their answers"),
        (name = "pages", description = "What people see and answer in a browser"),
        (name = "keys", description = "Who may ask for the operator"),
        (name = "live", description = "What arrives, as it arrives"),
        (name = "health", description = "For whoever watches the server"),
    ),
    components(schemas(Problem, ErrorCode)),
    modifiers(&Security)
)]
pub(super) struct Document;

/// How requests are signed and keys shown.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let signature = format!(
            "HTTP Message Signatures (RFC 9421) in one profile, Ed25519. Four headers: \
             `{CONTENT_DIGEST}` (RFC 9530, SHA-256 of the body, which may be empty), \
             `{REQUEST_NUMBER}` (decimal, greater than that of any request of the device before), \
             `{SIGNATURE_INPUT}` (`attune=(\"@method\" \"@authority\" \"@path\" \"@query\" \
             \"content-digest\" \"attune-request\");keyid=\"HEX OF THE PUBLIC KEY\";\
             alg=\"ed25519\"`) and `{SIGNATURE}` (`attune=:BASE64:`). The device's id is the \
             UUIDv8 of the SHA-256 of its public key. 401 `replayed` names the last number \
             accepted in `last_request`."
        );
        let signature = ApiKey::Header(ApiKeyValue::with_description(SIGNATURE, &signature));
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("attune_ID_SECRET")
            .description(Some(
                "An operator's key, made by `attune keys create` or `POST /v1/keys`. Each endpoint \
                 names the scope that the key must have: ingest, backfill, predict, features, \
                 orders, identity, models, live or admin. No scope includes another.",
            ));
        let cookie = ApiKeyValue::with_description(
            crate::live::COOKIE,
            "What `POST /sign-in` gives a browser for a key with the scope live.",
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(DEVICE, SecurityScheme::ApiKey(signature));
        components.add_security_scheme(KEY, SecurityScheme::Http(key.build()));
        components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "health", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object,
        example = json!({"openapi": "3.1.0"}))))]
async fn openapi(
    Extension(document): Extension<Arc<utoipa::openapi::OpenApi>>,
) -> Json<Arc<utoipa::openapi::OpenApi>> {
    Json(document)
}

/// The paths whose requests devices sign.
pub(super) fn signed_by_devices(document: &utoipa::openapi::OpenApi) -> HashSet<String> {
    let signed =
        document.paths.paths.iter().filter(|(_, item)| {
            operations(item).into_iter().any(|operation| names(operation, DEVICE))
        });
    signed.map(|(path, _)| path.clone()).collect()
}

/// Adds to each endpoint the answers that every one of its kind can give.
pub(super) fn complete(document: &mut utoipa::openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            let keyed = names(operation, KEY);
            let bodied = operation.request_body.is_some();
            let mut answers = vec![
                (ErrorCode::TooManyRequests, "Asked too often: wait as long as Retry-After says"),
                (ErrorCode::Internal, "The server failed; nothing was stored"),
                (ErrorCode::Unavailable, "Not now, nothing was stored: repeat it later"),
            ];
            if keyed {
                answers.push((ErrorCode::Unauthenticated, "No key, or one that does not hold"));
                answers.push((ErrorCode::Forbidden, "The key lacks the scope"));
            }
            if bodied {
                answers.push((ErrorCode::Malformed, "The body is not what the endpoint takes"));
                answers.push((ErrorCode::TooLarge, "The body is too large"));
            }
            for (code, description) in answers {
                let status = code.status().to_string();
                let response = || RefOr::T(problem(code, description));
                operation.responses.responses.entry(status).or_insert_with(response);
            }
        }
    }
}

fn operations(item: &PathItem) -> impl IntoIterator<Item = &Operation> {
    [&item.get, &item.put, &item.post, &item.delete, &item.patch].into_iter().flatten()
}

/// Whether an operation can be asked for by a scheme. The document keeps what it requires to
/// itself; its JSON does not.
fn names(operation: &Operation, scheme: &str) -> bool {
    let requirements: &[SecurityRequirement] = operation.security.as_deref().unwrap_or_default();
    requirements
        .iter()
        .any(|one| serde_json::to_value(one).is_ok_and(|json| json.get(scheme).is_some()))
}

fn problem(code: ErrorCode, description: &str) -> utoipa::openapi::Response {
    let example = Problem {
        status: code.status(),
        code,
        title: super::error::title(code).to_owned(),
        detail: "What is wrong, where, and what to do.".to_owned(),
        last_request: None,
    };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(serde_json::to_value(example).ok())
        .build();
    let response = ResponseBuilder::new().description(description).content(MEDIA_TYPE, content);
    match code {
        ErrorCode::TooManyRequests => {
            let wait = "How long to wait, seconds";
            response.header("Retry-After", header(wait, Type::Integer)).build()
        }
        ErrorCode::Unauthenticated | ErrorCode::Forbidden => {
            let challenge = "Bearer, and why (RFC 6750)";
            response.header("WWW-Authenticate", header(challenge, Type::String)).build()
        }
        _ => response.build(),
    }
}

fn header(description: &str, kind: Type) -> Header {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    HeaderBuilder::new().description(Some(description)).schema(Some(schema)).build()
}

/// What no path answers.
pub(super) async fn not_found() -> ApiError {
    ApiError::refused(ErrorCode::NotFound, "nothing is at this path: see /openapi.json")
}
