//! `ingest`: events a second that a server of its own process takes in from clients at the same time,
//! each batch answered once it is on disk; then how long a single event takes, alone.

use super::Running;
use protocol::intake::CLOUDEVENTS_BATCH;
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};
use server::scope::Scope;
use std::{ops::Range, time::Instant};

const CLIENTS: u64 = 8;
const BATCH: u64 = 500;
/// Batches that a client sends.
const BATCHES: u64 = 40;
/// People of each client: the events of a batch are of as many.
const PEOPLE: u64 = 500;
const SINGLES: u64 = 500;

pub async fn ingest() -> Value {
    let server = Running::start(&[Scope::Ingest]).await;
    // Before the clock runs: everybody is known, and every body is written.
    let known: Vec<_> = (0..CLIENTS).map(|client| batch(client, 0..BATCH)).collect();
    for body in known {
        send(&server, &Client::new(), body, BATCH).await;
    }
    let prepared = |client: u64| -> Vec<Vec<u8>> {
        (1..=BATCHES).map(|n| batch(client, n * BATCH..(n + 1) * BATCH)).collect()
    };
    let prepared: Vec<_> = (0..CLIENTS).map(prepared).collect();
    let begun = Instant::now();
    let clients = prepared.into_iter().map(async |bodies| {
        let client = Client::new();
        for body in bodies {
            send(&server, &client, body, BATCH).await;
        }
    });
    futures::future::join_all(clients).await;
    let seconds = begun.elapsed().as_secs_f64();
    let events = CLIENTS * BATCHES * BATCH;

    let client = Client::new();
    let mut took_ms = Vec::new();
    for n in 0..SINGLES {
        let first = (BATCHES + 1) * BATCH + n;
        let body = batch(0, first..first + 1);
        let begun = Instant::now();
        send(&server, &client, body, 1).await;
        took_ms.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    took_ms.sort_by(f64::total_cmp);
    let share = |percent: usize| took_ms[took_ms.len() * percent / 100];
    json!({
        "bench": "ingest", "events_per_s": events as f64 / seconds, "single_p50_ms": share(50),
        "single_p99_ms": share(99), "events": events, "batch": BATCH, "clients": CLIENTS,
        "store": "sqlite",
    })
}

/// Page views of one client's people, one each.
fn batch(client: u64, numbers: Range<u64>) -> Vec<u8> {
    let events: Vec<Value> = numbers
        .map(|n| {
            json!({
                "specversion": "1.0", "id": format!("{client}-{n}"),
                "source": "https://shop.example", "type": "page_view",
                "time": format!("2026-10-{:02}T{:02}:{:02}:00Z", 1 + n % 28, n % 24, n % 60),
                "data": {
                    "user_identifiers": [{"user_id": format!("C-{client}-{}", n % PEOPLE)}],
                    "category": "coffee", "consent": {"behaviour": "granted"},
                },
            })
        })
        .collect();
    serde_json::to_vec(&events).unwrap()
}

async fn send(server: &Running, client: &Client, body: Vec<u8>, events: u64) {
    let request = client.post(server.url("/v1/behaviour")).bearer_auth(&server.key);
    let answer = request.header(CONTENT_TYPE, CLOUDEVENTS_BATCH).body(body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["stored"], events, "{answer}");
}
