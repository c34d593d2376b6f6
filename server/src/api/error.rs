//! Every way a request can fail, and how that reads on the wire.

use crate::{
    app::App,
    ingest::Denied,
    store::{Action, StoreError},
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{
    digest::Digest,
    problem::{ErrorCode, MEDIA_TYPE, Problem},
};
use thiserror::Error;

/// Why a request was refused; answered as an RFC 9457 [`Problem`].
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// 400, 401, 403, 404, 409, 410, 413 or 422, as the code says.
    #[error("{detail}")]
    Refused { code: ErrorCode, detail: String },
    /// 401: the request's number is not new.
    #[error(
        "the request number must be greater than {last}: sign the request again with a new one"
    )]
    Replayed { last: u64 },
    /// 405: the path is right, the method is not.
    #[error("this path does not take that method: see the allow header and /openapi.json")]
    Method,
    /// 503: the request took too long.
    #[error("the request took longer than {0} ms: send it again later, or send less at once")]
    Timeout(u128),
    /// 503: every live stream is taken.
    #[error("all {0} live streams are taken: close a page or try again later")]
    Streams(usize),
    /// 503: the database cannot do it now; 500: it never will.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// 500: the server has a bug.
    #[error("{0} failed")]
    Internal(&'static str),
}

impl ApiError {
    pub(crate) fn refused(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Refused { code, detail: detail.into() }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Replayed { .. } => ErrorCode::Replayed,
            Self::Method => ErrorCode::NotFound,
            Self::Store(StoreError::Record(_) | StoreError::Sealed) | Self::Internal(_) => {
                ErrorCode::Internal
            }
            Self::Timeout(_) | Self::Streams(_) | Self::Store(_) => ErrorCode::Unavailable,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            other => StatusCode::from_u16(other.code().status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// What the client is told: nothing of the inside of the server.
    fn detail(&self) -> String {
        match self {
            Self::Store(_) => match self.code() {
                ErrorCode::Unavailable => {
                    "the database did not answer; nothing was stored: send it again later".into()
                }
                _ => "the server failed; nothing was stored: tell its operator".into(),
            },
            other => other.to_string(),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused { code, detail } => Self::Refused { code, detail },
            Denied::Replayed { last } => Self::Replayed { last },
            Denied::Store(error) => Self::Store(error),
        }
    }
}

impl App {
    /// Counts a refusal of a request, and writes attacks down.
    pub(crate) async fn refused(&self, error: &ApiError, about: Option<Digest>, now_unix_ms: i64) {
        let code = error.code();
        self.live.refused(code);
        let action = match code {
            ErrorCode::Unauthenticated => Action::BadSignature,
            ErrorCode::Replayed => Action::Replay,
            _ => return,
        };
        self.guard.note(&self.store, action, about, now_unix_ms).await;
    }

    /// What was asked for, or the counted refusal.
    pub(crate) async fn or_refuse<T>(
        &self,
        result: Result<T, Denied>,
        now_unix_ms: i64,
    ) -> Result<T, ApiError> {
        match result {
            Ok(value) => Ok(value),
            Err(denied) => {
                let error = ApiError::from(denied);
                self.refused(&error, None, now_unix_ms).await;
                Err(error)
            }
        }
    }
}

/// A store's message names the failure of a statement, never a bound value; the server's own
/// texts hold no value of a request.
impl protocol::log::LogSafe for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Store(_) | Self::Internal(_) = self {
            protocol::log!(error, "request failed", error = self);
        }
        let (status, code) = (self.status(), self.code());
        let title = match status {
            StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
            _ => title(code),
        };
        let problem = Problem {
            status: status.as_u16(),
            code,
            title: title.to_owned(),
            detail: self.detail(),
            last_request: match self {
                Self::Replayed { last } => Some(last),
                _ => None,
            },
        };
        let mut response = (status, axum::Json(problem)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

const fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Malformed => "malformed body",
        ErrorCode::Invalid => "invalid value",
        ErrorCode::TooLarge => "too large",
        ErrorCode::Unauthenticated => "not authenticated",
        ErrorCode::Replayed => "request number not new",
        ErrorCode::NoConsent => "no consent",
        ErrorCode::Erased => "erased",
        ErrorCode::Conflict => "conflict",
        ErrorCode::NotFound => "not found",
        ErrorCode::Unavailable => "unavailable",
        ErrorCode::Internal => "server failure",
    }
}
