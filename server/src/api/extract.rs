//! Media types and paths, with our own errors.
//!
//! axum's own extractors log what they reject, value included; personal ids must not reach a log.

use super::ApiError;
use crate::app::App;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use protocol::{event::MAX_BODY_BYTES, problem::ErrorCode};
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A person and a device in the path.
#[derive(Debug)]
pub(crate) struct PersonDevice {
    pub(crate) person: Uuid,
    pub(crate) device: Uuid,
}

/// A person in the path.
#[derive(Debug)]
pub(crate) struct Person(pub(crate) Uuid);

impl FromRequestParts<App> for PersonDevice {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let detail = "the path takes two UUIDs: /v1/consents/{person}/{device}";
        let invalid = || ApiError::refused(ErrorCode::Invalid, detail);
        let Path((person, device)) = Path::<(String, String)>::from_request_parts(parts, app)
            .await
            .map_err(|_| invalid())?;
        let parse = |text: &str| Uuid::parse_str(text).map_err(|_| invalid());
        Ok(Self { person: parse(&person)?, device: parse(&device)? })
    }
}

impl FromRequestParts<App> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let detail = "the path takes a UUID: /v1/people/{person}";
        let invalid = || ApiError::refused(ErrorCode::Invalid, detail);
        let person = Path::<String>::from_request_parts(parts, app).await;
        let Path(person) = person.map_err(|_| invalid())?;
        Uuid::parse_str(&person).map(Self).map_err(|_| invalid())
    }
}

/// The id of an operator's key in the path.
#[derive(Debug)]
pub(crate) struct KeyId(pub(crate) Uuid);

impl FromRequestParts<App> for KeyId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let invalid = || ApiError::refused(ErrorCode::Invalid, "the path takes the id of a key");
        let id = Path::<String>::from_request_parts(parts, app).await;
        let Path(id) = id.map_err(|_| invalid())?;
        Uuid::parse_str(&id).map(Self).map_err(|_| invalid())
    }
}

/// The id of a job in the path.
#[derive(Debug)]
pub(crate) struct JobId(pub(crate) Uuid);

impl FromRequestParts<App> for JobId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let invalid = || ApiError::refused(ErrorCode::Invalid, "the path takes the id of a job");
        let id = Path::<String>::from_request_parts(parts, app).await;
        let Path(id) = id.map_err(|_| invalid())?;
        Uuid::parse_str(&id).map(Self).map_err(|_| invalid())
    }
}

/// The id of an order in the path.
#[derive(Debug)]
pub(crate) struct OrderId(pub(crate) Uuid);

impl FromRequestParts<App> for OrderId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let invalid = || ApiError::refused(ErrorCode::Invalid, "the path takes the id of an order");
        let id = Path::<String>::from_request_parts(parts, app).await;
        let Path(id) = id.map_err(|_| invalid())?;
        Uuid::parse_str(&id).map(Self).map_err(|_| invalid())
    }
}

/// The id of a model in the path, whatever it looks like.
#[derive(Debug)]
pub(crate) struct ModelId(pub(crate) String);

impl FromRequestParts<App> for ModelId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let unknown = |_| ApiError::refused(ErrorCode::NotFound, "no model has this id");
        let Path(id) = Path::<String>::from_request_parts(parts, app).await.map_err(unknown)?;
        Ok(Self(id))
    }
}

/// A JSON body of an operator's request, of at most [`MAX_BODY_BYTES`]. Stands after the key in a
/// handler's arguments, so that nothing is read of who may not ask.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let detail = "send the header content-type: application/json";
            return Err(ApiError::refused(ErrorCode::Malformed, detail));
        }
        let bytes = whole_body(request, app).await?;
        let body = serde_json::from_slice(&bytes).map_err(|error| {
            let detail = format!("the body: {error}; see /openapi.json");
            ApiError::refused(ErrorCode::Malformed, detail)
        })?;
        Ok(Self(body))
    }
}

/// The body, within its bound.
pub(crate) async fn whole_body(request: Request, app: &App) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, app).await.map_err(|rejection| {
        match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::refused(
                ErrorCode::TooLarge,
                format!("the body has more than {MAX_BODY_BYTES} bytes: send less at once"),
            ),
            _ => ApiError::refused(ErrorCode::Malformed, "the body ended before it was complete"),
        }
    })
}
