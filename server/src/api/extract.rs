//! Request bodies and paths, with our own errors.
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

/// A JSON body of at most [`MAX_BODY_BYTES`]. Refusals are counted.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let read = read_json(request, app).await;
        if let Err(ApiError::Refused { code, .. }) = &read {
            app.live.refused(*code);
        }
        read.map(Self)
    }
}

async fn read_json<T: DeserializeOwned>(request: Request, app: &App) -> Result<T, ApiError> {
    // A page of another origin can post text and forms unasked, but not this media type.
    if !is_json(request.headers()) {
        let detail = "send the header content-type: application/json";
        return Err(ApiError::refused(ErrorCode::Malformed, detail));
    }
    let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
        match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::refused(
                ErrorCode::TooLarge,
                format!("the body has more than {MAX_BODY_BYTES} bytes: send less at once"),
            ),
            _ => ApiError::refused(ErrorCode::Malformed, "the body ended before it was complete"),
        }
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::refused(ErrorCode::Malformed, format!("the body: {error}; see /openapi.json"))
    })
}

fn is_json(headers: &HeaderMap) -> bool {
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

impl FromRequestParts<App> for PersonDevice {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let invalid = || {
            let detail = "the path takes two UUIDs: /v1/consents/{person}/{device}";
            ApiError::refused(ErrorCode::Invalid, detail)
        };
        let Path((person, device)) = Path::<(String, String)>::from_request_parts(parts, app)
            .await
            .map_err(|_| invalid())?;
        let parse = |text: &str| Uuid::parse_str(text).map_err(|_| invalid());
        Ok(Self { person: parse(&person)?, device: parse(&device)? })
    }
}
