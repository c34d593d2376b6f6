//! Every way a request can fail, and how that reads on the wire.

use crate::{
    app::App,
    ingest::Denied,
    ops::{limits::Quota, ring::Invalid, scope::Scope},
    store::{Action, StoreError},
};
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{
    digest::Digest,
    problem::{ErrorCode, MEDIA_TYPE, Problem},
};
use thiserror::Error;
use uuid::Uuid;

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
    /// 401: no key, or one that does not hold.
    #[error("{}", key_detail(*.0))]
    Key(Option<Invalid>),
    /// 403: the key lacks the scope.
    #[error(
        "the key lacks the scope {0}: use one that has it, or make one with attune keys create"
    )]
    Forbidden(Scope),
    /// 403: a form of the page, sent by another site.
    #[error("the form was sent by another site: open the page itself")]
    OtherSite,
    /// 429: asked too often.
    #[error("asked too often: wait for as long as the header retry-after says")]
    TooMany(Quota),
    /// 405: the path is right, the method is not.
    #[error("this path does not take that method: see the allow header and /openapi.json")]
    Method,
    /// 503: the request took too long.
    #[error("the request took longer than {0} ms: send it again later, or send less at once")]
    Timeout(u128),
    /// 503: the server is about to end.
    #[error("the server is about to end: ask another, or again later")]
    Draining,
    /// 503: every live stream is taken.
    #[error("all {0} live streams are taken: close a page or try again later")]
    Streams(usize),
    /// 503: the database cannot do it now; 500: it never will.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// As the other says, but what was taken of the request before stays.
    #[error("{error}")]
    Partly { error: Box<Self>, request: Uuid, rows: u64, stored: u64 },
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
            Self::Key(_) => ErrorCode::Unauthenticated,
            Self::Forbidden(_) | Self::OtherSite => ErrorCode::Forbidden,
            Self::TooMany(_) => ErrorCode::TooManyRequests,
            Self::Method => ErrorCode::NotFound,
            Self::Store(StoreError::Record(_) | StoreError::Sealed) | Self::Internal(_) => {
                ErrorCode::Internal
            }
            Self::Timeout(_) | Self::Draining | Self::Streams(_) | Self::Store(_) => {
                ErrorCode::Unavailable
            }
            Self::Partly { error, .. } => error.code(),
        }
    }

    /// What goes with some answers.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, text) = match self {
            Self::Key(None) => (header::WWW_AUTHENTICATE, "Bearer realm=\"attune\"".to_owned()),
            Self::Key(Some(_)) => {
                let text = "Bearer realm=\"attune\", error=\"invalid_token\"";
                (header::WWW_AUTHENTICATE, text.to_owned())
            }
            Self::Forbidden(scope) => {
                let text = "Bearer realm=\"attune\", error=\"insufficient_scope\"";
                (header::WWW_AUTHENTICATE, format!("{text}, scope=\"{scope}\""))
            }
            Self::TooMany(quota) => {
                let wait_s = quota.retry_in.unwrap_or_default().as_millis().div_ceil(1_000);
                (header::RETRY_AFTER, wait_s.max(1).to_string())
            }
            Self::Partly { request, .. } => (header::LOCATION, format!("/v1/requests/{request}")),
            _ => return None,
        };
        Some((name, HeaderValue::from_str(&text).ok()?))
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
            Self::Store(_) => {
                let (what, then) = self.of_store();
                format!("{what}; nothing was stored: {then}")
            }
            Self::Partly { error, rows, stored, .. } => {
                let taken = format!(
                    "the first {rows} rows were taken, {stored} of them stored; the location \
                     header names the request"
                );
                match &**error {
                    Self::Store(_) => {
                        let (what, then) = error.of_store();
                        format!("{what}; {taken}: {then}")
                    }
                    other => format!("{other}; {taken}"),
                }
            }
            other => other.to_string(),
        }
    }

    /// What a failure of the store is to a client, and what to do.
    fn of_store(&self) -> (&'static str, &'static str) {
        match self.code() {
            ErrorCode::Unavailable => ("the database did not answer", "send it again later"),
            _ => ("the server failed", "tell its operator"),
        }
    }

    /// Whether it is the server that failed.
    const fn is_ours(&self) -> bool {
        match self {
            Self::Store(_) | Self::Internal(_) => true,
            Self::Partly { error, .. } => error.is_ours(),
            _ => false,
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
            // Who watches keys is not who watches signatures.
            ErrorCode::Unauthenticated if matches!(error, ApiError::Key(_)) => return,
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
        if self.is_ours() {
            protocol::log!(error, "request failed", error = self);
        }
        let (status, code, header) = (self.status(), self.code(), self.header());
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
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Only who holds the secret hears that the key has ended.
const fn key_detail(why: Option<Invalid>) -> &'static str {
    match why {
        None => "send an operator's key: the header authorization: Bearer attune_...",
        Some(Invalid::Unknown) => "the key is not one of this server's",
        Some(Invalid::Expired) => "the key has expired: ask for the one that took over from it",
        Some(Invalid::Revoked) => "the key was revoked: ask for another",
    }
}

pub(super) const fn title(code: ErrorCode) -> &'static str {
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
        ErrorCode::Forbidden => "forbidden",
        ErrorCode::TooManyRequests => "too many requests",
        ErrorCode::Unavailable => "unavailable",
        ErrorCode::Internal => "server failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_of_a_request_is_not_denied() {
        let failed = || ApiError::Store(StoreError::Sealed);
        assert!(failed().detail().contains("nothing was stored"));
        let (error, request) = (Box::new(failed()), Uuid::nil());
        let partly = ApiError::Partly { error, request, rows: 1_000, stored: 998 };
        assert_eq!(partly.code(), failed().code());
        let detail = partly.detail();
        assert!(detail.contains("the first 1000 rows were taken, 998 of them stored"), "{detail}");
        assert!(!detail.contains("nothing was stored"), "{detail}");
        assert!(partly.is_ours() && partly.header().is_some());
    }
}
