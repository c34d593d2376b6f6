//! The models there are, as they came from training, and what became of each.

use super::{Store, StoreError, Writing};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// It serves. There is one at most.
    Champion,
    /// It forecasts beside the champion, and nobody is shown what it says.
    Challenger,
    /// It served.
    Retired,
    /// It was not good enough.
    Rejected,
}

impl ModelState {
    const ALL: [Self; 4] = [Self::Champion, Self::Challenger, Self::Retired, Self::Rejected];

    /// The name in the database and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
        }
    }

    fn named(name: &str) -> Result<Self, StoreError> {
        let found = Self::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or(StoreError::Range("the state of a model"))
    }
}

/// A model, without its content.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRow {
    /// Its id: the digest of its content.
    pub id: String,
    /// What it is for.
    pub state: ModelState,
    /// When it was registered, Unix milliseconds.
    pub created_unix_ms: i64,
    /// Where it comes from and how it did, JSON.
    pub lineage: Value,
}

impl ModelRow {
    /// Since when it is what it is: the time of the last decision about it.
    fn since_unix_ms(&self) -> i64 {
        let decisions = self.lineage.get("decisions").and_then(Value::as_array);
        let last = decisions.and_then(|decisions| decisions.last()?.get("at_unix_ms")?.as_i64());
        last.unwrap_or(self.created_unix_ms)
    }
}

type Row = (String, String, i64, String);

impl Store {
    /// The models of a kind, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn models(&self, kind: &str) -> Result<Vec<ModelRow>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, state, created_unix_ms, lineage FROM models WHERE kind = $1
             ORDER BY created_unix_ms DESC, id",
        )
        .bind(kind)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(model_of).collect()
    }

    /// A model of a kind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn model(&self, kind: &str, id: &str) -> Result<Option<ModelRow>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, state, created_unix_ms, lineage FROM models WHERE kind = $1 AND id = $2",
        )
        .bind(kind)
        .bind(id)
        .fetch_optional(&self.readers)
        .await?;
        row.map(model_of).transpose()
    }

    /// The content of a model; empty if it ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bundle(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let query = sqlx::query_scalar("SELECT bundle FROM models WHERE id = $1");
        Ok(query.bind(id).fetch_optional(&self.readers).await?)
    }

    /// Empties the content of models that are out of service since before; what is known of them
    /// stays. Gives how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn empty_models(&self, before: i64) -> Result<u64, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, state, created_unix_ms, lineage FROM models
             WHERE state IN ('retired', 'rejected') AND length(bundle) > 0",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut emptied = 0;
        for row in rows {
            let model = model_of(row)?;
            if model.since_unix_ms() >= before {
                continue;
            }
            let mut writing = self.begin().await?;
            let empty = sqlx::query(
                "UPDATE models SET bundle = $1
                 WHERE id = $2 AND state IN ('retired', 'rejected')",
            );
            let empty = empty.bind(Vec::new()).bind(&model.id);
            emptied += empty.execute(&mut *writing.transaction).await?.rows_affected();
            writing.commit().await?;
        }
        Ok(emptied)
    }
}

impl Writing {
    /// Adds a model; false if it is there already, which changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_model(
        &mut self,
        kind: &str,
        model: &ModelRow,
        bundle: &[u8],
    ) -> Result<bool, StoreError> {
        let added = sqlx::query(
            "INSERT INTO models (id, kind, state, created_unix_ms, lineage, bundle)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&model.id)
        .bind(kind)
        .bind(model.state.name())
        .bind(model.created_unix_ms)
        .bind(model.lineage.to_string())
        .bind(bundle)
        .execute(&mut *self.transaction)
        .await?;
        Ok(added.rows_affected() > 0)
    }

    /// Changes what a model is for and what is known of it.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn change_model(
        &mut self,
        id: &str,
        state: ModelState,
        lineage: &Value,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE models SET state = $1, lineage = $2 WHERE id = $3")
            .bind(state.name())
            .bind(lineage.to_string())
            .bind(id)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}

fn model_of((id, state, created_unix_ms, lineage): Row) -> Result<ModelRow, StoreError> {
    let (state, lineage) = (ModelState::named(&state)?, serde_json::from_str(&lineage)?);
    Ok(ModelRow { id, state, created_unix_ms, lineage })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{Rig, on_each};
    use serde_json::json;

    on_each![c16_what_models_out_of_service_hold_ends];

    async fn c16_what_models_out_of_service_hold_ends(Rig { store, .. }: Rig) {
        use ModelState::{Challenger, Champion, Rejected, Retired};
        let models = [
            ("served", Retired, 10),
            ("failed", Rejected, 10),
            ("late", Retired, 20),
            ("serves", Champion, 10),
            ("forecasts", Challenger, 10),
        ];
        let mut writing = store.begin().await.unwrap();
        for (id, state, decided) in models {
            let lineage = json!({"decisions": [{"at_unix_ms": 0}, {"at_unix_ms": decided}]});
            let row = ModelRow { id: id.into(), state, created_unix_ms: 0, lineage };
            assert!(writing.put_model("m", &row, b"content").await.unwrap());
        }
        writing.commit().await.unwrap();
        assert_eq!(store.empty_models(10).await.unwrap(), 0);
        assert_eq!(store.empty_models(11).await.unwrap(), 2);
        assert_eq!(store.empty_models(11).await.unwrap(), 0);
        for (id, ..) in models {
            let content = store.bundle(id).await.unwrap().unwrap();
            assert_eq!(content.is_empty(), ["served", "failed"].contains(&id), "{id}");
        }
        assert_eq!(store.models("m").await.unwrap().len(), 5, "what is known of them stays");
    }
}
