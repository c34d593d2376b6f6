//! Errors on the wire: RFC 9457 problem details with a fixed set of codes.

use serde::{Deserialize, Serialize};

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
    /// No consent record, or none that permits this.
    NoConsent,
    /// The same id was used for another body.
    Conflict,
    /// Nothing there.
    NotFound,
    /// The server cannot do it now.
    Unavailable,
    /// The server failed.
    Internal,
}

impl ErrorCode {
    /// The HTTP status that goes with the code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Invalid => 422,
            Self::TooLarge => 413,
            Self::NoConsent => 403,
            Self::Conflict => 409,
            Self::NotFound => 404,
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
}
