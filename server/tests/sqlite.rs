//! What a server stores and answers, on SQLite: `cargo test -p server --test sqlite`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod suite;
mod support;
