//! A No in a row that is not taken: it is never turned away on a formality.
//!
//! Of such a row only who, when and what they said is read, as far as it can be. A time that cannot
//! be read counts as that of the arrival. A Yes is not heard: it can wait until the row is right.

use super::{
    Fault,
    check::{Frame, identifiers, named, overlaid},
    row::{Refused, Said, Who},
    time,
};
use protocol::intake::{
    Consent, ConsentStatus, Encoding, MAX_IDENTIFIERS, Reported, Scope, UserIdentifier,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{collections::HashMap, iter};

/// What was denied in a row, by whoever of its identifiers are some; `None` if nothing was.
pub fn denial(frame: &Frame, row: &Reported) -> Option<Said> {
    let consent = denied(overlaid(row.consent, frame.consent))?;
    let who = readable(&named(row), frame.encoding)?;
    let at = time::read("event_timestamp", &row.event_timestamp);
    // A No ahead of its arrival would end what was not yet agreed to.
    let at_unix_ms = at.map_or(frame.received_unix_ms, |at| at.min(frame.received_unix_ms));
    Some(Said { who, consent, at_unix_ms })
}

/// A row of JSON that is not taken, and what was denied in it.
pub fn refused(frame: &Frame, row: &RawValue, fault: Fault) -> Box<Refused> {
    Box::new(Refused { fault, denial: denial(frame, &lenient(row)) })
}

/// What can be read of a row, whatever else is wrong with it. A CloudEvent has it in `data`.
fn lenient(row: &RawValue) -> Reported {
    let outside = fields(row);
    let inside = outside.get("data").map(|data| fields(data)).unwrap_or_default();
    let get = |names: [&str; 2]| {
        names.into_iter().find_map(|name| outside.get(name).or_else(|| inside.get(name)).copied())
    };
    let time = get(["event_timestamp", "eventTimestamp"]).or_else(|| get(["time"; 2]));
    let mut given: Vec<&RawValue> =
        get(["user_identifiers", "userIdentifiers"]).map_or_else(Vec::new, list);
    if let Some(nested) = get(["user_data", "userData"]).map(fields) {
        let names = ["user_identifiers", "userIdentifiers"];
        given.extend(
            names.into_iter().filter_map(|name| nested.get(name)).flat_map(|raw| list(raw)),
        );
    }
    let clicks = get(["ad_identifiers", "adIdentifiers"]).map(fields).unwrap_or_default();
    let clicks = clicks.into_values().filter_map(read).map(UserIdentifier::ClickId);
    Reported {
        event_timestamp: time.and_then(read).unwrap_or_default(),
        user_identifiers: given.into_iter().filter_map(read).chain(clicks).collect(),
        consent: get(["consent"; 2]).map(|raw| consent(&fields(raw))),
        ..Reported::default()
    }
}

fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// What is no object has no fields.
fn fields(raw: &RawValue) -> HashMap<String, &RawValue> {
    read(raw).unwrap_or_default()
}

fn list(raw: &RawValue) -> Vec<&RawValue> {
    read(raw).unwrap_or_default()
}

fn consent(fields: &HashMap<String, &RawValue>) -> Consent {
    let about = |name: &str| fields.get(name).copied().and_then(read::<ConsentStatus>);
    Consent {
        conversion: about("conversion"),
        behaviour: about("behaviour"),
        demographics: about("demographics"),
        loyalty: about("loyalty"),
        third_party: about("third_party").or_else(|| about("thirdParty")),
    }
}

/// Of what was said every No; `None` if there is none.
fn denied(said: Consent) -> Option<Consent> {
    let no = |status: Option<ConsentStatus>| status.filter(|one| *one == ConsentStatus::Denied);
    let consent = Consent {
        conversion: no(said.conversion),
        behaviour: no(said.behaviour),
        demographics: no(said.demographics),
        loyalty: no(said.loyalty),
        third_party: no(said.third_party),
    };
    Scope::ALL.iter().any(|&scope| consent.about(scope).is_some()).then_some(consent)
}

/// Of the identifiers those that are some, as many as a row may have.
fn readable(given: &[UserIdentifier], encoding: Encoding) -> Option<Who> {
    let mut who = Who::default();
    let some = given.iter().filter_map(|one| identifiers(iter::once(one), encoding).ok());
    for one in some.take(MAX_IDENTIFIERS) {
        who.identifiers.extend(one.identifiers);
        who.device = who.device.or(one.device);
    }
    who.identifiers.sort_unstable();
    who.identifiers.dedup();
    (!who.identifiers.is_empty() || who.device.is_some()).then_some(who)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::Known;
    use proptest::prelude::*;
    use protocol::intake::Reason;

    const RECEIVED_MS: i64 = 1_795_190_645_000;

    fn frame() -> Frame {
        Frame {
            destination: String::new(),
            encoding: Encoding::Hex,
            consent: None,
            scopes: &Scope::ALL,
            known: Known::Arrival,
            received_unix_ms: RECEIVED_MS,
        }
    }

    fn heard(frame: &Frame, json: &str) -> Option<Said> {
        let row: &RawValue = serde_json::from_str(json).unwrap();
        refused(frame, row, Fault::new(Reason::Malformed, "")).denial
    }

    /// Scopes that were denied, how many identifiers said so, and how long before the arrival.
    fn check(json: &str, expected: Option<(&[Scope], usize, i64)>) {
        let found = heard(&frame(), json).map(|said| {
            let scopes: Vec<Scope> =
                Scope::ALL.into_iter().filter(|&one| said.consent.about(one).is_some()).collect();
            (scopes, said.who.identifiers.len(), RECEIVED_MS - said.at_unix_ms)
        });
        let expected = expected.map(|(scopes, who, before)| (scopes.to_vec(), who, before));
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn c14_a_no_is_heard_whatever_else_is_wrong() {
        const USER: &str = r#""user_identifiers": [{"user_id": "C-17"}]"#;
        const NO: &str = r#""consent": {"conversion": "denied"}"#;
        let conversion = &[Scope::Conversion][..];
        for (rest, before) in [
            ("", 0),
            (r#", "event_timestamp": "canary""#, 0),
            (r#", "event_timestamp": 7"#, 0),
            (r#", "event_timestamp": "2062-01-01T00:00:00Z""#, 0),
            (
                r#", "event_timestamp": "2026-11-20T16:04:04Z", "x": 1, "conversion_value": 1e999"#,
                1_000,
            ),
            (r#", "time": "2026-11-20T16:04:04Z""#, 1_000),
        ] {
            check(&format!("{{{USER}, {NO}{rest}}}"), Some((conversion, 1, before)));
        }
        // In part, in the names of others, nested, in a CloudEvent.
        check(
            r#"{"userData": {"userIdentifiers": [7, {"canary": "x"}, {"userId": "C-17"}]},
                "adIdentifiers": {"gclid": "g", "gbraid": 7},
                "consent": {"thirdParty": "CONSENT_DENIED", "loyalty": "granted", "adUserData": 1}}"#,
            Some((&[Scope::ThirdParty], 2, 0)),
        );
        check(
            r#"{"specversion": "1.0", "data": {"user_identifiers": [{"user_id": "C-17"}],
                "consent": {"behaviour": "denied"}, "canary": 1}}"#,
            Some((&[Scope::Behaviour], 1, 0)),
        );
        // Of whoever it is, nobody can say; nothing was denied.
        check(&format!("{{{NO}}}"), None);
        check(&format!(r#"{{{USER}, "consent": {{"conversion": "granted"}}}}"#), None);
        check(&format!(r#"{{{USER}, "consent": "canary"}}"#), None);
        check("[7]", None);
    }

    #[test]
    fn c14_a_no_of_the_whole_request_is_heard_in_its_bad_rows() {
        let consent = Some(Consent::only(Scope::Conversion, ConsentStatus::Denied));
        let frame = Frame { consent, ..frame() };
        assert!(heard(&frame, r#"{"x": 1, "user_identifiers": [{"user_id": "C-17"}]}"#).is_some());
    }

    proptest! {
        #[test]
        fn any_json_says_no_or_does_not(text in any::<String>(), number in any::<f64>()) {
            let value = serde_json::json!({"consent": {"conversion": "denied", text.clone(): number},
                "user_identifiers": [{"user_id": text}, {"email_address": text}, number],
                "event_timestamp": text, text.clone(): [text]});
            let _ = heard(&frame(), &value.to_string());
        }
    }
}
