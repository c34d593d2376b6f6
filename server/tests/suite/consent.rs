//! Nothing is stored that nobody agreed to.

use crate::support::{Device, Running, check_problem, code, consents, share};
use protocol::{
    consent::{ConsentRecord, ConsentState, Grant, Modality, Purpose, Recipient},
    event::{EventBody, Verdict},
    offer::Rule,
    problem::ErrorCode,
};
use uuid::Uuid;

#[tokio::test]
async fn c13_no_consent_means_403_and_zero_rows() {
    let server = Running::start().await;
    let mut device = Device::new();
    let events = [device.started(), device.eda(), device.intent([0.25; 4]), device.purchased()];
    server.check_events(&device, &events, 403, ErrorCode::NoConsent).await;
    let rows = server.rows().await;
    assert!(rows.len() >= 20, "{rows:?}");
    assert!(rows.values().all(|count| *count == 0), "{rows:?}");
    let counters = server.counters();
    assert_eq!((counters.events, counters.outcomes, counters.refused.no_consent), (0, 0, 4));
}

/// No record that is not exactly right lets an EDA event in; the rows of the record stay alone.
async fn check_refused(change: impl FnOnce(&mut ConsentRecord, &mut Device)) {
    let server = Running::start().await;
    let mut device = Device::new();
    let mut record = device.next_record(ConsentState::Given, vec![share(Modality::Eda)]);
    let (id, epoch) = (record.id, record.epoch);
    change(&mut record, &mut device);
    let receipt = device.append(record);
    (device.record, device.epoch) = (id, epoch);
    server.consent(&device, &[receipt]).await;
    let event = device.eda();
    server.check_events(&device, &[event], 403, ErrorCode::NoConsent).await;
    let rows = server.rows().await;
    assert_eq!((rows["events"], rows["received"], rows["receipts"]), (0, 0, 1));
}

#[tokio::test]
async fn c13_only_the_exact_grant_lets_in() {
    check_refused(|r, _| r.grants.clear()).await;
    check_refused(|r, _| r.grants[0].modality = Modality::Hrv).await;
    check_refused(|r, _| r.grants[0].purpose = Purpose::Infer).await;
    check_refused(|r, _| r.grants[0].recipient = Recipient::Device).await;
    check_refused(|r, _| r.grants[0].expires_unix_ms = Some(0)).await;
    check_refused(|r, _| r.state = ConsentState::Paused).await;
    check_refused(|r, _| r.id = Uuid::now_v7()).await;
    check_refused(|_, device| device.person = Uuid::now_v7()).await;
}

#[tokio::test]
async fn c14_withdrawal_beats_late_data() {
    // In order: data, withdrawal, late data.
    let server = Running::start().await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda, Modality::Behaviour]);
    server.consent(&device, &[given]).await;
    let late = [device.eda(), device.purchased()];
    let early = [device.eda(), device.purchased()];
    assert_eq!(server.events(&device, &early).await, [Verdict::Stored, Verdict::Stored]);
    assert_eq!((server.counters().events, server.counters().outcomes), (2, 1));
    let withdrawn = device.withdraw();
    server.consent(&device, &[withdrawn]).await;
    // What was stored is gone with it, and so is what repeats were recognised by.
    let rows = server.rows().await;
    assert_eq!((rows["events"], rows["received"], rows["receipts"]), (0, 0, 2));
    let counters = server.counters();
    assert_eq!((counters.events, counters.outcomes, counters.events_taken), (0, 0, 2));
    server.check_events(&device, &late, 403, ErrorCode::NoConsent).await;
    server.check_events(&device, &early, 403, ErrorCode::NoConsent).await;

    // Giving consent again does not let in what was made before the withdrawal.
    let given = device.give(&[Modality::Eda, Modality::Behaviour]);
    server.consent(&device, &[given]).await;
    server.check_events(&device, &late, 403, ErrorCode::NoConsent).await;
    let event = device.eda();
    assert_eq!(server.events(&device, &[event]).await, [Verdict::Stored]);
    let said = server.audited("withdrawal").await;
    assert_eq!(said, ["at epoch 2, in its place; deleted 2 events"]);
}

#[tokio::test]
async fn c14_a_withdrawal_takes_effect_out_of_place() {
    let server = Running::start().await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda]);
    let event = device.eda();
    let paused = device.append(device.next_record(ConsentState::Paused, vec![]));
    let withdrawn = device.withdraw();
    let again = device.give(&[Modality::Eda]);

    // The withdrawal comes first of all: it is stored, and ends what comes later.
    let head = server.consent(&device, std::slice::from_ref(&withdrawn)).await;
    assert_eq!(head.receipt, withdrawn.digest().unwrap());
    let gap = server.post(&device, "/v1/consents", &consents(std::slice::from_ref(&again))).await;
    let gap = check_problem(gap, 409, ErrorCode::Conflict).await;
    assert!(gap.detail.contains("from epoch 1"), "{}", gap.detail);
    server.consent(&device, &[given]).await;
    server.check_events(&device, &[event], 403, ErrorCode::NoConsent).await;
    // Once the receipts between have come, it is a link like any other.
    server.consent(&device, &[paused, again]).await;
    assert_eq!(server.rows().await["receipts"], 4);
    let event = device.eda();
    assert_eq!(server.events(&device, &[event]).await, [Verdict::Stored]);
    let said = server.audited("withdrawal").await;
    assert_eq!(said, ["at epoch 3, out of place; deleted 0 events"]);
}

#[tokio::test]
async fn c14_a_withdrawal_in_a_refused_request_takes_effect() {
    let server = Running::start().await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda]);
    server.consent(&device, &[given]).await;
    let event = device.eda();
    server.events(&device, &[event]).await;
    // The device has lost its chain and signs another one.
    device.chain.clear();
    let fork = device.give(&[Modality::Hrv]);
    let withdrawn = device.withdraw();
    let refused = server.post(&device, "/v1/consents", &consents(&[fork, withdrawn])).await;
    let refused = check_problem(refused, 409, ErrorCode::Conflict).await;
    assert!(refused.detail.contains("from epoch 2"), "{}", refused.detail);
    let rows = server.rows().await;
    assert_eq!((rows["events"], rows["receipts"]), (0, 2));
    assert_eq!(server.audited("fork").await.len(), 1);
}

#[tokio::test]
async fn a_withdrawal_is_never_refused_for_its_form() {
    let server = Running::start().await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda]);
    server.consent(&device, &[given]).await;
    let mut record = device.next_record(ConsentState::Withdrawn, vec![]);
    record.notice.version.clear();
    let withdrawn = device.append(record);
    let head = server.consent(&device, std::slice::from_ref(&withdrawn)).await;
    assert_eq!((head.epoch, head.receipt), (2, withdrawn.digest().unwrap()));
}

#[tokio::test]
async fn s5_a_batch_is_judged_item_by_item() {
    let server = Running::start().await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda]);
    server.consent(&device, &[given]).await;
    let stored = device.eda();
    let mut conflicting = stored.clone();
    conflicting.sequence = 77;
    let no_grant = device.started();
    let mut impossible = device.eda();
    impossible.sequence = 0;
    let events = [stored.clone(), stored, conflicting, no_grant, impossible];
    let verdicts = server.events(&device, &events).await;
    assert_eq!(verdicts[..2], [Verdict::Stored, Verdict::Duplicate]);
    let codes: Vec<_> = verdicts[2..].iter().map(code).collect();
    let expected = [ErrorCode::Conflict, ErrorCode::NoConsent, ErrorCode::Invalid].map(Some);
    assert_eq!(codes, expected);
    let rows = server.rows().await;
    assert_eq!((rows["events"], rows["received"]), (1, 1));
}

fn change(
    event: &mut protocol::event::Event,
    change: impl FnOnce(&mut protocol::offer::OfferRevision),
) {
    if let EventBody::OfferRevised(revision) = &mut event.body {
        change(revision);
    }
}

#[tokio::test]
async fn c17_a_price_above_list_needs_its_own_grant() {
    let server = Running::start().await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda]);
    server.consent(&device, &[given]).await;
    let (dearer, cheaper) =
        (device.revised(Rule::Premium, 20_990), device.revised(Rule::Reassure, 18_990));
    let verdicts = server.events(&device, &[dearer, cheaper]).await;
    assert_eq!(code(&verdicts[0]), Some(ErrorCode::NoConsent));
    assert_eq!(verdicts[1], Verdict::Stored);

    let raise = Grant { purpose: Purpose::RaisePrice, ..share(Modality::Eda) };
    let raise = Grant { recipient: Recipient::Device, ..raise };
    let record = device.next_record(ConsentState::Given, vec![share(Modality::Eda), raise]);
    let granted = device.append(record);
    server.consent(&device, &[granted]).await;
    let dearer = device.revised(Rule::Premium, 20_990);
    let mut undisclosed = device.revised(Rule::Premium, 20_990);
    change(&mut undisclosed, |revision| revision.disclosure = None);
    let verdicts = server.events(&device, &[dearer, undisclosed]).await;
    assert_eq!(verdicts[0], Verdict::Stored);
    assert_eq!(code(&verdicts[1]), Some(ErrorCode::Invalid));
}

#[tokio::test]
async fn c18_a_decision_without_a_reason_is_refused() {
    let server = Running::start().await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda]);
    server.consent(&device, &[given]).await;
    let mut silent = device.revised(Rule::Reassure, 18_990);
    change(&mut silent, |revision| revision.reason = " ".into());
    let verdicts = server.events(&device, &[silent]).await;
    assert_eq!(code(&verdicts[0]), Some(ErrorCode::Invalid));
}
