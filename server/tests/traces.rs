//! What a collector of traces gets to see: a real one, over HTTP, that reads the protocol.
//! Its own test binary: the subscriber is the process's.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;
use protocol::{consent::Modality, problem::ErrorCode};
use server::{
    scope::Scope,
    telemetry::{self, LogConfig, LogFormat, TracesConfig},
};
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};
use support::{Device, Running, check_problem, key};
use tracing_subscriber::fmt::MakeWriter;

/// What arrived at the collector.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

async fn collect(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) {
    collector.0.lock().unwrap().push((headers, body));
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

const CANARY: &str = "canary-in-the-coal-mine";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_sees_patterns_of_routes_and_nothing_of_a_person() {
    let collector = Collector::default();
    let routes = Router::new().route("/v1/traces", post(collect)).with_state(collector.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes).into_future());

    let lines = Lines::default();
    let log = LogConfig { format: LogFormat::Json, filter: Some("server=info".into()) };
    let traces = TracesConfig { endpoint: Some(endpoint), ..TracesConfig::default() };
    let telemetry = telemetry::start(&log, &traces, lines.clone()).unwrap();
    assert!(telemetry::start(&log, &TracesConfig::default(), lines.clone()).is_err(), "only once");

    let mut server = Running::start().await;
    let admin = key(server.folder.path(), &[Scope::Admin]).await;
    let mut device = Device::new();
    let receipt = device.give(&[Modality::Behaviour]);
    server.consent(&device, &[receipt]).await;
    let event = device.purchased();
    server.events(&device, &[event]).await;
    let keys = server.get("/v1/keys").bearer_auth(&admin).send().await.unwrap();
    assert!(keys.status().is_success());
    let odd = server.get(&format!("/v1/consents/{CANARY}/x?{CANARY}")).send().await.unwrap();
    check_problem(odd, 422, ErrorCode::Invalid).await;
    let nowhere = server.get(&format!("/{CANARY}")).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
    server.shut_down().await;
    telemetry.finish().await;

    let requests = collector.0.lock().unwrap().clone();
    assert!(!requests.is_empty(), "spans arrived");
    let mut spans = Vec::new();
    for (headers, body) in &requests {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let decoded = ExportTraceServiceRequest::decode(body.clone()).unwrap();
        for resource in decoded.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let name = attributes.iter().find(|one| one.key == "service.name").unwrap();
            let value = name.value.clone().unwrap().value;
            assert_eq!(value, Some(Value::StringValue("attune".into())));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    for (name, route, status) in [
        ("POST /v1/consents", "/v1/consents", "200"),
        ("POST /v1/events", "/v1/events", "200"),
        ("GET /v1/keys", "/v1/keys", "200"),
        ("GET /v1/consents/{person}/{device}", "/v1/consents/{person}/{device}", "422"),
        ("GET unknown", "unknown", "404"),
    ] {
        let span = spans.iter().find(|span| span.name == name);
        let span = span.unwrap_or_else(|| panic!("no span {name} in {spans:#?}"));
        assert_eq!(attribute(span, "http.route").as_deref(), Some(route));
        assert_eq!(attribute(span, "http.response.status_code").as_deref(), Some(status));
    }
    let secrets = [
        CANARY.to_owned(),
        device.person.to_string(),
        device.device.to_string(),
        device.session.to_string(),
        device.key.public().to_string(),
        admin[7..].to_owned(),
        "127.0.0.1".to_owned(),
        env!("CARGO_MANIFEST_DIR").to_owned(),
    ];
    for (_, body) in &requests {
        let text = String::from_utf8_lossy(body);
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret}");
        }
    }
    // The lines are JSON, each by itself.
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(text.lines().count() > 0);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}
