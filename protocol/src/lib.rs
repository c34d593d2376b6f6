//! What a wearable, a device and the server say to each other.
//!
//! Types, their bytes and their checks; nothing here opens a file, a socket or a clock.
//!
//! * On the air: [`gatt`] (services); [`heart_rate`], [`eda_profile`], [`polar_pmd`], [`healthypi`]
//!   and [`shimmer`] (payloads).
//! * Over HTTPS: [`consent`], [`event`], [`intake`], [`problem`]; [`signing`] says who sent it.
//! * On both sides: [`offer`] (what is sculpted), [`feature`] (what is measured).
//!
//! **Invariant.** Raw samples have no type here that could be sent to the server: no payload that
//! comes over the air implements `Serialize`.

pub mod canonical;
pub mod consent;
pub mod digest;
pub mod eda_profile;
pub mod event;
pub mod feature;
pub mod gatt;
pub mod healthypi;
pub mod heart_rate;
mod hex;
pub mod intake;
pub mod intent;
pub mod key;
pub mod log;
pub mod offer;
pub mod polar_pmd;
pub mod problem;
pub mod shimmer;
#[cfg(feature = "crypto")]
pub mod signing;
