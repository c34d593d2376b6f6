//! What the server does about predictions by itself: three loops, each at one kind of work, so that
//! a long training keeps nobody from being scored.

use super::{
    Conversion,
    registry::{KIND, Record, RegistryError, TrainingReport, record_of},
    schedule::{Drift, learnable, sweep_due, training_due},
    sweep::{Plan, SweepError, Swept},
};
use crate::{
    app::unix_ms,
    ops::tasks::Tasks,
    store::{Job, Store, StoreError},
    work::{
        LEASE_MS, LOOK_EVERY, RENEW_EVERY, SweepOrder, TrainingOrder, WorkError, goes_on, keep,
        settle,
        training::{Source, Training, order_of},
    },
};
use models::profile::Reference;
use protocol::log;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The kinds of jobs.
pub(crate) const SWEEP: &str = "sweep";
pub(crate) const TRAINING: &str = "training";

/// How often whoever is due is looked for, if nobody told of them.
const SCORE_EVERY: Duration = Duration::from_secs(1);

impl From<SweepError> for WorkError {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Stopped => Self::stopped(error),
            SweepError::Lost => Self::Lost,
            SweepError::Store(error) => Self::Store(error),
        }
    }
}

impl From<RegistryError> for WorkError {
    fn from(error: RegistryError) -> Self {
        Self::failed(error)
    }
}

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
    while goes_on(&conversion.wake.training, LOOK_EVERY, &stop).await {
        if let Err(error) = conversion.train_once(&store, &source, unix_ms(), &stop).await {
            log!(warn, "a training failed", error);
        }
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
        let settings = &self.config.training;
        let serving = self.registry.serving();
        let champion = match &serving.champion {
            Some(champion) => store.bundle(champion.id()).await?,
            None => None,
        };
        let training = Training {
            kind: KIND,
            command: &settings.command,
            limit_minutes: settings.limit_minutes,
            horizon_days: settings.horizon_days,
            as_of_unix_ms: order_of(job).as_of_unix_ms.unwrap_or_else(unix_ms),
            seed: Some(settings.seed),
            champion,
        };
        let (bundle, report): (_, TrainingReport) = source.train(&training, job, stop).await?;
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
    use uuid::Uuid;

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

        async fn newest(&self, kind: &str) -> Option<i64> {
            self.store.newest_job(kind).await.unwrap()
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
}
