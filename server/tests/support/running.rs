//! A server on a real socket, and how it is asked.

use super::{Device, database, location, now_unix_ms, tables};
use protocol::{
    consent::{ConsentBatch, ConsentReply, Head, Receipt},
    event::{BatchReply, Event, Verdict},
    problem::{ErrorCode, MEDIA_TYPE, Problem},
    signing::{CONTENT_DIGEST, REQUEST_NUMBER, SIGNATURE, SIGNATURE_INPUT, SignedHeaders, Target},
};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, header::CONTENT_TYPE, redirect::Policy,
};
use serde::Serialize;
use server::{
    Config, Counters, LimitsConfig, Location, Monitor, Rate, Server,
    keys::{Keychain, NewKey},
    scope::Scope,
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::{collections::BTreeMap, path::Path, sync::Once};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub fn config(folder: &Path) -> Config {
    let Location { folder: data_dir, database } = location(folder);
    Config { listen: ([127, 0, 0, 1], 0).into(), data_dir, database, ..Config::default() }
}

/// The four headers, by name.
pub fn signed_headers(signed: SignedHeaders) -> [(&'static str, String); 4] {
    [
        (CONTENT_DIGEST, signed.content_digest),
        (REQUEST_NUMBER, signed.request_number),
        (SIGNATURE_INPUT, signed.signature_input),
        (SIGNATURE, signed.signature),
    ]
}

/// A key with these scopes, made on the data folder.
pub async fn key(folder: &Path, scopes: &[Scope]) -> String {
    key_until(folder, scopes, None).await.0
}

/// A key that ends, and its id.
pub async fn key_until(
    folder: &Path,
    scopes: &[Scope],
    expires_unix_ms: Option<i64>,
) -> (String, Uuid) {
    let keys = Keychain::open(location(folder)).await.unwrap();
    let scopes = scopes.iter().copied().collect();
    let new = NewKey { name: "test".into(), scopes, expires_unix_ms };
    // Made yesterday, so that a key can be made that has ended.
    let (token, info) = keys.create(new, now_unix_ms() - 24 * 60 * 60 * 1_000).await.unwrap();
    keys.close().await;
    (token.reveal().to_owned(), info.id)
}

/// Nobody is told to wait.
pub fn no_limits() -> LimitsConfig {
    let off = Rate { per_second: 0, burst: 1 };
    LimitsConfig { key: off, address: off, device: off }
}

/// The cryptography of TLS, once a process; every client needs it.
pub fn install_tls() {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        // Telemetry installs it, too, where it is on.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
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
        let config = config(folder.path());
        Self::start_with(folder, config).await
    }

    pub async fn start_with(folder: TempDir, config: Config) -> Self {
        install_tls();
        let server = Server::bind(config).await.unwrap();
        let stop = CancellationToken::new();
        Self {
            url: server.url(),
            client: reqwest::Client::builder().redirect(Policy::none()).build().unwrap(),
            monitor: server.monitor(),
            task: tokio::spawn(server.run_until(stop.clone().cancelled_owned())),
            stop,
            folder,
        }
    }

    /// Stops it and starts another on the same data.
    pub async fn restart(mut self) -> Self {
        self.shut_down().await;
        self.restart_after_stop().await
    }

    /// Starts another on the same data, after it was shut down.
    pub async fn restart_after_stop(mut self) -> Self {
        let empty = TempDir::new().unwrap();
        Self::start_in(std::mem::replace(&mut self.folder, empty)).await
    }

    /// Asks it to end, without waiting.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    pub async fn shut_down(&mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub fn authority(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// A request with these signature headers, whatever they say.
    pub fn with_headers(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        signed: SignedHeaders,
    ) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        signed_headers(signed).into_iter().fold(request, |r, (name, value)| r.header(name, value))
    }

    /// A request signed by a device.
    pub async fn ask(
        &self,
        device: &Device,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Response {
        let target =
            Target { method: method.as_str(), authority: self.authority(), path, query: "" };
        let signed = device.sign(&target, &body);
        self.with_headers(method, path, body, signed).send().await.unwrap()
    }

    pub async fn post(&self, device: &Device, path: &str, body: &impl Serialize) -> Response {
        self.ask(device, Method::POST, path, serde_json::to_vec(body).unwrap()).await
    }

    /// Posts receipts that are taken.
    pub async fn consent(&self, device: &Device, receipts: &[Receipt]) -> Head {
        let batch = ConsentBatch { receipts: receipts.to_vec() };
        let response = self.post(device, "/v1/consents", &batch).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json::<ConsentReply>().await.unwrap().head
    }

    /// Posts a batch that is answered item by item.
    pub async fn events(&self, device: &Device, events: &[Event]) -> Vec<Verdict> {
        let response = self.post(device, "/v1/events", &device.batch(events)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let reply: BatchReply = response.json().await.unwrap();
        assert_eq!(
            reply.verdicts.iter().map(|item| item.id).collect::<Vec<_>>(),
            events.iter().map(|event| event.id).collect::<Vec<_>>()
        );
        reply.verdicts.into_iter().map(|item| item.verdict).collect()
    }

    /// Posts a batch that is refused as a whole.
    pub async fn check_events(&self, device: &Device, events: &[Event], status: u16, c: ErrorCode) {
        let refused = self.post(device, "/v1/events", &device.batch(events)).await;
        check_problem(refused, status, c).await;
    }

    pub fn counters(&self) -> Counters {
        self.monitor.counters()
    }

    pub async fn database(&self) -> AnyConnection {
        database(self.folder.path()).await
    }

    pub fn location(&self) -> Location {
        location(self.folder.path())
    }

    /// The number of rows of every table that is ours, by name; the audit log's own not.
    pub async fn rows(&self) -> BTreeMap<String, i64> {
        let mut database = self.database().await;
        let mut rows = BTreeMap::new();
        for name in tables(&mut database).await {
            // The beginning of the audit log, and by which definitions profiles are made: both about
            // nobody.
            if name == "audit_anchor" {
                continue;
            }
            let ours = if name == "jobs" { "WHERE kind <> 'definitions'" } else { "" };
            let query = AssertSqlSafe(format!("SELECT count(*) FROM {name} {ours}"));
            rows.insert(name, sqlx::query_scalar(query).fetch_one(&mut database).await.unwrap());
        }
        database.close().await.unwrap();
        rows
    }

    /// What the audit log says of an action, in order.
    pub async fn audited(&self, action: &str) -> Vec<String> {
        sqlx::query_scalar("SELECT result FROM audit WHERE action = $1 ORDER BY number")
            .bind(action.to_owned())
            .fetch_all(&mut self.database().await)
            .await
            .unwrap()
    }
}

/// Asserts that a response is a problem with this status and code; gives it back.
pub async fn check_problem(response: Response, status: u16, code: ErrorCode) -> Problem {
    let (found, kind) = (response.status().as_u16(), response.headers()[CONTENT_TYPE].clone());
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    assert_eq!(kind, MEDIA_TYPE);
    let problem: Problem = serde_json::from_str(&text).unwrap();
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
