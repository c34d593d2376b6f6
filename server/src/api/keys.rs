//! `/v1/keys`: operators' keys, for whoever holds one with the scope `admin`.

use super::{
    ApiError,
    extract::{JsonBody, KeyId},
    operator::{Allowed, scope},
    run_to_end,
};
use crate::{
    app::{App, unix_ms},
    ops::{
        keys::{self, DEFAULT_OVERLAP_MS, KeyError, KeyInfo, NewKey},
        scope::{Scope, Scopes},
    },
};
use axum::{Json, extract::State, http::StatusCode};
use protocol::problem::{ErrorCode, Problem};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(rotate))
        .routes(routes!(revoke))
}

/// What a new key is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    /// What it is called.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<Scope>, min_items = 1)]
    scopes: Scopes,
    /// From when on it is refused, Unix milliseconds; never, if absent.
    expires_unix_ms: Option<i64>,
}

/// How a key is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateRequest {
    /// How long the old key goes on, milliseconds: 0 to 90 days; a day, if absent.
    #[schema(minimum = 0, maximum = 7_776_000_000_i64)]
    overlap_ms: Option<i64>,
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
struct KeyMade {
    /// The key itself. It is not kept: this is the only time that it is shown.
    key: String,
    /// What is kept of it.
    #[serde(flatten)]
    info: KeyInfo,
}

/// Every key.
#[derive(Debug, Serialize, ToSchema)]
struct Keys {
    /// In the order of their making, the ended ones too.
    keys: Vec<KeyInfo>,
}

/// Make a key
///
/// The answer has the key itself, which is not kept: it is shown this once.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", security(("api_key" = ["admin"])),
    request_body(content = KeyRequest,
        example = json!({"name": "till", "scopes": ["ingest"], "expires_unix_ms": null})),
    responses(
        (status = 201, description = "Made", body = KeyMade, example = json!(example_made())),
        (status = 422, description = "A name of 1 to 100 characters, a scope and a time in the \
            future are needed", body = Problem, content_type = "application/problem+json"),
    ))]
async fn create(
    State(app): State<App>,
    _: Allowed<scope::Admin>,
    JsonBody(asked): JsonBody<KeyRequest>,
) -> Result<(StatusCode, Json<KeyMade>), ApiError> {
    let KeyRequest { name, scopes, expires_unix_ms } = asked;
    run_to_end(async move {
        let new = NewKey { name, scopes, expires_unix_ms };
        let (token, info) = keys::create(&app.store, new, unix_ms()).await?;
        Ok((StatusCode::CREATED, Json(KeyMade { key: token.reveal().to_owned(), info })))
    })
    .await
}

/// Every key that was made
#[utoipa::path(get, path = "/v1/keys", tag = "keys", security(("api_key" = ["admin"])),
    responses((status = 200, description = "Without their secrets, which are not kept",
        body = Keys, example = json!({"keys": [example_key()]}))))]
async fn list(State(app): State<App>, _: Allowed<scope::Admin>) -> Result<Json<Keys>, ApiError> {
    // What the list says of the last use is true now.
    app.ops.ring.flush(&app.store).await;
    Ok(Json(Keys { keys: keys::list(&app.store, unix_ms()).await? }))
}

/// Replace a key
///
/// The new key has the same name, the same scopes and as long a life. The old one goes on for a
/// while, so that its holders can change.
#[utoipa::path(post, path = "/v1/keys/{key}/rotate", tag = "keys",
    security(("api_key" = ["admin"])),
    params(("key" = uuid::Uuid, Path, description = "The id of the key to be replaced")),
    request_body(content = RotateRequest, example = json!({"overlap_ms": 3_600_000})),
    responses(
        (status = 201, description = "Made", body = KeyMade, example = json!(example_made())),
        (status = 404, description = "There is no such key", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "The key has ended", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID, or an overlap above 90 days", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn rotate(
    State(app): State<App>,
    _: Allowed<scope::Admin>,
    KeyId(id): KeyId,
    JsonBody(asked): JsonBody<RotateRequest>,
) -> Result<(StatusCode, Json<KeyMade>), ApiError> {
    run_to_end(async move {
        let overlap = asked.overlap_ms.unwrap_or(DEFAULT_OVERLAP_MS);
        let (token, info) = keys::rotate(&app.store, id, overlap, unix_ms()).await?;
        app.ops.ring.changed();
        Ok((StatusCode::CREATED, Json(KeyMade { key: token.reveal().to_owned(), info })))
    })
    .await
}

/// End a key
///
/// It is refused from now on. One that was ended before stays so.
#[utoipa::path(delete, path = "/v1/keys/{key}", tag = "keys", security(("api_key" = ["admin"])),
    params(("key" = uuid::Uuid, Path, description = "The id of the key")),
    responses(
        (status = 204, description = "Ended"),
        (status = 404, description = "There is no such key", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Not a UUID", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn revoke(
    State(app): State<App>,
    _: Allowed<scope::Admin>,
    KeyId(id): KeyId,
) -> Result<StatusCode, ApiError> {
    run_to_end(async move {
        keys::revoke(&app.store, id, unix_ms()).await?;
        app.ops.ring.changed();
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        let code = match error {
            KeyError::Store(error) => return Self::Store(error),
            KeyError::Unknown(_) => ErrorCode::NotFound,
            KeyError::Ended(_) => ErrorCode::Conflict,
            KeyError::Name | KeyError::NoScope | KeyError::Past | KeyError::Overlap => {
                ErrorCode::Invalid
            }
        };
        Self::refused(code, error.to_string())
    }
}

fn example_key() -> serde_json::Value {
    json!({
        "id": "01997a10-5c00-7000-8000-000000000001", "name": "till", "scopes": ["ingest"],
        "state": "active", "created_unix_ms": 1_758_700_000_000_i64, "expires_unix_ms": null,
        "revoked_unix_ms": null, "last_used_unix_ms": null, "replaces": null,
    })
}

fn example_made() -> serde_json::Value {
    let mut made = example_key();
    made["key"] = "attune_01997a105c0070008000000000000001_...".into();
    made
}
