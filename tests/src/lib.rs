//! What tests that cross crates share: wearables on a private D-Bus, a server, a session.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "everything here is for tests"
)]

pub mod accounts;
pub mod crash;
pub mod data;
#[path = "../../server/tests/support/postgres.rs"]
pub mod postgres;
pub mod replay;
pub mod rig;
pub mod scan;
pub mod soak;
pub mod wire;
