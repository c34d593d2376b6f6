//! The server under load: `ingest`, `feature_read`, `sweep`, `orders_sweep`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement")]

#[path = "../peers/environment.rs"]
mod environment;
mod feature_read;
mod ingest;
mod orders_sweep;
mod sweep;

use server::{
    Config, LimitsConfig, Rate, Server,
    keys::{Keychain, NewKey},
    scope::Scope,
};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};
use tempfile::TempDir;

const ALL: [&str; 4] = ["ingest", "feature_read", "sweep", "orders_sweep"];
/// Where the process that is the server has its data.
const FOLDER: &str = "ATTUNE_BENCH_FOLDER";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    if let Some(folder) = env::var_os(FOLDER) {
        runtime.block_on(serve(Path::new(&folder)));
        return ExitCode::SUCCESS;
    }
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let asked: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let unknown: Vec<&String> = asked.iter().filter(|a| !ALL.contains(&a.as_str())).collect();
    if !unknown.is_empty() {
        eprintln!("no bench is called {unknown:?}; there are {ALL:?}");
        return ExitCode::FAILURE;
    }
    for name in ALL.into_iter().filter(|name| asked.is_empty() || asked.iter().any(|a| a == name)) {
        match name {
            "ingest" => println!("{}", runtime.block_on(ingest::ingest())),
            "feature_read" => println!("{}", runtime.block_on(feature_read::feature_read())),
            "orders_sweep" => {
                for told in runtime.block_on(orders_sweep::orders_sweep()) {
                    println!("{told}");
                }
            }
            _ => {
                for people in sweep::PEOPLE {
                    println!("{}", runtime.block_on(sweep::sweep(people)));
                }
            }
        }
    }
    ExitCode::SUCCESS
}

async fn serve(folder: &Path) {
    let off = Rate { per_second: 0, burst: 1 };
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: folder.to_owned(),
        limits: LimitsConfig { key: off, address: off, device: off },
        ..Config::default()
    };
    let server = Server::bind(config).await.unwrap();
    println!("{}", server.url());
    std::io::stdout().flush().unwrap();
    server.run_until(std::future::pending::<()>()).await.unwrap();
}

/// A server in a process of its own, on SQLite in a folder of its own, and a key to it.
struct Running {
    process: Process,
    folder: TempDir,
    key: String,
    url: String,
}

impl Running {
    async fn start(scopes: &[Scope]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keychain::open(folder.path()).await.unwrap();
        let scopes = scopes.iter().copied().collect();
        let new = NewKey { name: "bench".into(), scopes, expires_unix_ms: None };
        let (token, _) = keys.create(new, 0).await.unwrap();
        keys.close().await;
        let mut server = Command::new(env::current_exe().unwrap())
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let (key, url) = (token.reveal().to_owned(), url.trim().to_owned());
        Self { process: Process(server), folder, key, url }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// A process that ends with this value; what it started ends with it.
struct Process(Child);

impl Process {
    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // gunicorn ends its workers when it is asked to end, not when it is killed.
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let _ = self.0.wait();
    }
}
