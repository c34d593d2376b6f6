//! The bytes that are hashed and signed: JSON in the canonical form of RFC 8785 (JCS), so that
//! whoever can read the JSON can check them with tools of their own.

use serde::Serialize;
use thiserror::Error;

/// A value that has no canonical form: a number that is not finite, or a key that is no text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the value has no canonical JSON form (RFC 8785): {0}")]
pub struct NotCanonical(String);

/// The canonical bytes of a value.
///
/// # Errors
/// [`NotCanonical`]. Types of this crate without floating-point numbers always have a form.
pub fn canonical_bytes(value: &impl Serialize) -> Result<Vec<u8>, NotCanonical> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| NotCanonical(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_nothing_is_spaced() {
        let value = json!({"b": [1, null, "\u{20ac}\n"], "a": {"z": true, "y": -3}});
        let expected = "{\"a\":{\"y\":-3,\"z\":true},\"b\":[1,null,\"\u{20ac}\\n\"]}";
        assert_eq!(canonical_bytes(&value).unwrap(), expected.as_bytes());
    }
}
