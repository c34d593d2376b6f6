//! What the server does about orders by itself: it attends to those that want something, looks at
//! everybody's needs, and has models trained.

use super::{
    model::{KIND, OrdersReport, ServingError},
    service::Orders,
    sweep::{LookError, Looked},
};
use crate::{
    app::unix_ms,
    ops::{Ops, metrics::Metrics},
    store::{Job, Store},
    work::{
        DAY_MS, HOUR_MS, LEASE_MS, LOOK_EVERY, RENEW_EVERY, SweepOrder, TrainingOrder, WorkError,
        goes_on, keep, settle,
        training::{Source, Training, order_of},
    },
};
use protocol::log;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The kinds of jobs.
pub(crate) const LOOK: &str = "order sweep";
pub(crate) const TRAINING: &str = "order training";

/// How often the desk looks for orders whose time has come, if nobody told it of one.
const EVERY: Duration = Duration::from_secs(1);
/// Days of purchases that a model learns from at least, beside two horizons and a week.
const LEAST_HISTORY_DAYS: i64 = 21;

impl From<LookError> for WorkError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Stopped => Self::stopped(error),
            LookError::Serving(error) => error.into(),
            LookError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ServingError> for WorkError {
    fn from(error: ServingError) -> Self {
        Self::failed(error)
    }
}

/// Starts all three.
pub(crate) fn start(ops: &Arc<Ops>, orders: &Arc<Orders>, store: &Store, facts: Source) {
    let tasks = &ops.tasks;
    let with = || (Arc::clone(orders), store.clone());
    let (own, store_of) = with();
    tasks.spawn_with(|stop| attend(own, store_of, stop));
    let (own, store_of) = with();
    let measures = Arc::clone(ops);
    tasks.spawn_with(|stop| look(own, store_of, measures, stop));
    let (own, store_of) = with();
    tasks.spawn_with(|stop| train(own, store_of, facts, stop));
}

/// Does what orders want, as soon as they do.
async fn attend(orders: Arc<Orders>, store: Store, stop: CancellationToken) {
    while goes_on(&orders.wake, EVERY, &stop).await {
        if let Err(error) = orders.attend_all(&store, &stop).await {
            log!(error, "orders were not attended to; tried again later", error);
        }
    }
}

/// Looks at everybody's needs on schedule and when asked.
async fn look(orders: Arc<Orders>, store: Store, ops: Arc<Ops>, stop: CancellationToken) {
    while goes_on(&orders.wake_look, LOOK_EVERY, &stop).await {
        if let Err(error) = orders.look_once(&store, &ops.metrics, unix_ms(), &stop).await {
            log!(warn, "nobody's needs were looked at", error);
        }
    }
}

/// Trains on schedule and when asked.
async fn train(orders: Arc<Orders>, store: Store, source: Source, stop: CancellationToken) {
    while goes_on(&orders.wake_training, LOOK_EVERY, &stop).await {
        if let Err(error) = orders.train_once(&store, &source, unix_ms(), &stop).await {
            log!(warn, "a training of needs failed", error);
        }
    }
}

impl Orders {
    /// Tells every loop that there is something to do.
    pub(crate) fn wake_all(&self) {
        for bell in [&self.wake, &self.wake_look, &self.wake_training] {
            bell.notify_one();
        }
    }

    /// Does what orders want until none wants anything now.
    pub(crate) async fn attend_all(
        &self,
        store: &Store,
        stop: &CancellationToken,
    ) -> Result<(), WorkError> {
        while !stop.is_cancelled() && self.desk.round(store, unix_ms()).await? > 0 {}
        Ok(())
    }

    async fn look_once(
        self: &Arc<Self>,
        store: &Store,
        metrics: &Metrics,
        now: i64,
        stop: &CancellationToken,
    ) -> Result<(), WorkError> {
        let every = i64::from(self.config.sweep_hours) * HOUR_MS;
        let last = store.newest_job(LOOK).await?;
        let due = every > 0 && last.is_none_or(|last| now.saturating_sub(last) >= every);
        if due && self.serving().is_some() {
            store.add_job(LOOK, &SweepOrder::default(), now, false).await?;
        }
        while let Some(job) = store.lease_job(LOOK, unix_ms(), unix_ms() + LEASE_MS).await? {
            let begun = Instant::now();
            let done = tokio::select! {
                done = self.look(store, unix_ms(), stop) => done.map_err(WorkError::from),
                lost = keep(store, &job, RENEW_EVERY) => Err(lost),
            };
            let took = begun.elapsed();
            if let Ok(Looked { people, proposed, suggested, .. }) = &done {
                metrics.looked(*people, *proposed, *suggested, took);
            }
            let seconds = took.as_secs_f64();
            settle(store, &job, done.map(|looked| json!(Looked { seconds, ..looked }))).await?;
            // Who was proposed something is told.
            self.wake.notify_one();
        }
        Ok(())
    }

    async fn train_once(
        self: &Arc<Self>,
        store: &Store,
        source: &Source,
        now: i64,
        stop: &CancellationToken,
    ) -> Result<(), WorkError> {
        let last = store.newest_job(TRAINING).await?;
        if self.training_due(now, last) && self.learnable(now, store.known_since().await?) {
            let order = TrainingOrder { as_of_unix_ms: None, cause: "schedule".to_owned() };
            store.add_job(TRAINING, &order, now, false).await?;
        }
        while let Some(job) = store.lease_job(TRAINING, unix_ms(), unix_ms() + LEASE_MS).await? {
            let done = tokio::select! {
                done = self.train_job(store, source, &job, stop) => done,
                lost = keep(store, &job, RENEW_EVERY) => Err(lost),
            };
            settle(store, &job, done).await?;
            self.wake_look.notify_one();
        }
        Ok(())
    }

    fn training_due(&self, now: i64, last: Option<i64>) -> bool {
        let every = i64::from(self.config.training.every_days) * DAY_MS;
        every > 0 && last.is_none_or(|last| now.saturating_sub(last) >= every)
    }

    /// Whether enough days are known to fit on some and calibrate on later ones.
    fn learnable(&self, now: i64, known_since: Option<i64>) -> bool {
        const WEEK_DAYS: i64 = 7;
        let horizon = i64::from(self.config.training.horizon_days);
        let horizon = (horizon + WEEK_DAYS - 1) / WEEK_DAYS * WEEK_DAYS;
        let wait_days = LEAST_HISTORY_DAYS + horizon + WEEK_DAYS + i64::from(self.config.late_days);
        known_since.is_some_and(|since| now.saturating_sub(since) >= wait_days * DAY_MS)
    }

    async fn train_job(
        self: &Arc<Self>,
        store: &Store,
        source: &Source,
        job: &Job,
        stop: &CancellationToken,
    ) -> Result<Value, WorkError> {
        let settings = &self.config.training;
        let until = order_of(job).as_of_unix_ms.unwrap_or_else(unix_ms);
        let training = Training {
            kind: KIND,
            command: &settings.command,
            limit_minutes: settings.limit_minutes.into(),
            horizon_days: settings.horizon_days,
            as_of_unix_ms: until.saturating_sub(i64::from(self.config.late_days) * DAY_MS),
            seed: None,
            champion: None,
        };
        let (bundle, report): (_, OrdersReport) = source.train(&training, job, stop).await?;
        let model = self.register(store, &bundle, report, unix_ms()).await?;
        let level = self.serving().map(|serving| serving.level.to_string());
        Ok(json!({ "model": model, "level": level }))
    }
}
