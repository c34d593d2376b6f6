//! The chain of consent receipts, as synchronisation sees it.

use crate::frames::FramesError;
use protocol::{
    consent::{Head, Receipt},
    key::SigningKey,
};
use std::{fmt, sync::Arc};

/// Receipts of one person on this device, the server's word on them, and the device's key.
pub trait Chain: Send + Sync + fmt::Debug {
    /// The receipts after an epoch, in order; all of them for zero.
    fn receipts_after(&self, epoch: u64) -> Vec<Receipt>;

    /// The newest countersignature of the server.
    fn head(&self) -> Option<Head>;

    /// Keeps a countersignature. It has been verified, is of a receipt of this chain, and not
    /// older than the one before.
    ///
    /// # Errors
    /// [`FramesError`]: it is not kept, and will be asked for again.
    fn countersigned(&self, head: Head) -> Result<(), FramesError>;

    /// The key that signs receipts and requests.
    fn signer(&self) -> Arc<SigningKey>;
}
