//! A training from its order to the model's bytes: the same for every kind of model.

use super::{
    TrainingOrder, WorkError,
    process::{self, ProcessError},
};
use crate::store::Job;
use protocol::log;
use serde::de::DeserializeOwned;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Where the files of trainings are, in the data folder.
const FOLDER: &str = "training";
/// What they are.
const FILES: [&str; 2] = ["model", "champion"];
/// The most bytes of a model, whatever its kind.
const MOST_BYTES: u64 = 64 << 20;

/// Where training finds the facts.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The data folder.
    pub(crate) folder: PathBuf,
    /// What names the database to the process, as environment: a URL may hold a password, and
    /// arguments can be read by anybody on the machine.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// How a kind of model is trained.
#[derive(Debug, Clone)]
pub(crate) struct Training<'a> {
    /// The kind, as `attune train` calls it.
    pub(crate) kind: &'static str,
    /// The operator's own command; empty: this program's.
    pub(crate) command: &'a [String],
    pub(crate) limit_minutes: u32,
    pub(crate) horizon_days: u16,
    /// With what was known when, Unix milliseconds.
    pub(crate) as_of_unix_ms: i64,
    pub(crate) seed: Option<u64>,
    /// The model at work, to be compared with.
    pub(crate) champion: Option<Vec<u8>>,
}

/// What was ordered of a training.
pub(crate) fn order_of(job: &Job) -> TrainingOrder {
    serde_json::from_value(job.payload.clone()).unwrap_or_default()
}

impl Source {
    /// Runs a training as a process of its own; gives the bytes of the model and what the process
    /// says of it in the last line of its standard output.
    ///
    /// # Errors
    /// [`WorkError`]; no files stay.
    pub(crate) async fn train<T: DeserializeOwned>(
        &self,
        training: &Training<'_>,
        job: &Job,
        stop: &CancellationToken,
    ) -> Result<(Vec<u8>, T), WorkError> {
        let folder = self.folder.join(FOLDER);
        tokio::fs::create_dir_all(&folder).await?;
        let files = Files { folder: &folder, job: job.id };
        let path = |what| files.path(what).to_string_lossy().into_owned();
        let mut arguments = vec![
            ("--data", self.folder.to_string_lossy().into_owned()),
            ("--horizon-days", training.horizon_days.to_string()),
            ("--as-of", training.as_of_unix_ms.to_string()),
            ("--out", path("model")),
        ];
        arguments.extend(training.seed.map(|seed| ("--seed", seed.to_string())));
        if let Some(champion) = &training.champion {
            tokio::fs::write(files.path("champion"), champion).await?;
            arguments.push(("--champion", path("champion")));
        }
        let command = process::command(training.command, training.kind)?;
        let limit = Duration::from_secs(60 * u64::from(training.limit_minutes));
        let said = process::run(&command, &arguments, &self.environment, limit, stop).await;
        let model = match &said {
            Ok(_) => read_bounded(&files.path("model")).await,
            Err(_) => Ok(Vec::new()),
        };
        drop(files);
        let (said, model) = (said?, model?);
        let last = said.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok((model, serde_json::from_slice(last).map_err(WorkError::Report)?))
    }

    /// Removes what trainings left whose server was killed; what else there may be stays. To be
    /// called before any training begins.
    pub(crate) fn remove_left(&self) {
        let Ok(entries) = fs::read_dir(self.folder.join(FOLDER)) else { return };
        for entry in entries.flatten() {
            if is_of_training(&entry.file_name().to_string_lossy())
                && let Err(error) = fs::remove_file(entry.path())
            {
                let error = WorkError::Files(error);
                log!(warn, "a file that a training left was not removed", error);
            }
        }
    }
}

impl From<ProcessError> for WorkError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Stopped => Self::stopped(error),
            error => Self::failed(error),
        }
    }
}

/// The files of one training. Dropped, it removes them: whoever loses a training is cut short.
struct Files<'a> {
    folder: &'a Path,
    job: Uuid,
}

impl Files<'_> {
    fn path(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}-{what}.json", self.job))
    }
}

impl Drop for Files<'_> {
    fn drop(&mut self) {
        for what in FILES {
            // There may be none.
            let _ = fs::remove_file(self.path(what));
        }
    }
}

fn is_of_training(name: &str) -> bool {
    let of = |what: &&str| {
        let job = name.strip_suffix(".json").and_then(|name| name.strip_suffix(*what));
        let job = job.and_then(|job| job.strip_suffix('-'));
        job.is_some_and(|job| Uuid::try_parse(job).is_ok())
    };
    FILES.iter().any(of)
}

async fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    if tokio::fs::metadata(path).await?.len() > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the model is too large"));
    }
    tokio::fs::read(path).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn source(folder: &Path) -> Source {
        Source { folder: folder.to_owned(), environment: vec![] }
    }

    fn job() -> Job {
        Job {
            id: Uuid::now_v7(),
            kind: "training".to_owned(),
            payload: Value::Null,
            due_unix_ms: 0,
            attempts: 1,
            done_unix_ms: None,
            result: None,
            leased_until_unix_ms: 0,
        }
    }

    fn by(command: &[String]) -> Training<'_> {
        Training {
            kind: "tea",
            command,
            limit_minutes: 1,
            horizon_days: 7,
            as_of_unix_ms: 3,
            seed: Some(5),
            champion: Some(b"old".to_vec()),
        }
    }

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script, "sh"].map(str::to_owned).to_vec()
    }

    fn files(folder: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(folder.join(FOLDER)) else { return vec![] };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_process_gets_what_it_needs_and_gives_a_model_and_its_report() {
        let folder = tempfile::tempdir().unwrap();
        let command = shell(
            "given=\"$*\"; while [ $# -gt 0 ]; do case \"$1\" in \
             --out) out=\"$2\";; --champion) old=\"$2\";; esac; shift; done; \
             cp \"$old\" \"$out\"; echo progress; echo \"\\\"$given\\\"\"",
        );
        let stop = CancellationToken::new();
        let done = source(folder.path()).train(&by(&command), &job(), &stop).await;
        let (model, said): (Vec<u8>, String) = done.unwrap();
        assert_eq!(model, b"old");
        for argument in ["--horizon-days 7", "--as-of 3", "--seed 5", "--data "] {
            assert!(said.contains(argument), "{said}");
        }
        assert_eq!(files(folder.path()), [""; 0]);
    }

    #[tokio::test]
    async fn a_training_that_is_cut_short_leaves_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let command = shell(
            "while [ $# -gt 0 ]; do [ \"$1\" = --out ] && echo > \"$2\"; shift; done; \
             exec sleep 600",
        );
        let (stop, job, source) = (CancellationToken::new(), job(), source(folder.path()));
        {
            let training = by(&command);
            let mut under_way = std::pin::pin!(source.train::<Value>(&training, &job, &stop));
            while files(folder.path()).len() < FILES.len() {
                let look = Duration::from_millis(10);
                assert!(tokio::time::timeout(look, &mut under_way).await.is_err());
            }
        }
        assert_eq!(files(folder.path()), [""; 0], "as `select!` drops it when the lease is lost");
    }

    #[tokio::test]
    async fn what_a_process_says_last_is_its_report_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let command = shell(
            "while [ $# -gt 0 ]; do [ \"$1\" = --out ] && echo > \"$2\"; shift; done; echo no",
        );
        let stop = CancellationToken::new();
        let done = source(folder.path()).train::<Value>(&by(&command), &job(), &stop).await;
        assert!(matches!(done, Err(WorkError::Report(_))), "{done:?}");
        assert_eq!(json!(order_of(&job())), json!({"as_of_unix_ms": null, "cause": ""}));
    }

    #[test]
    fn what_a_killed_server_left_of_a_training_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let within = folder.path().join(FOLDER);
        fs::create_dir(&within).unwrap();
        let files = Files { folder: &within, job: Uuid::now_v7() };
        let ours = FILES.map(|what| files.path(what));
        let others = ["notes.txt", "model.json", "mine-model.json", "-champion.json"];
        for file in ours.iter().cloned().chain(others.map(|name| within.join(name))) {
            fs::write(file, "x").unwrap();
        }
        std::mem::forget(files);
        source(folder.path()).remove_left();
        let mut left: Vec<_> =
            fs::read_dir(&within).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = others;
        expected.sort_unstable();
        assert_eq!(left, expected);
        source(&folder.path().join("nowhere")).remove_left();
    }
}
