//! Errors on the wire: RFC 9457 problem details with a fixed set of codes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request or an item was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The body is not what the endpoint takes.
    Malformed,
    /// A value is outside its range.
    Invalid,
    /// More than the endpoint takes at once.
    TooLarge,
    /// Not signed by the device it is about, or without an operator's key that holds.
    Unauthenticated,
    /// The request number is not greater than the last one: see [`Problem::last_request`].
    Replayed,
    /// No consent record, or none that permits this.
    NoConsent,
    /// The person asked for erasure: nothing about them is taken any more.
    Erased,
    /// The same id was used for another body.
    Conflict,
    /// The operator's key lacks a scope.
    Forbidden,
    /// Nothing there.
    NotFound,
    /// Asked too often: see the header `Retry-After`.
    TooManyRequests,
    /// The server cannot do it now.
    Unavailable,
    /// The server failed.
    Internal,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl ErrorCode {
    /// The HTTP status that goes with the code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Invalid => 422,
            Self::TooLarge => 413,
            Self::Unauthenticated | Self::Replayed => 401,
            Self::NoConsent | Self::Forbidden => 403,
            Self::Erased => 410,
            Self::Conflict => 409,
            Self::NotFound => 404,
            Self::TooManyRequests => 429,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Why, for programs.
    pub code: ErrorCode,
    /// What is wrong, in a few words.
    pub title: String,
    /// What is wrong, where, and what to do.
    pub detail: String,
    /// With [`ErrorCode::Replayed`]: the highest request number accepted of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request: Option<u64>,
}
