//! The peers' process: Python in a virtual environment of its own.

use super::environment;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
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
    /// Starts a script beside this file on the data in `data`; installs what it needs first where
    /// that is missing.
    pub fn start(script: &str, data: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(script);
        let mut process = Command::new(environment::python("peers", REQUIREMENTS))
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
