//! The edge runtime: from the bytes of a wearable to an adapted offer, on the person's own device.
//!
//! The modules stand in the order of the data flow; each imports only those above it, plus
//! [`consent`] (the gate) and [`clock`]; [`runtime`] wires them and alone knows them all. `vault`
//! seals what is at rest, and `store` puts it together with the consent ledger.
//!
//! ```text
//! sensor -> signal -> intent -> offer -> sync
//! ```
//!
//! **Invariants.** No module reads the operating system's clock: time is passed in. Nothing is
//! measured, inferred, adapted or sent without a [`consent::Permit`]. Without cargo features this
//! crate is pure Rust, without async and without sockets.

pub mod clock;
pub mod consent;
pub mod frames;
pub mod intent;
pub mod offer;
pub mod sensor;
pub mod signal;
#[cfg(feature = "vault")]
pub mod store;
pub mod sync;
#[cfg(feature = "vault")]
pub mod vault;

pub mod runtime;
