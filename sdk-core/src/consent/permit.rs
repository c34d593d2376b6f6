//! Proof, by type, that a person agreed.

use protocol::consent::{Modality, Purpose};
use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use thiserror::Error;

/// Counts the changes of consent on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What a permit is for. Sealed: the purposes are those of [`Purpose`].
pub trait Scope: sealed::Sealed + 'static {
    /// The purpose this scope stands for.
    const PURPOSE: Purpose;
}

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident),*) => {
        $($(#[$doc])*
        #[derive(Debug)]
        pub struct $name(());
        impl Scope for $name {
            const PURPOSE: Purpose = Purpose::$name;
        }
        impl sealed::Sealed for $name {})*
    };
}

mod sealed {
    pub trait Sealed {}
}

scopes! {
    /// Open a sensor and read it.
    Collect,
    /// Infer a state from features.
    Infer,
    /// Adapt the offer; a price only downward.
    AdaptOffer,
    /// Raise a price above list.
    RaisePrice,
    /// Queue derived values for the operator.
    Share
}

/// Proof that `S` was granted for one modality, until the next change of consent.
///
/// Only [`Gate::permit`](super::Gate::permit) makes one. Holding a permit is not enough: each
/// stage calls [`Permit::check`] on each item, so that a withdrawal takes effect at once.
#[derive(Debug)]
pub struct Permit<S: Scope> {
    modality: Modality,
    epoch: Epoch,
    /// Unix milliseconds after which the grant is over.
    expires_unix_ms: Option<i64>,
    gate: Arc<Shared>,
    scope: PhantomData<fn() -> S>,
}

impl<S: Scope> Clone for Permit<S> {
    fn clone(&self) -> Self {
        Self { gate: Arc::clone(&self.gate), ..*self }
    }
}

/// What every permit of a gate looks at.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) epoch: AtomicU64,
    /// The latest wall time seen, Unix milliseconds: moving the clock back extends nothing (C6).
    pub(super) latest_unix_ms: AtomicU64,
}

/// Why a stage did not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// No grant covers it.
    #[error("no consent to {} {}: ask the person for it first", .purpose.name(), .modality.name())]
    NotGranted {
        /// What would be used.
        modality: Modality,
        /// For what.
        purpose: Purpose,
    },
    /// The person has not been told.
    #[error("the notice in force was not acknowledged: show it to the person first")]
    NotAcknowledged,
    /// The person paused sensing.
    #[error("sensing is paused: resume it first")]
    Paused,
    /// Consent changed since the permit was handed out.
    #[error("consent changed: ask the gate for a new permit")]
    Superseded,
    /// The grant ran out.
    #[error("the grant has expired: ask the person again")]
    Expired,
}

impl<S: Scope> Permit<S> {
    pub(super) fn new(
        modality: Modality,
        epoch: Epoch,
        expires_unix_ms: Option<i64>,
        gate: Arc<Shared>,
    ) -> Self {
        Self { modality, epoch, expires_unix_ms, gate, scope: PhantomData }
    }

    /// Whether the permit still holds. One atomic read; call it on every item.
    ///
    /// # Errors
    /// [`Refused::Superseded`] after any change of consent, [`Refused::Expired`] once the grant's
    /// own end has passed.
    pub fn check(&self) -> Result<(), Refused> {
        if self.gate.epoch.load(Ordering::Acquire) != self.epoch.0 {
            return Err(Refused::Superseded);
        }
        let now = self.gate.latest_unix_ms.load(Ordering::Acquire);
        match self.expires_unix_ms {
            Some(end) if i64::try_from(now).unwrap_or(i64::MAX) >= end => Err(Refused::Expired),
            _ => Ok(()),
        }
    }

    /// What the permit covers.
    #[must_use]
    pub fn modality(&self) -> Modality {
        self.modality
    }

    /// The epoch it was handed out in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}
