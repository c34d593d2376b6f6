//! The server is killed again and again while facts come in: what it acknowledged is there, once.
//!
//! The server is this test's own executable, started anew with a part to play. Senders repeat a
//! batch until it is acknowledged, as every client has to; every event has an id of its own.
//! `ATTUNE_KILLS=200` makes the campaign longer.

use crate::support::{ago, config, install_tls, key, no_limits, user};
use protocol::intake::{CLOUDEVENTS_BATCH, IntakeReply};
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use server::{Config, Server, ServerError, StoreError, scope::Scope};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;

const PART: &str = "ATTUNE_KILLS_SERVER";
const FOLDER: &str = "ATTUNE_KILLS_FOLDER";
const DATABASE: &str = "ATTUNE_KILLS_DATABASE";
/// Kills of a short campaign.
const KILLS: u32 = 12;
const SENDERS: u64 = 4;
/// Events of a batch at most.
const MOST_EVENTS: u64 = 40;
/// Longest life of a server before it is killed.
const LONGEST_LIFE: Duration = Duration::from_millis(250);
/// How long the last acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until it is killed, if that is this process's part.
async fn serve() {
    let Ok(listen) = env::var(PART) else { return };
    let database = env::var(DATABASE).ok().map(server::DatabaseUrl);
    let folder = env::var_os(FOLDER).unwrap();
    let listen = listen.parse().unwrap();
    let data_dir = folder.into();
    let config = Config { listen, data_dir, database, limits: no_limits(), ..Config::default() };
    let server = loop {
        // The port and the database's session of the one before may take a moment to be free.
        match Server::bind(config.clone()).await {
            Ok(server) => break server,
            Err(ServerError::Listen { .. } | ServerError::Store(StoreError::Taken)) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    let _ = writeln!(std::io::stdout(), "\nlistening {}", server.local_addr());
    server.run_until(std::future::pending()).await.unwrap();
    std::process::exit(0);
}

struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(config: &Config, address: Option<SocketAddr>) -> Self {
        let test = module_path!()
            .split_once("::")
            .map_or(String::new(), |(_, module)| format!("{module}::"));
        let address = address.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([&format!("{test}{NAME}"), "--exact", "--nocapture"]);
        command.env(PART, address.to_string()).env(FOLDER, &config.data_dir);
        if let Some(url) = &config.database {
            command.env(DATABASE, &url.0);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening ").map(|at| at.parse().unwrap()))
            .expect("the server ended before it listened");
        Self { child, address }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Sends until told to stop; gives how many events were acknowledged, each once.
async fn send(url: String, key: String, sender: u64, stop: Arc<AtomicBool>) -> u64 {
    let client = reqwest::Client::new();
    let mut dice = sender.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut acknowledged = 0;
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        // Xorshift (Marsaglia 2003) is random enough for lengths.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let events: Vec<_> = (0..1 + dice % MOST_EVENTS)
            .map(|_| {
                number += 1;
                json!({
                    "specversion": "1.0", "id": format!("{sender}-{number}"),
                    "source": "https://shop.example", "type": "page_view", "time": ago(60),
                    "data": {
                        "user_identifiers": [user(&format!("C-{sender}-{}", number % 50))],
                        "consent": {"behaviour": "granted"},
                    },
                })
            })
            .collect();
        let count = events.len() as u64;
        let body = serde_json::to_vec(&events).unwrap();
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "a batch was not acknowledged within {PATIENCE:?}");
            let request = client.post(format!("{url}/v1/behaviour")).bearer_auth(&key);
            let request = request.header(CONTENT_TYPE, CLOUDEVENTS_BATCH).body(body.clone());
            let Ok(answer) = request.send().await else { continue };
            if !answer.status().is_success() {
                assert!(answer.status().is_server_error(), "{}", answer.text().await.unwrap());
                continue;
            }
            let Ok(reply) = answer.json::<IntakeReply>().await else { continue };
            let taken = reply.status.stored + reply.status.duplicates;
            assert_eq!(taken, count, "{:?}", reply.status);
            acknowledged += taken;
            break;
        }
    }
    acknowledged
}

const NAME: &str = "s5_kills_during_ingest_lose_nothing_and_double_nothing";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_kills_during_ingest_lose_nothing_and_double_nothing() {
    serve().await;
    install_tls();
    let kills = env::var("ATTUNE_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let folder = TempDir::new().unwrap();
    let key = key(folder.path(), &[Scope::Ingest]).await;
    let config = config(folder.path());
    let mut running = Running::start(&config, None);
    let url = format!("http://{}", running.address);
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (1..=SENDERS)
        .map(|sender| tokio::spawn(send(url.clone(), key.clone(), sender, Arc::clone(&stop))))
        .collect();
    let life = |kill: u32| LONGEST_LIFE * (kill * 7 % 11 + 1) / 11;
    for kill in 0..kills {
        tokio::time::sleep(life(kill)).await;
        running = tokio::task::block_in_place(|| {
            running.kill();
            Running::start(&config, Some(running.address))
        });
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = 0;
    for sender in senders {
        acknowledged += sender.await.unwrap();
    }
    running.kill();
    let rows = counts(folder.path()).await;
    let said = json!({
        "bench": "crash", "form": "ingest", "store": if crate::support::embedded() { "sqlite" } else { "postgres" },
        "server_kills": kills, "acknowledged": acknowledged, "stored": rows["facts"],
    });
    let _ = writeln!(std::io::stderr(), "{said}");
    assert!(acknowledged > u64::from(kills), "something was sent");
    let expected = acknowledged as i64;
    assert_eq!((rows["facts"], rows["taken"], rows["rollups"]), (expected, expected, expected));
}

async fn counts(folder: &Path) -> BTreeMap<&'static str, i64> {
    let mut database = crate::support::database(folder).await;
    let mut counts = BTreeMap::new();
    for (name, query) in [
        ("facts", "SELECT count(*) FROM facts"),
        ("taken", "SELECT count(*) FROM taken"),
        ("rollups", "SELECT CAST(sum(facts) AS BIGINT) FROM rollups"),
    ] {
        counts.insert(name, sqlx::query_scalar(query).fetch_one(&mut database).await.unwrap());
    }
    counts
}
