//! What is wrong with a row: a code and words that name the field, never what stood in it.

use protocol::intake::Reason;
use std::borrow::Cow;

/// Why a row is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For programs.
    pub reason: Reason,
    /// For people: the field, and what to do.
    pub detail: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// What a parser of JSON said, without the values that it quotes. `what` names the row's kind.
    pub(crate) fn of_json(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let place = format!("line {}, column {} of the row", error.line(), error.column());
        // The names of missing fields are the schema's; those of unknown ones are not.
        if let Some(rest) = text.strip_prefix("missing field `")
            && let Some((name, _)) = rest.split_once('`')
        {
            return Self::new(Reason::MissingField, format!("{name} is missing: send it"));
        }
        if text.starts_with("unknown field") {
            let detail = format!("{place}: no field of that name; see /openapi.json");
            return Self::new(Reason::UnknownField, detail);
        }
        if text.starts_with("unknown variant") {
            let detail = format!("{place}: none of the words it may be; see /openapi.json");
            return Self::new(Reason::Malformed, detail);
        }
        if text.starts_with("number out of range") {
            return Self::new(Reason::NotANumber, format!("{place}: a number too large to be one"));
        }
        let detail = format!("{place}: not of the type it should be; see /openapi.json");
        Self::new(Reason::Malformed, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::intake::Reported;

    fn check(json: &str, reason: Reason, says: &str) {
        let error = serde_json::from_str::<Reported>(json).unwrap_err();
        let fault = Fault::of_json(&error);
        assert_eq!(fault.reason, reason, "{fault:?}");
        assert!(fault.detail.contains(says), "{fault:?}");
        assert!(!fault.detail.contains("canary"), "{fault:?}");
    }

    #[test]
    fn c12_a_fault_names_fields_and_never_values() {
        check("{}", Reason::MissingField, "event_timestamp");
        check(r#"{"canary": 1}"#, Reason::UnknownField, "column");
        check(r#"{"event_timestamp": 7}"#, Reason::Malformed, "column");
        check(r#"{"conversion_value": "canary"}"#, Reason::Malformed, "column");
        check(r#"{"conversion_value": 1e999}"#, Reason::NotANumber, "column");
        check(r#"{"source": "canary"}"#, Reason::Malformed, "column");
        check(r#""canary""#, Reason::Malformed, "column");
        check(r#"{"user_identifiers": [{"canary": "x"}]}"#, Reason::Malformed, "column");
    }
}
