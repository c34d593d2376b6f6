//! C12: no signal value, feature, text or personal id in any log line, even with every log on.
//! Its own test binary: the subscriber is the process's.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use protocol::{consent::Modality, event::EventBody, offer::Rule, problem::ErrorCode};
use reqwest::header::CONTENT_TYPE;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex},
};
use support::{Device, Running, batch, check_problem};
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

    let server = Running::start().await;
    let mut device = Device::new();
    let values = BTreeMap::from([("eda_scl_mean_5s".to_owned(), CANARY_VALUE)]);
    let features = EventBody::Features { values, coverage: 1.0 };
    let event = device.event(&[Modality::Eda], features);

    // Refused, stored, repeated; unreadable with the canary inside; read back; odd paths.
    let refused = server.post("/v1/events", &batch(std::slice::from_ref(&event))).await;
    check_problem(refused, 403, ErrorCode::NoConsent).await;
    server.consent(&device.given(&[Modality::Eda, Modality::Behaviour])).await;
    server.events(&[event.clone(), event, device.revised(Rule::Reassure, 18_990)]).await;
    server.post("/v1/outcomes", &device.purchased()).await;
    let url = format!("{}/v1/consents", server.url);
    for body in [CANARY_TEXT.to_owned(), format!("{{\"state\":\"{CANARY_TEXT}\"}}")] {
        let request = server.client.post(&url).header(CONTENT_TYPE, "application/json");
        check_problem(request.body(body).send().await.unwrap(), 400, ErrorCode::Malformed).await;
    }
    let known = format!("/v1/consents/{}/{}", device.person, device.device);
    assert!(server.get(&known).send().await.unwrap().status().is_success());
    let odd = server.get(&format!("/v1/consents/{CANARY_TEXT}/x")).send().await.unwrap();
    check_problem(odd, 422, ErrorCode::Invalid).await;
    server.get("/").send().await.unwrap();
    server.consent(&device.withdrawn()).await;

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    // Reported by the client half of this test, which is not the server: its lines name URLs.
    let server_lines: Vec<_> = text
        .lines()
        .filter(|line| !["reqwest", "hyper_util::client"].iter().any(|c| line.contains(c)))
        .collect();
    assert!(server_lines.iter().any(|line| line.contains("/v1/events")), "requests are logged");
    let secrets = [
        device.person.to_string(),
        device.device.to_string(),
        device.session.to_string(),
        device.record.to_string(),
        device.person.simple().to_string(),
        CANARY_VALUE.to_string(),
        CANARY_TEXT.to_owned(),
        "Espresso".to_owned(),
        "18990".to_owned(),
    ];
    for line in server_lines {
        assert!(!secrets.iter().any(|secret| line.contains(secret)), "{line}");
    }
}
