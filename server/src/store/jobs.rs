//! Work to be done once: leased, so that what a crash interrupts is taken up again, by this server
//! or another one on the same database.
//!
//! The number of attempts is the lease's token: whoever lost a lease can no longer finish its job.

use super::{Store, StoreError, bytes, id_of};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// A piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// What is to be done.
    pub kind: String,
    /// With what.
    pub payload: Value,
    /// Not before, Unix milliseconds.
    pub due_unix_ms: i64,
    /// How often it was taken up, without the times it was given back.
    pub attempts: u32,
    /// When it ended, well or not, Unix milliseconds.
    pub done_unix_ms: Option<i64>,
    /// What came of it, or how far it is.
    pub result: Option<Value>,
    /// Whether somebody is at it.
    pub leased_until_unix_ms: i64,
}

type Row = (Vec<u8>, String, String, i64, i64, i64, Option<i64>, Option<String>);

impl Store {
    /// Adds a job, unless one of its kind waits or runs: `None` then. With `beside`, adds it
    /// anyway.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_job(
        &self,
        kind: &str,
        payload: &impl Serialize,
        due_unix_ms: i64,
        beside: bool,
    ) -> Result<Option<Uuid>, StoreError> {
        let (id, payload) = (Uuid::now_v7(), serde_json::to_string(payload)?);
        let mut writing = self.begin().await?;
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs WHERE kind = $1 AND done_unix_ms IS NULL",
        )
        .bind(kind)
        .fetch_one(&mut *writing.transaction)
        .await?;
        if open > 0 && !beside {
            writing.rollback().await?;
            return Ok(None);
        }
        sqlx::query("INSERT INTO jobs (id, kind, payload, due_unix_ms) VALUES ($1, $2, $3, $4)")
            .bind(bytes(&id))
            .bind(kind)
            .bind(payload)
            .bind(due_unix_ms)
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await?;
        Ok(Some(id))
    }

    /// Takes up the job of a kind that has been due longest and that nobody is at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_job(
        &self,
        kind: &str,
        now_unix_ms: i64,
        until_unix_ms: i64,
    ) -> Result<Option<Job>, StoreError> {
        let query = "SELECT id FROM jobs WHERE kind = $1 AND done_unix_ms IS NULL
            AND due_unix_ms <= $2 AND leased_until_unix_ms <= $2 ORDER BY due_unix_ms, id LIMIT 1";
        let due = || sqlx::query_scalar::<_, Vec<u8>>(query).bind(kind).bind(now_unix_ms);
        // Mostly there is nothing to do: that is found out without the writer.
        if due().fetch_optional(&self.readers).await?.is_none() {
            return Ok(None);
        }
        let mut writing = self.begin().await?;
        let Some(id) = due().fetch_optional(&mut *writing.transaction).await? else {
            writing.rollback().await?;
            return Ok(None);
        };
        let leased = sqlx::query(
            "UPDATE jobs SET leased_until_unix_ms = $1, attempts = attempts + 1
             WHERE id = $2 AND leased_until_unix_ms <= $3 AND done_unix_ms IS NULL",
        )
        .bind(until_unix_ms)
        .bind(&id[..])
        .bind(now_unix_ms)
        .execute(&mut *writing.transaction)
        .await?;
        writing.commit().await?;
        // Another server may have been quicker.
        if leased.rows_affected() == 0 { Ok(None) } else { self.job(id_of(&id)?).await }
    }

    /// Keeps a lease and says how far the work is; false if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew_job(
        &self,
        job: &Job,
        until_unix_ms: i64,
        progress: Option<&Value>,
    ) -> Result<bool, StoreError> {
        let progress = progress.map(Value::to_string);
        let mut writing = self.begin().await?;
        let renewed = sqlx::query(
            "UPDATE jobs SET leased_until_unix_ms = $1, result = coalesce($2, result)
             WHERE id = $3 AND attempts = $4 AND done_unix_ms IS NULL",
        )
        .bind(until_unix_ms)
        .bind(progress)
        .bind(bytes(&job.id))
        .bind(i64::from(job.attempts))
        .execute(&mut *writing.transaction)
        .await?;
        writing.commit().await?;
        Ok(renewed.rows_affected() > 0)
    }

    /// Ends a job; false if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_job(
        &self,
        job: &Job,
        now_unix_ms: i64,
        result: &Value,
    ) -> Result<bool, StoreError> {
        self.leave(job, job.attempts, None, Some(now_unix_ms), result).await
    }

    /// Gives a job back, to be tried again later; false if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry_job(
        &self,
        job: &Job,
        due_unix_ms: i64,
        result: &Value,
    ) -> Result<bool, StoreError> {
        self.leave(job, job.attempts, Some(due_unix_ms), None, result).await
    }

    /// Gives a job back as if it had not been taken up; false if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_back_job(
        &self,
        job: &Job,
        due_unix_ms: i64,
        result: &Value,
    ) -> Result<bool, StoreError> {
        self.leave(job, job.attempts.saturating_sub(1), Some(due_unix_ms), None, result).await
    }

    async fn leave(
        &self,
        job: &Job,
        attempts: u32,
        due_unix_ms: Option<i64>,
        done_unix_ms: Option<i64>,
        result: &Value,
    ) -> Result<bool, StoreError> {
        let mut writing = self.begin().await?;
        let left = sqlx::query(
            "UPDATE jobs SET leased_until_unix_ms = 0, due_unix_ms = coalesce($1, due_unix_ms),
                 done_unix_ms = $2, result = $3, attempts = $4
             WHERE id = $5 AND attempts = $6 AND done_unix_ms IS NULL",
        )
        .bind(due_unix_ms)
        .bind(done_unix_ms)
        .bind(result.to_string())
        .bind(i64::from(attempts))
        .bind(bytes(&job.id))
        .bind(i64::from(job.attempts))
        .execute(&mut *writing.transaction)
        .await?;
        writing.commit().await?;
        Ok(left.rows_affected() > 0)
    }

    /// A job.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn job(&self, id: Uuid) -> Result<Option<Job>, StoreError> {
        let query = "SELECT id, kind, payload, due_unix_ms, leased_until_unix_ms, attempts,
            done_unix_ms, result FROM jobs WHERE id = $1";
        let row: Option<Row> =
            sqlx::query_as(query).bind(bytes(&id)).fetch_optional(&self.readers).await?;
        row.map(job_of).transpose()
    }

    /// When the newest job of a kind was due, ended or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_job(&self, kind: &str) -> Result<Option<i64>, StoreError> {
        let newest = sqlx::query_scalar("SELECT max(due_unix_ms) FROM jobs WHERE kind = $1");
        Ok(newest.bind(kind).fetch_one(&self.readers).await?)
    }
}

fn job_of(row: Row) -> Result<Job, StoreError> {
    let (id, kind, payload, due_unix_ms, leased_until_unix_ms, attempts, done_unix_ms, result) =
        row;
    Ok(Job {
        id: id_of(&id)?,
        kind,
        payload: serde_json::from_str(&payload)?,
        due_unix_ms,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        done_unix_ms,
        result: result.map(|result| serde_json::from_str(&result)).transpose()?,
        leased_until_unix_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_job_is_done_once_and_taken_up_again_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let payload = json!({"a": 1});
        let add = |beside| store.add_job("sweep", &payload, 100, beside);
        let id = add(false).await.unwrap().unwrap();
        assert_eq!(add(false).await.unwrap(), None);
        assert_eq!(store.lease_job("sweep", 99, 200).await.unwrap(), None);
        assert_eq!(store.lease_job("training", 100, 200).await.unwrap(), None);

        let first = store.lease_job("sweep", 100, 200).await.unwrap().unwrap();
        assert_eq!((first.id, first.attempts, &first.payload), (id, 1, &json!({"a": 1})));
        assert_eq!(store.lease_job("sweep", 150, 250).await.unwrap(), None);
        assert!(store.renew_job(&first, 300, Some(&json!({"people": 7}))).await.unwrap());
        assert_eq!(store.lease_job("sweep", 250, 350).await.unwrap(), None);

        // Whoever held it is gone; the next one takes it up, and the first can end nothing.
        let second = store.lease_job("sweep", 300, 400).await.unwrap().unwrap();
        assert_eq!((second.attempts, &second.result), (2, &Some(json!({"people": 7}))));
        assert!(!store.finish_job(&first, 310, &json!("late")).await.unwrap());
        assert!(!store.renew_job(&first, 900, None).await.unwrap());
        assert!(store.retry_job(&second, 500, &json!("busy")).await.unwrap());
        assert_eq!(store.lease_job("sweep", 499, 600).await.unwrap(), None);
        let third = store.lease_job("sweep", 500, 600).await.unwrap().unwrap();
        assert!(store.give_back_job(&third, 500, &json!("the server ends")).await.unwrap());
        assert!(!store.give_back_job(&third, 500, &json!("again")).await.unwrap());
        let third = store.lease_job("sweep", 500, 600).await.unwrap().unwrap();
        assert_eq!(third.attempts, 3, "what was given back does not count");
        assert!(store.finish_job(&third, 510, &json!("done")).await.unwrap());

        let ended = store.job(id).await.unwrap().unwrap();
        assert_eq!((ended.done_unix_ms, ended.result), (Some(510), Some(json!("done"))));
        assert_eq!(store.lease_job("sweep", 9_000, 9_100).await.unwrap(), None);
        assert_eq!(store.newest_job("sweep").await.unwrap(), Some(500));
        assert_eq!(store.newest_job("training").await.unwrap(), None);
        assert!(add(false).await.unwrap().is_some() && add(true).await.unwrap().is_some());
    }
}
