//! Every way a request can fail, and how that reads on the wire.

use crate::store::StoreError;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{
    event::Verdict,
    problem::{ErrorCode, MEDIA_TYPE, Problem},
};
use thiserror::Error;

/// Why a request was refused; answered as an RFC 9457 [`Problem`].
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// 400, 403, 404, 409, 413 or 422, as the code says.
    #[error("{detail}")]
    Refused { code: ErrorCode, detail: String },
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
            Self::Method => ErrorCode::NotFound,
            Self::Store(StoreError::Record(_)) | Self::Internal(_) => ErrorCode::Internal,
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

/// An item that stands alone: refused, it is the request that fails.
pub(crate) fn accepted(verdict: Verdict) -> Result<Verdict, ApiError> {
    match verdict {
        Verdict::Rejected { code, detail } => Err(ApiError::Refused { code, detail }),
        taken => Ok(taken),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Store(_) | Self::Internal(_) = self {
            // The message of a store error names the statement's failure, never a bound value.
            tracing::error!(error = %self, "request failed");
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
        ErrorCode::NoConsent => "no consent",
        ErrorCode::Conflict => "conflict",
        ErrorCode::NotFound => "not found",
        ErrorCode::Unavailable => "unavailable",
        ErrorCode::Internal => "server failure",
    }
}
