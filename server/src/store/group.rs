//! The one writer, and how several requests share a transaction of its: making something durable
//! costs a sync of the disk, and one sync can serve all who wait for it.
//!
//! ```text
//!  line:  A  B  C          A begins the transaction; works inside a savepoint; releases it;
//!         B  C  (end)      and stands in line again to end what it began. B and C, who stood
//!         C  (end)         before that, work inside the same transaction.
//!         (end)            The end commits, and tells all three.
//! ```
//!
//! So a group is whoever waited when its first member was done: no timer and no limit to choose, and
//! whoever is alone commits at once. Taking back one member's work leaves the others'.
//!
//! **Invariants.** Nothing is acknowledged before the commit has succeeded. What begins and ends
//! transactions runs as tasks of its own: a request that goes away leaves nothing half done.

use super::{
    Load, StoreError,
    db::{ACQUIRE_TIMEOUT, Dialect, Place},
};
use sqlx::{AnyConnection, Connection};
use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    runtime::Handle,
    sync::{Mutex as Line, OwnedMappedMutexGuard, OwnedMutexGuard, oneshot},
};

const SAVE: &str = "SAVEPOINT turn";
const KEEP: &str = "RELEASE SAVEPOINT turn";
const UNDO: &str = "ROLLBACK TO SAVEPOINT turn";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";

/// The one writer of a database; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Writer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    load: Load,
    line: Arc<Line<Option<AnyConnection>>>,
    group: Mutex<Group>,
    /// How often what is stored may have changed.
    commits: AtomicU64,
}

/// The transaction that is shared. Written only by who holds the line, or by who held it just now.
#[derive(Debug, Default)]
struct Group {
    /// Which it is; the one before has ended.
    number: u64,
    open: bool,
    /// Somebody went away in the middle of their turn.
    abandoned: bool,
    /// Who waits for the commit.
    members: Vec<oneshot::Sender<Result<(), StoreError>>>,
    closed: bool,
}

/// A turn of the writer, inside a savepoint of its own. Dropped without [`keep`](Self::keep), it
/// leaves no trace.
#[derive(Debug)]
pub(super) struct Turn {
    connection: OwnedMappedMutexGuard<Option<AnyConnection>, AnyConnection>,
    writer: Writer,
    ended: bool,
}

impl Writer {
    pub(super) async fn open(place: Place, load: Load) -> Result<Self, StoreError> {
        let connection = place.writer().await?;
        let line = Arc::new(Line::new(Some(connection)));
        Ok(Self(Arc::new(Inner {
            place,
            load,
            line,
            group: Mutex::default(),
            commits: AtomicU64::new(0),
        })))
    }

    pub(super) fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::Acquire)
    }

    pub(super) fn place(&self) -> &Place {
        &self.0.place
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Result<Turn, StoreError> {
        to_its_end(self.clone().enter()).await
    }

    /// Runs one statement outside any transaction, and gives its first row.
    pub(super) async fn alone(
        &self,
        statement: &'static str,
    ) -> Result<Option<sqlx::any::AnyRow>, StoreError> {
        let writer = self.clone();
        to_its_end(async move {
            let mut line = writer.stand_in_line().await?;
            writer.end(&mut line).await;
            let Some(connection) = &mut *line else { return Err(StoreError::Closed) };
            Ok(sqlx::raw_sql(statement).fetch_optional(connection).await?)
        })
        .await
    }

    /// Lets who waits finish, and closes the connection.
    pub(super) async fn close(&self) {
        let writer = self.clone();
        let closing = async move {
            let mut line = Arc::clone(&writer.0.line).lock_owned().await;
            writer.end(&mut line).await;
            writer.group().closed = true;
            if let Some(connection) = line.take() {
                // It goes either way.
                let _ = connection.close().await;
            }
            Ok(())
        };
        // Nothing in it fails.
        let _ = to_its_end(closing).await;
    }

    async fn enter(self) -> Result<Turn, StoreError> {
        let mut line = self.stand_in_line().await?;
        self.tidy(&mut line).await;
        let mut tries = match self.0.place.dialect {
            Dialect::Sqlite => 1,
            // Its server may have been restarted since the last turn.
            Dialect::Postgres => 2,
        };
        while !self.group().open {
            tries -= 1;
            if let Err(error) = self.begin(&mut line).await {
                self.broke(&mut line, &error).await;
                if tries == 0 {
                    return Err(error);
                }
            }
        }
        if let Err(error) = run(&mut line, SAVE).await {
            self.broke(&mut line, &error).await;
            return Err(error);
        }
        let connection = OwnedMutexGuard::try_map(line, Option::as_mut);
        let connection = connection.map_err(|_| StoreError::Closed)?;
        Ok(Turn { connection, writer: self, ended: false })
    }

    async fn stand_in_line(&self) -> Result<OwnedMutexGuard<Option<AnyConnection>>, StoreError> {
        let waiting = Arc::clone(&self.0.line).lock_owned();
        let line = tokio::time::timeout(ACQUIRE_TIMEOUT, waiting).await;
        let line = line.map_err(|_| StoreError::Busy(ACQUIRE_TIMEOUT))?;
        if self.group().closed { Err(StoreError::Closed) } else { Ok(line) }
    }

    async fn begin(&self, line: &mut Option<AnyConnection>) -> Result<(), StoreError> {
        if line.is_none() {
            *line = Some(self.0.place.writer().await?);
        }
        run(line, self.0.place.begin()).await?;
        let mut group = self.group();
        group.number += 1;
        group.open = true;
        Ok(())
    }

    /// Takes back what was left by who went away.
    async fn tidy(&self, line: &mut Option<AnyConnection>) {
        if !std::mem::take(&mut self.group().abandoned) {
            return;
        }
        let undone = async {
            run(line, UNDO).await?;
            run(line, KEEP).await
        };
        if let Err(error) = undone.await {
            self.broke(line, &error).await;
        }
    }

    /// Ends the shared transaction if one is open, and tells its members.
    async fn end(&self, line: &mut Option<AnyConnection>) {
        self.tidy(line).await;
        if !self.group().open {
            return;
        }
        let statement = if self.group().members.is_empty() { ROLLBACK } else { COMMIT };
        match run(line, statement).await {
            Ok(()) => {
                let members = self.group().members.len();
                if members > 0 {
                    self.0.load.committed(members);
                }
                self.tell(|| Ok(()));
            }
            Err(error) => self.broke(line, &error).await,
        }
    }

    /// Ends a group once all who stood in line before have had their turn.
    async fn end_group(self, number: u64) {
        let mut line = Arc::clone(&self.0.line).lock_owned().await;
        if self.group().number == number {
            self.end(&mut line).await;
        }
    }

    /// What is not known to be durable is not: the connection goes, and with it its transaction.
    async fn broke(&self, line: &mut Option<AnyConnection>, error: &StoreError) {
        self.tell(|| Err(StoreError::NotDurable(error.to_string())));
        self.group().abandoned = false;
        if let Some(connection) = line.take() {
            // It goes either way.
            let _ = connection.close_hard().await;
        }
    }

    fn tell(&self, outcome: impl Fn() -> Result<(), StoreError>) {
        // First: who was told asks for what they stored.
        self.0.commits.fetch_add(1, Ordering::Release);
        let mut group = self.group();
        group.open = false;
        for member in group.members.drain(..) {
            // Who went away does not want to know.
            let _ = member.send(outcome());
        }
    }

    /// A panic elsewhere leaves it whole: each change is one assignment.
    fn group(&self) -> MutexGuard<'_, Group> {
        self.0.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    pub(super) fn dialect(&self) -> Dialect {
        self.writer.place().dialect
    }

    /// Makes the work durable, together with that of whoever else waits.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of it was stored.
    pub(super) async fn keep(self) -> Result<(), StoreError> {
        to_its_end(async move {
            let (tell, told) = oneshot::channel();
            let (writer, number) = self.release(Some(tell)).await?;
            writer.end_group(number).await;
            told.await.unwrap_or(Err(StoreError::Closed))
        })
        .await
    }

    /// Takes the work back.
    ///
    /// # Errors
    /// [`StoreError`] when the connection broke; nothing was stored either way.
    pub(super) async fn undo(self) -> Result<(), StoreError> {
        to_its_end(async move {
            let (writer, number) = self.release(None).await?;
            tokio::spawn(writer.end_group(number));
            Ok(())
        })
        .await
    }

    async fn release(
        mut self,
        member: Option<oneshot::Sender<Result<(), StoreError>>>,
    ) -> Result<(Writer, u64), StoreError> {
        if member.is_none() {
            sqlx::raw_sql(UNDO).execute(&mut *self.connection).await?;
        }
        sqlx::raw_sql(KEEP).execute(&mut *self.connection).await?;
        self.ended = true;
        let writer = self.writer.clone();
        let mut group = writer.group();
        group.members.extend(member);
        let number = group.number;
        drop(group);
        Ok((writer, number))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut group = self.writer.group();
        group.abandoned = true;
        let number = group.number;
        drop(group);
        // Without a runtime the next turn tidies up.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self.writer.clone().end_group(number));
        }
    }
}

impl Deref for Turn {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

async fn run(line: &mut Option<AnyConnection>, statement: &'static str) -> Result<(), StoreError> {
    let Some(connection) = line else { return Err(StoreError::Closed) };
    sqlx::raw_sql(statement).execute(connection).await?;
    Ok(())
}

/// As a task: it goes on when its caller goes away.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.unwrap_or(Err(StoreError::Closed))
}

#[cfg(test)]
mod tests;
