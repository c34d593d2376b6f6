//! Nothing is stored that nobody agreed to.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use protocol::{
    consent::{ConsentRecord, ConsentState, Modality},
    event::Verdict,
    problem::ErrorCode,
};
use reqwest::StatusCode;
use support::{Device, Running, batch, check_problem, code};
use uuid::Uuid;

#[tokio::test]
async fn c13_no_consent_means_403_and_zero_rows() {
    let server = Running::start().await;
    let mut device = Device::new();
    let events = [device.started(), device.eda(), device.intent([0.25; 4])];

    let refused = server.post("/v1/events", &batch(&events)).await;
    check_problem(refused, 403, ErrorCode::NoConsent).await;
    let refused = server.post("/v1/outcomes", &device.purchased()).await;
    check_problem(refused, 403, ErrorCode::NoConsent).await;

    let rows = server.rows().await;
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows.values().all(|count| *count == 0), "{rows:?}");
    let counters = server.counters();
    assert_eq!((counters.events, counters.outcomes, counters.refused.no_consent), (0, 0, 4));
}

/// No record that is not exactly right lets an EDA event in; the rows of the record stay alone.
async fn check_refused(change: impl FnOnce(&mut ConsentRecord)) {
    let server = Running::start().await;
    let mut device = Device::new();
    let event = device.eda();
    let mut record = device.given(&[Modality::Eda]);
    change(&mut record);
    server.consent(&record).await;
    let refused = server.post("/v1/events", &batch(&[event])).await;
    check_problem(refused, 403, ErrorCode::NoConsent).await;
    let rows = server.rows().await;
    assert_eq!((rows["events"], rows["outcomes"], rows["received"]), (0, 0, 1));
}

#[tokio::test]
async fn c13_only_the_exact_grant_lets_in() {
    check_refused(|r| r.grants.clear()).await;
    check_refused(|r| r.grants[0].modality = Modality::Hrv).await;
    check_refused(|r| r.grants[0].purpose = protocol::consent::Purpose::Infer).await;
    check_refused(|r| r.grants[0].recipient = protocol::consent::Recipient::Device).await;
    check_refused(|r| r.grants[0].expires_unix_ms = Some(0)).await;
    check_refused(|r| r.state = ConsentState::Paused).await;
    check_refused(|r| r.epoch += 1).await;
    check_refused(|r| r.id = Uuid::now_v7()).await;
    check_refused(|r| r.person = Uuid::now_v7()).await;
    check_refused(|r| r.device = Uuid::now_v7()).await;
}

#[tokio::test]
async fn c14_withdrawal_beats_late_data() {
    // In order: data, withdrawal, late data.
    let server = Running::start().await;
    let mut device = Device::new();
    server.consent(&device.given(&[Modality::Eda, Modality::Behaviour])).await;
    let late = (device.eda(), device.purchased());
    assert_eq!(server.events(&[device.eda()]).await, [Verdict::Stored]);
    server.consent(&device.withdrawn()).await;
    check_late(&server, &late, 1).await;

    // Giving consent again does not let in what was made before the withdrawal.
    server.consent(&device.give_again(&[Modality::Eda, Modality::Behaviour])).await;
    check_late(&server, &late, 1).await;
    assert_eq!(server.events(&[device.eda()]).await, [Verdict::Stored]);
}

#[tokio::test]
async fn c14_a_withdrawal_that_overtakes_the_grant_holds() {
    // Out of order: withdrawal, then the grant that it ended, then data of that grant.
    let server = Running::start().await;
    let mut device = Device::new();
    let late = (device.eda(), device.purchased());
    let withdrawn = device.withdrawn();
    server.consent(&withdrawn).await;
    server.consent(&device.given(&[Modality::Eda, Modality::Behaviour])).await;
    check_late(&server, &late, 0).await;

    let path = format!("/v1/consents/{}/{}", device.person, device.device);
    let in_force: ConsentRecord = server.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(in_force, withdrawn);

    // The same when the later grant comes before the withdrawal of the earlier one.
    let mut other = Device::new();
    let late = (other.eda(), other.purchased());
    let (first, withdrawn) = (other.given(&[Modality::Eda]), other.withdrawn());
    let again = other.give_again(&[Modality::Eda, Modality::Behaviour]);
    for record in [&again, &withdrawn, &first] {
        server.consent(record).await;
    }
    check_late(&server, &late, 0).await;
}

async fn check_late(
    server: &Running,
    (event, outcome): &(protocol::event::Event, protocol::outcome::Outcome),
    events_stored: i64,
) {
    let refused = server.post("/v1/events", &batch(std::slice::from_ref(event))).await;
    check_problem(refused, 403, ErrorCode::NoConsent).await;
    let refused = server.post("/v1/outcomes", outcome).await;
    check_problem(refused, 403, ErrorCode::NoConsent).await;
    let rows = server.rows().await;
    assert_eq!((rows["events"], rows["outcomes"]), (events_stored, 0));
}

#[tokio::test]
async fn a_withdrawal_is_never_refused_for_its_form() {
    let server = Running::start().await;
    let device = Device::new();
    server.consent(&device.given(&[Modality::Eda])).await;
    let same_epoch =
        ConsentRecord { epoch: device.epoch, notice_version: String::new(), ..device.withdrawn() };
    server.consent(&same_epoch).await;
    let path = format!("/v1/consents/{}/{}", device.person, device.device);
    let in_force: ConsentRecord = server.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(in_force, same_epoch);
}

#[tokio::test]
async fn consents_are_idempotent_and_an_epoch_says_one_thing() {
    let server = Running::start().await;
    let device = Device::new();
    let record = device.given(&[Modality::Eda]);
    server.consent(&record).await;
    let repeated = server.post("/v1/consents", &record).await;
    assert_eq!(repeated.status(), StatusCode::OK);

    let other_body = ConsentRecord { notice_version: "other".into(), ..record.clone() };
    let refused = server.post("/v1/consents", &other_body).await;
    check_problem(refused, 409, ErrorCode::Conflict).await;
    let other_id = ConsentRecord { id: Uuid::now_v7(), ..record.clone() };
    let refused = server.post("/v1/consents", &other_id).await;
    check_problem(refused, 409, ErrorCode::Conflict).await;
    let no_notice =
        ConsentRecord { id: Uuid::now_v7(), epoch: 9, notice_version: " ".into(), ..record };
    let refused = server.post("/v1/consents", &no_notice).await;
    check_problem(refused, 422, ErrorCode::Invalid).await;
    assert_eq!(server.rows().await["consents"], 1);

    let unknown = server.get(&format!("/v1/consents/{}/{}", device.device, device.person));
    check_problem(unknown.send().await.unwrap(), 404, ErrorCode::NotFound).await;
    let odd = server.get("/v1/consents/you/me").send().await.unwrap();
    check_problem(odd, 422, ErrorCode::Invalid).await;
}

#[tokio::test]
async fn a_batch_is_judged_item_by_item() {
    let server = Running::start().await;
    let mut device = Device::new();
    server.consent(&device.given(&[Modality::Eda])).await;
    let stored = device.eda();
    let mut conflicting = stored.clone();
    conflicting.sequence = 77;
    let no_grant = device.started();
    let mut impossible = device.eda();
    impossible.sequence = 0;
    let events = [stored.clone(), stored, conflicting, no_grant, impossible];
    let verdicts = server.events(&events).await;
    assert_eq!(verdicts[..2], [Verdict::Stored, Verdict::Duplicate]);
    let codes: Vec<_> = verdicts[2..].iter().map(code).collect();
    let expected = [ErrorCode::Conflict, ErrorCode::NoConsent, ErrorCode::Invalid].map(Some);
    assert_eq!(codes, expected);
    let rows = server.rows().await;
    assert_eq!((rows["events"], rows["received"]), (1, 2));
}
