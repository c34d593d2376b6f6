//! All that is stored about a person, as JSON: every row of every table of the
//! [inventory](super::inventory), bodies opened.

use super::{
    Holds, Store, StoreError, TABLES, bytes, id_of,
    seal::{PersonKey, person_hash},
    write,
};
use protocol::digest::Digest;
use serde_json::{Map, Value};
use sqlx::{
    AnyConnection, AssertSqlSafe, Column, Row, ValueRef,
    any::{AnyRow, AnyTypeInfoKind as Kind},
};
use std::fmt::Write;
use uuid::Uuid;

impl Store {
    /// Every row about a person, under every pseudonym that is linked to this one, by table, as one
    /// moment has them.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Sealed`] if bodies are there and their key is not.
    pub async fn rows_of(&self, person: Uuid) -> Result<Map<String, Value>, StoreError> {
        let mut tables = Map::new();
        let mut reading = self.readers.begin().await?;
        for person in linked(&mut reading, person).await? {
            let hash = person_hash(person);
            let key = self.keys.find(&hash).await?;
            for table in TABLES {
                let (condition, subject, sealed_to) = match table.holds {
                    Holds::Rows { whose, sealed_to, .. } => {
                        (whose.to_owned(), bytes(&person), sealed_to)
                    }
                    Holds::Hashed(column, _) => (format!("{column} = $1"), &hash.0[..], None),
                    Holds::Nothing(_) => continue,
                };
                let query = format!("SELECT * FROM {} WHERE {condition}", table.name);
                let rows = sqlx::query(AssertSqlSafe(query))
                    .bind(subject)
                    .fetch_all(&mut *reading)
                    .await?;
                let rows = rows.iter().map(|row| row_as_json(row, sealed_to, key.as_ref()));
                let rows: Vec<Value> = rows.collect::<Result<_, _>>()?;
                let all = tables.entry(table.name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(all) = all {
                    all.extend(rows);
                }
            }
        }
        Ok(tables)
    }

    /// A pseudonym, and those that are linked to it; none if nothing is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pseudonyms_of(&self, person: Uuid) -> Result<Vec<Uuid>, StoreError> {
        let mut reading = self.readers.begin().await?;
        let linked = linked(&mut reading, person).await?;
        let known = linked.len() > 1 || write::owner(&mut reading, person).await?.is_some() || {
            let query = sqlx::query_scalar("SELECT count(*) FROM subjects WHERE person = $1");
            let count: i64 = query.bind(bytes(&person)).fetch_one(&mut *reading).await?;
            count > 0
        };
        Ok(if known { linked } else { vec![] })
    }
}

/// A pseudonym, and those that are linked to it.
async fn linked(reading: &mut AnyConnection, person: Uuid) -> Result<Vec<Uuid>, StoreError> {
    let others: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT person FROM subjects WHERE person <> $1
             AND root = (SELECT root FROM subjects WHERE person = $1)
         ORDER BY first_seen_unix_ms, person",
    )
    .bind(bytes(&person))
    .fetch_all(reading)
    .await?;
    let others = others.iter().map(|other| id_of(other));
    std::iter::once(Ok(person)).chain(others).collect()
}

fn row_as_json(
    row: &AnyRow,
    sealed_to: Option<&str>,
    key: Option<&PersonKey>,
) -> Result<Value, StoreError> {
    let mut object = Map::new();
    for column in row.columns().iter().map(Column::name) {
        if sealed_to.is_some() && ["nonce", "sealed"].contains(&column) {
            continue;
        }
        object.insert(column.to_owned(), value(row, column)?);
    }
    if let Some(sealed_to) = sealed_to {
        let key = key.ok_or(StoreError::Sealed)?;
        let (nonce, sealed) = (row.try_get("nonce")?, row.try_get("sealed")?);
        object.insert("body".to_owned(), key.open(row.try_get(sealed_to)?, nonce, sealed)?);
    }
    Ok(Value::Object(object))
}

/// Ids as UUIDs, digests and keys as hexadecimal digits.
fn value(row: &AnyRow, column: &str) -> Result<Value, StoreError> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    Ok(match raw.type_info().kind() {
        Kind::SmallInt | Kind::Integer | Kind::BigInt => {
            Value::from(row.try_get::<i64, _>(column)?)
        }
        Kind::Real | Kind::Double => Value::from(row.try_get::<f64, _>(column)?),
        Kind::Blob => {
            let blob: &[u8] = row.try_get(column)?;
            match (<[u8; 16]>::try_from(blob), <[u8; 32]>::try_from(blob)) {
                (Ok(id), _) => Value::from(Uuid::from_bytes(id).to_string()),
                (_, Ok(digest)) => Value::from(Digest(digest).to_string()),
                _ => Value::from(hexadecimal(blob)),
            }
        }
        _ => Value::from(row.try_get::<&str, _>(column)?),
    })
}

fn hexadecimal(blob: &[u8]) -> String {
    blob.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    #[tokio::test]
    async fn many_who_ask_at_once_do_not_wait_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let asked = join_all((0..16).map(|n| store.pseudonyms_of(Uuid::from_u128(n)))).await;
        assert!(asked.iter().all(|known| known.as_ref().is_ok_and(Vec::is_empty)), "{asked:?}");
    }
}
