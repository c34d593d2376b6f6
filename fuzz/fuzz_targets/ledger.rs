//! The consent ledger on disk: any frames, and those of a good ledger that were changed, left out,
//! repeated and moved. A ledger that opens all the same says and permits nothing that the person
//! did not agree to.
//!
//! The input is frames, a line each, if it begins like one; otherwise it says what is changed.
#![no_main]

mod disk;
mod harm;

use arbitrary::{Arbitrary, Unstructured};
use disk::Disk;
use harm::{Harm, harmed};
use libfuzzer_sys::fuzz_target;
use protocol::{
    consent::{
        ConsentRecord, ConsentState, Controller, Grant, Head, Modality, Notice, Purpose, Receipt,
        Recipient, Recipients, Retention, Setting, export::verify_export,
    },
    digest::Digest,
    key::SigningKey,
};
use sdk_core::consent::{AdaptOffer, Collect, Gate, Infer, Ledger, RaisePrice, Scope, Share};
use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};
use uuid::Uuid;

/// When it is looked at what is permitted, Unix milliseconds: some grants have ended by then.
const NOW_MS: i64 = 6_000;
const MOST_LINES: usize = 64;

type Permitted = HashSet<(Modality, Purpose)>;

#[derive(Debug, Arbitrary)]
enum Change {
    Harm(u8, Vec<Harm>),
    LeaveOut(u8),
    Repeat(u8, u8),
    Swap(u8, u8),
}

/// A ledger that is as it was written.
struct Good {
    signer: Arc<SigningKey>,
    notice: Notice,
    receipts: Vec<Receipt>,
    frames: Vec<Vec<u8>>,
    /// What is permitted after so many receipts.
    permitted: Vec<Permitted>,
}

static GOOD: LazyLock<Good> = LazyLock::new(good);

fuzz_target!(|bytes: &[u8]| {
    if bytes.first().is_some_and(u8::is_ascii_uppercase) {
        let lines = bytes.split(|byte| *byte == b'\n').take(MOST_LINES);
        check(lines.map(<[u8]>::to_vec).collect());
    } else if let Ok(changes) = Unstructured::new(bytes).arbitrary::<Vec<Change>>() {
        check(changed(GOOD.frames.clone(), changes));
    }
});

fn check(frames: Vec<Vec<u8>>) {
    let Good { signer, notice, receipts, permitted, .. } = &*GOOD;
    let disk = Disk::holding(frames);
    let Some((ledger, gate)) = open(signer, notice, &disk) else { return };
    let found = ledger.receipts();
    assert!(receipts.starts_with(&found), "a receipt that nobody signed");
    assert!(ledger.head().is_none_or(|head| head.epoch <= found.len() as u64), "cut short");
    assert!(permits(&gate).is_subset(&permitted[found.len()]), "permits more");
    if let Ok(record) = ledger.export() {
        let record = serde_json::to_vec(&record).expect("JSON");
        let report = verify_export(&record).expect("the export of a ledger that holds");
        assert_eq!(report.receipts, found.len() as u64);
    }

    // What is stopped now is so over the next start.
    gate.withdraw(NOW_MS).expect("a disk that works");
    assert!(permits(&gate).is_empty());
    drop((ledger, gate));
    let (ledger, gate) = open(signer, notice, &disk).expect("what was written");
    assert_eq!(ledger.receipts().len(), found.len() + 1);
    assert!(permits(&gate).is_empty(), "what was stopped goes on");
}

fn open(signer: &Arc<SigningKey>, notice: &Notice, disk: &Disk) -> Option<(Arc<Ledger>, Gate)> {
    let (stored, frames) = (disk.frames(), Box::new(disk.clone()));
    let opened = Ledger::open(Arc::clone(signer), &stored, frames, Box::new(|| Ok(()))).ok()?;
    let gate = opened.ledger.gate(notice).ok()?;
    gate.seen(NOW_MS).ok()?;
    Some((opened.ledger, gate))
}

fn permits(gate: &Gate) -> Permitted {
    fn of<S: Scope>(gate: &Gate) -> impl Iterator<Item = (Modality, Purpose)> {
        let held = Modality::ALL.into_iter().filter(|m| gate.permit::<S>(*m).is_ok());
        held.map(|modality| (modality, S::PURPOSE))
    }
    let (collect, infer, share) = (of::<Collect>(gate), of::<Infer>(gate), of::<Share>(gate));
    let offers = of::<AdaptOffer>(gate).chain(of::<RaisePrice>(gate));
    collect.chain(infer).chain(share).chain(offers).collect()
}

fn changed(mut frames: Vec<Vec<u8>>, changes: Vec<Change>) -> Vec<Vec<u8>> {
    for change in changes.into_iter().take(4) {
        let count = frames.len().max(1);
        let at = |place: u8| usize::from(place) % count;
        match change {
            _ if frames.is_empty() => {}
            Change::Harm(place, harms) => {
                let place = at(place);
                frames[place] = harmed(std::mem::take(&mut frames[place]), &harms);
            }
            Change::LeaveOut(place) => drop(frames.remove(at(place))),
            Change::Repeat(from, place) => frames.insert(at(place), frames[at(from)].clone()),
            Change::Swap(one, other) => frames.swap(at(one), at(other)),
        }
    }
    frames
}

/// Much is granted, then paused, ended and withdrawn, then little is granted. The server signed
/// for all but the last.
fn good() -> Good {
    let key = |seed| SigningKey::from_seed(&[seed; 32]).expect("a key");
    let (signer, server) = (Arc::new(key(1)), key(9));
    let notice = notice();
    let grant = |modality, purpose, expires_unix_ms| Grant {
        modality,
        purpose,
        recipient: match purpose {
            Purpose::Share => Recipient::Operator,
            _ => Recipient::Device,
        },
        expires_unix_ms,
    };
    let all = |modality, end| Purpose::ALL.map(|purpose| grant(modality, purpose, end));
    let much = [all(Modality::Eda, None), all(Modality::Hrv, Some(NOW_MS))].concat();
    let little = vec![grant(Modality::Behaviour, Purpose::Share, None)];
    let states = [
        (ConsentState::Given, much.clone()),
        (ConsentState::Paused, much.clone()),
        (ConsentState::Given, much),
        (ConsentState::Withdrawn, vec![]),
        (ConsentState::Given, little),
    ];
    let person = Uuid::from_u128(7);
    let mut frames = vec![frame('P', &person), frame('N', &notice)];
    let mut receipts: Vec<Receipt> = Vec::new();
    let mut permitted = vec![Permitted::new()];
    for (epoch, (state, grants)) in (1_u8..).zip(states) {
        let record = ConsentRecord {
            id: Uuid::from_u128(epoch.into()),
            person,
            device: signer.public().device_id(),
            epoch: epoch.into(),
            state,
            grants,
            notice: notice.checked().expect("a notice"),
            acknowledged_unix_ms: (epoch > 1).then_some(1_000),
            at_unix_ms: i64::from(epoch) * 1_000,
        };
        let previous = receipts.last().map_or(Digest::NONE, |r| r.digest().expect("a digest"));
        let receipt = Receipt::sign(record, previous, &signer).expect("a receipt");
        frames.push(frame('R', &receipt));
        match epoch {
            2 | 4 => {
                frames.push(frame('H', &Head::sign(&receipt, 5_000, &server).expect("a head")));
                frames.push(frame('F', &epoch));
            }
            _ => frames.push(frame('S', &(NOW_MS - 1))),
        }
        receipts.push(receipt);
        let opened = open(&signer, &notice, &Disk::holding(frames.clone()));
        permitted.push(permits(&opened.expect("a good ledger").1));
    }
    assert_eq!(permitted.iter().map(HashSet::len).collect::<Vec<_>>(), [0, 2, 0, 5, 0, 1]);
    Good { signer, notice, receipts, frames, permitted }
}

fn frame(tag: char, value: &impl serde::Serialize) -> Vec<u8> {
    format!("{tag}{}", serde_json::to_string(value).expect("JSON")).into()
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
        recipients: Recipients { operator: "Shop".into(), third_parties: vec![] },
        storage_locations: vec!["the person's device".into()],
        retention: vec![Retention { purpose: Purpose::Share, days: 30 }],
        jurisdiction: "DE".into(),
        withdrawal_method: "Press Stop.".into(),
        privacy_rights: vec!["access".into()],
        authority: "The data protection authority of Hesse".into(),
    }
}
