//! Media types and paths, with our own errors.
//!
//! axum's own extractors log what they reject, value included; personal ids must not reach a log.

use super::ApiError;
use crate::app::App;
use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, header, request::Parts},
};
use protocol::problem::ErrorCode;
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
