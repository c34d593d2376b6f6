//! `feature_read`: what reading 20 features of one person costs, over one connection that stays
//! open: our server, and Feast's feature server over its SQLite online store, one after the other.
//!
//! Both run as processes of their own; their CPU time is what `/proc` says of them.

use super::{Process, Running, environment};
use serde_json::{Value, json};
use server::scope::Scope;
use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const FEAST: &str = include_str!("../peers/requirements-feast.txt");
/// As many as Feast's side has.
const PEOPLE: usize = 1_000;
const FEATURES: usize = 20;
/// Facts of each person.
const VISITS: usize = 20;
const OURS: usize = 10_000;
const THEIRS: usize = 2_000;
/// Thrown away: caches fill, Python compiles.
const WARM_UP: usize = 1_000;

pub async fn feature_read() -> Value {
    let ours = ours().await;
    let theirs = theirs().await;
    json!({
        "bench": "feature_read", "p50_ms": ours.p50_ms, "cpu_us": ours.cpu_us,
        "feast_p50_ms": theirs.p50_ms, "feast_cpu_us": theirs.cpu_us,
        "ratio": theirs.cpu_us / ours.cpu_us, "requests": OURS, "feast_requests": THEIRS,
    })
}

struct Figures {
    p50_ms: f64,
    cpu_us: f64,
}

async fn ours() -> Figures {
    let server = Running::start(&[Scope::Ingest, Scope::Features]).await;
    let client = client();
    let post = |path: &str| client.post(server.url(path)).bearer_auth(&server.key);
    for n in 0..VISITS {
        let rows: Vec<Value> = (0..PEOPLE).map(|person| purchase(person, n)).collect();
        for rows in rows.chunks(500) {
            let taken = post("/v1/conversions").json(&json!({"events": rows})).send().await;
            let taken: Value = taken.unwrap().json().await.unwrap();
            assert_eq!(taken["stored"], rows.len(), "{taken}");
        }
    }
    let listed = client.get(server.url("/v1/features")).bearer_auth(&server.key).send().await;
    let listed: Value = listed.unwrap().json().await.unwrap();
    let names: Vec<&str> = listed["features"].as_array().unwrap()[..FEATURES]
        .iter()
        .map(|feature| feature["name"].as_str().unwrap())
        .collect();
    let people = people(server.folder.path()).await;
    let ask = async |n: usize| {
        let asked = json!({"people": [people[n % people.len()]], "features": names});
        let answer = post("/v1/features/online").json(&asked).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["people"][0]["values"].as_array().unwrap().len(), FEATURES, "{answer}");
        assert_eq!(answer["people"][0]["known"], true);
    };
    measured(server.process.id(), OURS, ask).await
}

fn purchase(person: usize, n: usize) -> Value {
    json!({
        "transaction_id": format!("T-{person}-{n}"),
        "event_timestamp": format!("2026-{:02}-{:02}T10:00:00Z", 1 + n % 9, 1 + n),
        "event_name": "store_purchase", "conversion_value": 12.5, "currency": "EUR",
        "user_identifiers": [{"user_id": format!("C-{person}")}],
        "consent": {"conversion": "granted"},
    })
}

/// The pseudonyms that the server gave.
async fn people(folder: &Path) -> Vec<String> {
    use sqlx::Connection;
    let file = folder.join(server::DATABASE_FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
    let mut database = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let people: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT person FROM profiles").fetch_all(&mut database).await.unwrap();
    database.close().await.unwrap();
    assert_eq!(people.len(), PEOPLE);
    people.iter().map(|person| uuid::Uuid::from_slice(person).unwrap().to_string()).collect()
}

async fn theirs() -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/feast_server.py");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new(environment::python("feast", FEAST))
        .arg(script)
        .arg(folder.path())
        .arg(port.to_string())
        .env("FEAST_USAGE", "False")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Python starts");
    let server = Process(server);
    let client = client();
    let url = format!("http://127.0.0.1:{port}/get-online-features");
    let names: Vec<String> = (0..FEATURES).map(|n| format!("bench:f{n}")).collect();
    let begun = Instant::now();
    while client.get(format!("http://127.0.0.1:{port}/health")).send().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(120), "Feast does not start");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ask = async |n: usize| {
        let asked = json!({"features": names, "entities": {"person": [n % PEOPLE]}});
        let answer = client.post(&url).json(&asked).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["results"].as_array().unwrap().len(), FEATURES + 1, "{answer}");
        assert_eq!(answer["results"][1]["statuses"][0], "PRESENT", "{answer}");
    };
    measured(server.id(), THEIRS, ask).await
}

/// One connection that stays open.
fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(1).build().unwrap()
}

async fn measured(process: u32, requests: usize, ask: impl AsyncFn(usize)) -> Figures {
    for n in 0..WARM_UP {
        ask(n).await;
    }
    let before = cpu_us(process);
    let mut took_ms = Vec::with_capacity(requests);
    for n in 0..requests {
        let begun = Instant::now();
        ask(n).await;
        took_ms.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let cpu_us = (cpu_us(process) - before) / requests as f64;
    took_ms.sort_by(f64::total_cmp);
    Figures { p50_ms: took_ms[requests / 2], cpu_us }
}

/// CPU time of a process and all below it, microseconds (proc(5)).
fn cpu_us(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name, in parentheses, may hold anything: what follows it begins with field 3.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    let below = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    let below: f64 = below.split_whitespace().map(|child| cpu_us(child.parse().unwrap())).sum();
    ticks * 1e6 / TICKS_A_SECOND + below
}

/// USER_HZ, which Linux shows to programs on every platform that we build for.
const TICKS_A_SECOND: f64 = 100.0;
