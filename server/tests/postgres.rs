//! What a server stores and answers, on PostgreSQL: `cargo test -p server --test postgres`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod suite;
mod support;
