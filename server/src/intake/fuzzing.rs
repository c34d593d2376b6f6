//! The ways of bytes from outside into rows, for the fuzz targets: each takes any bytes.

use super::{Frame, Known, adjustment, circumstance, cloud_event, retraction, row, statement};
use protocol::intake::{CloudEvent, Encoding, Ingest, Scope};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The clock of the targets: 2026-11-20.
const NOW_UNIX_MS: i64 = 1_795_190_645_000;

fn frame(encoding: Encoding, scopes: &'static [Scope]) -> Frame {
    Frame {
        destination: String::new(),
        encoding,
        consent: None,
        scopes,
        known: Known::Arrival,
        received_unix_ms: NOW_UNIX_MS,
    }
}

fn read<'a, T: Deserialize<'a>>(row: &'a RawValue) -> Option<T> {
    serde_json::from_str(row.get()).map_err(|error| super::Fault::of_json(&error)).ok()
}

/// A body of the endpoints that take rows, as each of them reads it; how many rows pass.
pub fn rows(bytes: &[u8]) -> usize {
    let Ok(request) = serde_json::from_slice::<Ingest<&RawValue>>(bytes) else { return 0 };
    let mut passed = 0;
    for raw in request.events {
        for scopes in [&[Scope::Conversion][..], &[Scope::Demographics], &Scope::ALL] {
            let frame = frame(request.encoding, scopes);
            passed += usize::from(read(raw).is_some_and(|given| row(&frame, given).is_ok()));
        }
        let frame = frame(request.encoding, &Scope::ALL);
        passed += usize::from(read(raw).is_some_and(|given| adjustment(&frame, given).is_ok()));
        passed += usize::from(read(raw).is_some_and(|given| retraction(&frame, given).is_ok()));
        passed += usize::from(read(raw).is_some_and(|given| statement(&frame, &given).is_ok()));
        passed += usize::from(read(raw).is_some_and(|given| circumstance(&frame, given).is_ok()));
    }
    passed
}

/// A batch of CloudEvents; how many pass.
pub fn cloud_events(bytes: &[u8]) -> usize {
    let Ok(events) = serde_json::from_slice::<Vec<&RawValue>>(bytes) else { return 0 };
    let frame = frame(Encoding::Hex, &[Scope::Behaviour]);
    let passes = |raw: &&RawValue| {
        let reported = read::<CloudEvent>(raw).and_then(|event| cloud_event(event).ok());
        reported.is_some_and(|(_, reported)| row(&frame, reported).is_ok())
    };
    events.iter().filter(|raw| passes(raw)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROW: &str = r#"{"transaction_id": "T-1", "event_timestamp": "2026-11-20T16:04:05Z",
        "event_name": "store_purchase", "user_identifiers": [{"user_id": "u"}],
        "conversion_value": 19.9, "currency": "EUR"}"#;

    #[test]
    fn good_bytes_pass() {
        assert_eq!(rows(format!(r#"{{"events": [{ROW}, 7]}}"#).as_bytes()), 1);
        let event = br#"[{"specversion": "1.0", "id": "e", "source": "s", "type": "page_view",
            "time": "2026-11-20T16:04:05Z", "data": {"user_identifiers": [{"user_id": "u"}]}}, 7]"#;
        assert_eq!(cloud_events(event), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_pass_or_do_not(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let _ = (rows(&bytes), cloud_events(&bytes));
            let mut changed = format!(r#"{{"events": [{ROW}]}}"#).into_bytes();
            let at = at.index(changed.len());
            changed[at] = byte;
            let _ = rows(&changed);
        }
    }
}
