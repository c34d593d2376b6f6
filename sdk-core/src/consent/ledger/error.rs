//! What can be wrong with a ledger: what, where, and what to do.

use crate::{consent::GateError, frames::FramesError};
use protocol::{
    canonical::NotCanonical,
    consent::{ChainError, NoticeError},
    key::PublicKey,
};
use thiserror::Error;
use uuid::Uuid;

/// Why a ledger cannot be used.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// An entry cannot be read.
    #[error(
        "the consent ledger is damaged: entry {entry} of {of} cannot be read. Nothing is permitted \
         under it. Restore it from a backup, or begin anew (the damaged ledger is kept as evidence)"
    )]
    Damaged {
        /// Which, from 1.
        entry: usize,
        /// Of how many.
        of: usize,
    },
    /// The chain does not hold.
    #[error(
        "the consent ledger does not hold: {0}. It was changed by something else than Attune, or \
         two programs wrote it at once. Nothing is permitted under it. Restore it from a backup, \
         or begin anew (the broken ledger is kept as evidence)"
    )]
    Broken(ChainError),
    /// The ledger was signed with another key.
    #[error(
        "the consent ledger was signed by device {found}, this is {here}: it was copied from \
         another device, or this one's key was lost. Nothing is permitted under it; begin anew \
         (the other ledger is kept as evidence)"
    )]
    OtherDevice {
        /// Whose it is.
        found: Uuid,
        /// This one.
        here: Uuid,
    },
    /// The ledger could not be written.
    #[error("the consent ledger cannot be written: {0}")]
    Frames(#[from] FramesError),
    /// Nobody may be measured under this notice.
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// The newest receipt cannot be taken up.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// There is a gate.
    #[error("this ledger has handed out its gate: clone that one, or open the ledger again")]
    GateTaken,
    /// The server's signature is not one under this chain.
    #[error(
        "the server's signature does not fit the consent ledger: {0}. If this device was restored \
         from a backup, begin anew; otherwise ask the operator"
    )]
    Head(ChainError),
    /// Another server answers.
    #[error(
        "the server signs with key {found}, it used to be {pinned}: somebody may be in between. If \
         the operator did change the key, begin anew"
    )]
    OtherServer {
        /// The first key seen.
        pinned: PublicKey,
        /// The key now.
        found: PublicKey,
    },
    /// A record that cannot be signed.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
}
