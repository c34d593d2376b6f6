//! An operator's program: a server with a key, and rows.

use super::{Running, config, key};
use protocol::{
    digest::Digest,
    intake::{
        CLOUDEVENTS_BATCH, Consent, ConsentStatus, IntakeReply, QuarantinePage, Reason, Reported,
        Scope, UserIdentifier,
    },
};
use reqwest::{RequestBuilder, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use server::scope::Scope as KeyScope;
use std::collections::BTreeMap;
use tempfile::TempDir;

/// A server, and a program that may do everything there.
pub struct Operator {
    pub server: Running,
    pub key: String,
}

impl Operator {
    pub async fn start() -> Self {
        Self::with(&[KeyScope::Ingest, KeyScope::Backfill, KeyScope::Identity]).await
    }

    pub async fn with(scopes: &[KeyScope]) -> Self {
        let folder = TempDir::new().unwrap();
        let key = key(folder.path(), scopes).await;
        let config = server::Config { limits: super::no_limits(), ..config(folder.path()) };
        Self { server: Running::start_with(folder, config).await, key }
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.server.url);
        self.server.client.post(url).bearer_auth(&self.key)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.server.get(path).bearer_auth(&self.key)
    }

    pub async fn rows(&self, path: &str, rows: &impl serde::Serialize) -> Response {
        self.post(path).json(&json!({ "events": rows })).send().await.unwrap()
    }

    /// Rows that are answered with counts.
    pub async fn take(&self, path: &str, rows: &impl serde::Serialize) -> IntakeReply {
        let answer = self.rows(path, rows).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn conversions(&self, rows: &[Reported]) -> IntakeReply {
        self.take("/v1/conversions", &rows).await
    }

    pub async fn behaviour(&self, events: &Value) -> IntakeReply {
        let body = serde_json::to_vec(events).unwrap();
        let request = self.post("/v1/behaviour").header(CONTENT_TYPE, CLOUDEVENTS_BATCH).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    pub async fn request(&self, id: uuid::Uuid, query: &str) -> QuarantinePage {
        let answer = self.get(&format!("/v1/requests/{id}{query}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    pub async fn count(&self, table: &str) -> i64 {
        self.server.rows().await[table]
    }
}

/// What was stored, repeated and refused.
pub fn counts(reply: &IntakeReply) -> (u64, u64, BTreeMap<Reason, u64>) {
    (reply.status.stored, reply.status.duplicates, reply.status.reasons.clone())
}

pub fn email(name: &str) -> UserIdentifier {
    let hash = Digest::of(format!("{name}@example.com").as_bytes());
    UserIdentifier::EmailAddress(hash.to_string())
}

pub fn user(id: &str) -> UserIdentifier {
    UserIdentifier::UserId(id.to_owned())
}

/// RFC 3339, some seconds ago.
pub fn ago(seconds: i64) -> String {
    let at = super::now_unix_ms() - seconds * 1_000;
    jiff::Timestamp::from_millisecond(at).unwrap().to_string()
}

pub fn granted(scope: Scope) -> Option<Consent> {
    Some(Consent::only(scope, ConsentStatus::Granted))
}

pub fn denied(scope: Scope) -> Option<Consent> {
    Some(Consent::only(scope, ConsentStatus::Denied))
}

/// A purchase with consent.
pub fn purchase(transaction: &str, who: &[UserIdentifier]) -> Reported {
    Reported {
        transaction_id: Some(transaction.to_owned()),
        event_timestamp: ago(3_600),
        event_name: "store_purchase".into(),
        conversion_value: Some(19.9),
        currency: Some("EUR".into()),
        user_identifiers: who.to_vec(),
        consent: granted(Scope::Conversion),
        ..Reported::default()
    }
}
