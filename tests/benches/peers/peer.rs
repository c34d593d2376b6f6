//! The peers' process: Python in a virtual environment of its own.

use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// A running Python that answers with the CPU time of jobs.
pub struct Peer {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it on the records in `data`; installs it first where it is missing.
    pub fn start(data: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/peers.py");
        let mut process = Command::new(installed())
            .arg(script)
            .arg(data)
            // One thread, as ours.
            .env("OMP_NUM_THREADS", "1")
            .env("OPENBLAS_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, questions, answers }
    }

    /// CPU microseconds of one run of a job.
    pub fn cpu_us(&mut self, job: &str) -> f64 {
        writeln!(self.questions, "{job}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer)
            .unwrap_or_else(|e| panic!("the peer failed at {job}, its words stand above: {e}"));
        answer["cpu_us"].as_f64().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The interpreter of the virtual environment, which is made anew when the requirements change.
fn installed() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let folder = cache.expect("HOME is set").join("attune/peers");
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if fs::read_to_string(&stamp).ok().as_deref() == Some(REQUIREMENTS) {
        return python;
    }
    eprintln!("installing the peers into {} (once, some minutes)", folder.display());
    let run = |command: &mut Command| {
        let status = command.stdout(Stdio::null()).status();
        let ok = status.as_ref().is_ok_and(|status| status.success());
        assert!(
            ok,
            "{command:?} failed ({status:?}): the peers need Python 3.11 with venv and pip"
        );
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let list = folder.join("wanted.txt");
    fs::write(&list, REQUIREMENTS).unwrap();
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&list));
    fs::rename(list, stamp).unwrap();
    python
}
