//! The gate: what may run, decided in one place and proved by a type everywhere else.
//!
//! [`Gate`] holds what the person agreed to on this device. It hands out [`Permit`]s; a driver
//! cannot be opened, a feature cannot be read and an event cannot be queued without one. Every
//! change of consent starts a new [`Epoch`], and a permit of an older epoch is refused from that
//! moment on, in every stage and on every thread.
//!
//! With the `vault` feature, `Ledger` keeps what the gate decides: signed, chained and through
//! crashes.

mod gate;
#[cfg(feature = "vault")]
mod ledger;
mod permit;

pub use gate::{ConsentError, Gate, GateError, Witness};
#[cfg(feature = "vault")]
pub use ledger::{Forget, Ledger, LedgerError, Opened};
pub use permit::{AdaptOffer, Collect, Epoch, Infer, Permit, RaisePrice, Refused, Scope, Share};
