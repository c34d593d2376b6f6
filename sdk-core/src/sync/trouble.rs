//! What synchronisation tells the app.

use protocol::{consent::Head, problem::ErrorCode};
use thiserror::Error;

/// Something the app may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The server has signed for the chain of receipts up to here; the chain keeps it.
    Countersigned(Head),
    /// Something is wrong.
    Trouble(Trouble),
}

/// What is wrong, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Trouble {
    /// The person's data was erased on the server.
    #[error("the person's data was erased on the server: what waited is purged, nothing is sent")]
    Erased,
    /// Another server answers, or somebody in its place.
    #[error(
        "the server signs with another key than before: nothing is sent; find out why, and start \
         with a new consent ledger if it is right"
    )]
    ServerKey,
    /// The server has signed for receipts that this device does not have.
    #[error("the newest consent receipts are missing on this device: nothing is sent; ask anew")]
    Truncated,
    /// The server has signed for another receipt than this device has.
    #[error("the server knows another consent receipt in place of one of ours: nothing is sent")]
    Forked,
    /// The server does not take the chain of receipts, not even from its beginning.
    #[error("the server does not take the chain of consent receipts: nothing is sent")]
    ChainRefused,
    /// The server's countersignature does not hold.
    #[error("the server's signature under the consent chain does not hold: it is asked again")]
    BadHead,
    /// The server refuses a request; what waits is kept.
    #[error("the server refuses what is sent ({code:?}): everything is kept and sent again")]
    Refused {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people, in the server's words.
        detail: String,
    },
    /// The disk does not take what happened.
    #[error("the outbox or the ledger could not be written: {0}; make room or mend the folder")]
    Disk(String),
}

impl Trouble {
    /// Whether nothing is sent any more by this session.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Erased
            | Self::ServerKey
            | Self::Truncated
            | Self::Forked
            | Self::ChainRefused => true,
            Self::BadHead | Self::Refused { .. } | Self::Disk(_) => false,
        }
    }

    /// Its name, which may be logged: it holds nothing of anybody.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::ServerKey => "server_key",
            Self::Truncated => "truncated",
            Self::Forked => "forked",
            Self::ChainRefused => "chain_refused",
            Self::BadHead => "bad_head",
            Self::Refused { .. } => "refused",
            Self::Disk(_) => "disk",
        }
    }
}
