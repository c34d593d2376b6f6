//! The endpoints as clients use them: on a real socket.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use protocol::{
    consent::Modality,
    event::{EventBatch, MAX_BATCH_EVENTS, MAX_BODY_BYTES, Verdict},
    offer::Rule,
    problem::ErrorCode,
};
use reqwest::{
    StatusCode,
    header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
};
use support::{Device, Running, batch, check_problem};
use tokio::time::{Duration, timeout};

/// Far longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_repeated_batch_changes_nothing() {
    let server = Running::start().await;
    let mut device = Device::new();
    server.consent(&device.given(&[Modality::Eda, Modality::Behaviour])).await;
    let events: Vec<_> = (0..MAX_BATCH_EVENTS).map(|_| device.eda()).collect();
    assert!(server.events(&events).await.iter().all(|v| *v == Verdict::Stored));
    assert!(server.events(&events).await.iter().all(|v| *v == Verdict::Duplicate));
    assert!(server.events(&[]).await.is_empty());

    let outcome = device.purchased();
    assert_eq!(server.post("/v1/outcomes", &outcome).await.status(), StatusCode::CREATED);
    assert_eq!(server.post("/v1/outcomes", &outcome).await.status(), StatusCode::OK);
    let mut other = outcome;
    other.sku = "OTHER".into();
    let refused = server.post("/v1/outcomes", &other).await;
    check_problem(refused, 409, ErrorCode::Conflict).await;

    // What is stored stays answered after the grant is gone: the device can let go of it.
    server.consent(&device.withdrawn()).await;
    assert_eq!(server.events(&events[..1]).await, [Verdict::Duplicate]);

    let rows = server.rows().await;
    let count = MAX_BATCH_EVENTS as i64;
    assert_eq!((rows["events"], rows["outcomes"], rows["received"]), (count, 1, count + 3));
}

#[tokio::test]
async fn devices_at_once_lose_nothing() {
    let server = Running::start().await;
    let posts = (0..8).map(|_| async {
        let mut device = Device::new();
        server.consent(&device.given(&[Modality::Eda])).await;
        for _ in 0..5 {
            let events: Vec<_> = (0..10).map(|_| device.eda()).collect();
            assert!(server.events(&events).await.iter().all(|v| *v == Verdict::Stored));
        }
    });
    futures::future::join_all(posts).await;
    assert_eq!((server.rows().await["events"], server.counters().events), (400, 400));
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_stored() {
    let server = Running::start().await;
    let mut device = Device::new();
    server.consent(&device.given(&[Modality::Eda])).await;
    let events: Vec<_> = (0..=MAX_BATCH_EVENTS).map(|_| device.eda()).collect();
    let refused = server.post("/v1/events", &batch(&events)).await;
    check_problem(refused, 413, ErrorCode::TooLarge).await;

    let long = " ".repeat(MAX_BODY_BYTES + 1);
    for path in ["/v1/events", "/v1/consents", "/v1/outcomes"] {
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
    for path in ["/v1/events", "/v1/consents", "/v1/outcomes"] {
        let url = format!("{}{path}", server.url);
        for body in ["", "{", "[]", "{}", "null", "\u{0}"] {
            let request = server.client.post(&url).header(CONTENT_TYPE, "application/json");
            let refused = request.body(body).send().await.unwrap();
            check_problem(refused, 400, ErrorCode::Malformed).await;
        }
        let untyped = server.client.post(&url).body("{}").send().await.unwrap();
        check_problem(untyped, 400, ErrorCode::Malformed).await;

        let wrong = server.client.delete(&url).send().await.unwrap();
        assert_eq!(wrong.headers()[ALLOW], "POST");
        check_problem(wrong, 405, ErrorCode::NotFound).await;
    }
    let nowhere = server.get("/v1/elsewhere").send().await.unwrap();
    check_problem(nowhere, 404, ErrorCode::NotFound).await;
    assert_eq!(server.counters().refused.malformed, 21);
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
    get /healthz
    get /live
    get /readyz
    post /v1/consents
    get /v1/consents/{person}/{device}
    post /v1/events
    post /v1/outcomes
    ");
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
    let mut device = Device::new();
    let mut stream = server.get("/live").send().await.unwrap();
    assert_eq!(stream.headers()[CONTENT_TYPE], "text/event-stream");
    read_until(&mut stream, &["Nobody has agreed", "The offer stands as listed"]).await;

    server.consent(&device.given(&[Modality::Eda, Modality::Behaviour])).await;
    let events =
        [device.eda(), device.intent([0.1, 0.6, 0.2, 0.1]), device.revised(Rule::Reassure, 18_990)];
    server.events(&events).await;
    let said = ["SCL mean", "interested 60 %", "189.90 EUR", "−5.0 %", "You seemed unsure"];
    read_until(&mut stream, &said).await;

    let page = server.get("/").send().await.unwrap().text().await.unwrap();
    said.iter().for_each(|words| assert!(page.contains(words), "{words}"));
    assert!(page.contains("Espresso machine &#60;Luna&#62;"), "texts are escaped");
    let person = device.person.to_string();
    assert!(!page.contains(&person) && page.contains(&person[person.len() - 6..]));

    // A withdrawal clears the page at once; the stream says so.
    server.consent(&device.withdrawn()).await;
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
    let (mut device, mut gone) = (Device::new(), Device::new());
    for device in [&device, &gone] {
        server.consent(&device.given(&[Modality::Eda, Modality::Behaviour])).await;
    }
    let event = device.revised(Rule::Reassure, 18_990);
    server.events(&[device.eda(), event.clone()]).await;
    server.events(&[gone.revised(Rule::Premium, 20_990)]).await;
    server.post("/v1/outcomes", &device.purchased()).await;
    server.consent(&gone.withdrawn()).await;
    let before = server.get("/").send().await.unwrap().text().await.unwrap();
    let (rows, counters) = (server.rows().await, server.counters());

    let server = server.restart().await;
    assert_eq!((server.rows().await, server.counters()), (rows, counters));
    let after = server.get("/").send().await.unwrap().text().await.unwrap();
    assert!(after.contains("189.90 EUR") && !after.contains("209.90 EUR"));
    assert_eq!(before, after);
    assert_eq!(server.events(&[event]).await, [Verdict::Duplicate]);
}

#[tokio::test]
async fn the_clocks_error_is_kept_beside_the_event() {
    use sqlx::Connection;
    const SLOW_BY_MS: i64 = 3_600_000;
    let server = Running::start().await;
    let mut device = Device::new();
    server.consent(&device.given(&[Modality::Eda])).await;
    let sent_at_unix_ms = support::now_unix_ms() - SLOW_BY_MS;
    let late = EventBatch { sent_at_unix_ms, events: vec![device.eda()] };
    server.post("/v1/events", &late).await;
    let path = server.folder.path().join(server::DATABASE_FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut database = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let correction: i64 = sqlx::query_scalar("SELECT clock_correction_ms FROM events")
        .fetch_one(&mut database)
        .await
        .unwrap();
    let transit_ms = PATIENCE.as_millis() as i64;
    assert!((SLOW_BY_MS..SLOW_BY_MS + transit_ms).contains(&correction), "{correction}");
}
