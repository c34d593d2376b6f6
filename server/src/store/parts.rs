//! The parts of the time series on PostgreSQL: 30 days of event time each, made as facts come in,
//! so that what has expired goes with its table and not row by row.
//!
//! SQLite has no parts, and TimescaleDB makes its own of the same length.

use super::{StoreError, db::Dialect};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe};
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The length of a part, milliseconds; the schema tells TimescaleDB the same.
pub(super) const PART_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// Parts at most, 20 years: a question about one person asks each of them. What is beyond lies in
/// the rest.
const MOST_PARTS: usize = 240;

/// How the time series is kept; clones share what they know.
#[derive(Debug, Clone)]
pub(super) enum Parts {
    /// One table.
    None,
    /// TimescaleDB's own.
    Chunks,
    /// Ours: those that there are, by number since 1970.
    Ours(Arc<Mutex<Known>>),
}

#[derive(Debug, Default)]
pub(super) struct Known {
    made: BTreeSet<i64>,
    /// Those whose facts lie in the rest: they cannot have a part any more.
    rest: BTreeSet<i64>,
}

/// The part of a time.
pub(super) const fn part_of(at_unix_ms: i64) -> i64 {
    at_unix_ms.div_euclid(PART_MS)
}

/// The times of a part.
pub(super) const fn times_of(part: i64) -> Range<i64> {
    part.saturating_mul(PART_MS)..part.saturating_add(1).saturating_mul(PART_MS)
}

/// The table of a part.
pub(super) fn table_of(part: i64) -> String {
    if part < 0 { format!("facts_before_{}", part.unsigned_abs()) } else { format!("facts_{part}") }
}

fn part_named(table: &str) -> Option<i64> {
    let name = table.strip_prefix("facts_")?;
    match name.strip_prefix("before_") {
        Some(number) => Some(-number.parse::<i64>().ok()?),
        None => name.parse().ok(),
    }
}

impl Parts {
    pub(super) async fn load(dialect: Dialect, readers: &AnyPool) -> Result<Self, StoreError> {
        if dialect == Dialect::Sqlite {
            return Ok(Self::None);
        }
        let kind: Option<String> = sqlx::query_scalar(
            "SELECT CAST(relkind AS TEXT) FROM pg_class WHERE oid = to_regclass('facts')",
        )
        .fetch_optional(readers)
        .await?;
        // 'p' is a partitioned table.
        if kind.as_deref() != Some("p") {
            return Ok(Self::Chunks);
        }
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(c.relname AS TEXT) FROM pg_inherits AS i
             JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'facts'::regclass",
        )
        .fetch_all(readers)
        .await?;
        let made = tables.iter().filter_map(|table| part_named(table)).collect();
        Ok(Self::Ours(Arc::new(Mutex::new(Known { made, rest: BTreeSet::new() }))))
    }

    /// Makes the parts of these times that are not there; gives those it made, to be told to
    /// [`made`](Self::made) once they are durable.
    pub(super) async fn ensure(
        &self,
        connection: &mut AnyConnection,
        times: impl Iterator<Item = i64>,
    ) -> Result<Vec<i64>, StoreError> {
        let Self::Ours(known) = self else { return Ok(Vec::new()) };
        let mut wanted: BTreeSet<i64> = times.map(part_of).collect();
        let room = {
            let known = lock(known);
            wanted.retain(|part| !known.made.contains(part) && !known.rest.contains(part));
            MOST_PARTS.saturating_sub(known.made.len())
        };
        let mut made = Vec::new();
        for part in wanted {
            let Range { start, end } = times_of(part);
            let among_the_rest = sqlx::query(
                "SELECT 1 FROM facts_rest WHERE at_unix_ms >= $1 AND at_unix_ms < $2 LIMIT 1",
            )
            .bind(start)
            .bind(end)
            .fetch_optional(&mut *connection)
            .await?;
            if among_the_rest.is_some() || made.len() >= room || start >= end {
                lock(known).rest.insert(part);
                continue;
            }
            let make = format!(
                "CREATE TABLE IF NOT EXISTS {} PARTITION OF facts FOR VALUES FROM ({start}) TO ({end})",
                table_of(part)
            );
            sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *connection).await?;
            made.push(part);
        }
        Ok(made)
    }

    /// Those of ours that there are.
    pub(super) fn ours(&self) -> Vec<i64> {
        match self {
            Self::Ours(known) => lock(known).made.iter().copied().collect(),
            Self::None | Self::Chunks => Vec::new(),
        }
    }

    /// This one is gone.
    pub(super) fn dropped(&self, part: i64) {
        if let Self::Ours(known) = self {
            lock(known).made.remove(&part);
        }
    }

    /// These are there to stay.
    pub(super) fn made(&self, parts: &[i64]) {
        if let Self::Ours(known) = self {
            lock(known).made.extend(parts);
        }
    }
}

/// A panic elsewhere leaves it whole: at worst a part is asked for again.
fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_time_has_a_part_and_every_part_a_name(at in any::<i64>()) {
            let part = part_of(at);
            let times = times_of(part);
            // The outermost parts end where the numbers do.
            prop_assert!(times.contains(&at) || at == i64::MAX || times.start == i64::MIN);
            prop_assert_eq!(part_named(&table_of(part)), Some(part));
        }
    }

    #[test]
    fn other_tables_are_no_parts() {
        assert_eq!(part_named("facts_rest"), None);
        assert_eq!(part_named("facts"), None);
        assert_eq!(part_named("facts_before_x"), None);
    }
}
