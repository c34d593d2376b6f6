//! All that is stored about a person, as JSON: every row of every table of the
//! [inventory](super::inventory), bodies opened.

use super::{
    Holds, Store, StoreError, TABLES, bytes,
    seal::{PersonKey, person_hash},
};
use protocol::digest::Digest;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Column, Row, TypeInfo, ValueRef, sqlite::SqliteRow};
use std::fmt::Write;
use uuid::Uuid;

impl Store {
    /// Every row about a person, by table, as one moment has them.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Sealed`] if bodies are there and their key is not.
    pub async fn rows_of(&self, person: Uuid) -> Result<Map<String, Value>, StoreError> {
        let hash = person_hash(person);
        let key = self.keys.find(&hash).await?;
        let mut reading = self.readers.begin().await?;
        let mut tables = Map::new();
        for table in TABLES {
            let (condition, subject, sealed_to) = match table.holds {
                Holds::Rows { whose, sealed_to, .. } => {
                    (whose.to_owned(), bytes(&person), sealed_to)
                }
                Holds::Hashed(column, _) => (format!("{column} = ?1"), &hash.0[..], None),
                Holds::Nothing(_) => continue,
            };
            let query = format!("SELECT * FROM {} WHERE {condition}", table.name);
            let rows =
                sqlx::query(AssertSqlSafe(query)).bind(subject).fetch_all(&mut *reading).await?;
            let rows = rows.iter().map(|row| row_as_json(row, sealed_to, key.as_ref()));
            tables.insert(table.name.to_owned(), rows.collect::<Result<_, _>>()?);
        }
        Ok(tables)
    }
}

fn row_as_json(
    row: &SqliteRow,
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
fn value(row: &SqliteRow, column: &str) -> Result<Value, StoreError> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    Ok(match raw.type_info().name() {
        "INTEGER" => Value::from(row.try_get::<i64, _>(column)?),
        "BLOB" => {
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
