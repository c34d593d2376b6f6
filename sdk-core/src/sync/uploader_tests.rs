//! The task against a real HTTP server on this machine.
#![allow(clippy::unwrap_used, reason = "tests only")]

use super::{
    Answer, Chain, Limits, Outgoing, PurgeError, QueueError, SyncConfig, SyncHandle, Trust,
    testing::{Disk, MemoryChain, Server, draft, person},
};
use crate::{
    consent::Gate,
    frames::{Frames, FramesError},
};
use std::{
    collections::VecDeque,
    fs::File,
    io::Write as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(20);
const SIGNED: [&str; 4] = ["content-digest", "attune-request", "signature-input", "signature"];

/// What the server does with a request, instead of taking it.
enum Mood {
    /// These bytes, then nothing more.
    Says(&'static str),
    /// No answer at all.
    Hangs,
}

struct Net {
    address: String,
    moods: Arc<Mutex<VecDeque<Mood>>>,
    server: Arc<Mutex<Server>>,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Net {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let net = Self {
            address: format!("http://{authority}"),
            moods: Arc::default(),
            server: Arc::new(Mutex::new(Server::new(&authority))),
            seen: Arc::default(),
        };
        let (moods, server) = (Arc::clone(&net.moods), Arc::clone(&net.server));
        let seen = Arc::clone(&net.seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = (Arc::clone(&moods), Arc::clone(&server), Arc::clone(&seen));
                tokio::spawn(async move { serve(stream, shared).await });
            }
        });
        net
    }

    fn next(&self, moods: impl IntoIterator<Item = Mood>) {
        self.moods.lock().unwrap().extend(moods);
    }

    fn events(&self) -> usize {
        self.server.lock().unwrap().events.len()
    }
}

type Shared = (Arc<Mutex<VecDeque<Mood>>>, Arc<Mutex<Server>>, Arc<Mutex<Vec<u8>>>);

async fn serve(mut stream: TcpStream, (moods, server, seen): Shared) -> Option<()> {
    loop {
        let request = request(&mut stream, &seen).await?;
        let mood = moods.lock().unwrap().pop_front();
        match mood {
            Some(Mood::Says(text)) => {
                stream.write_all(text.as_bytes()).await.ok()?;
                return None;
            }
            Some(Mood::Hangs) => std::future::pending().await,
            None => {
                let Answer { status, body, .. } = server.lock().unwrap().take(&request);
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), &body].concat()).await.ok()?;
            }
        }
    }
}

async fn request(stream: &mut TcpStream, seen: &Mutex<Vec<u8>>) -> Option<Outgoing> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse(&bytes) {
            return Some(request);
        }
        let from = bytes.len();
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        seen.lock().unwrap().extend_from_slice(&bytes[from..]);
    }
}

fn parse(bytes: &[u8]) -> Option<Outgoing> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length")?.parse().ok()?;
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    let path = if head.starts_with("POST /v1/events ") { "/v1/events" } else { "/v1/consents" };
    let headers = SIGNED.map(|name| (name, header(name).unwrap())).to_vec();
    Some(Outgoing { method: "POST", path, headers, body })
}

struct Device {
    gate: Gate,
    chain: Arc<MemoryChain>,
    disk: Disk,
    handle: SyncHandle,
}

fn config(server: &str) -> SyncConfig {
    SyncConfig {
        server: server.into(),
        trust: Trust::default(),
        gather: Duration::from_millis(1),
        request_timeout: Duration::from_millis(500),
        session: Uuid::from_u128(3),
        origin: Instant::now(),
    }
}

fn device(server: &str) -> Device {
    let (gate, chain) = person();
    let disk = Disk::default();
    let outbox = disk.outbox(Limits::default());
    let ledger = Arc::clone(&chain) as Arc<dyn Chain>;
    let handle = SyncHandle::spawn(&config(server), gate.clone(), ledger, outbox).unwrap();
    Device { gate, chain, disk, handle }
}

/// The server meets the first requests with these moods; everything arrives all the same, once.
async fn check(moods: impl IntoIterator<Item = Mood>) -> SyncHandle {
    let net = Net::new().await;
    net.next(moods);
    let Device { gate, handle, .. } = device(&net.address);
    for _ in 0..5 {
        handle.queue(draft(&gate)).await.unwrap();
    }
    assert!(handle.drain(LIMIT).await, "{:?}", handle.stats());
    assert_eq!(net.events(), 5);
    let stats = handle.stats();
    assert_eq!((stats.outbox.acknowledged, stats.outbox.pending), (5, 0));
    assert!(stats.consent_posted);
    handle
}

#[tokio::test]
async fn s2_what_is_queued_arrives() {
    let stats = check([]).await.stats();
    assert_eq!((stats.failures, stats.replays), (0, 0));
}

#[tokio::test]
async fn s3_s4_whatever_the_server_answers_everything_arrives() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    let broken = "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops";
    let portal = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n<html></html";
    let elsewhere =
        "HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n";
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"verdicts\":[";
    let no_http = "220 mail.example ESMTP\r\n";
    for moods in [[busy, broken, portal, elsewhere], [cut, no_http, "", busy]] {
        assert_eq!(check(moods.map(Mood::Says)).await.stats().failures, 4);
    }
}

#[tokio::test]
async fn s4_a_server_that_hangs_is_left() {
    assert_eq!(check([Mood::Hangs]).await.stats().failures, 1);
}

#[tokio::test]
async fn s4_retry_after_is_honoured() {
    let began = Instant::now();
    check([Mood::Says("HTTP/1.1 429 Slow\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")]).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn s4_a_proxys_limit_halves_the_batch() {
    let net = Net::new().await;
    let Device { gate, handle, .. } = device(&net.address);
    assert!(handle.drain(LIMIT).await);
    let large = "HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n";
    net.next([large, large].map(Mood::Says));
    let queued = (0..8).map(|_| handle.queue(draft(&gate)));
    assert!(futures::future::join_all(queued).await.iter().all(Result::is_ok));
    assert!(handle.drain(LIMIT).await);
    assert!(net.events() + handle.dead_letters().await.len() == 8);
}

#[tokio::test]
async fn s8_c4_withdrawal_wins_over_what_is_under_way() {
    let net = Net::new().await;
    let device = device(&net.address);
    assert!(device.handle.drain(LIMIT).await);
    net.next([Mood::Hangs]);
    device.handle.queue(draft(&device.gate)).await.unwrap();
    device.gate.withdraw(1).unwrap();
    device.handle.purge().await.unwrap();
    assert!(!device.disk.holds("of behaviour"));
    assert!(device.handle.drain(LIMIT).await);
    assert_eq!(net.events(), 0);
    let refused = device.handle.queue(draft(&device.gate)).await;
    assert!(matches!(refused, Err(QueueError::Refused(_))));
}

#[tokio::test]
async fn s1_a_disk_that_fails_is_said_and_sending_goes_on() {
    let net = Net::new().await;
    let device = device(&net.address);
    device.handle.queue(draft(&device.gate)).await.unwrap();
    device.disk.fails(true);
    let error = device.handle.queue(draft(&device.gate)).await.unwrap_err();
    assert!(error.to_string().contains("make room or mend the folder"), "{error}");
    assert!(device.handle.drain(LIMIT).await);
    assert_eq!(net.events(), 1);
    assert!(matches!(device.handle.purge().await, Err(PurgeError::Disk(_))));
    assert!(device.handle.stats().outbox.disk_failures >= 2);
}

#[tokio::test]
async fn s3_offline_everything_is_there_at_the_next_start() {
    let net = Net::new().await;
    net.next((0..100).map(|_| Mood::Hangs));
    let Device { gate, chain, disk, handle } = device(&net.address);
    for _ in 0..10 {
        assert!(handle.submit(draft(&gate)));
    }
    handle.stop().await;
    net.moods.lock().unwrap().clear();
    let outbox = disk.outbox(Limits::default());
    assert_eq!(outbox.stats().restored, 10);
    let handle = SyncHandle::spawn(&config(&net.address), gate, chain, outbox).unwrap();
    assert!(handle.drain(LIMIT).await);
    assert_eq!(net.events(), 10);
}

#[tokio::test]
async fn s3_what_comes_too_fast_is_counted_and_told() {
    let net = Net::new().await;
    let device = device(&net.address);
    // The task does not run before this one waits.
    let taken = (0..1_500).filter(|_| device.handle.submit(draft(&device.gate))).count();
    assert_eq!(taken, 1_024);
    assert!(device.handle.drain(LIMIT).await);
    assert_eq!((net.events(), device.handle.stats().outbox.drops.overrun), (1_024, 476));
    assert_eq!(net.server.lock().unwrap().dropped, 476);
}

#[tokio::test]
async fn c9_plain_http_to_another_machine_is_refused() {
    let (gate, chain) = person();
    let outbox = Disk::default().outbox(Limits::default());
    let error = SyncHandle::spawn(&config("http://192.0.2.1"), gate, chain, outbox).unwrap_err();
    assert!(error.to_string().contains("without TLS anybody on the way can read"), "{error}");
}

#[tokio::test]
async fn c9_what_travels_is_what_was_queued_and_nothing_else() {
    let net = Net::new().await;
    let Device { gate, handle, .. } = device(&net.address);
    handle.queue(draft(&gate)).await.unwrap();
    assert!(handle.drain(LIMIT).await);
    let seen = String::from_utf8(net.seen.lock().unwrap().clone()).unwrap();
    assert!(seen.contains("of behaviour") && !seen.contains("sample"), "{seen}");
    assert!(!seen.to_lowercase().contains("user-agent"), "{seen}");
}

/// Frames in a file, each write through to the disk.
#[derive(Debug)]
struct FileFrames {
    file: File,
    writes: Arc<Mutex<usize>>,
}

impl Frames for FileFrames {
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        *self.writes.lock().unwrap() += 1;
        let bytes = frames.join(&b'\n');
        self.file.write_all(&bytes).and_then(|()| self.file.sync_data()).map_err(FramesError::new)
    }

    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        self.file.set_len(0).map_err(FramesError::new)?;
        self.append(frames)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_callers_at_the_same_time_share_a_write() {
    const CALLERS: usize = 64;
    const EACH: usize = 50;
    let net = Net::new().await;
    net.next((0..1_000).map(|_| Mood::Hangs));
    let writes = Arc::new(Mutex::new(0));
    let frames = FileFrames { file: tempfile::tempfile().unwrap(), writes: Arc::clone(&writes) };
    let none: [&[u8]; 0] = [];
    let outbox = super::Outbox::restore(Box::new(frames), none, Limits::default());
    let (gate, chain) = person();
    let handle = SyncHandle::spawn(&config(&net.address), gate.clone(), chain, outbox).unwrap();
    let handle = Arc::new(handle);
    let began = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let (handle, gate) = (Arc::clone(&handle), gate.clone());
        tokio::spawn(async move {
            for _ in 0..EACH {
                handle.queue(draft(&gate)).await.unwrap();
            }
        })
    });
    futures::future::join_all(callers.collect::<Vec<_>>()).await;
    let rate = (CALLERS * EACH) as f64 / began.elapsed().as_secs_f64();
    let writes = *writes.lock().unwrap();
    println!("{rate:.0} events/s on disk, {writes} writes for {} events", CALLERS * EACH);
    assert!(writes * 2 < CALLERS * EACH, "{writes} writes");
}
