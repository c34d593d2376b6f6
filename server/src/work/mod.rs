//! Work that the server does by itself or is asked for: loops that look for it, leases that keep it
//! with one server, retries, and trainings as processes of their own.
//!
//! **Invariant.** Nothing here knows what the work is: [`crate::conversion`] and [`crate::orders`]
//! bring theirs.

pub(crate) mod process;
pub(crate) mod training;

use crate::{
    app::unix_ms,
    store::{Job, Store, StoreError},
};
use protocol::{log, log::LogSafe};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{error::Error, io, time::Duration};
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// How often a loop looks for work that nobody told it of.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a job stays with whoever took it up, unless renewed.
pub(crate) const LEASE_MS: i64 = 60_000;
/// How often a long job is renewed: thrice a lease.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(20);
/// The first retry of a job that failed comes after a minute, each later one after twice the time.
const FIRST_RETRY_MS: i64 = 60_000;
const LONGEST_RETRY_MS: i64 = 6 * HOUR_MS;
/// What has failed so often will not succeed by itself.
pub(crate) const MOST_ATTEMPTS: u32 = 6;

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

/// An error of somebody's work that may be logged.
pub(crate) trait Fault: Error + LogSafe + Send + Sync {}

impl<T: Error + LogSafe + Send + Sync> Fault for T {}

/// Why a job failed.
#[derive(Debug, Error)]
pub(crate) enum WorkError {
    /// The server ended before the work did.
    #[error("{0}")]
    Stopped(Box<dyn Fault>),
    /// The work itself did not do.
    #[error("{0}")]
    Failed(Box<dyn Fault>),
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

impl WorkError {
    pub(crate) fn stopped(error: impl Fault + 'static) -> Self {
        Self::Stopped(Box::new(error))
    }

    pub(crate) fn failed(error: impl Fault + 'static) -> Self {
        Self::Failed(Box::new(error))
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
                log!(warn, "a job was not renewed; tried again", error);
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
    match retry_at(now, job.attempts) {
        // The next server goes on at once, and has as many attempts.
        _ if matches!(error, WorkError::Stopped(_)) => {
            store.give_back_job(job, now, &result).await?
        }
        Some(at) => store.retry_job(job, at, &result).await?,
        None => store.finish_job(job, now, &result).await?,
    };
    Err(error)
}

/// When a job that has failed so often is tried again; `None`: it is given up.
fn retry_at(now_unix_ms: i64, attempts: u32) -> Option<i64> {
    let doublings = attempts.saturating_sub(1).min(16);
    let wait = FIRST_RETRY_MS.saturating_mul(1 << doublings).min(LONGEST_RETRY_MS);
    (attempts < MOST_ATTEMPTS).then(|| now_unix_ms.saturating_add(wait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::process::ProcessError;
    use proptest::prelude::*;
    use tempfile::TempDir;

    const KIND: &str = "test";

    async fn leased(until_unix_ms: i64) -> (TempDir, Store, Job) {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.add_job(KIND, &TrainingOrder::default(), 0, false).await.unwrap();
        let job = store.lease_job(KIND, 0, until_unix_ms).await.unwrap().unwrap();
        (folder, store, job)
    }

    #[tokio::test]
    async fn a_busy_moment_does_not_end_the_work() {
        let (_folder, store, job) = leased(unix_ms() + 3_600_000).await;
        // From now on every answer is an error.
        store.close().await;
        let often = Duration::from_millis(2);
        let kept = tokio::time::timeout(20 * often, keep(&store, &job, often)).await;
        assert!(kept.is_err(), "as long as the lease lasts: {kept:?}");
        let over = Job { leased_until_unix_ms: unix_ms(), ..job };
        assert!(matches!(keep(&store, &over, often).await, WorkError::Store(_)));
    }

    #[tokio::test]
    async fn work_that_another_server_took_over_ends() {
        let (_folder, store, job) = leased(1).await;
        store.lease_job(KIND, 1, 2).await.unwrap().unwrap();
        let often = Duration::from_millis(2);
        assert!(matches!(keep(&store, &job, often).await, WorkError::Lost));
    }

    #[tokio::test]
    async fn an_ending_of_the_server_is_no_attempt() {
        let (_folder, store, mut job) = leased(1).await;
        for _ in 0..10 {
            let stopped = Err(ProcessError::Stopped.into());
            assert!(settle(&store, &job, stopped).await.is_err());
            job = store.lease_job(KIND, i64::MAX, i64::MAX).await.unwrap().unwrap();
            assert_eq!(job.attempts, 1);
        }
    }

    #[test]
    fn retries_come_later_and_later_and_end() {
        let waits: Vec<_> = (1..=MOST_ATTEMPTS).map(|attempts| retry_at(0, attempts)).collect();
        let minutes = |n: i64| Some(n * 60_000);
        let expected = [minutes(1), minutes(2), minutes(4), minutes(8), minutes(16), None];
        assert_eq!(waits, expected);
    }

    proptest! {
        #[test]
        fn no_retry_is_in_the_past(now: i64, attempts: u32) {
            prop_assert!(retry_at(now, attempts).is_none_or(|at| at >= now));
        }
    }
}
