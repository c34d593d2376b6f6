//! What Swift, Kotlin and Python will call: the UniFFI surface of [`sdk_core`].
//!
//! **Why it exists.** Apps are not written in Rust. This crate gives them the runtime in terms
//! their languages know: objects, records, errors and streams that begin with the current value.
//! It is also the one library an app links, so that its size can be watched from the first day
//! (`cargo xtask size`).
//!
//! **What it must never know.** How a signal is cleaned, what a feature means, when an offer
//! changes, what consent allows: all of that is [`sdk_core`]'s, and a line of logic here would be
//! logic that Rust users do not get. It never opens a socket, a file or a sensor by itself, and
//! never hands a raw sample across the boundary.
//!
//! **What is there now.** Nothing that can be called. The surface comes with the bindings, once
//! the runtime beneath it has settled; until then `cargo xtask bindings` says so and fails.
