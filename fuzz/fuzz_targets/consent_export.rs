//! What of consent comes from outside: any bytes, and an exported record that was changed.
//! Whatever still holds says of each change what was signed.
#![no_main]

mod harm;

use arbitrary::Unstructured;
use harm::{Harm, harmed};
use libfuzzer_sys::fuzz_target;
use protocol::{
    consent::{
        ConsentBatch, ConsentRecord, ConsentState, Controller, Grant, Head, Modality, Notice,
        Purpose, Receipt, Recipient, Recipients, Retention, Setting,
        export::{ConsentExport, consent_record, verify_export},
        verify_chain,
    },
    digest::Digest,
    key::{Signature, SigningKey},
};
use serde_json::Value;
use std::sync::LazyLock;
use uuid::Uuid;

static RECORD: LazyLock<ConsentExport> = LazyLock::new(record);
static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| json(&*RECORD));

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let mut source = Unstructured::new(bytes);
    if let Ok((which, place, mask)) = source.arbitrary() {
        change_signature(which, place, mask);
    }
    if let Ok(harms) = source.arbitrary::<Vec<Harm>>() {
        let file = harmed(FILE.clone(), &harms);
        if verify_export(&file).is_ok() {
            let file: Value = serde_json::from_slice(&file).expect("JSON");
            let said = file["event"].as_array().expect("events");
            let events = serde_json::to_value(&RECORD.event).expect("JSON");
            assert!(events.as_array().expect("events").starts_with(said));
        }
    }
});

/// The readers do not panic, and what they take they write so that it is taken again.
fn read(bytes: &[u8]) {
    let _ = verify_export(bytes);
    if let Ok(receipt) = serde_json::from_slice::<Receipt>(bytes) {
        let _ = (receipt.verify(), receipt.digest().expect("a canonical form"));
        assert_eq!(serde_json::from_slice::<Receipt>(&json(&receipt)).ok(), Some(receipt));
    }
    if let Ok(head) = serde_json::from_slice::<Head>(bytes) {
        let _ = head.verify();
        assert_eq!(serde_json::from_slice::<Head>(&json(&head)).ok(), Some(head));
    }
    if let Ok(batch) = serde_json::from_slice::<ConsentBatch>(bytes) {
        if let Err(error) = verify_chain(&batch.receipts, None) {
            let _ = error.to_string();
        }
    }
    if let Ok(notice) = serde_json::from_slice::<Notice>(bytes) {
        let again: Notice = serde_json::from_slice(&json(&notice)).expect("a notice");
        assert_eq!(notice.checked(), again.checked());
    }
}

/// Ed25519 has one signature by one key over one message: another does not hold.
fn change_signature(which: u8, place: u8, mask: u8) {
    let mut record = RECORD.clone();
    let proof = &mut record.proof;
    let receipts = proof.receipts.iter_mut().map(|receipt| &mut receipt.signature);
    let mut signatures: Vec<&mut Signature> =
        receipts.chain(proof.heads.iter_mut().map(|head| &mut head.signature)).collect();
    let which = usize::from(which) % signatures.len();
    signatures[which].0[usize::from(place) % 64] ^= mask;
    assert_eq!(verify_export(&json(&record)).is_ok(), mask == 0);
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

/// Granted, paused and withdrawn; signed for by a server twice.
fn record() -> ConsentExport {
    let key = |seed| SigningKey::from_seed(&[seed; 32]).expect("a key");
    let (device, server) = (key(1), key(9));
    let notice = Notice {
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
        storage_locations: vec!["the person's device".into()],
        retention: vec![Retention { purpose: Purpose::Share, days: 30 }],
        jurisdiction: "DE".into(),
        withdrawal_method: "Press Stop.".into(),
        privacy_rights: vec!["access".into()],
        authority: "The data protection authority of Hesse".into(),
    };
    let share = Grant {
        modality: Modality::Eda,
        purpose: Purpose::Share,
        recipient: Recipient::Operator,
        expires_unix_ms: Some(9_000),
    };
    let states = [ConsentState::Given, ConsentState::Paused, ConsentState::Withdrawn];
    let mut receipts: Vec<Receipt> = Vec::new();
    for (epoch, state) in (1_u8..).zip(states) {
        let record = ConsentRecord {
            id: Uuid::from_u128(epoch.into()),
            person: Uuid::from_u128(7),
            device: device.public().device_id(),
            epoch: epoch.into(),
            state,
            grants: if state == ConsentState::Withdrawn { vec![] } else { vec![share] },
            notice: notice.checked().expect("a notice"),
            acknowledged_unix_ms: Some(1_000),
            at_unix_ms: i64::from(epoch) * 1_000,
        };
        let previous = receipts.last().map_or(Digest::NONE, digest);
        receipts.push(Receipt::sign(record, previous, &device).expect("a receipt"));
    }
    let signed_for = |place: usize| Head::sign(&receipts[place], 5_000, &server).expect("a head");
    let heads = [signed_for(1), signed_for(2)];
    consent_record(&receipts, &[notice], heads.iter()).expect("a record")
}

fn digest(receipt: &Receipt) -> Digest {
    receipt.digest().expect("a canonical form")
}
