//! What must be so when all is over: what was promised against what the server has.

use super::{
    device::{Device, Kind, Promise},
    simulation::Simulation,
    weather::LONGEST_DELAY,
};
use protocol::{
    consent::{ConsentState, Purpose, Receipt, Recipient, verify_chain},
    problem::ErrorCode,
};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// Times are whole milliseconds on the way: rounded down when made, when sent.
const ROUNDING_MS: i64 = 2;

/// Every event is in exactly one place, and the chain on the server is the device's.
pub async fn judge(simulation: &mut Simulation) {
    for number in 0..simulation.devices.len() {
        chain(simulation, number).await;
        events(simulation, number).await;
    }
}

/// The event that was queued last is there; the server knows of every drop.
pub async fn last_words(simulation: &mut Simulation) {
    for device in &simulation.devices {
        let stored: BTreeSet<Uuid> =
            simulation.cloud.events(device.id).await.iter().map(|row| row.id).collect();
        let last = device.promises.last().unwrap();
        assert!(stored.contains(&last.id), "device {} is stuck", device.number);
        let stats = device.life.as_ref().unwrap().client.stats();
        let told = simulation.cloud.standing(device.id).await.dropped.cast_unsigned();
        assert!(told >= stats.outbox.dropped, "S3: {told} of {:?} are told", stats.outbox.drops);
    }
}

async fn chain(simulation: &mut Simulation, number: usize) {
    let device = &simulation.devices[number];
    let ledger = &device.life.as_ref().unwrap().ledger;
    let (receipts, head) = (ledger.receipts(), ledger.head());
    let Some(newest) = receipts.last() else { return };
    verify_chain(&receipts, head.as_ref()).unwrap();
    let digest = newest.digest().unwrap();
    assert_eq!(head.map(|head| head.receipt), Some(digest), "C8: not countersigned");
    let standing = simulation.cloud.standing(device.id).await;
    let count = receipts.len() as i64;
    assert_eq!((standing.linked, standing.receipts), (count, count), "C8: receipts");
    assert_eq!(standing.newest_digest.as_deref(), Some(&digest.0[..]), "C8: the head");
}

async fn events(simulation: &mut Simulation, number: usize) {
    let device = &simulation.devices[number];
    let life = device.life.as_ref().unwrap();
    let receipts = life.ledger.receipts();
    let withdrawn = |receipt: &&Receipt| receipt.record.state == ConsentState::Withdrawn;
    let withdrawn = receipts.iter().rfind(withdrawn).map_or(0, |receipt| receipt.record.epoch);
    let given: BTreeSet<u64> = receipts
        .iter()
        .filter(|receipt| receipt.record.state == ConsentState::Given)
        .map(|receipt| receipt.record.epoch)
        .collect();

    let rows = simulation.cloud.events(device.id).await;
    let mut sequences = BTreeSet::new();
    for row in &rows {
        assert!(row.epoch > withdrawn, "C14: withdrawn, and on the server");
        assert!(given.contains(&row.epoch), "C5: made while nothing was given");
        assert!(sequences.insert(row.sequence), "S1: sequence {} twice", row.sequence);
    }
    if device.kind != Kind::Fickle {
        assert!(rows.is_sorted_by_key(|row| row.sequence), "S1: out of order");
    }

    let sequence_of: HashMap<Uuid, i64> = rows.iter().map(|row| (row.id, row.sequence)).collect();
    let order = device.promises.iter().filter_map(|promise| sequence_of.get(&promise.id));
    assert!(order.is_sorted_by(|a, b| a < b), "S1: numbered out of order");

    let mut counts = simulation.journal.counts;
    let mut missing = 0;
    for promise in &device.promises {
        counts.acknowledged += 1;
        let stored = sequence_of.contains_key(&promise.id);
        let dead = device.dead.get(&promise.id);
        assert!(!stored || dead.is_none(), "stored and refused: {promise:?}");
        assert!(!stored || !promise.poison, "the server took what cannot be");
        if let Some(code) = dead {
            let own_fault = promise.poison && *code == ErrorCode::Invalid;
            let late = device.kind == Kind::Fickle && *code == ErrorCode::NoConsent;
            assert!(own_fault || late, "S2: refused with {code:?}: {promise:?}");
        }
        match () {
            () if stored => counts.stored += 1,
            () if promise.epoch <= withdrawn => counts.withdrawn += 1,
            () if dead.is_some() => counts.dead_letters += 1,
            () if no_longer_shared(device, &receipts, promise) => counts.no_longer_shared += 1,
            () => {
                missing += 1;
                let arrived = simulation.arrivals.get(&promise.id);
                let Promise { epoch, made, poison, .. } = promise;
                let what =
                    format!("{number}: of epoch {epoch}, made {made:?}, {poison}, {arrived:?}");
                simulation.journal.note(simulation.now, format_args!("missing at {what}"));
            }
        }
    }
    let dropped = life.client.stats().outbox.dropped;
    let kept = device.kind == Kind::Fickle || missing == 0;
    assert!(kept, "S1, S3: {missing} events are lost");
    // Counts may be gone with what was withdrawn; what is missing is newer than that.
    assert!(missing <= dropped, "S3: {missing} events are lost, {dropped} are counted");
    counts.dropped += missing;

    for row in &rows {
        let Some(promise) = device.promises.iter().find(|promise| promise.id == row.id) else {
            // On disk, but the process ended before it could say so.
            continue;
        };
        let arrival = simulation.arrivals[&row.id];
        let ms = |later: sdk_core::clock::Nanos, earlier| {
            i64::try_from(later.since(earlier).as_millis()).unwrap()
        };
        let (age, transit) = (ms(arrival.arrived, promise.made), ms(arrival.arrived, arrival.sent));
        let error = age - row.age_ms;
        assert_eq!(row.session, promise.session);
        if row.session == arrival.session {
            assert!((error - transit).abs() <= ROUNDING_MS, "S6: {error} ms, sent {transit} ago");
            assert!(error <= i64::try_from(LONGEST_DELAY.as_millis()).unwrap(), "S6");
            counts.longest_error_ms = counts.longest_error_ms.max(error.unsigned_abs());
        } else {
            // All that remains of an earlier session's is what the wall clock was set by between.
            let set = promise.offset_ms - arrival.offset_ms;
            let rest = error - set - transit;
            assert!(rest.abs() <= ROUNDING_MS, "S6: {error} ms, set by {set}, {transit} ago");
        }
    }
    simulation.journal.counts = counts;
}

/// Whether a later record shares less than the event needs, or a grant since has ended.
fn no_longer_shared(device: &Device, receipts: &[Receipt], promise: &Promise) -> bool {
    device.kind == Kind::Fickle
        && receipts.iter().filter(|receipt| receipt.record.epoch >= promise.epoch).any(|receipt| {
            let mut record = receipt.record.clone();
            // A pause keeps what waits.
            record.state = ConsentState::Given;
            let now = device.latest_unix_ms;
            !promise
                .modalities
                .iter()
                .all(|m| record.permits(*m, Purpose::Share, Recipient::Operator, now))
        })
}
