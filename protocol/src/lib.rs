//! What a wearable, a device and the server say to each other.
//!
//! Types, their bytes and their checks; nothing here opens a file, a socket or a clock.
//!
//! * On the air: [`gatt`] (services), [`heart_rate`] and [`eda_profile`] (payloads).
//! * Over HTTPS: [`consent`], [`event`], [`outcome`], [`problem`].
//! * On both sides: [`offer`] (what is sculpted), [`feature`] (what is measured).
//!
//! **Invariant.** Raw samples have no type here that could be sent to the server: the payloads of
//! [`heart_rate`] and [`eda_profile`] do not implement `Serialize`.

pub mod consent;
pub mod eda_profile;
pub mod event;
pub mod feature;
pub mod gatt;
pub mod heart_rate;
pub mod intent;
pub mod offer;
pub mod outcome;
pub mod problem;
