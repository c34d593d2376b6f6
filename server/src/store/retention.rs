//! Deletes what has reached its age, in steps short enough for others to write between.

use super::{
    Action, Actor, AgeCutoffs, Aged, Entry, Store, StoreError, fixed, id_of, write::Removed,
};
use sqlx::Row;
use uuid::Uuid;

/// Rows deleted in one transaction: a few milliseconds of the only writer.
pub(super) const STEP_ROWS: i64 = 2_000;

/// What arrived before goes; Unix milliseconds by the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    /// Features and intents.
    pub derived: i64,
    /// Sessions, offers, outcomes.
    pub behaviour: i64,
    /// The proof of consent of people who withdrew, and what is known of people of whom nothing
    /// else is left.
    pub proof: i64,
    /// The audit log.
    pub audit: i64,
    /// The rest.
    pub ages: AgeCutoffs,
}

/// How much went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Features and intents.
    pub derived: u64,
    /// Sessions, offers, outcomes.
    pub behaviour: u64,
    /// Of these, outcomes.
    pub outcomes: u64,
    /// What repeats were recognised by.
    pub recognised: u64,
    /// People whose proof of consent ended: erased altogether.
    pub people: u64,
    /// Their receipts.
    pub receipts: u64,
    /// Lines of the audit log.
    pub audit: u64,
    /// People of whom nothing was left but their name.
    pub forgotten: u64,
    /// The rest.
    pub aged: Aged,
}

impl Expired {
    /// Whether anything went.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

const DERIVED: &str = "DELETE FROM events WHERE number IN (SELECT number FROM events
    WHERE kind IN ('features', 'intent') AND received_unix_ms < $1 LIMIT $2)";
const BEHAVIOUR: &str = "DELETE FROM events WHERE number IN (SELECT number FROM events
    WHERE kind IN ('session_started', 'session_ended', 'offer_revised')
      AND received_unix_ms < $1 LIMIT $2)";
const OUTCOMES: &str = "DELETE FROM events WHERE number IN (SELECT number FROM events
    WHERE kind = 'outcome' AND received_unix_ms < $1 LIMIT $2)";
/// Recognising a repeat serves no purpose once what it would repeat is past every age.
const RECOGNISED: &str = "DELETE FROM received WHERE id IN (SELECT id FROM received
    WHERE received_unix_ms < $1 LIMIT $2)";

impl Store {
    /// Deletes what arrived before the cutoffs, each kind by its own, and writes down how much.
    ///
    /// # Errors
    /// [`StoreError`]; what went before the failure is gone.
    pub async fn expire(&self, cutoffs: &Cutoffs, now_unix_ms: i64) -> Result<Expired, StoreError> {
        let outcomes = self.delete_steps(OUTCOMES, cutoffs.behaviour).await?;
        let behaviour = self.delete_steps(BEHAVIOUR, cutoffs.behaviour).await? + outcomes;
        let oldest = cutoffs.derived.min(cutoffs.behaviour);
        let mut expired = Expired {
            derived: self.delete_steps(DERIVED, cutoffs.derived).await?,
            behaviour,
            outcomes,
            recognised: self.delete_steps(RECOGNISED, oldest).await?,
            audit: self.expire_audit(cutoffs.audit).await?,
            aged: self.age(&cutoffs.ages, now_unix_ms).await?,
            ..Expired::default()
        };
        for person in self.withdrawn_before(cutoffs.proof).await? {
            let erasing = self.begin().await?.erase(person, Actor::Server, now_unix_ms).await?;
            let Removed { receipts, .. } = erasing.commit().await?;
            expired.people += 1;
            expired.receipts += receipts;
        }
        expired.forgotten = self.forget_people(cutoffs.proof, now_unix_ms).await?;
        if expired.any() {
            let Expired { derived, behaviour, recognised, people, receipts, audit, .. } = expired;
            let Expired { forgotten, aged, .. } = expired;
            let Aged { facts, intake, circumstances, forecasts, jobs, orders, days, models } = aged;
            let result = format!(
                "deleted {derived} derived, {behaviour} behaviour, {recognised} recognised, \
                 {receipts} receipts of {people} people, {audit} audit, {facts} facts, {intake} \
                 intake, {circumstances} circumstances, {forecasts} forecasts, {jobs} jobs, \
                 {orders} orders, {days} sums of days, the content of {models} models, {forgotten} people of whom nothing \
                 was left"
            );
            let (actor, action) = (Actor::Server, Action::Retention);
            self.audit(&Entry { actor, action, about: None, result }, now_unix_ms).await?;
        }
        Ok(expired)
    }

    pub(super) async fn delete_steps(
        &self,
        query: &'static str,
        before: i64,
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let mut writing = self.begin().await?;
            let step = sqlx::query(query)
                .bind(before)
                .bind(STEP_ROWS)
                .execute(&mut *writing.transaction)
                .await?;
            writing.commit().await?;
            deleted += step.rows_affected();
            if step.rows_affected() < STEP_ROWS.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }

    /// Who withdrew before, and has not agreed again since.
    async fn withdrawn_before(&self, before: i64) -> Result<Vec<Uuid>, StoreError> {
        let people: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT w.person FROM receipts AS w
             WHERE w.state = 'withdrawn' AND w.received_unix_ms < $1
               AND NOT EXISTS (SELECT 1 FROM receipts AS o
                   WHERE o.person = w.person AND o.device = w.device
                     AND (o.epoch > w.epoch OR o.received_unix_ms > w.received_unix_ms))
             GROUP BY w.person",
        )
        .bind(before)
        .fetch_all(&self.readers)
        .await?;
        people.iter().map(|person| id_of(person)).collect()
    }

    /// Moves the beginning of the log, which alone permits the rows before it to be deleted.
    async fn expire_audit(&self, before: i64) -> Result<u64, StoreError> {
        let mut writing = self.begin().await?;
        let last = sqlx::query(
            "SELECT number, hash FROM audit
             WHERE number < coalesce((SELECT min(number) FROM audit WHERE at_unix_ms >= $1),
                 (SELECT max(number) + 1 FROM audit))
             ORDER BY number DESC LIMIT 1",
        )
        .bind(before)
        .fetch_optional(&mut *writing.transaction)
        .await?;
        let Some(last) = last else { return Ok(0) };
        let (number, hash): (i64, [u8; 32]) =
            (last.try_get("number")?, fixed(last.try_get("hash")?)?);
        sqlx::query("UPDATE audit_anchor SET number = $1, hash = $2")
            .bind(number)
            .bind(&hash[..])
            .execute(&mut *writing.transaction)
            .await?;
        let deleted = sqlx::query("DELETE FROM audit WHERE number <= $1")
            .bind(number)
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await?;
        Ok(deleted.rows_affected())
    }
}
