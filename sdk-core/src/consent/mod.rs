//! The gate: what may run, decided in one place and proved by a type everywhere else.
//!
//! [`Gate`] holds what the person agreed to on this device. It hands out [`Permit`]s; a driver
//! cannot be opened, a feature cannot be read and an event cannot be queued without one. Every
//! change of consent starts a new [`Epoch`], and a permit of an older epoch is refused from that
//! moment on, in every stage and on every thread.
//!
//! The signed ledger, receipts and the vault build on this gate.

mod gate;
mod permit;

pub use gate::{Gate, GateError};
pub use permit::{AdaptOffer, Collect, Epoch, Infer, Permit, RaisePrice, Refused, Scope, Share};
