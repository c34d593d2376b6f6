//! Lines for machines on standard output, and how a reader that went away ends the command.

use crate::Failure;
use sdk_core::runtime::Update;
use serde::Serialize;
use serde_json::json;
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
/// As [`line()`].
pub fn text(value: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{value}")?;
    Ok(())
}

/// Tells of what happens once, as it happens: links and changes of the offer.
///
/// # Errors
/// As [`line()`].
pub fn happening(update: &Update, json: bool) -> Result<(), Failure> {
    match update {
        Update::Offer(revision) if json => {
            let mut object = serde_json::to_value(revision.as_ref())?;
            object["type"] = "offer".into();
            line(&object)
        }
        Update::Offer(revision) => text(&format!(
            "   offer {}: {} [{}]",
            revision.rule.id(),
            revision.reason,
            revision.changes.join("; ")
        )),
        Update::Marker { label, at } if json => {
            line(&json!({"type": "marker", "at_ms": at.as_millis(), "label": label}))
        }
        Update::Marker { label, at } => {
            text(&format!("   marked \"{label}\" at {:.1} s", at.as_secs_f64()))
        }
        Update::Link { profile, state, .. } if json => line(&json!({
            "type": "link", "device": profile.name(), "state": format!("{state:?}")
        })),
        Update::Link { profile, state, .. } => text(&format!("   {}: {state:?}", profile.name())),
        _ => Ok(()),
    }
}
