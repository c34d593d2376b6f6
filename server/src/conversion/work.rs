//! What the server does about predictions by itself: three loops, each at one kind of work, so that
//! a long training keeps nobody from being scored.

use super::{
    Conversion,
    process::{self, ProcessError},
    registry::{KIND, Record, RegistryError, TrainingReport, record_of},
    schedule::{Drift, learnable, retry_at, sweep_due, training_due},
    sweep::{Plan, SweepError, Swept},
};
use crate::{
    app::unix_ms,
    ops::tasks::Tasks,
    orders::{model::ServingError, sweep::LookError},
    store::{Job, Store, StoreError},
};
use models::{conversion::Predictor, profile::Reference};
use protocol::{log, log::LogSafe};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The kinds of jobs.
pub(crate) const SWEEP: &str = "sweep";
pub(crate) const TRAINING: &str = "training";

/// How often each loop looks for work that nobody told it of.
const SCORE_EVERY: Duration = Duration::from_secs(1);
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a job stays with whoever took it up, unless renewed.
pub(crate) const LEASE_MS: i64 = 60_000;
/// How often a long job is renewed: thrice a lease.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(20);
/// Where the files of trainings are, in the data folder.
pub(crate) const FOLDER: &str = "training";
/// What they are.
const FILES: [&str; 2] = ["model", "champion"];

/// What is to be swept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SweepOrder {
    /// As of when; now, if absent.
    pub(crate) as_of_unix_ms: Option<i64>,
}

/// What is to be trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingOrder {
    /// With what was known when; now, if absent.
    pub(crate) as_of_unix_ms: Option<i64>,
    /// Why.
    pub(crate) cause: String,
}

/// Where training finds the facts.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The data folder.
    pub(crate) folder: PathBuf,
    /// What names the database to the process, as environment: a URL may hold a password, and
    /// arguments can be read by anybody on the machine.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// Why a job failed.
#[derive(Debug, Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Look(#[from] LookError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Needs(#[from] ServingError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the files of the training cannot be used: {0}; is the data folder's disk full?")]
    Files(#[from] io::Error),
    #[error("training said nothing that can be read: {0}")]
    Report(serde_json::Error),
    #[error("another server took the job over")]
    Lost,
}

impl LogSafe for WorkError {}

/// Starts all three.
pub(crate) fn start(tasks: &Tasks, conversion: &Arc<Conversion>, store: &Store, facts: Source) {
    let with = || (Arc::clone(conversion), store.clone());
    if conversion.config.score_changes {
        let (conversion, store) = with();
        tasks.spawn_with(|stop| score(conversion, store, stop));
    }
    let (conversion, store) = with();
    tasks.spawn_with(|stop| sweep(conversion, store, stop));
    let (conversion, store) = with();
    tasks.spawn_with(|stop| train(conversion, store, facts, stop));
}

/// Scores whoever is due, as soon as they are.
async fn score(conversion: Arc<Conversion>, store: Store, stop: CancellationToken) {
    while goes_on(&conversion.wake.scoring, SCORE_EVERY, &stop).await {
        let begun = Instant::now();
        match conversion.score_due(&store, unix_ms(), &stop).await {
            Ok(0) => {}
            Ok(people) => conversion.measures.ran("due", people, begun.elapsed()),
            Err(error) => {
                log!(warn, "people who are due were not scored; tried again later", error);
            }
        }
    }
}

/// Sweeps on schedule and when asked.
async fn sweep(conversion: Arc<Conversion>, store: Store, stop: CancellationToken) {
    while goes_on(&conversion.wake.sweeping, LOOK_EVERY, &stop).await {
        if let Err(error) = conversion.sweep_once(&store, unix_ms(), &stop).await {
            log!(warn, "a sweep failed", error);
        }
    }
}

/// Trains on schedule, on drift and when asked.
async fn train(conversion: Arc<Conversion>, store: Store, source: Source, stop: CancellationToken) {
    remove_left(&source.folder.join(FOLDER));
    while goes_on(&conversion.wake.training, LOOK_EVERY, &stop).await {
        if let Err(error) = conversion.train_once(&store, &source, unix_ms(), &stop).await {
            log!(warn, "a training failed", error);
        }
    }
}

/// Waits for something to do; false once the server ends.
pub(crate) async fn goes_on(bell: &Notify, every: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = bell.notified() => true,
        () = tokio::time::sleep(every) => true,
    }
}

impl Conversion {
    async fn sweep_once(
        &self,
        store: &Store,
        now: i64,
        stop: &CancellationToken,
    ) -> Result<(), WorkError> {
        if sweep_due(&self.config, now, store.newest_job(SWEEP).await?)
            && store.has_profiles(1).await?
        {
            store.add_job(SWEEP, &SweepOrder::default(), now, false).await?;
        }
        while let Some(job) = store.lease_job(SWEEP, unix_ms(), unix_ms() + LEASE_MS).await? {
            let done = self.sweep_job(store, &job, stop).await;
            let result = done.map(|swept| json!(swept));
            settle(store, &job, result).await?;
        }
        Ok(())
    }

    async fn sweep_job(
        &self,
        store: &Store,
        job: &Job,
        stop: &CancellationToken,
    ) -> Result<Swept, WorkError> {
        let begun = Instant::now();
        let order: SweepOrder = serde_json::from_value(job.payload.clone()).unwrap_or_default();
        let as_of_unix_ms = order.as_of_unix_ms.unwrap_or_else(unix_ms);
        let checked = self.mature(store, as_of_unix_ms).await?;
        let dated = order.as_of_unix_ms.is_some();
        let plan = Plan { as_of_unix_ms, dated, job: Some(job), stop };
        let swept = self.sweep(store, &plan).await?;
        self.measures.ran("sweep", swept.people, begun.elapsed());
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Swept { checked, seconds, ..swept })
    }

    async fn train_once(
        &self,
        store: &Store,
        source: &Source,
        now: i64,
        stop: &CancellationToken,
    ) -> Result<(), WorkError> {
        let last = store.newest_job(TRAINING).await?;
        let drift = self.drift(store, now).await?;
        if let Some(cause) = training_due(&self.config.training, now, last, drift)
            && learnable(&self.config, now, store.known_since().await?)
        {
            let order = TrainingOrder { as_of_unix_ms: None, cause: cause.name().to_owned() };
            store.add_job(TRAINING, &order, now, false).await?;
        }
        while let Some(job) = store.lease_job(TRAINING, unix_ms(), unix_ms() + LEASE_MS).await? {
            let done = tokio::select! {
                done = self.train_job(store, source, &job, stop) => done,
                lost = keep(store, &job, RENEW_EVERY) => Err(lost),
            };
            settle(store, &job, done).await?;
            // Who waits for a model can be scored now.
            self.wake.all();
        }
        Ok(())
    }

    async fn train_job(
        &self,
        store: &Store,
        source: &Source,
        job: &Job,
        stop: &CancellationToken,
    ) -> Result<Value, WorkError> {
        let order: TrainingOrder = serde_json::from_value(job.payload.clone()).unwrap_or_default();
        let settings = &self.config.training;
        let folder = source.folder.join(FOLDER);
        tokio::fs::create_dir_all(&folder).await?;
        let files = Files { folder: &folder, job: job.id };
        let mut arguments = vec![
            ("--data", source.folder.to_string_lossy().into_owned()),
            ("--seed", settings.seed.to_string()),
            ("--horizon-days", settings.horizon_days.to_string()),
            ("--as-of", order.as_of_unix_ms.unwrap_or_else(unix_ms).to_string()),
            ("--out", files.path("model").to_string_lossy().into_owned()),
        ];
        let serving = self.registry.serving();
        if let Some(champion) = &serving.champion
            && let Some(bundle) = store.bundle(champion.id()).await?
        {
            let path = files.path("champion");
            tokio::fs::write(&path, bundle).await?;
            arguments.push(("--champion", path.to_string_lossy().into_owned()));
        }
        let command = process::command(&settings.command, KIND)?;
        let limit = Duration::from_secs(60 * u64::from(settings.limit_minutes));
        let said = process::run(&command, &arguments, &source.environment, limit, stop).await;
        let bundle = match &said {
            Ok(_) => read_bounded(&files.path("model")).await,
            Err(_) => Ok(Vec::new()),
        };
        drop(files);
        let (said, bundle) = (said?, bundle?);
        let last = said.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let report: TrainingReport = serde_json::from_slice(last).map_err(WorkError::Report)?;
        let model = self.registry.register(store, &bundle, report, unix_ms()).await?;
        let state = store.model(KIND, &model).await?.map(|row| row.state);
        Ok(json!({ "model": model, "state": state }))
    }

    /// The model that serves, and what is known of it.
    pub(crate) async fn champion(
        &self,
        store: &Store,
    ) -> Result<Option<(String, Record)>, StoreError> {
        let serving = self.registry.serving();
        let Some(champion) = &serving.champion else { return Ok(None) };
        let row = store.model(KIND, champion.id()).await?;
        Ok(row.map(|row| (champion.id().to_owned(), record_of(&row))))
    }

    /// What has changed since the champion was fitted.
    async fn drift(&self, store: &Store, now: i64) -> Result<Drift, StoreError> {
        let Some((_, record)) = self.champion(store).await? else { return Ok(Drift::default()) };
        let psi = match record.reference() {
            Some(reference) => self.psi(store, &reference, now).await?,
            None => 0.0,
        };
        Ok(Drift { psi, ece: record.checks.last().map_or(0.0, |check| check.served.ece10) })
    }

    /// The greatest index of what is told from people: months and weekdays change by themselves.
    async fn psi(&self, store: &Store, reference: &Reference, now: i64) -> Result<f64, StoreError> {
        let definitions = self.features.definitions();
        let report = self.features.drift(store, reference, now).await?;
        let of_people = |name: &str| {
            let feature = definitions.column(name).and_then(|at| definitions.features().get(at));
            feature.is_none_or(|feature| !feature.aggregation.is_of_the_clock())
        };
        let told = report.features.iter().filter(|drifted| of_people(&drifted.name));
        Ok(told.map(|drifted| drifted.psi).fold(0.0, f64::max))
    }
}

/// Renews a lease again and again; ends when it was lost. A busy moment of the database does not end
/// the work of hours, as long as the lease lasts.
pub(crate) async fn keep(store: &Store, job: &Job, every: Duration) -> WorkError {
    let (mut wait, mut until_unix_ms) = (every, job.leased_until_unix_ms);
    loop {
        tokio::time::sleep(wait).await;
        let next_unix_ms = unix_ms() + LEASE_MS;
        match store.renew_job(job, next_unix_ms, None).await {
            Ok(true) => (wait, until_unix_ms) = (every, next_unix_ms),
            Ok(false) => return WorkError::Lost,
            Err(error) if unix_ms() < until_unix_ms => {
                log!(warn, "a training was not renewed; tried again", error);
                wait = every / 4;
            }
            Err(error) => return error.into(),
        }
    }
}

/// Ends a job, or gives it back to be tried again.
pub(crate) async fn settle(
    store: &Store,
    job: &Job,
    done: Result<Value, WorkError>,
) -> Result<(), WorkError> {
    let now = unix_ms();
    let error = match done {
        Ok(result) => {
            store.finish_job(job, now, &result).await?;
            return Ok(());
        }
        Err(error) => error,
    };
    let result = json!({ "error": error.to_string() });
    let ending = matches!(
        error,
        WorkError::Sweep(SweepError::Stopped)
            | WorkError::Look(LookError::Stopped)
            | WorkError::Process(ProcessError::Stopped)
    );
    match retry_at(now, job.attempts) {
        // The next server goes on at once, and has as many attempts.
        _ if ending => store.give_back_job(job, now, &result).await?,
        Some(at) => store.retry_job(job, at, &result).await?,
        None => store.finish_job(job, now, &result).await?,
    };
    Err(error)
}

/// The files of one training. Dropped, it removes them: whoever loses a training is cut short.
pub(crate) struct Files<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) job: Uuid,
}

impl Files<'_> {
    pub(crate) fn path(&self, what: &str) -> PathBuf {
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

/// Removes what a training left whose server was killed; what else there may be stays.
pub(crate) fn remove_left(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if is_of_training(&entry.file_name().to_string_lossy())
            && let Err(error) = fs::remove_file(entry.path())
        {
            let error = WorkError::Files(error);
            log!(warn, "a file that a training left was not removed", error);
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

pub(crate) async fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let size = tokio::fs::metadata(path).await?.len();
    if size > Predictor::MOST_BYTES as u64 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the model is too large"));
    }
    tokio::fs::read(path).await
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ConversionConfig, TrainingConfig, tests::Rig},
        *,
    };
    use crate::{
        rehearsal,
        store::{NewFact, Subject},
    };
    use models::profile::{Fact, Source as Kind};

    const DAY_MS: i64 = 86_400_000;

    fn trained_by(script: &str) -> ConversionConfig {
        let command = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        let training = TrainingConfig { command, ..TrainingConfig::default() };
        ConversionConfig { training, ..ConversionConfig::default() }
    }

    impl Rig {
        fn source(&self) -> Source {
            Source { folder: self.folder.path().to_owned(), environment: vec![] }
        }

        fn files(&self) -> Vec<String> {
            let Ok(entries) = fs::read_dir(self.folder.path().join(FOLDER)) else { return vec![] };
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }

        async fn newest(&self, kind: &str) -> Option<i64> {
            self.store.newest_job(kind).await.unwrap()
        }

        async fn leased(&self, until_unix_ms: i64) -> Job {
            self.store.add_job(TRAINING, &TrainingOrder::default(), 0, false).await.unwrap();
            self.store.lease_job(TRAINING, 0, until_unix_ms).await.unwrap().unwrap()
        }
    }

    #[tokio::test]
    async fn a_fresh_server_orders_nothing_until_there_is_something_to_do() {
        let rig = Rig::with(trained_by("exit 3")).await;
        let (store, now, stop) = (&rig.store, unix_ms(), CancellationToken::new());
        let train = async || rig.conversion.train_once(store, &rig.source(), now, &stop).await;
        let sweep = async || rig.conversion.sweep_once(store, now, &stop).await.unwrap();
        sweep().await;
        train().await.unwrap();
        assert_eq!((rig.newest(SWEEP).await, rig.newest(TRAINING).await), (None, None));

        rehearsal::add_people(rig.folder.path(), 1).await.unwrap();
        sweep().await;
        assert_eq!(rig.newest(SWEEP).await, Some(now));

        let known = async |days: i64| {
            let person = Uuid::now_v7();
            let mut writing = store.begin().await.unwrap();
            let made = Subject { person, root: person, first_seen_unix_ms: now };
            writing.put_subjects(&[made]).await.unwrap();
            let fact = Fact {
                source: Kind::Conversion,
                name: "store_purchase".into(),
                at_unix_ms: now - 90 * DAY_MS,
                known_unix_ms: now - days * DAY_MS,
                count: 1,
                value: None,
                number: None,
                item: None,
                category: None,
            };
            writing.put_facts(&[NewFact { id: Uuid::now_v7(), person, fact }]).await.unwrap();
            writing.commit().await.unwrap();
        };
        known(21).await;
        train().await.unwrap();
        assert_eq!(rig.newest(TRAINING).await, None, "late facts may be missing");
        known(22).await;
        assert!(train().await.is_err(), "it trains, which fails");
        assert!(rig.newest(TRAINING).await.is_some());
    }

    #[tokio::test]
    async fn a_busy_moment_does_not_end_a_training() {
        let rig = Rig::with(ConversionConfig::default()).await;
        let job = rig.leased(unix_ms() + 3_600_000).await;
        // From now on every answer is an error.
        rig.store.close().await;
        let often = Duration::from_millis(2);
        let keeping = keep(&rig.store, &job, often);
        let kept = tokio::time::timeout(20 * often, keeping).await;
        assert!(kept.is_err(), "as long as the lease lasts: {kept:?}");
        let over = Job { leased_until_unix_ms: unix_ms(), ..job };
        assert!(matches!(keep(&rig.store, &over, often).await, WorkError::Store(_)));
    }

    #[tokio::test]
    async fn a_training_that_another_server_took_over_ends() {
        let rig = Rig::with(ConversionConfig::default()).await;
        let job = rig.leased(1).await;
        rig.store.lease_job(TRAINING, 1, 2).await.unwrap().unwrap();
        let often = Duration::from_millis(2);
        assert!(matches!(keep(&rig.store, &job, often).await, WorkError::Lost));
    }

    #[tokio::test]
    async fn an_ending_of_the_server_is_no_attempt() {
        let rig = Rig::with(ConversionConfig::default()).await;
        let mut job = rig.leased(1).await;
        for _ in 0..10 {
            let stopped = Err(ProcessError::Stopped.into());
            assert!(settle(&rig.store, &job, stopped).await.is_err());
            job = rig.store.lease_job(TRAINING, i64::MAX, i64::MAX).await.unwrap().unwrap();
            assert_eq!(job.attempts, 1);
        }
    }

    #[tokio::test]
    async fn a_training_that_is_cut_short_leaves_no_files() {
        let script = "while [ $# -gt 0 ]; do [ \"$1\" = --out ] && echo > \"$2\"; shift; done; \
                      exec sleep 600";
        let rig = Rig::with(trained_by(script)).await;
        let (job, stop, source) = (rig.leased(1).await, CancellationToken::new(), rig.source());
        {
            let mut training =
                std::pin::pin!(rig.conversion.train_job(&rig.store, &source, &job, &stop));
            while rig.files().is_empty() {
                let look = Duration::from_millis(10);
                assert!(tokio::time::timeout(look, &mut training).await.is_err());
            }
        }
        assert_eq!(rig.files(), [""; 0], "as `select!` drops it when the lease is lost");
    }

    #[tokio::test]
    async fn what_a_killed_server_left_of_a_training_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let job = Uuid::now_v7();
        let files = Files { folder: folder.path(), job };
        let ours = FILES.map(|what| files.path(what));
        let others = ["notes.txt", "model.json", "mine-model.json", "-champion.json"];
        for file in ours.iter().cloned().chain(others.map(|name| folder.path().join(name))) {
            fs::write(file, "x").unwrap();
        }
        std::mem::forget(files);
        remove_left(folder.path());
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = others;
        expected.sort_unstable();
        assert_eq!(left, expected);
        remove_left(&folder.path().join("nowhere"));
    }
}
