//! What may be written into a log: nothing of a body, and nobody's name.
//!
//! [`log!`](crate::log!) is the only way to log in this workspace (`cargo xtask ci logs` finds any
//! other). It takes a text that stands in the source, and fields whose types are
//! [`LogSafe`]. Signal values and features are floating-point numbers, people and devices are
//! UUIDs, and what an app or a person writes are strings: none of these is `LogSafe`, so that no
//! such line compiles.
//!
//! ```compile_fail
//! let value_microsiemens = 3.2_f64;
//! protocol::log!(warn, "a sample", value_microsiemens);
//! ```
//! ```compile_fail
//! let person = uuid::Uuid::now_v7();
//! protocol::log!(warn, "a person", person);
//! ```
//! ```compile_fail
//! let label = String::from("what somebody typed");
//! protocol::log!(warn, "a label", label);
//! ```

use std::fmt;

#[doc(hidden)]
pub use tracing;

/// A type whose values say nothing about a person.
///
/// Implement it for errors and states of your own, never for what holds samples, features, ids of
/// people or devices, or text that came from outside.
pub trait LogSafe {}

impl LogSafe for bool {}
impl LogSafe for usize {}
impl LogSafe for u64 {}
impl LogSafe for &'static str {}
impl LogSafe for crate::problem::ErrorCode {}

/// Hands a value on to the log.
#[doc(hidden)]
pub fn safe<T: LogSafe + fmt::Display>(value: &T) -> &(dyn fmt::Display + '_) {
    value
}

/// Writes a log line: level, text, and fields that are [`LogSafe`].
///
/// # Examples
/// ```
/// let missed = 3_u64;
/// protocol::log!(warn, "updates were not shown in time", missed);
/// protocol::log!(error, "the database cannot be written", table = "events", missed = missed + 1);
/// ```
#[macro_export]
macro_rules! log {
    ($level:ident, $text:literal $(, $key:ident $(= $value:expr)?)* $(,)?) => {{
        $crate::log::tracing::$level!(
            $($key = %$crate::log::safe(&$crate::log!(@value $key $(= $value)?)),)*
            $text
        );
    }};
    (@value $key:ident) => { $key };
    (@value $key:ident = $value:expr) => { $value };
}
