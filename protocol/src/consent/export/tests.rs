use super::*;
use crate::{
    consent::{ChainError, ConsentRecord, Recipients, Retention, Setting},
    key::SigningKey,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;
/// 2026-11-22T08:00:00Z.
const MORNING_MS: i64 = 1_795_334_400_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn notice() -> Notice {
    Notice {
        version: "1".into(),
        language: "en".into(),
        text: "We measure your skin conductance.".into(),
        setting: Setting::Retail,
        controllers: vec![Controller {
            name: "Shop".into(),
            address: "Main Street 1".into(),
            contact: "privacy@shop.example".into(),
        }],
        recipients: Recipients { operator: "Shop".into(), third_parties: vec!["Lab".into()] },
        storage_locations: vec!["the person's device".into(), "a server in Germany".into()],
        retention: Purpose::ALL.map(|purpose| Retention { purpose, days: 30 }).into(),
        jurisdiction: "DE".into(),
        withdrawal_method: "Press Stop.".into(),
        privacy_rights: vec!["access".into(), "erasure".into()],
        authority: "The data protection authority of Hesse".into(),
    }
}

/// Granted, paused and withdrawn, under two notices.
fn chain() -> (Vec<Receipt>, Vec<Notice>) {
    let notices = vec![notice(), Notice { version: "2".into(), ..notice() }];
    let grant = |modality, purpose, recipient, expires_unix_ms| Grant {
        modality,
        purpose,
        recipient,
        expires_unix_ms,
    };
    let evening = Some(MORNING_MS + 10 * HOUR_MS);
    let grants = vec![
        grant(Modality::Eda, Purpose::Collect, Recipient::Device, None),
        grant(Modality::Eda, Purpose::Share, Recipient::Operator, evening),
        grant(Modality::Behaviour, Purpose::Share, Recipient::Operator, evening),
    ];
    let device = key(1).public().device_id();
    let states = [
        (ConsentState::Given, &notices[0], grants.clone()),
        (ConsentState::Paused, &notices[1], grants[1..].to_vec()),
        (ConsentState::Withdrawn, &notices[1], vec![]),
    ];
    let mut receipts: Vec<Receipt> = Vec::new();
    for (epoch, (state, notice, grants)) in (1u8..).zip(states) {
        let record = ConsentRecord {
            id: Uuid::from_u128(u128::from(epoch)),
            person: Uuid::from_u128(7),
            device,
            epoch: u64::from(epoch),
            state,
            grants,
            notice: notice.checked().unwrap(),
            acknowledged_unix_ms: (epoch > 1).then_some(MORNING_MS),
            at_unix_ms: MORNING_MS + i64::from(epoch) * HOUR_MS,
        };
        let previous = receipts.last().map_or(Digest::NONE, |r| r.digest().unwrap());
        receipts.push(Receipt::sign(record, previous, &key(1)).unwrap());
    }
    (receipts, notices)
}

fn head(receipt: &Receipt, server: u8) -> Head {
    Head::sign(receipt, MORNING_MS + 5 * HOUR_MS, &key(server)).unwrap()
}

fn exported() -> ConsentExport {
    let (receipts, notices) = chain();
    let heads = [head(&receipts[1], 9), head(&receipts[2], 9)];
    consent_record(&receipts, &notices, heads.iter()).unwrap()
}

fn verify(file: &Value) -> Result<Report, VerifyError> {
    verify_export(&serde_json::to_vec(file).unwrap())
}

#[test]
fn c7_the_record_reads_so() {
    insta::assert_json_snapshot!(exported());
}

/// The fields that C7 names, and no value among them that says nothing.
#[test]
fn c7_every_mandatory_field_is_there_and_says_something() {
    let file = serde_json::to_value(exported()).unwrap();
    let says_something = |object: &Value, field: &str| {
        let empty = match &object[field] {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        assert!(!empty, "{field} of {object}");
    };
    let all = |objects: &Value, fields: &[&str]| {
        let objects = objects.as_array().unwrap();
        assert!(!objects.is_empty());
        for (object, field) in objects.iter().flat_map(|o| fields.iter().map(move |f| (o, f))) {
            says_something(object, field);
        }
    };
    for field in ["schema_version", "record_id", "pii_principal_id"] {
        says_something(&file, field);
    }
    all(&file["pii_processing"], &["privacy_notice", "language", "purposes"]);
    for processing in file["pii_processing"].as_array().unwrap() {
        all(&json!([processing["privacy_notice"]]), &["version", "sha256", "text"]);
        all(
            &processing["purposes"],
            &[
                "purpose",
                "purpose_type",
                "lawful_basis",
                "pii_information",
                "pii_controllers",
                "collection_method",
                "processing_method",
                "storage_locations",
                "retention_period",
                "processing_locations",
                "jurisdiction",
                "withdrawal_method",
                "privacy_rights",
                "authority_party",
            ],
        );
        for purpose in processing["purposes"].as_array().unwrap() {
            all(&purpose["pii_information"], &["pii_type", "special_pii_category"]);
            let shared = purpose["purpose_type"] == "share";
            assert_eq!(purpose["recipient_third_parties"] != json!([]), shared);
        }
    }
    all(&file["party_identification"], &["party_id", "party_name", "party_role"]);
    let fields =
        ["event_time", "validity_duration", "entity_id", "event_type", "event_state", "granted"];
    all(&json!(file["event"].as_array().unwrap()[..2]), &fields);
    all(&file["event"], &fields[..5]);
}

#[test]
fn c7_whoever_is_named_is_a_party() {
    let file = exported();
    let known: Vec<&str> = file.party_identification.iter().map(|p| p.party_id.as_str()).collect();
    for purpose in file.pii_processing.iter().flat_map(|p| &p.purposes) {
        let named = purpose.pii_controllers.iter().chain(&purpose.recipient_third_parties);
        assert!(named.chain([&purpose.authority_party]).all(|id| known.contains(&id.as_str())));
    }
    let distinct: BTreeSet<&&str> = known.iter().collect();
    assert_eq!(distinct.len(), known.len());
}

#[test]
fn c7_body_signals_are_a_special_category() {
    for (modality, special) in Modality::ALL.map(|m| (m, m != Modality::Behaviour)) {
        assert_eq!(information(modality).special_pii_category, special);
    }
}

#[test]
fn c8_an_export_is_verified_by_itself() {
    let report = verify(&serde_json::to_value(exported()).unwrap()).unwrap();
    assert_eq!((report.receipts, report.state), (3, ConsentState::Withdrawn));
    assert_eq!(report.key, key(1).public());
    assert_eq!(report.first, "2026-11-22T09:00:00.000Z");
    assert_eq!(report.last, "2026-11-22T11:00:00.000Z");
    let confirmed = report.confirmed.unwrap();
    assert_eq!((confirmed.receipts, confirmed.to_the_end), (3, true));
    assert_eq!(confirmed.received, "2026-11-22T13:00:00.000Z");

    let (receipts, notices) = chain();
    let without = consent_record(&receipts, &notices, [].iter()).unwrap();
    assert_eq!(verify(&serde_json::to_value(without).unwrap()).unwrap().confirmed, None);
}

#[test]
fn c8_what_does_not_hold_is_named() {
    let honest = serde_json::to_value(exported()).unwrap();
    let check = |pointer: &str, value: Value, expected: &str| {
        let mut file = honest.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        let error = verify(&file).unwrap_err().to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    };
    check("/schema_version", json!("attune-consent-2"), "use the one that wrote it");
    check("/pii_processing/0/purposes/0/purpose", json!("x"), "the field pii_processing");
    check("/event/0/event_time", json!("2020-01-01T00:00:00.000Z"), "the field event");
    check("/proof/receipts/1/record/at_unix_ms", json!(5), "receipt 2 was changed");
    check("/proof/notices/0/text", json!("We measure nothing."), "is missing");
    check("/proof/heads/0/received_unix_ms", json!(5), "signature under receipt 2");
    check("/proof/heads/0/epoch", json!(0), "signature under receipt 0");
    check("/proof/heads", json!([{}]), "not an exported consent record");
    check("/proof", json!(null), "not an exported consent record");
    let mut more = honest.clone();
    more["note"] = json!("all is well");
    assert!(verify(&more).unwrap_err().to_string().contains("the field note"));
    assert!(verify(&json!({})).unwrap_err().to_string().contains("schema_version is missing"));
}

#[test]
fn c8_heads_of_another_chain_or_server_do_not_confirm() {
    let (receipts, notices) = chain();
    let check = |receipts: &[Receipt], heads: &[Head]| {
        let file = consent_record(receipts, &notices, heads.iter()).unwrap();
        verify(&serde_json::to_value(file).unwrap()).unwrap_err()
    };
    let two = [head(&receipts[1], 9), head(&receipts[2], 8)];
    assert!(matches!(check(&receipts, &two), VerifyError::Servers));
    let cut = check(&receipts[..2], &[head(&receipts[2], 9)]);
    assert!(matches!(
        cut,
        VerifyError::Head { source: ChainError::Truncated { seen: 3, found: 2 }, .. }
    ));
    let mut other = receipts[1].clone();
    other.record.at_unix_ms += 1;
    let forked = check(&receipts, &[head(&other, 9)]);
    assert!(matches!(forked, VerifyError::Head { source: ChainError::Forked { epoch: 2 }, .. }));
}

#[test]
fn nothing_and_a_missing_notice_are_said() {
    let (receipts, notices) = chain();
    assert_eq!(consent_record(&[], &notices, [].iter()), Err(ExportError::Empty));
    let error = consent_record(&receipts, &notices[..1], [].iter()).unwrap_err();
    assert!(matches!(error, ExportError::NoticeMissing { version, .. } if version == "2"));
}

/// Every value in a JSON document, by its path.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            (0..)
                .zip(items)
                .for_each(|(i, each): (usize, _)| leaves(each, format!("{path}/{i}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(key, each)| leaves(each, format!("{path}/{key}"), found));
        }
        _ => found.push(path),
    }
}

#[test]
fn c8_no_value_can_be_changed_unseen() {
    let honest = serde_json::to_value(exported()).unwrap();
    let mut paths = Vec::new();
    leaves(&honest, String::new(), &mut paths);
    for path in paths {
        let mut file = honest.clone();
        let value = file.pointer_mut(&path).unwrap();
        *value = match &*value {
            Value::String(text) => json!(format!("{text}0")),
            Value::Number(number) => json!(number.as_i64().unwrap_or(0) ^ 1),
            Value::Bool(yes) => json!(!yes),
            _ => json!(1),
        };
        assert!(verify(&file).is_err(), "{path}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_verified(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verify_export(&bytes).is_err());
    }

    /// A file with one byte changed: an error, or the same JSON written otherwise.
    #[test]
    fn c8_a_changed_byte_is_found(at in any::<prop::sample::Index>(), with in 1u8..) {
        let mut file = serde_json::to_vec(&exported()).unwrap();
        let honest: Value = serde_json::from_slice(&file).unwrap();
        let at = at.index(file.len());
        file[at] ^= with;
        if verify_export(&file).is_ok() {
            let same = hex_in_one_case(serde_json::from_slice(&file).unwrap());
            prop_assert_eq!(same, hex_in_one_case(honest));
        }
    }
}

/// Digits of digests may be written in capitals.
fn hex_in_one_case(value: Value) -> String {
    value.to_string().to_lowercase()
}
