//! What a server stores and answers, on TimescaleDB: `cargo test -p server --test timescale`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod suite;
mod support;
