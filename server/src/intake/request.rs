//! A request from its first row to its last: counts, and the rows that were not taken.

use super::{
    Fault,
    adjust::{self, Change},
    batch::{self, Verdict},
    context,
    follow::Follow,
    row::{Refused, Row, Said},
};
use crate::store::{NewCircumstance, Store, StoreError, Writing};
use protocol::{
    intake::{IntakeReply, Reason, RequestState, RequestStatus, RowError},
    log,
};
use std::{mem, sync::Arc};
use tokio::runtime::Handle;
use uuid::Uuid;

/// A request that is being taken in, in one batch or in many. What is counted is durable together
/// with what was stored.
#[derive(Debug)]
pub(crate) struct Request {
    store: Store,
    follow: Arc<dyn Follow>,
    id: Uuid,
    kind: &'static str,
    received_unix_ms: i64,
    status: RequestStatus,
    errors: Vec<RowError>,
    /// Whether it may be stored as running.
    in_parts: bool,
}

/// Rows of a request, checked.
#[derive(Debug)]
pub(crate) enum Rows {
    /// Things that happened.
    Reported(Vec<Result<Row, Box<Refused>>>),
    /// Changes of what was taken before.
    Changes(Vec<Result<Change, Fault>>),
    /// Circumstances of places.
    Circumstances(Vec<Result<NewCircumstance, Fault>>),
    /// What people said.
    Said(Vec<Result<Said, Box<Refused>>>),
}

impl Request {
    pub(crate) fn new(
        store: Store,
        follow: Arc<dyn Follow>,
        kind: &'static str,
        validate_only: bool,
        received_unix_ms: i64,
    ) -> Self {
        let status = RequestStatus {
            state: RequestState::Running,
            validate_only,
            ..RequestStatus::default()
        };
        let (id, errors) = (Uuid::now_v7(), Vec::new());
        Self { store, follow, id, kind, received_unix_ms, status, errors, in_parts: false }
    }

    /// Takes all rows of a request that came whole.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was stored.
    pub(crate) async fn take(&mut self, rows: Rows) -> Result<(), StoreError> {
        self.take_part(rows, self.received_unix_ms, RequestState::Done).await
    }

    /// Takes rows that follow those before and arrived by now; then the request stands as said.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of these rows was stored.
    pub(crate) async fn take_part(
        &mut self,
        rows: Rows,
        now: i64,
        state: RequestState,
    ) -> Result<(), StoreError> {
        let keep = !self.status.validate_only;
        self.in_parts |= keep && state == RequestState::Running;
        let mut writing = self.store.begin().await?;
        let (turn, follow) = (&mut writing, &*self.follow);
        let verdicts = match rows {
            Rows::Reported(rows) => batch::take(turn, follow, rows, keep, now).await?,
            Rows::Changes(rows) => adjust::take(turn, follow, rows, keep, now).await?,
            Rows::Circumstances(rows) => context::take(turn, rows, keep, now).await?,
            Rows::Said(rows) => batch::state(turn, follow, rows, keep, now).await?,
        };
        let (mut status, mut errors) = (self.status.clone(), Vec::new());
        for verdict in verdicts {
            status.rows += 1;
            match verdict {
                Ok(Verdict::Stored) => status.stored += 1,
                Ok(Verdict::Duplicate) => status.duplicates += 1,
                Err(Fault { reason, detail }) => {
                    status.refuse(reason);
                    errors.push(RowError { row: status.rows, reason, detail: detail.into_owned() });
                }
            }
        }
        status.state = state;
        if keep {
            self.keep(&mut writing, &status, &errors).await?;
            writing.commit().await?;
        } else {
            writing.rollback().await?;
        }
        self.status = status;
        let room = IntakeReply::MOST_ERRORS.saturating_sub(self.errors.len());
        self.errors.extend(errors.into_iter().take(room));
        Ok(())
    }

    async fn keep(
        &self,
        writing: &mut Writing,
        status: &RequestStatus,
        errors: &[RowError],
    ) -> Result<(), StoreError> {
        writing.put_request(self.id, self.kind, self.received_unix_ms, status).await?;
        writing.put_quarantine(self.id, errors, self.received_unix_ms).await
    }

    /// Ends it where it is: no more rows come.
    pub(crate) async fn break_off(&mut self) {
        if let Some(ending) = self.ending() {
            ending.await;
        }
    }

    /// What is left to do if no more rows come; `None` if nothing is.
    fn ending(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let left = mem::take(&mut self.in_parts) && self.status.state == RequestState::Running;
        let (store, id) = (self.store.clone(), self.id);
        let ending = async move {
            if let Err(error) = store.break_requests(Some(id)).await {
                log!(warn, "a request broke off; the next start of the server notes it", error);
            }
        };
        left.then_some(ending)
    }

    /// How it stands.
    pub(crate) const fn status(&self) -> &RequestStatus {
        &self.status
    }

    /// What is taken in: the name in the request's row and in the metrics.
    pub(crate) const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The id under which the status stays to be asked for.
    pub(crate) const fn id(&self) -> Uuid {
        self.id
    }

    /// Whether every row was refused for want of consent.
    pub(crate) fn without_consent(&self) -> bool {
        let refused = self.status.reasons.get(&Reason::NoConsent).copied().unwrap_or_default();
        self.status.rows > 0 && refused == self.status.rows
    }

    pub(crate) fn reply(mut self) -> IntakeReply {
        let request_id = (!self.status.validate_only).then_some(self.id);
        let (status, errors) = (self.status.clone(), mem::take(&mut self.errors));
        IntakeReply { request_id, status, errors }
    }
}

/// Whoever waited for the answer may go away at any time, and with them what takes their rows.
impl Drop for Request {
    fn drop(&mut self) {
        if let Some(ending) = self.ending()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(ending);
        }
    }
}
