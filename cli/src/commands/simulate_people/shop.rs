//! The made-up shop: it has everything of the catalogue at its price, and takes each order once.

use axum::{Json, Router, extract::State, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, sync::mpsc};
use training::people::{CATALOGUE, find};
use uuid::Uuid;

/// What the shop took: the order, and its articles with how many.
#[derive(Debug, Clone)]
pub struct Sold {
    pub order: Uuid,
    pub lines: Vec<(usize, usize, u32)>,
}

#[derive(Clone)]
struct Till {
    sold: mpsc::UnboundedSender<Sold>,
    taken: Arc<Mutex<HashSet<Uuid>>>,
}

#[derive(Deserialize)]
struct Asked {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: u32,
}

#[derive(Deserialize)]
struct Ordered {
    order: Uuid,
    quote: Asked,
}

/// Opens the shop; gives where it is, and what it sells from now on.
///
/// # Errors
/// When no socket can be had.
pub async fn open() -> std::io::Result<(SocketAddr, mpsc::UnboundedReceiver<Sold>)> {
    let (sold, selling) = mpsc::unbounded_channel();
    let till = Till { sold, taken: Arc::default() };
    let router =
        Router::new().route("/quote", post(quote)).route("/orders", post(take)).with_state(till);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((address, selling))
}

async fn quote(Json(asked): Json<Asked>) -> Json<Value> {
    let lines = asked.lines.iter().filter_map(|line| {
        let (category, sku) = find(&line.sku)?;
        let sku = CATALOGUE.get(category)?.skus.get(sku)?;
        Some(json!({
            "sku": sku.id, "title": sku.name, "quantity": line.quantity,
            "unit_minor": sku.price_cents,
        }))
    });
    Json(json!({"lines": lines.collect::<Vec<_>>()}))
}

async fn take(State(till): State<Till>, Json(ordered): Json<Ordered>) -> Json<Value> {
    let first = till.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(ordered.order);
    if first {
        let lines = ordered.quote.lines.iter().filter_map(|line| {
            let (category, sku) = find(&line.sku)?;
            Some((category, sku, line.quantity))
        });
        // Who listens may have ended.
        let _ = till.sold.send(Sold { order: ordered.order, lines: lines.collect() });
    }
    Json(json!({"reference": ordered.order}))
}
