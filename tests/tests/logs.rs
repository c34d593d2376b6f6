//! C12: no signal value, feature or personal id in any log line of a session, at every level, of
//! every crate. Its own test binary: the subscriber is the process's.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use protocol::consent::Modality;
use sdk_core::runtime::Update;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::rig::{self, Rig, on_private_bus, wait_for};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn c12_no_line_of_a_session_knows_a_person_or_a_value() {
    on_private_bus("c12_no_line_of_a_session_knows_a_person_or_a_value", async |bus| {
        let lines = Lines::default();
        // Takes the lines of crates that write to `log`, too, as the Bluetooth stack does.
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(lines.clone())
            .with_ansi(false)
            .init();

        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::start(&bus, rig::simulated(5)).await;
        let (_, sync) = rig::server(folder.path()).await;
        let keys = rig::passphrase_keys(folder.path());
        let store = rig::granted_in(&folder.path().join("device"), keys);
        let record = store.gate().record();
        let session = rig.session(&store, Some(sync));
        session.mark("canary-in-the-coal-mine");
        let mut updates = session.updates();
        let mut secrets: Vec<String> =
            [record.person, record.device].map(|id| id.to_string()).to_vec();
        secrets.push("canary-in-the-coal-mine".into());
        let mut estimates = 0;
        wait_for(&mut updates, "estimates", |update| {
            match update {
                Update::Samples(samples) => {
                    let eda: Vec<f64> = samples
                        .iter()
                        .filter(|sample| sample.modality == Modality::Eda)
                        .map(|sample| sample.value)
                        .collect();
                    secrets.extend(eda.iter().map(f64::to_string));
                    // And as the bytes of a payload, printed.
                    let payload: Vec<u8> = eda
                        .iter()
                        .flat_map(|value| ((value * 1e6).round() as u32).to_le_bytes())
                        .collect();
                    secrets.push(format!("{payload:?}").trim_matches(['[', ']']).to_owned());
                }
                Update::Features { values, .. } => {
                    secrets.extend(values.iter().map(f64::to_string));
                }
                Update::Decision { decision, .. } => {
                    estimates += usize::from(decision.estimate.abstained.is_none());
                }
                _ => {}
            }
            (estimates >= 10).then_some(())
        })
        .await;
        assert!(session.deliver(Duration::from_secs(10)).await);
        session.withdraw().await.unwrap();
        session.stop().await.unwrap();

        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("/v1/events"), "lines are written");
        // A time of day may look like a value: lines without theirs.
        let text: String = text
            .lines()
            .map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest))
            .collect::<Vec<_>>()
            .join("\n");
        // Short numbers are anywhere; a value of a body has more digits.
        for secret in secrets.iter().filter(|secret| secret.len() >= 7 && *secret != "NaN") {
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "{secret}");
        }
    });
}
