//! The shop: what it asks for goods now, and that it takes an order.
//!
//! The first of its kind speaks HTTP to a service of the operator's, signed as the Standard Webhooks
//! specification says (1.0.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`), so that the
//! service can tell that it is Attune who asks.

use super::life::{Act, Current, Line, Quote, Wanted};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use protocol::offer::Currency;
use reqwest::{Client, Response, StatusCode, Url, header::CONTENT_TYPE, redirect};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{fmt, time::Duration};
use thiserror::Error;
use uuid::Uuid;

/// How long the shop may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most bytes of an answer: far more than a quote of all lines has.
const MOST_ANSWER_BYTES: usize = 1 << 20;
/// What a secret begins with, by the specification.
const SECRET_PREFIX: &str = "whsec_";
/// The shortest secret, bytes: as the specification says.
const LEAST_SECRET_BYTES: usize = 24;
/// Most characters of a shop's own words that are kept.
const MOST_WORDS: usize = 200;

/// Why the shop gave no price.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShopError {
    /// The settings do not do.
    #[error("orders.shop: {0}")]
    Settings(&'static str),
    /// It did not answer, or not so that it can be used.
    #[error("the shop gave no price ({0}): it is asked again")]
    Unavailable(String),
}

impl protocol::log::LogSafe for ShopError {}

/// Whoever sells.
#[async_trait]
pub trait Shop: fmt::Debug + Send + Sync {
    /// What these goods cost now, as far as they are to be had.
    ///
    /// # Errors
    /// [`ShopError`].
    async fn quote(&self, goods: &[Wanted], currency: Currency) -> Result<Current, ShopError>;

    /// Has an order taken. `key` is the same in every attempt: the shop takes it once. Gives
    /// [`Act::Accepted`] or [`Act::NotTaken`].
    async fn take(&self, key: Uuid, attempt: u8, quote: &Quote) -> Act;
}

/// Where the shop's service is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its address; `/quote` and `/orders` are added to it.
    pub url: String,
    /// The secret that both know: `whsec_` and at least 24 bytes in base64.
    pub secret: String,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookConfig")
    }
}

/// A shop that is asked over HTTP.
pub struct Webhook {
    client: Client,
    quotes: Url,
    orders: Url,
    key: hmac::Key,
    now_unix_s: fn() -> i64,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook")
    }
}

/// What the shop says to a request for a price. Lines that are not to be had are left out.
#[derive(Deserialize)]
struct Offered {
    lines: Vec<Line>,
    #[serde(default)]
    extra_minor: i64,
}

/// What the shop says when it took an order.
#[derive(Deserialize)]
struct Taken {
    reference: String,
}

impl Webhook {
    /// Looks at the settings. `now_unix_s` is the wall clock, Unix seconds.
    ///
    /// # Errors
    /// [`ShopError::Settings`] says what is wrong with them.
    pub fn new(config: &WebhookConfig, now_unix_s: fn() -> i64) -> Result<Self, ShopError> {
        let wrong = |_| ShopError::Settings("url is none: https://host/path");
        let base = config.url.trim_end_matches('/');
        let quotes: Url = format!("{base}/quote").parse().map_err(wrong)?;
        let orders: Url = format!("{base}/orders").parse().map_err(wrong)?;
        let near = matches!(quotes.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if quotes.scheme() != "https" && !(quotes.scheme() == "http" && near) {
            return Err(ShopError::Settings("url must begin with https://"));
        }
        let secret = config.secret.strip_prefix(SECRET_PREFIX);
        let secret = secret.and_then(|secret| STANDARD.decode(secret).ok());
        let secret = secret.filter(|secret| secret.len() >= LEAST_SECRET_BYTES);
        let secret = secret.ok_or(ShopError::Settings(
            "secret must be whsec_ and at least 24 bytes in base64: openssl rand -base64 32",
        ))?;
        // The only provider of the lock file; somebody may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).build();
        let client = client.map_err(|_| ShopError::Settings("no HTTP client can be made"))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Ok(Self { client, quotes, orders, key, now_unix_s })
    }

    async fn post(&self, url: &Url, id: Uuid, body: String) -> Result<Response, reqwest::Error> {
        let now = (self.now_unix_s)();
        let signed = hmac::sign(&self.key, format!("{id}.{now}.{body}").as_bytes());
        self.client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id.to_string())
            .header("webhook-timestamp", now)
            .header("webhook-signature", format!("v1,{}", STANDARD.encode(signed)))
            .body(body)
            .send()
            .await
    }
}

#[async_trait]
impl Shop for Webhook {
    async fn quote(&self, goods: &[Wanted], currency: Currency) -> Result<Current, ShopError> {
        let unavailable = |why: &str| ShopError::Unavailable(why.to_owned());
        let body = json!({"currency": currency, "lines": goods}).to_string();
        let answer = self.post(&self.quotes, Uuid::now_v7(), body).await;
        let answer = answer.map_err(|error| unavailable(broken(&error)))?;
        if !answer.status().is_success() {
            return Err(unavailable(&format!("HTTP {}", answer.status().as_u16())));
        }
        let bytes = whole(answer).await.ok_or_else(|| unavailable("its answer broke off"))?;
        let offered: Offered = serde_json::from_slice(&bytes)
            .map_err(|_| unavailable("its answer is not what the book says"))?;
        if offered.lines.is_empty() {
            return Ok(Current::Nothing);
        }
        let quote = Quote::new(Uuid::now_v7(), currency, offered.lines, offered.extra_minor);
        let quote = quote.map_err(|fault| unavailable(&fault.to_string()))?;
        Ok(Current::Quoted { quote })
    }

    async fn take(&self, key: Uuid, attempt: u8, quote: &Quote) -> Act {
        let not_taken = |reason: &str, retry, unknown| Act::NotTaken {
            attempt,
            reason: reason.chars().take(MOST_WORDS).collect(),
            retry,
            unknown,
        };
        let body = json!({"order": key, "quote": quote}).to_string();
        let answer = match self.post(&self.orders, key, body).await {
            Ok(answer) => answer,
            // What could not connect was not taken; of all else nobody knows.
            Err(error) => return not_taken(broken(&error), true, !error.is_connect()),
        };
        let status = answer.status();
        let said = format!("HTTP {}", status.as_u16());
        if status.is_success() {
            let bytes = whole(answer).await.unwrap_or_default();
            return match serde_json::from_slice::<Taken>(&bytes) {
                Ok(Taken { reference }) => Act::Accepted { reference },
                // The same key gets the same answer: asking again does no harm.
                Err(_) => not_taken("it took the order without a reference", true, true),
            };
        }
        let again = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        not_taken(&said, again || status.is_server_error(), status.is_server_error())
    }
}

/// A word for what went wrong, without addresses.
fn broken(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

/// The whole of an answer; `None` if it breaks off or is too long.
async fn whole(mut answer: Response) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MOST_ANSWER_BYTES => {
                bytes.extend_from_slice(&chunk);
            }
            Ok(None) => return Some(bytes),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
