//! People with orders, a shop that sells, and the pages and links of a server.

use super::{Running, config, key, location, no_limits, now_unix_ms};
use axum::{Json, Router, extract::State, routing::post};
use protocol::offer::Currency;
use serde_json::{Value, json};
use server::{
    Config,
    orders::{
        config::OrdersConfig,
        life::{Line, Proposal, Quote, Rules, Why},
        pass::Passes,
        shop::WebhookConfig,
        signing::{Action, Link, Signer},
    },
    rehearsal,
    scope::Scope,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use tempfile::TempDir;
use uuid::Uuid;

pub const HOUR_MS: i64 = 60 * 60 * 1_000;
/// What the shop sells a piece for, minor units, unless it is told otherwise.
pub const PRICE: i64 = 1_290;

/// A server whose people have orders, and the shop behind it.
pub struct Shopping {
    pub server: Running,
    pub key: String,
    pub passes: Passes,
    pub signer: Signer,
    price: Arc<AtomicI64>,
}

impl Shopping {
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let key = key(folder.path(), &[Scope::Orders]).await;
        let price = Arc::new(AtomicI64::new(PRICE));
        let shop = Some(WebhookConfig {
            url: sell(Arc::clone(&price)).await,
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        });
        let orders = OrdersConfig { shop, ..OrdersConfig::default() };
        let config = Config { orders, limits: no_limits(), ..config(folder.path()) };
        let server = Running::start_with(folder, config).await;
        let secret = std::fs::read(server.folder.path().join("links-key")).unwrap();
        let secret = secret.try_into().unwrap();
        let (passes, signer) = (Passes::new(&secret), Signer::new(&secret));
        Self { server, key, passes, signer, price }
    }

    /// What a piece costs from now on.
    pub fn asks(&self, price: i64) {
        self.price.store(price, Ordering::Relaxed);
    }

    /// The address of a person's page.
    pub fn page(&self, person: Uuid) -> String {
        format!("/me/{}", self.passes.make(person, now_unix_ms() + HOUR_MS))
    }

    /// An order over one article, made so long ago.
    pub async fn propose(&self, person: Uuid, title: &str, ago_ms: i64) -> Proposal {
        let proposal = proposal(person, &[(title, 2)]);
        let made = vec![(proposal.clone(), now_unix_ms() - ago_ms)];
        rehearsal::propose(location(self.server.folder.path()), made).await.unwrap();
        proposal
    }

    /// A link over an order, as a message has it.
    pub fn link(&self, proposal: &Proposal, action: Action) -> String {
        let link = Link {
            order: proposal.order,
            quote: proposal.quote.id(),
            action,
            expires_unix_ms: now_unix_ms() + HOUR_MS,
            nonce: Uuid::now_v7(),
        };
        format!("/o/{}", self.signer.sign(&link))
    }

    /// An order as the operator's apps see it.
    pub async fn order(&self, id: Uuid) -> Value {
        let answer = self.server.get(&format!("/v1/orders/{id}")).bearer_auth(&self.key);
        answer.send().await.unwrap().json().await.unwrap()
    }
}

/// A proposal over articles: their titles, and pieces.
pub fn proposal(person: Uuid, goods: &[(&str, u32)]) -> Proposal {
    let line = |(title, quantity): &(&str, u32)| Line {
        sku: title.to_lowercase(),
        title: (*title).to_owned(),
        quantity: *quantity,
        unit_minor: PRICE,
    };
    let lines = goods.iter().map(line).collect();
    Proposal {
        order: Uuid::now_v7(),
        person,
        quote: Quote::new(Uuid::now_v7(), Currency::EUR, lines, 0).unwrap(),
        why: Why {
            model_id: "7d6a2f9c01b4e583".to_owned(),
            category: "coffee".to_owned(),
            confidence: 0.93,
            threshold: 0.77,
            reasons: vec!["you buy this about every 12 days, 2 at a time; last 11 days ago".into()],
            inputs_digest: "9f".repeat(32),
        },
        rules: Rules::default(),
    }
}

/// A shop that has everything, at one price; gives its address.
async fn sell(price: Arc<AtomicI64>) -> String {
    async fn quote(State(price): State<Arc<AtomicI64>>, Json(asked): Json<Value>) -> Json<Value> {
        let lines = asked["lines"].as_array().unwrap().iter().map(|line| {
            let sku = line["sku"].as_str().unwrap();
            let title = format!("{}{}", sku[..1].to_uppercase(), &sku[1..]);
            let unit_minor = price.load(Ordering::Relaxed);
            json!({
                "sku": sku, "title": title, "quantity": line["quantity"], "unit_minor": unit_minor,
            })
        });
        Json(json!({ "lines": lines.collect::<Vec<_>>() }))
    }
    let take = async || Json(json!({"reference": "A-1"}));
    let routes = Router::new().route("/quote", post(quote)).route("/orders", post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes.with_state(price)).await.unwrap() });
    url
}
