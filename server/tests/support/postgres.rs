//! A PostgreSQL of the test process's own, started when it is first asked for and gone with the
//! process; each test has a database of its own in it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; every test binary uses a part"
)]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As the system has it, 15 or newer.
    Plain,
    /// With TimescaleDB, in a Debian 13 root that `cargo xtask setup timescale` makes.
    Timescale,
}

/// One that runs.
#[derive(Debug)]
pub struct Postgres {
    /// Of its socket, and of nothing else that anybody should read.
    folder: PathBuf,
    /// Where the client programs are.
    clients: PathBuf,
    /// Its standard input keeps the server alive; elsewhere in the process, if not here.
    _keeper: Option<Child>,
}

impl Postgres {
    /// The process's own. Says aloud when it cannot be had.
    pub fn shared(kind: Kind) -> Option<&'static Self> {
        static PLAIN: OnceLock<Option<Postgres>> = OnceLock::new();
        static TIMESCALE: OnceLock<Option<Postgres>> = OnceLock::new();
        let (place, missing) = match kind {
            Kind::Plain => {
                (&PLAIN, "skipped: no PostgreSQL 15 or newer (cargo xtask setup installs it)")
            }
            Kind::Timescale => {
                (&TIMESCALE, "skipped: no TimescaleDB (cargo xtask setup timescale makes it)")
            }
        };
        let shared = place.get_or_init(|| Self::start(kind)).as_ref();
        if shared.is_none() {
            // Not through the test harness, which would swallow it.
            let _ = writeln!(std::io::stderr(), "{missing}");
        }
        shared
    }

    /// The URL of a database in it, made if it is not there.
    pub fn database(&self, name: &str) -> String {
        let made = Command::new(self.clients.join("createdb"))
            .arg("-h")
            .arg(&self.folder)
            .args(["-U", "attune", "-T", "template0", name])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success() || said.contains("already exists"), "{said}");
        let socket = self.folder.to_string_lossy().replace('/', "%2F");
        format!("postgres://attune@localhost/{name}?host={socket}")
    }

    fn start(kind: Kind) -> Option<Self> {
        let clients = programs(Path::new("/usr/lib/postgresql"))?;
        let (root, bin, preload) = match kind {
            Kind::Plain => (PathBuf::new(), clients.clone(), ""),
            Kind::Timescale => {
                let root = trixie()?;
                let bin = programs(&root.join("usr/lib/postgresql"))?;
                let inside = Path::new("/").join(bin.strip_prefix(&root).unwrap());
                (root, inside, "timescaledb")
            }
        };
        let folder = env::temp_dir();
        let within = if kind == Kind::Plain { folder } else { root.join("tmp") };
        let folder = within.join(format!("attune-pg-{}", std::process::id()));
        // A test binary may hold this module several times; its server is started once.
        let lock = fs::File::create(folder.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if folder.is_dir() {
            return Some(Self { folder, clients, _keeper: None });
        }
        fs::create_dir(&folder).unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", include_str!("postgres.sh")])
            .env("BIN", bin)
            .env("RUN", &folder)
            .env("ROOT", root)
            .env("PRELOAD", preload)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "PostgreSQL did not start: what it said stands above");
        Some(Self { folder, clients, _keeper: Some(keeper) })
    }
}

/// The newest programs of a Debian system, 15 or newer.
fn programs(versions: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(versions).ok()?.flatten();
    let version = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let newest = versions
        .filter_map(|entry| Some((entry.path(), version(entry)?)))
        .filter(|(path, version)| *version >= 15 && path.join("bin/initdb").is_file())
        .max_by_key(|(_, version)| *version);
    Some(newest?.0.join("bin"))
}

/// The root with TimescaleDB in it. Only the superuser can change into it.
pub fn trixie() -> Option<PathBuf> {
    let id = Command::new("id").arg("-u").output().ok()?;
    let home = PathBuf::from(env::var_os("HOME")?);
    let root = home.join(".cache/attune/trixie");
    (id.stdout.trim_ascii() == b"0" && root.join("ready").is_file()).then_some(root)
}
