//! The crash campaign: a device and a server, each a process of its own, killed again and again.
//!
//! The device queues events as fast as the disk allows, delivers them, and sometimes withdraws and
//! grants anew. It says on its standard output what it knows to be true at that moment; the
//! campaign believes what was said before the kill and holds the end against it:
//!
//! * what queueing acknowledged, and was not withdrawn, is on the server exactly once;
//! * of what was withdrawn nothing is on the server.

use crate::rig;
use protocol::event::EventBody;
use sdk_core::{
    clock::Nanos,
    sensor::SessionClock,
    sync::{Draft, SyncConfig},
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, any::install_default_drivers};
use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use uuid::Uuid;

const ROLE: &str = "ATTUNE_CRASH_ROLE";
const FOLDER: &str = "ATTUNE_CRASH_FOLDER";
const SERVER: &str = "ATTUNE_CRASH_SERVER";
/// The URL of the server's database, if it is PostgreSQL.
const DATABASE: &str = "ATTUNE_CRASH_DATABASE";
const SEED: &str = "ATTUNE_CRASH_SEED";
/// The number of the device, below [`DEVICES`].
const DEVICE: &str = "ATTUNE_CRASH_DEVICE";

/// Longest life of a device before it is killed.
const LONGEST_LIFE: Duration = Duration::from_millis(60);
/// Devices, one at a time.
const DEVICES: usize = 8;
/// Those from this number on withdraw now and then; what the others queue has to arrive.
const WITHDRAWING: usize = 5;
/// One in so many events is followed by a withdrawal.
const WITHDRAWAL_EVERY: u64 = 60;
/// How long the last, undisturbed life may take to deliver everything.
const DRAIN: Duration = Duration::from_secs(120);

/// How often who is killed.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Kills of the device.
    pub client_kills: u64,
    /// Kills of the server.
    pub server_kills: u64,
    /// Makes two campaigns differ.
    pub seed: u64,
    /// The URL of the server's database, if it is PostgreSQL: an empty one.
    pub database: Option<String>,
}

/// What a campaign came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Where the server stored.
    pub store: &'static str,
    /// Kills of the device.
    pub client_kills: u64,
    /// Kills of the server.
    pub server_kills: u64,
    /// Events that queueing acknowledged.
    pub acknowledged: u64,
    /// Of these: withdrawn.
    pub withdrawn: u64,
    /// Acknowledged, not withdrawn, and not on the server.
    pub lost: u64,
    /// On the server more than once, by sequence number.
    pub doubled: u64,
    /// On the server though withdrawn.
    pub after_withdrawal: u64,
    /// Withdrawals that took effect.
    pub withdrawals: u64,
    /// Events on the server at the end.
    pub stored: u64,
}

impl Outcome {
    /// As a line of the bench.
    #[must_use]
    pub fn line(&self) -> Value {
        json!({
            "bench": "crash",
            "store": self.store,
            "client_kills": self.client_kills,
            "server_kills": self.server_kills,
            "acknowledged": self.acknowledged,
            "withdrawn": self.withdrawn,
            "withdrawals": self.withdrawals,
            "stored": self.stored,
            "lost": self.lost,
            "doubled": self.doubled,
            "after_withdrawal": self.after_withdrawal,
        })
    }
}

/// What a device said, over all its lives.
#[derive(Debug, Default)]
struct Said {
    device: Option<Uuid>,
    /// Acknowledged events: id and epoch.
    queued: Vec<(Uuid, u64)>,
    /// Epochs of withdrawals that took effect.
    withdrawn: BTreeSet<u64>,
    drained: bool,
}

/// Plays the part that the environment names, if it names one; never returns then.
pub fn play_a_part() {
    let Ok(role) = env::var(ROLE) else { return };
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "server" => serve(&folder).await,
            part => {
                let number: usize = env::var(DEVICE).unwrap().parse().unwrap();
                device(&folder, number, part == "drain").await;
            }
        }
    });
    std::process::exit(0);
}

/// Runs a campaign. `again` starts this program so that it comes to [`play_a_part`].
///
/// # Panics
/// When a part cannot be started, or the last life does not deliver everything in time.
#[must_use]
pub fn campaign(plan: &Plan, again: impl Fn() -> Command) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let part = |role: &str, device: usize, seed: u64| {
        let mut command = again();
        command.env(ROLE, role).env(FOLDER, folder.path()).env(SEED, seed.to_string());
        command.env(DEVICE, device.to_string());
        if let Some(url) = &plan.database {
            command.env(DATABASE, url);
        }
        command.stdout(Stdio::piped()).stdin(Stdio::null());
        command
    };
    let mut dice = fastrand::Rng::with_seed(plan.seed);
    let store = if plan.database.is_some() { "postgres" } else { "sqlite" };
    let mut outcome = Outcome { store, ..Outcome::default() };
    let mut server = Server::start(part("server", 0, 0), None);
    let said: Vec<Arc<Mutex<Said>>> = (0..DEVICES).map(|_| Arc::default()).collect();
    while outcome.client_kills < plan.client_kills || outcome.server_kills < plan.server_kills {
        let number = dice.usize(..DEVICES);
        let mut device = part("device", number, dice.u64(..));
        let mut device = Device::start(device.env(SERVER, server.url()), &said[number]);
        let life = LONGEST_LIFE.mul_f64(dice.f64());
        let due = plan.server_kills * outcome.client_kills / plan.client_kills.max(1);
        if outcome.server_kills < plan.server_kills && outcome.server_kills <= due {
            thread::sleep(life / 2);
            server = server.killed(part("server", 0, 0));
            outcome.server_kills += 1;
            thread::sleep(life / 2);
        } else {
            thread::sleep(life);
        }
        device.kill();
        outcome.client_kills += 1;
    }
    // The last lives are not disturbed.
    for (number, said) in said.iter().enumerate() {
        let mut device = part("drain", number, 0);
        Device::start(device.env(SERVER, server.url()), said).wait(DRAIN);
        let drained = said.lock().unwrap().drained;
        assert!(drained, "what device {number} queued was not delivered within {DRAIN:?}");
    }
    server.stop();
    let rows = rows(&folder.path().join("server"), plan.database.as_deref());
    said.iter().for_each(|said| judge(&said.lock().unwrap(), &rows, &mut outcome));
    outcome
}

/// An event on the server.
struct Row {
    id: Uuid,
    device: Uuid,
    sequence: i64,
    epoch: u64,
}

fn rows(server: &Path, database: Option<&str>) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows: Vec<(Vec<u8>, Vec<u8>, i64, i64)> = runtime.block_on(async {
        install_default_drivers();
        let file = format!("sqlite:{}", server.join(server::DATABASE_FILE_NAME).display());
        let mut database = AnyConnection::connect(database.unwrap_or(&file)).await.unwrap();
        let rows = sqlx::query_as("SELECT id, device, sequence, consent_epoch FROM events");
        rows.fetch_all(&mut database).await.unwrap()
    });
    let row = |(id, device, sequence, epoch): (Vec<u8>, Vec<u8>, i64, i64)| Row {
        id: Uuid::from_slice(&id).unwrap(),
        device: Uuid::from_slice(&device).unwrap(),
        sequence,
        epoch: epoch.cast_unsigned(),
    };
    rows.into_iter().map(row).collect()
}

/// Holds what the server has against what a device said.
fn judge(said: &Said, rows: &[Row], outcome: &mut Outcome) {
    let rows: Vec<&Row> = rows.iter().filter(|row| Some(row.device) == said.device).collect();
    let ids: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
    let sequences: BTreeSet<i64> = rows.iter().map(|row| row.sequence).collect();
    let newest = said.withdrawn.last().copied().unwrap_or_default();
    let kept: Vec<&Uuid> =
        said.queued.iter().filter(|(_, epoch)| *epoch > newest).map(|(id, _)| id).collect();
    outcome.acknowledged += said.queued.len() as u64;
    outcome.withdrawn += (said.queued.len() - kept.len()) as u64;
    outcome.withdrawals += said.withdrawn.len() as u64;
    outcome.stored += rows.len() as u64;
    outcome.lost += kept.iter().filter(|id| !ids.contains(id)).count() as u64;
    outcome.doubled += (rows.len() - ids.len().min(sequences.len())) as u64;
    outcome.after_withdrawal += rows.iter().filter(|row| row.epoch <= newest).count() as u64;
}

struct Device {
    child: Child,
    reader: thread::JoinHandle<()>,
}

impl Device {
    fn start(command: &mut Command, said: &Arc<Mutex<Said>>) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = Arc::clone(said);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = said.lock().unwrap();
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["queued", id, epoch] => {
                        said.queued.push((id.parse().unwrap(), epoch.parse().unwrap()));
                    }
                    ["device", id] => said.device = Some(id.parse().unwrap()),
                    ["withdrawn", epoch] => drop(said.withdrawn.insert(epoch.parse().unwrap())),
                    ["drained"] => said.drained = true,
                    // The harness of a test says things of its own.
                    _ => {}
                }
            }
        });
        Self { child, reader }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while !self.reader.is_finished() {
            thread::yield_now();
        }
    }

    fn wait(mut self, most: Duration) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() && begun.elapsed() < most {
            thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts, on the address of the one before, and waits until it listens.
    fn start(mut command: Command, address: Option<SocketAddr>) -> Self {
        let wanted = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut child = command.env(SERVER, wanted.to_string()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the server ended before it listened").unwrap();
            if let Some(address) = line.strip_prefix("listening ") {
                break address.parse().unwrap();
            }
        };
        Self { child, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn killed(mut self, command: Command) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Self::start(command, Some(self.address))
    }

    fn stop(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn serve(folder: &Path) {
    let config = server::Config {
        listen: env::var(SERVER).unwrap().parse().unwrap(),
        data_dir: folder.join("server"),
        database: env::var(DATABASE).ok().map(server::DatabaseUrl),
        ..server::Config::default()
    };
    // The port of the server that was killed may take a moment to be free.
    let server = loop {
        match server::Server::bind(config.clone()).await {
            Ok(server) => break server,
            Err(server::ServerError::Listen { .. }) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    say(&format!("listening {}", server.local_addr()));
    server.run_until(std::future::pending()).await.unwrap();
}

async fn device(folder: &Path, number: usize, drain: bool) {
    let folder = folder.join(format!("device-{number}"));
    let store = rig::store_in(&folder, rig::passphrase_keys(&folder));
    let gate = store.gate();
    let record = gate.record();
    say(&format!("device {}", record.device));
    if record.state == protocol::consent::ConsentState::Withdrawn && record.epoch > 0 {
        // A life that was killed while it withdrew may not have said so.
        say(&format!("withdrawn {}", record.epoch));
    }
    let server = env::var(SERVER).unwrap();
    let config = SyncConfig { gather: Duration::ZERO, ..SyncConfig::to(&server) };
    let delivery = store.sync(config).unwrap();
    let session = Uuid::now_v7();
    let sync = delivery.begin(session, SessionClock::start(), gate.clone()).unwrap();
    if drain {
        if sync.drain(DRAIN).await {
            say("drained");
        }
        return sync.stop().await;
    }
    let mut dice = fastrand::Rng::with_seed(env::var(SEED).unwrap().parse().unwrap());
    for count in 0_u64.. {
        if gate.record().state != protocol::consent::ConsentState::Given {
            gate.grant(&rig::uses(), None, rig::unix_ms()).unwrap();
            sync.consent_changed().await;
        }
        let epoch = gate.epoch();
        let draft = Draft {
            session,
            epoch,
            modalities: vec![protocol::consent::Modality::Behaviour],
            at: Nanos::from_millis(count),
            at_unix_ms: rig::unix_ms(),
            body: EventBody::SessionEnded { samples_lost: count },
        };
        let id = sync.queue(draft).await.unwrap();
        say(&format!("queued {id} {}", epoch.0));
        if number >= WITHDRAWING && dice.u64(..WITHDRAWAL_EVERY) == 0 {
            let record = gate.withdraw(rig::unix_ms()).unwrap();
            say(&format!("withdrawn {}", record.epoch));
            sync.purge().await.unwrap();
        }
    }
}

/// At once, or not at all: a pipe takes short lines whole.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The campaign may have gone.
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}
