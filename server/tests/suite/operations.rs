//! Metrics and the end of the server, as whoever watches it sees them.

use crate::support::{Device, Running, check_problem, config, key, no_limits};
use protocol::{consent::Modality, problem::ErrorCode};
use reqwest::StatusCode;
use server::{Config, ShutdownConfig, scope::Scope};
use std::collections::BTreeMap;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The samples of an answer of `/metrics`, by name and labels; checks that it is well-formed.
async fn samples(server: &Running) -> BTreeMap<String, f64> {
    let answer = server.get("/metrics").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

#[tokio::test]
async fn metrics_count_requests_by_pattern_and_rows_by_result() {
    let server = Running::start().await;
    let mut device = Device::new();
    let receipt = device.give(&[Modality::Behaviour]);
    server.consent(&device, &[receipt]).await;
    let event = device.purchased();
    server.events(&device, std::slice::from_ref(&event)).await;
    server.events(&device, &[event]).await;
    for path in ["/nowhere", "/v1/people/x/export", "/v1/people/y/export"] {
        server.get(path).send().await.unwrap();
    }
    server.client.request("ODD".parse().unwrap(), &server.url).send().await.unwrap();

    let samples = samples(&server).await;
    let requests = |method: &str, route: &str, status: &str| {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
        samples.get(&format!("attune_http_requests_total{labels}")).copied()
    };
    assert_eq!(requests("POST", "/v1/events", "2xx"), Some(2.0));
    assert_eq!(requests("GET", "/v1/people/{person}/export", "4xx"), Some(2.0));
    assert_eq!(requests("GET", "unknown", "4xx"), Some(1.0));
    assert_eq!(requests("_OTHER", "/", "4xx"), Some(1.0));
    let of_events = "{method=\"POST\",route=\"/v1/events\"}";
    assert_eq!(samples[&format!("attune_http_request_seconds_count{of_events}")], 2.0);
    assert!(samples[&format!("attune_http_request_seconds_sum{of_events}")] > 0.0);
    for (result, count) in [("stored", 1.0), ("duplicate", 1.0), ("no_consent", 0.0)] {
        assert_eq!(samples[&format!("attune_items_total{{result=\"{result}\"}}")], count);
    }
    assert_eq!(samples["attune_stored_events"], 1.0);
    assert_eq!(samples["attune_writer_queue"], 0.0);
    assert!(samples["attune_commit_group_count"] >= 3.0);
    assert!(samples["attune_data_folder_bytes"] > 10_000.0);
    assert!(samples["attune_background_tasks"] >= 2.0);
    // Nothing of a request but its pattern.
    assert!(!samples.keys().any(|name| name.contains("nowhere") || name.contains("ODD")));
}

#[tokio::test]
async fn metrics_are_for_this_machine_and_for_admins() {
    let folder = TempDir::new().unwrap();
    let (admin, live) =
        (key(folder.path(), &[Scope::Admin]).await, key(folder.path(), &[Scope::Live]).await);
    let server = Running::start_in(folder).await;
    let from_afar = || server.get("/metrics").header("x-forwarded-for", "192.0.2.1");
    check_problem(from_afar().send().await.unwrap(), 401, ErrorCode::Unauthenticated).await;
    let lacking = from_afar().bearer_auth(&live).send().await.unwrap();
    check_problem(lacking, 403, ErrorCode::Forbidden).await;
    let read = from_afar().bearer_auth(&admin).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    assert_eq!(server.get("/metrics").send().await.unwrap().status(), StatusCode::OK);
    // A proxy that says nothing of itself, as nginx does unless told otherwise.
    let request = format!("GET /metrics HTTP/1.0\r\nhost: {}\r\n\r\n", server.authority());
    let mut proxy = TcpStream::connect(server.authority()).await.unwrap();
    proxy.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    proxy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 401"), "{answer}");
}

#[tokio::test]
async fn a_server_that_is_about_to_end_says_so_and_still_answers() {
    let folder = TempDir::new().unwrap();
    let shutdown = ShutdownConfig { drain_ms: 2_000, grace_ms: 5_000 };
    let config = Config { shutdown, limits: no_limits(), ..config(folder.path()) };
    let mut server = Running::start_with(folder, config).await;
    assert_eq!(server.get("/readyz").send().await.unwrap().status(), StatusCode::OK);
    server.ask_to_stop();
    // As soon as it has heard; if it never says so, it is gone and the request fails.
    loop {
        let ready = server.get("/readyz").send().await.expect("it still answers");
        if ready.status() == StatusCode::SERVICE_UNAVAILABLE {
            check_problem(ready, 503, ErrorCode::Unavailable).await;
            break;
        }
    }
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
    server.shut_down().await;
    assert!(server.get("/healthz").send().await.is_err());
}
