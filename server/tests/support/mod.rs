//! A device as the tests use it, and a server on a real socket.
//!
//! `Device` knows one person, one device and the consent record it works under; everything it
//! makes is valid until a test changes a field.

#![allow(dead_code, reason = "every test binary uses a part")]

use protocol::{
    consent::{ConsentRecord, ConsentState, Grant, Modality, Purpose, Recipient},
    event::{BatchReply, Event, EventBatch, EventBody, Verdict},
    intent::IntentEstimate,
    offer::{Currency, Money, Offer, OfferRevision, Rule},
    outcome::{Outcome, OutcomeKind},
    problem::{ErrorCode, MEDIA_TYPE, Problem},
};
use reqwest::{RequestBuilder, Response, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use server::{Config, Counters, DATABASE_FILE_NAME, Monitor, Server};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::Once,
    time::{SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// A person with a device.
pub struct Device {
    pub person: Uuid,
    pub device: Uuid,
    pub session: Uuid,
    pub record: Uuid,
    pub epoch: u64,
    sequence: u64,
}

impl Device {
    pub fn new() -> Self {
        let id = Uuid::now_v7;
        Self { person: id(), device: id(), session: id(), record: id(), epoch: 1, sequence: 0 }
    }

    /// The record it works under, sharing `modalities` with the operator.
    pub fn given(&self, modalities: &[Modality]) -> ConsentRecord {
        let share = |&modality| Grant {
            modality,
            purpose: Purpose::Share,
            recipient: Recipient::Operator,
            expires_unix_ms: None,
        };
        ConsentRecord {
            id: self.record,
            person: self.person,
            device: self.device,
            epoch: self.epoch,
            state: ConsentState::Given,
            grants: modalities.iter().map(share).collect(),
            notice_version: "2026-11".into(),
            at_unix_ms: now_unix_ms(),
        }
    }

    /// A withdrawal one epoch later.
    pub fn withdrawn(&self) -> ConsentRecord {
        ConsentRecord {
            id: Uuid::now_v7(),
            epoch: self.epoch + 1,
            state: ConsentState::Withdrawn,
            ..self.given(&[])
        }
    }

    /// From now on it works under a new record, two epochs later (a withdrawal fits between).
    pub fn give_again(&mut self, modalities: &[Modality]) -> ConsentRecord {
        self.epoch += 2;
        self.record = Uuid::now_v7();
        self.given(modalities)
    }

    pub fn event(&mut self, modalities: &[Modality], body: EventBody) -> Event {
        self.sequence += 1;
        Event {
            id: Uuid::now_v7(),
            sequence: self.sequence,
            device: self.device,
            person: self.person,
            session: self.session,
            consent_record: self.record,
            consent_epoch: self.epoch,
            modalities: modalities.to_vec(),
            at_unix_ms: now_unix_ms(),
            at_session_ms: self.sequence * 1_000,
            body,
        }
    }

    /// An event that needs sharing `eda`.
    pub fn eda(&mut self) -> Event {
        let scl = 2.0 + (self.sequence as f64 / 7.0).sin();
        let values = BTreeMap::from([("eda_scl_mean_5s".to_owned(), scl)]);
        self.event(&[Modality::Eda], EventBody::Features { values, coverage: 1.0 })
    }

    /// An event that needs sharing `behaviour`.
    pub fn started(&mut self) -> Event {
        self.event(&[], EventBody::SessionStarted { sdk_version: "0.1.0".into() })
    }

    pub fn intent(&mut self, probabilities: [f32; 4]) -> Event {
        let estimate = IntentEstimate {
            at_ms: (self.sequence + 1) * 1_000,
            probabilities,
            arousal: 0.4,
            abstained: None,
        };
        self.event(&[Modality::Eda], EventBody::Intent(estimate))
    }

    pub fn revised(&mut self, rule: Rule, price: i64) -> Event {
        let euro = |minor| Money { minor, currency: Currency::EUR };
        let revision = OfferRevision {
            revision: 1,
            at_ms: (self.sequence + 1) * 1_000,
            rule,
            offer: Offer {
                sku: "ESP-1".into(),
                title: "Espresso machine <Luna>".into(),
                price: euro(price),
                features: vec![],
                bundle: vec![],
                delivery: vec![],
                guarantees: vec![],
                related: vec![],
            },
            changes: vec!["The price went down by 5 %.".into()],
            reason: "You seemed unsure, so we offer a better price.".into(),
            reference_price: euro(19_990),
            disclosure: Some("This price was set by an algorithm using your personal data.".into()),
            model_id: "intent-1".into(),
            inputs_digest: "00".repeat(32),
            propensity: 1.0,
        };
        self.event(&[Modality::Eda], EventBody::OfferRevised(Box::new(revision)))
    }

    pub fn purchased(&self) -> Outcome {
        Outcome {
            id: Uuid::now_v7(),
            device: self.device,
            person: self.person,
            session: self.session,
            consent_record: self.record,
            consent_epoch: self.epoch,
            at_unix_ms: now_unix_ms(),
            kind: OutcomeKind::Purchased,
            sku: "ESP-1".into(),
            revision: 1,
            paid: Some(Money { minor: 18_990, currency: Currency::EUR }),
        }
    }
}

pub fn batch(events: &[Event]) -> EventBatch {
    EventBatch { sent_at_unix_ms: now_unix_ms(), events: events.to_vec() }
}

pub fn config(folder: &Path) -> Config {
    Config { listen: ([127, 0, 0, 1], 0).into(), data_dir: folder.to_owned(), ..Config::default() }
}

/// A server that runs on a real socket until it is dropped or stopped.
pub struct Running {
    pub url: String,
    pub client: reqwest::Client,
    pub folder: TempDir,
    monitor: Monitor,
    stop: CancellationToken,
    task: JoinHandle<Result<(), server::ServerError>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    pub async fn start() -> Self {
        Self::start_in(TempDir::new().unwrap()).await
    }

    pub async fn start_in(folder: TempDir) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let server = Server::bind(config(folder.path())).await.unwrap();
        let stop = CancellationToken::new();
        Self {
            url: server.url(),
            client: reqwest::Client::new(),
            monitor: server.monitor(),
            task: tokio::spawn(server.run_until(stop.clone().cancelled_owned())),
            stop,
            folder,
        }
    }

    /// Stops it and starts another on the same data.
    pub async fn restart(mut self) -> Self {
        self.shut_down().await;
        let empty = TempDir::new().unwrap();
        Self::start_in(std::mem::replace(&mut self.folder, empty)).await
    }

    pub async fn shut_down(&mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub async fn post(&self, path: &str, body: &impl Serialize) -> Response {
        self.client.post(format!("{}{path}", self.url)).json(body).send().await.unwrap()
    }

    pub async fn consent(&self, record: &ConsentRecord) {
        let response = self.post("/v1/consents", record).await;
        assert_eq!(response.status(), StatusCode::CREATED);
    }

    /// Posts a batch that is answered item by item.
    pub async fn events(&self, events: &[Event]) -> Vec<Verdict> {
        let response = self.post("/v1/events", &batch(events)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let reply: BatchReply = response.json().await.unwrap();
        assert_eq!(
            reply.verdicts.iter().map(|item| item.id).collect::<Vec<_>>(),
            events.iter().map(|event| event.id).collect::<Vec<_>>()
        );
        reply.verdicts.into_iter().map(|item| item.verdict).collect()
    }

    pub fn counters(&self) -> Counters {
        self.monitor.counters()
    }

    /// The number of rows of every table that is ours, by name.
    pub async fn rows(&self) -> BTreeMap<String, i64> {
        let path = self.folder.path().join(DATABASE_FILE_NAME);
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let mut database = SqliteConnection::connect_with(&options).await.unwrap();
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_master WHERE type = 'table'
             AND name NOT LIKE 'sqlite%' AND name <> '_sqlx_migrations'",
        )
        .fetch_all(&mut database)
        .await
        .unwrap();
        let mut rows = BTreeMap::new();
        for name in names {
            let query = AssertSqlSafe(format!("SELECT count(*) FROM {name}"));
            rows.insert(name, sqlx::query_scalar(query).fetch_one(&mut database).await.unwrap());
        }
        database.close().await.unwrap();
        rows
    }
}

/// Asserts that a response is a problem with this status and code; gives it back.
pub async fn check_problem(response: Response, status: u16, code: ErrorCode) -> Problem {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
    let problem: Problem = response.json().await.unwrap();
    assert_eq!((problem.status, problem.code), (status, code));
    assert!(!problem.detail.is_empty());
    problem
}

pub fn code(verdict: &Verdict) -> Option<ErrorCode> {
    match verdict {
        Verdict::Rejected { code, .. } => Some(*code),
        _ => None,
    }
}
