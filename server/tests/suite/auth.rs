//! Nobody speaks for another, and nothing counts twice.

use crate::support::{Device, Running, check_problem, config, consents};
use protocol::{
    consent::{Head, Modality, Receipt, verify_chain},
    event::Verdict,
    problem::ErrorCode,
    signing::{SignedHeaders, Target},
};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use uuid::Uuid;

async fn given(server: &Running) -> Device {
    let mut device = Device::new();
    let receipt = device.give(&[Modality::Eda, Modality::Behaviour]);
    server.consent(&device, &[receipt]).await;
    device
}

#[tokio::test]
async fn s5_forged_requests_are_refused_and_leave_nothing() {
    let server = Running::start().await;
    let mut device = given(&server).await;
    let event = device.eda();
    let body = serde_json::to_vec(&device.batch(&[event])).unwrap();
    let target =
        Target { method: "POST", authority: server.authority(), path: "/v1/events", query: "" };
    let honest = SignedHeaders::sign(&device.key, &target, &body, device.next_request());
    let other = Device::new();
    let forged = [
        // Another key signs for the device; its own id is not the events'.
        (SignedHeaders::sign(&other.key, &target, &body, 9), body.clone()),
        // The key's name is exchanged.
        (
            SignedHeaders {
                signature_input: SignedHeaders::sign(&other.key, &target, &body, 9).signature_input,
                ..honest.clone()
            },
            body.clone(),
        ),
        // Another body, path, authority, method, query, number.
        (honest.clone(), [body.clone(), b" ".to_vec()].concat()),
        (sign(&device, Target { path: "/v1/consents", ..target }, &body), body.clone()),
        (sign(&device, Target { authority: "evil.example", ..target }, &body), body.clone()),
        (sign(&device, Target { method: "PUT", ..target }, &body), body.clone()),
        (sign(&device, Target { query: "a=b", ..target }, &body), body.clone()),
        (SignedHeaders { request_number: "99".into(), ..honest.clone() }, body.clone()),
    ];
    for (signed, body) in forged {
        let request = server.with_headers(Method::POST, "/v1/events", body, signed);
        check_problem(request.send().await.unwrap(), 401, ErrorCode::Unauthenticated).await;
    }
    let unsigned = server.client.post(format!("{}/v1/events", server.url)).json(&1).send().await;
    check_problem(unsigned.unwrap(), 401, ErrorCode::Unauthenticated).await;
    // Every header twice: it could be read in two ways.
    let twice = server.with_headers(Method::POST, "/v1/events", body.clone(), honest.clone());
    let twice = twice.header("attune-request", honest.request_number.clone()).send().await.unwrap();
    check_problem(twice, 401, ErrorCode::Unauthenticated).await;
    assert_eq!(server.rows().await["events"], 0);
    assert_eq!(server.counters().refused.unauthenticated, 10);
    assert_eq!(server.audited("bad_signature").await, ["refused 1 requests"]);

    let request = server.with_headers(Method::POST, "/v1/events", body, honest);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.rows().await["events"], 1);
}

fn sign(device: &Device, target: Target<'_>, body: &[u8]) -> SignedHeaders {
    device.sign(&target, body)
}

#[tokio::test]
async fn s5_an_old_request_number_is_refused_with_the_last() {
    let server = Running::start().await;
    let mut device = given(&server).await;
    let events = [device.eda(), device.eda()];
    let [first, second] = events.map(|event| serde_json::to_vec(&device.batch(&[event])).unwrap());
    let post = |number: u64, body: &[u8]| {
        let target =
            Target { method: "POST", authority: server.authority(), path: "/v1/events", query: "" };
        let signed = SignedHeaders::sign(&device.key, &target, body, number);
        server.with_headers(Method::POST, "/v1/events", body.to_vec(), signed).send()
    };
    assert_eq!(post(50, &first).await.unwrap().status(), StatusCode::OK);
    // Replayed as it was, and an honest one that was overtaken.
    for (number, body) in [(50, &first), (49, &second), (1, &second)] {
        let refused = post(number, body).await.unwrap();
        let problem = check_problem(refused, 401, ErrorCode::Replayed).await;
        assert_eq!(problem.last_request, Some(50));
    }
    assert_eq!(post(51, &second).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.rows().await["events"], 2);
    assert_eq!(server.counters().refused.replayed, 3);
    assert_eq!(server.audited("replay").await.len(), 1);
    // A restart remembers.
    let server = server.restart().await;
    let target =
        Target { method: "POST", authority: server.authority(), path: "/v1/events", query: "" };
    let signed = SignedHeaders::sign(&device.key, &target, &second, 51);
    let request = server.with_headers(Method::POST, "/v1/events", second.clone(), signed);
    check_problem(request.send().await.unwrap(), 401, ErrorCode::Replayed).await;
    // What never counted before it ended is written down.
    let server = server.restart().await;
    assert_eq!(server.audited("replay").await[1], "refused 2 requests");
}

#[tokio::test]
async fn a_request_for_another_server_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut named = config(folder.path());
    named.authorities = vec!["Attune.Example".into()];
    let server = Running::start_with(folder, named).await;
    let mut device = Device::new();
    let batch = consents(&[device.give(&[])]);
    let refused = server.post(&device, "/v1/consents", &batch).await;
    check_problem(refused, 401, ErrorCode::Unauthenticated).await;
    let body = serde_json::to_vec(&batch).unwrap();
    let target =
        Target { method: "POST", authority: "attune.example", path: "/v1/consents", query: "" };
    let request = server.with_headers(
        Method::POST,
        "/v1/consents",
        body.clone(),
        device.sign(&target, &body),
    );
    let taken = request.header("host", "ATTUNE.example").send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::OK);
}

#[tokio::test]
async fn c8_receipts_are_checked_one_by_one() {
    let server = Running::start().await;
    let mut device = Device::new();
    let receipt = device.give(&[Modality::Eda]);
    let mut widened = receipt.clone();
    widened.record.grants[0].modality = Modality::Face;
    let mut broken = receipt.clone();
    broken.signature.0[0] ^= 1;
    let mut later = receipt.clone();
    later.record.epoch = 0;
    for odd in [widened, broken, later] {
        let refused = server.post(&device, "/v1/consents", &consents(&[odd])).await;
        check_problem(refused, 422, ErrorCode::Invalid).await;
    }
    // Of another device, and signed by a key that is not the device's.
    let mut other = Device::new();
    let foreign = other.give(&[Modality::Eda]);
    let refused = server.post(&device, "/v1/consents", &consents(&[foreign])).await;
    check_problem(refused, 401, ErrorCode::Unauthenticated).await;
    let stolen = Receipt::sign(receipt.record.clone(), receipt.previous, &other.key).unwrap();
    let refused = server.post(&device, "/v1/consents", &consents(&[stolen])).await;
    check_problem(refused, 422, ErrorCode::Invalid).await;
    let refused = server.post(&device, "/v1/consents", &consents(&[])).await;
    check_problem(refused, 422, ErrorCode::Invalid).await;
    // A request signed by another device about this one's person and receipts.
    let refused = server.post(&other, "/v1/consents", &consents(&[receipt])).await;
    check_problem(refused, 401, ErrorCode::Unauthenticated).await;
    let rows = server.rows().await;
    assert!(rows.iter().all(|(name, count)| name == "audit" || *count == 0), "{rows:?}");
}

#[tokio::test]
async fn c8_the_chain_grows_in_order_and_is_countersigned() {
    let server = Running::start().await;
    let mut device = Device::new();
    let (first, second) = (device.give(&[Modality::Eda]), device.give(&[Modality::Hrv]));
    let gap = server.post(&device, "/v1/consents", &consents(std::slice::from_ref(&second))).await;
    let gap = check_problem(gap, 409, ErrorCode::Conflict).await;
    assert!(gap.detail.contains("from epoch 1"), "{}", gap.detail);
    assert!(server.rows().await.values().all(|count| *count == 0));

    let head = server.consent(&device, &[first.clone(), second.clone()]).await;
    verify_chain(&device.chain, Some(&head)).unwrap();
    let key: serde_json::Value =
        server.get("/v1/server-key").send().await.unwrap().json().await.unwrap();
    assert_eq!(key["key"], head.key.to_string());
    // Repeated, it changes nothing, the time of the head included.
    assert_eq!(server.consent(&device, &[first.clone(), second.clone()]).await, head);
    assert_eq!((server.rows().await["receipts"], server.counters().duplicates), (2, 2));

    // A second history from the same key.
    device.chain.truncate(1);
    let fork = device.give(&[Modality::Face]);
    let refused = server.post(&device, "/v1/consents", &consents(&[fork])).await;
    check_problem(refused, 409, ErrorCode::Conflict).await;
    assert_eq!(server.audited("fork").await, ["refused 1 requests"]);

    let path = format!("/v1/consents/{}/{}", device.person, device.device);
    let found = server.ask(&device, Method::GET, &path, vec![]).await;
    let found: serde_json::Value = found.json().await.unwrap();
    let receipt: Receipt = serde_json::from_value(found["receipt"].clone()).unwrap();
    assert_eq!(receipt, second);
    assert_eq!(serde_json::from_value::<Head>(found["head"].clone()).unwrap(), head);
    // The key outlives a restart.
    let server = server.restart().await;
    assert_eq!(server.consent(&device, &[first]).await, head);
}

#[tokio::test]
async fn c13_a_person_belongs_to_one_device() {
    let server = Running::start().await;
    let device = given(&server).await;
    let mut thief = Device::new();
    thief.person = device.person;
    let receipt = thief.give(&[Modality::Eda]);
    let refused = server.post(&thief, "/v1/consents", &consents(&[receipt])).await;
    check_problem(refused, 403, ErrorCode::NoConsent).await;
    let event = thief.eda();
    server.check_events(&thief, &[event], 403, ErrorCode::NoConsent).await;
    let person = format!("/v1/people/{}", device.person);
    for (method, path) in
        [(Method::DELETE, person.clone()), (Method::GET, format!("{person}/export"))]
    {
        let refused = server.ask(&thief, method.clone(), &path, vec![]).await;
        check_problem(refused, 403, ErrorCode::NoConsent).await;
        let unsigned = server.client.request(method, format!("{}{path}", server.url));
        check_problem(unsigned.send().await.unwrap(), 401, ErrorCode::Unauthenticated).await;
    }
    let path = format!("/v1/consents/{}/{}", device.person, device.device);
    let refused = server.ask(&thief, Method::GET, &path, vec![]).await;
    check_problem(refused, 401, ErrorCode::Unauthenticated).await;
    let rows = server.rows().await;
    assert_eq!((rows["devices"], rows["people"], rows["events"]), (1, 1, 0));

    // What is not there is not found; what is no id is said to be none.
    let unknown = format!("/v1/consents/{}/{}", Uuid::now_v7(), device.device);
    let refused = server.ask(&device, Method::GET, &unknown, vec![]).await;
    check_problem(refused, 404, ErrorCode::NotFound).await;
    let unknown = format!("/v1/people/{}", Uuid::now_v7());
    let refused = server.ask(&device, Method::DELETE, &unknown, vec![]).await;
    check_problem(refused, 404, ErrorCode::NotFound).await;
    for odd in ["/v1/consents/you/me", "/v1/people/you/export"] {
        let refused = server.get(odd).send().await.unwrap();
        check_problem(refused, 422, ErrorCode::Invalid).await;
    }
}

#[tokio::test]
async fn a_device_may_have_several_people_one_after_another() {
    let server = Running::start().await;
    let mut device = given(&server).await;
    let event = device.eda();
    assert_eq!(server.events(&device, &[event]).await, [Verdict::Stored]);
    device.person = Uuid::now_v7();
    device.chain.clear();
    let receipt = device.give(&[Modality::Eda]);
    server.consent(&device, &[receipt]).await;
    let event = device.eda();
    assert_eq!(server.events(&device, &[event]).await, [Verdict::Stored]);
    let rows = server.rows().await;
    assert_eq!((rows["devices"], rows["people"], rows["events"]), (1, 2, 2));
}
