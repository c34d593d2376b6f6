//! Lines for machines on standard output, and how a reader that went away ends the command.

use crate::Failure;
use serde::Serialize;
use std::io::{self, Write};

/// Writes one JSON object as a line.
///
/// # Errors
/// When standard output is closed: whoever read it has gone, and the command should end.
pub fn line(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Writes a text line for people.
///
/// # Errors
/// As [`line`].
pub fn text(value: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{value}")?;
    Ok(())
}
