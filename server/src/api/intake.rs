//! What the endpoints that take rows have in common: bodies, since when rows are known, answers.

use super::{
    ApiError,
    operator::{Allowed, scope},
};
use crate::{
    app::{App, unix_ms},
    intake::{Known, Request},
    ops::scope::Scope as KeyScope,
};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequestParts, Query, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use protocol::{
    intake::{Ingest, IntakeReply, MAX_INTAKE_BYTES, MAX_NAME_BYTES, MAX_ROWS, RequestStatus},
    problem::ErrorCode,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::IntoParams;

/// Who sends rows in, and what the query says of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    pub(super) known: Known,
    pub(super) received_unix_ms: i64,
}

/// The query of endpoints that take rows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RowsQuery {
    /// For dated replays, by keys with the scope `backfill`: since when the rows count as known,
    /// RFC 3339 with a zone, or the word `event` for the time of each row itself.
    #[param(example = "event")]
    known_at: Option<String>,
}

/// The same among others.
#[derive(Debug, Deserialize)]
struct KnownAt {
    known_at: Option<String>,
}

impl FromRequestParts<App> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let allowed = Allowed::<scope::Ingest>::from_request_parts(parts, app).await?;
        let received_unix_ms = unix_ms();
        let known_at = if parts.uri.path() == super::table::PATH {
            // Its handler looks at the rest.
            Query::<KnownAt>::from_request_parts(parts, app).await.map(|Query(q)| q.known_at)
        } else {
            Query::<RowsQuery>::from_request_parts(parts, app).await.map(|Query(q)| q.known_at)
        };
        let Ok(known_at) = known_at else {
            let detail = "the query takes known_at, once: see /openapi.json";
            return Err(ApiError::refused(ErrorCode::Invalid, detail));
        };
        let known = match known_at.as_deref() {
            None => Known::Arrival,
            Some(_) if !allowed.backfill => return Err(ApiError::Forbidden(KeyScope::Backfill)),
            Some("event") => Known::Event,
            Some(text) => match text.parse::<jiff::Timestamp>() {
                Ok(at) if at.as_millisecond() <= received_unix_ms => Known::At(at.as_millisecond()),
                _ => {
                    let detail = "known_at must be a time of the past, RFC 3339 with a zone (write \
                         + as %2B), or the word event";
                    return Err(ApiError::refused(ErrorCode::Invalid, detail));
                }
            },
        };
        Ok(Self { known, received_unix_ms })
    }
}

/// Starts a request.
pub(super) fn begin(app: &App, kind: &'static str, validate_only: bool, sender: Sender) -> Request {
    let follow = std::sync::Arc::clone(&app.follow);
    Request::new(app.store.clone(), follow, kind, validate_only, sender.received_unix_ms)
}

/// The rows of a JSON body, each by itself: what is wrong in one does not touch the others.
pub(super) fn rows_of(bytes: &[u8]) -> Result<Ingest<&RawValue>, ApiError> {
    let request: Ingest<&RawValue> =
        serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    few_enough(request.events.len())?;
    Ok(request)
}

/// At most so many rows at once.
pub(super) fn few_enough(rows: usize) -> Result<(), ApiError> {
    if rows > MAX_ROWS {
        let detail = format!("the request has {rows} rows, at most {MAX_ROWS} are taken at once");
        return Err(ApiError::refused(ErrorCode::TooLarge, detail));
    }
    Ok(())
}

/// Where a body stops being what it should be; not what stands there.
pub(super) fn malformed(error: &serde_json::Error) -> ApiError {
    let detail = format!(
        "the body is not the JSON this path takes, at line {}, column {}; see /openapi.json",
        error.line(),
        error.column()
    );
    ApiError::refused(ErrorCode::Malformed, detail)
}

/// Bodies of another kind are not read: a page of another origin cannot send these unasked.
pub(super) fn essence(headers: &HeaderMap) -> Option<&str> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    kind.split(';').next().map(str::trim)
}

/// The body must be of this media type.
pub(super) fn of_type(headers: &HeaderMap, expected: &str) -> Result<(), ApiError> {
    if essence(headers).is_some_and(|essence| essence.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    let detail = format!("send the header content-type: {expected}");
    Err(ApiError::refused(ErrorCode::Malformed, detail))
}

/// The answer: the counts, or 403 if nothing had consent. Both name the request.
pub(super) fn answer(app: &App, request: Request) -> Response {
    let place = HeaderValue::from_str(&format!("/v1/requests/{}", request.id())).ok();
    let without_consent = request.without_consent();
    let kind = request.kind();
    let reply: IntakeReply = request.reply();
    if !reply.status.validate_only {
        let RequestStatus { stored, duplicates, refused, .. } = reply.status;
        let metrics = &app.ops.metrics;
        for (result, rows) in [("stored", stored), ("duplicate", duplicates), ("refused", refused)]
        {
            metrics.rows(kind, result, rows);
        }
    }
    let place = place.filter(|_| reply.request_id.is_some());
    let mut response = if without_consent {
        let detail = "no row has consent, and none was stored: send what the person said in \
             consent; the location header names the request";
        ApiError::refused(ErrorCode::NoConsent, detail).into_response()
    } else {
        (StatusCode::OK, Json(reply)).into_response()
    };
    if let Some(place) = place {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// The bytes of a body that came whole.
pub(super) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::refused(
            ErrorCode::TooLarge,
            format!("the body has more than {MAX_INTAKE_BYTES} bytes: send less at once"),
        ),
        _ => ApiError::refused(ErrorCode::Malformed, "the body ended before it was complete"),
    })
}

/// The name of a data set: may be empty.
pub(super) fn destination(reference: String) -> Result<String, ApiError> {
    if reference.len() > MAX_NAME_BYTES || reference.chars().any(char::is_control) {
        let detail = format!(
            "destination.reference must have at most {MAX_NAME_BYTES} bytes and no control \
             characters"
        );
        return Err(ApiError::refused(ErrorCode::Invalid, detail));
    }
    Ok(reference)
}
