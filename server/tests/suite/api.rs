//! The endpoints as clients use them: on a real socket.

use crate::support::{Device, Running, check_problem, code, now_unix_ms};
use protocol::{
    consent::{MAX_BATCH_RECEIPTS, Modality},
    event::{EventBatch, MAX_BATCH_EVENTS, MAX_BODY_BYTES, SentAt, Verdict},
    offer::Rule,
    problem::ErrorCode,
};
use reqwest::{
    Method, StatusCode,
    header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
};
use tokio::time::{Duration, timeout};

/// Far longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A device that shares all that the tests here report.
async fn given(server: &Running) -> Device {
    let mut device = Device::new();
    let receipt = device.give(&[Modality::Eda, Modality::Behaviour]);
    server.consent(&device, &[receipt]).await;
    device
}

#[tokio::test]
async fn s5_a_repeated_batch_changes_nothing() {
    let server = Running::start().await;
    let mut device = given(&server).await;
    let mut events: Vec<_> = (1..MAX_BATCH_EVENTS).map(|_| device.eda()).collect();
    events.push(device.purchased());
    assert!(server.events(&device, &events).await.iter().all(|v| *v == Verdict::Stored));
    assert!(server.events(&device, &events).await.iter().all(|v| *v == Verdict::Duplicate));
    assert!(server.events(&device, &[]).await.is_empty());
    events[0].at_session_ms += 1;
    let verdicts = server.events(&device, &events[..2]).await;
    assert_eq!(code(&verdicts[0]), Some(ErrorCode::Conflict));
    assert_eq!(verdicts[1], Verdict::Duplicate);

    let rows = server.rows().await;
    let count = MAX_BATCH_EVENTS as i64;
    assert_eq!((rows["events"], rows["received"]), (count, count));
    assert_eq!((server.counters().events, server.counters().outcomes), (count as u64, 1));
}

#[tokio::test]
async fn what_a_device_dropped_is_counted() {
    let server = Running::start().await;
    let mut device = given(&server).await;
    // The count only grows: an older one that comes late changes nothing.
    for (says, expected) in [(3, 3), (7, 7), (5, 7)] {
        device.dropped = says;
        server.events(&device, &[]).await;
        assert_eq!(server.counters().dropped, expected);
    }
    let server = server.restart().await;
    assert_eq!(server.counters().dropped, 7);
}

#[tokio::test]
async fn devices_at_once_lose_nothing() {
    let server = Running::start().await;
    let posts = (0..8).map(|_| async {
        let mut device = given(&server).await;
        for _ in 0..5 {
            let events: Vec<_> = (0..10).map(|_| device.eda()).collect();
            assert!(server.events(&device, &events).await.iter().all(|v| *v == Verdict::Stored));
        }
    });
    futures::future::join_all(posts).await;
    assert_eq!((server.rows().await["events"], server.counters().events), (400, 400));
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_stored() {
    let server = Running::start().await;
    let mut device = given(&server).await;
    let events: Vec<_> = (0..=MAX_BATCH_EVENTS).map(|_| device.eda()).collect();
    let refused = server.post(&device, "/v1/events", &device.batch(&events)).await;
    check_problem(refused, 413, ErrorCode::TooLarge).await;
    let receipt = device.chain[0].clone();
    let receipts = crate::support::consents(&vec![receipt; MAX_BATCH_RECEIPTS + 1]);
    let refused = server.post(&device, "/v1/consents", &receipts).await;
    check_problem(refused, 413, ErrorCode::TooLarge).await;

    let long = " ".repeat(MAX_BODY_BYTES + 1);
    for path in ["/v1/events", "/v1/consents"] {
        let request = server.client.post(format!("{}{path}", server.url));
        let request = request.header(CONTENT_TYPE, "application/json").body(long.clone());
        check_problem(request.send().await.unwrap(), 413, ErrorCode::TooLarge).await;
    }
    assert_eq!(server.rows().await["events"], 0);
    assert_eq!(server.counters().refused.too_large, 4);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem() {
    let server = Running::start().await;
    let device = given(&server).await;
    for path in ["/v1/events", "/v1/consents"] {
        let url = format!("{}{path}", server.url);
        for body in ["", "{", "[]", "{}", "null", "\u{0}"] {
            let refused = server.ask(&device, Method::POST, path, body.into()).await;
            check_problem(refused, 400, ErrorCode::Malformed).await;
        }
        let untyped = server.client.post(&url).body("{}").send().await.unwrap();
        check_problem(untyped, 400, ErrorCode::Malformed).await;

        let wrong = server.client.delete(&url).send().await.unwrap();
        assert_eq!(wrong.headers()[ALLOW], "POST");
        check_problem(wrong, 405, ErrorCode::NotFound).await;
    }
    let gone = server.client.post(format!("{}/v1/outcomes", server.url)).send().await.unwrap();
    check_problem(gone, 404, ErrorCode::NotFound).await;
    let nowhere = server.get("/v1/elsewhere").send().await.unwrap();
    check_problem(nowhere, 404, ErrorCode::NotFound).await;
    assert_eq!(server.counters().refused.malformed, 14);
}

#[tokio::test]
async fn the_documents_paths_are_the_servers() {
    let server = Running::start().await;
    let document: serde_json::Value =
        server.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &serde_json::Value| {
        item.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    let listed: Vec<_> =
        paths.iter().map(|(path, item)| format!("{} {path}", methods(item))).collect();
    insta::assert_snapshot!(listed.join("\n"), @r"
    get /
    get /assets/{file}
    get /healthz
    get /live
    get /me/{pass}
    get /me/{pass}/data
    get post /me/{pass}/forget
    post /me/{pass}/orders/{order}
    get /me/{pass}/stream
    post /me/{pass}/wishes
    get /metrics
    get post /o/{link}
    get /openapi.json
    get /readyz
    post /sign-in
    post /sign-out
    get /v1/activity
    post /v1/behaviour
    post /v1/consents
    get /v1/consents/{person}/{device}
    post /v1/context
    post /v1/conversions
    post /v1/conversions/adjust
    post /v1/conversions/csv
    post /v1/conversions/retract
    post /v1/demographics
    post /v1/events
    get /v1/features
    get /v1/features/drift
    post /v1/features/online
    get post /v1/keys
    delete /v1/keys/{key}
    post /v1/keys/{key}/rotate
    get /v1/models
    get /v1/models/{model}
    get /v1/models/{model}/performance
    post /v1/models/{model}/promote
    post /v1/models/{model}/retire
    get /v1/order-outcomes
    post /v1/order-sweeps
    get /v1/order-sweeps/{job}
    post /v1/order-trainings
    get /v1/order-trainings/{job}
    get /v1/orders
    get /v1/orders/{order}
    post /v1/orders/{order}/commands
    post /v1/people/link
    post /v1/people/resolve
    delete /v1/people/{person}
    get /v1/people/{person}/consumption
    get /v1/people/{person}/export
    get /v1/people/{person}/features
    post /v1/people/{person}/order-page
    get /v1/people/{person}/order-suggestions
    get patch /v1/people/{person}/order-wishes
    get /v1/people/{person}/orders
    get /v1/people/{person}/orders/stream
    get /v1/people/{person}/prediction
    post /v1/people/{person}/split
    get /v1/predictions
    get /v1/requests/{id}
    get /v1/server-key
    post /v1/statements
    post /v1/sweeps
    get /v1/sweeps/{job}
    post /v1/trainings
    get /v1/trainings/{job}
    post /v1/transactions
    ");
    // Whatever reads or writes something of a person is signed by a device, or by a key's holder.
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for (method, operation) in item.as_object().unwrap() {
            let security = &operation["security"][0];
            let known = security["device_signature"].is_array() || security["api_key"].is_array();
            assert_eq!(known, path != "/v1/server-key", "{method} {path}");
        }
    }
    let scheme = &document["components"]["securitySchemes"]["device_signature"];
    assert!(scheme["description"].as_str().unwrap().contains("keyid"), "{scheme}");
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let server = Running::start().await;
    for path in ["/", "/healthz", "/nowhere", "/assets/live.js", "/openapi.json"] {
        let answer = server.get(path).send().await.unwrap();
        let csp = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(csp.starts_with("default-src 'self'"), "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()[REFERRER_POLICY], "no-referrer");
    }
    let page = server.get("/").send().await.unwrap().text().await.unwrap();
    assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" onclick="));
    assert_eq!(page.matches("<script").count(), page.matches("<script src=").count());
}

#[tokio::test]
async fn ready_only_with_a_database() {
    if !crate::support::embedded() {
        // Its server is the only one of the process: the store's tests end one of their own.
        return;
    }
    let server = Running::start().await;
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.get("/readyz").send().await.unwrap().status(), StatusCode::OK);
    std::fs::remove_dir_all(server.folder.path()).unwrap();
    let gone = server.get("/readyz").send().await.unwrap();
    check_problem(gone, 503, ErrorCode::Unavailable).await;
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}

/// Reads a stream until it says all of `expected`.
async fn read_until(stream: &mut reqwest::Response, expected: &[&str]) {
    let mut text = String::new();
    let read = async {
        while !expected.iter().all(|words| text.contains(words)) {
            let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("never said {expected:?}"));
}

#[tokio::test]
async fn the_stream_says_what_was_stored_and_the_page_agrees() {
    let server = Running::start().await;
    let mut stream = server.get("/live").send().await.unwrap();
    assert_eq!(stream.headers()[CONTENT_TYPE], "text/event-stream");
    read_until(&mut stream, &["Nobody has agreed", "The offer stands as listed"]).await;

    let mut device = given(&server).await;
    let events = [
        device.eda(),
        device.intent([0.1, 0.6, 0.2, 0.1]),
        device.revised(Rule::Reassure, 18_990),
        device.purchased(),
    ];
    server.events(&device, &events).await;
    let said =
        ["SCL mean", "interested 60 %", "189.90 EUR", "−5.0 %", "You seemed unsure", "Purchased"];
    read_until(&mut stream, &said).await;

    let page = server.get("/").send().await.unwrap().text().await.unwrap();
    said.iter().for_each(|words| assert!(page.contains(words), "{words}"));
    assert!(page.contains("Espresso machine &#60;Luna&#62;"), "texts are escaped");
    let person = device.person.to_string();
    assert!(!page.contains(&person) && page.contains(&person[person.len() - 6..]));

    // A withdrawal clears the page at once; the stream says so.
    let withdrawn = device.withdraw();
    server.consent(&device, &[withdrawn]).await;
    read_until(&mut stream, &["Withdrawn", "The offer stands as listed"]).await;
    let page = server.get("/").send().await.unwrap().text().await.unwrap();
    said.iter().for_each(|words| assert!(!page.contains(words), "{words}"));
}

#[tokio::test]
async fn shutting_down_ends_open_streams() {
    let mut server = Running::start().await;
    let mut stream = server.get("/live").send().await.unwrap();
    read_until(&mut stream, &["consents"]).await;
    timeout(PATIENCE, server.shut_down()).await.expect("streams do not hold the server");
    let rest = async { while stream.chunk().await.unwrap().is_some() {} };
    timeout(PATIENCE, rest).await.expect("the stream ended");
}

#[tokio::test]
async fn a_restart_keeps_the_data_and_the_page() {
    let server = Running::start().await;
    let (mut device, mut gone) = (given(&server).await, given(&server).await);
    let events = [device.eda(), device.revised(Rule::Reassure, 18_990), device.purchased()];
    server.events(&device, &events).await;
    let lost = gone.revised(Rule::Reassure, 17_990);
    server.events(&gone, &[lost]).await;
    let withdrawn = gone.withdraw();
    server.consent(&gone, &[withdrawn]).await;
    let before = server.get("/").send().await.unwrap().text().await.unwrap();
    let rows = server.rows().await;
    let counters = server::Counters { events_taken: 0, ..server.counters() };

    let server = server.restart().await;
    assert_eq!((server.rows().await, server.counters()), (rows, counters));
    let after = server.get("/").send().await.unwrap().text().await.unwrap();
    assert!(after.contains("189.90 EUR") && !after.contains("179.90 EUR"));
    assert_eq!(before, after);
    assert_eq!(server.events(&device, &events[1..2]).await, [Verdict::Duplicate]);
}

#[tokio::test]
async fn s6_events_are_dated_by_the_servers_clock() {
    const SLOW_BY_MS: i64 = 3_600_000;
    const AGE_MS: u64 = 5_000;
    let server = Running::start().await;
    let mut device = given(&server).await;
    let (mut same, mut earlier) = (device.eda(), device.eda());
    let sent_at = SentAt {
        unix_ms: now_unix_ms() - SLOW_BY_MS,
        session: device.session,
        session_ms: same.at_session_ms + AGE_MS,
    };
    // The wall clock of the first is nonsense, and does not matter.
    same.at_unix_ms = 77;
    earlier.session = uuid::Uuid::now_v7();
    earlier.at_unix_ms = sent_at.unix_ms - 2_000;
    let batch = EventBatch { sent_at, dropped: 0, events: vec![same, earlier] };
    let before = now_unix_ms();
    assert_eq!(server.post(&device, "/v1/events", &batch).await.status(), StatusCode::OK);
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT at_unix_ms, at_corrected_unix_ms, received_unix_ms FROM events ORDER BY sequence",
    )
    .fetch_all(&mut server.database().await)
    .await
    .unwrap();
    let [(same_at, same_corrected, received), (_, earlier_corrected, _)] = rows[..] else {
        panic!("{rows:?}")
    };
    assert!((before..=now_unix_ms()).contains(&received));
    assert_eq!((same_at, same_corrected), (77, received - AGE_MS as i64));
    assert_eq!(earlier_corrected, received - 2_000);
}
