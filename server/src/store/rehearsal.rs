//! People in bulk, for measurements: as intake leaves them, without their facts.

use super::{Store, StoreError, Subject, sql};
use models::profile::Profile;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

impl Store {
    /// Adds people who were not there, with their profiles.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_profiles(
        &self,
        profiles: &[(Uuid, Profile)],
        changed_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        let subject = |person: Uuid| Subject { person, root: person, first_seen_unix_ms: 0 };
        let subjects: Vec<Subject> = profiles.iter().map(|(person, _)| subject(*person)).collect();
        writing.put_subjects(&subjects).await?;
        for part in profiles.chunks(sql::MOST_ROWS) {
            let query = AssertSqlSafe(format!(
                "INSERT INTO profiles (person, changed_unix_ms, due_unix_ms, nonce, sealed)
                 VALUES {}",
                writing.rows(part.len(), 5)
            ));
            let mut insert = sqlx::query(query);
            for (person, profile) in part {
                let key = writing.key(*person).await?;
                let sealed = key.seal(person.as_bytes(), &serde_json::to_vec(profile)?)?;
                insert = insert
                    .bind(person.as_bytes().to_vec())
                    .bind(changed_unix_ms)
                    .bind(i64::MAX)
                    .bind(sealed.nonce.to_vec())
                    .bind(sealed.bytes);
            }
            insert.execute(&mut *writing.transaction).await?;
        }
        writing.commit().await
    }
}
