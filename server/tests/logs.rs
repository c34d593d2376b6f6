//! C12: no signal value, feature, text or personal id in any log line, even with every log on.
//! Its own test binary: the subscriber is the process's.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use protocol::{
    consent::Modality,
    event::EventBody,
    offer::Rule,
    problem::ErrorCode,
    signing::{SignedHeaders, Target},
};
use reqwest::Method;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex},
};
use support::{Device, Running, check_problem, config};
use tracing_subscriber::fmt::MakeWriter;

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

/// A value no log line has by chance.
const CANARY_VALUE: f64 = 31.415_926_535;
const CANARY_TEXT: &str = "canary-in-the-coal-mine";

#[tokio::test]
async fn c12_no_log_line_knows_a_person_or_a_value() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let folder = tempfile::TempDir::new().unwrap();
    let config = config(folder.path());
    let server = Running::start_with(folder, config).await;
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda, Modality::Behaviour]);
    let values = BTreeMap::from([("eda_scl_mean_5s".to_owned(), CANARY_VALUE)]);
    let features = EventBody::Features { values, coverage: 1.0 };
    let event = device.event(&[Modality::Eda], features);
    let mut headers = Vec::new();

    // Refused, stored, repeated; unreadable with the canary inside; read back; odd paths.
    server.check_events(&device, std::slice::from_ref(&event), 403, ErrorCode::NoConsent).await;
    server.consent(&device, std::slice::from_ref(&given)).await;
    let (offer, outcome) = (device.revised(Rule::Reassure, 18_990), device.purchased());
    server.events(&device, &[event.clone(), event, offer, outcome]).await;
    for body in [CANARY_TEXT.to_owned(), format!("{{\"receipts\":\"{CANARY_TEXT}\"}}")] {
        let refused = server.ask(&device, Method::POST, "/v1/consents", body.into()).await;
        check_problem(refused, 400, ErrorCode::Malformed).await;
    }
    // Forged, replayed.
    let target =
        Target { method: "POST", authority: server.authority(), path: "/v1/events", query: "" };
    for (number, body) in [(1, "{}".to_owned()), (1, CANARY_TEXT.to_owned())] {
        let signed = SignedHeaders::sign(&device.key, &target, b"{}", number);
        headers.extend([signed.signature.clone(), signed.content_digest.clone()]);
        let request = server.with_headers(Method::POST, "/v1/events", body.into(), signed);
        assert!(request.send().await.unwrap().status().is_client_error());
    }
    let known = format!("/v1/consents/{}/{}", device.person, device.device);
    assert!(server.ask(&device, Method::GET, &known, vec![]).await.status().is_success());
    let export = format!("/v1/people/{}/export", device.person);
    assert!(server.ask(&device, Method::GET, &export, vec![]).await.status().is_success());
    let odd = server.get(&format!("/v1/consents/{CANARY_TEXT}/x")).send().await.unwrap();
    check_problem(odd, 422, ErrorCode::Invalid).await;
    server.get("/").send().await.unwrap();
    let withdrawn = device.withdraw();
    server.consent(&device, &[withdrawn]).await;
    let server_key = std::fs::read(server.folder.path().join("server-key")).unwrap();
    let server = server.restart().await;
    let person = format!("/v1/people/{}", device.person);
    assert!(server.ask(&device, Method::DELETE, &person, vec![]).await.status().is_success());

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    // Reported by the client half of this test, which is not the server: its lines name URLs.
    let server_lines: Vec<_> = text
        .lines()
        .filter(|line| !["reqwest", "hyper_util::client"].iter().any(|c| line.contains(c)))
        .collect();
    assert!(server_lines.iter().any(|line| line.contains("/v1/events")), "requests are logged");
    let hash = protocol::digest::Digest::of(device.person.as_bytes()).to_string();
    let mut secrets = vec![
        device.person.to_string(),
        device.device.to_string(),
        device.session.to_string(),
        device.record.to_string(),
        device.person.simple().to_string(),
        CANARY_VALUE.to_string(),
        CANARY_TEXT.to_owned(),
        "Espresso".to_owned(),
        "18990".to_owned(),
        device.key.public().to_string(),
        given.signature.to_string(),
        hash,
        format!("{:?}", &server_key[..8]).replace(['[', ']'], ""),
        format!("{:?}", &device.person.as_bytes()[..8]).replace(['[', ']'], ""),
    ];
    secrets.extend(headers);
    for line in server_lines {
        assert!(!secrets.iter().any(|secret| line.contains(secret)), "{line}");
    }
}
