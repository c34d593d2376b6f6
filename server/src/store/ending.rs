//! People of whom nothing is left but their name: what was known of them has aged away, so that the
//! identifiers, what they said and their key serve no purpose any more.
//!
//! They are buried like the erased, so that a backup cannot bring them back; their pseudonyms were
//! made here and are never met again. What they are recognised by is free: should they come back,
//! they begin anew. Only who had said No is remembered by a hash, from the time of the No: what
//! happened before it is never taken.

use super::{
    Holds, Said, Store, StoreError, TABLES, Writing, id_of,
    inventory::OF_PERSON,
    retention::STEP_ROWS,
    seal::person_hash,
    sql::{MOST_ROWS, list},
};
use protocol::digest::Digest;
use sqlx::{AnyConnection, AssertSqlSafe};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// People who are long known, by the root of their group.
const LONG_KNOWN: &str = "SELECT person FROM subjects
    WHERE person > $1 AND root = person AND first_seen_unix_ms < $2 ORDER BY person LIMIT $3";

impl Store {
    /// Ends people of whom there is no fact, nothing of a device, nothing to recognise a repeat by,
    /// and no statement or identifier from after a time. Gives how many.
    ///
    /// # Errors
    /// [`StoreError`]; who went before the failure is gone.
    pub(super) async fn forget_people(
        &self,
        before: i64,
        now_unix_ms: i64,
    ) -> Result<u64, StoreError> {
        let (mut forgotten, mut after) = (0, Vec::new());
        loop {
            let roots: Vec<Vec<u8>> = sqlx::query_scalar(LONG_KNOWN)
                .bind(after)
                .bind(before)
                .bind(STEP_ROWS)
                .fetch_all(&self.readers)
                .await?;
            let people: Vec<Uuid> =
                roots.iter().map(|root| id_of(root)).collect::<Result<_, _>>()?;
            for some in people.chunks(MOST_ROWS) {
                let mut reader = self.readers.acquire().await?;
                let nodes = with_nothing_left(&mut reader, some, before).await?;
                drop(reader);
                let roots: BTreeSet<Uuid> = nodes.iter().map(|(_, root)| *root).collect();
                if !roots.is_empty() {
                    let roots: Vec<Uuid> = roots.into_iter().collect();
                    forgotten += self.forget_some(&roots, before, now_unix_ms).await?;
                }
            }
            match roots.into_iter().last() {
                Some(last) => after = last,
                None => return Ok(forgotten),
            }
        }
    }

    async fn forget_some(
        &self,
        roots: &[Uuid],
        before: i64,
        now_unix_ms: i64,
    ) -> Result<u64, StoreError> {
        let mut writing = self.begin().await?;
        // Something may have come in since they were found.
        let nodes = with_nothing_left(&mut writing.transaction, roots, before).await?;
        if nodes.is_empty() {
            writing.rollback().await?;
            return Ok(0);
        }
        let mut buried = writing.denials_of(&nodes).await?;
        let hashes: Vec<Digest> = nodes.iter().map(|(node, _)| person_hash(*node)).collect();
        buried.extend(hashes.iter().map(|hash| (*hash, now_unix_ms)));
        self.keys.bury_all(&buried).await?;
        for some in nodes.chunks(MOST_ROWS) {
            writing.remove_nodes(some).await?;
        }
        writing.commit().await?;
        self.keys.shred_all(&hashes).await?;
        let roots: BTreeSet<Uuid> = nodes.iter().map(|(_, root)| *root).collect();
        Ok(roots.len() as u64)
    }
}

impl Writing {
    /// By what those of these people are recognised who had said No, and when they last did.
    async fn denials_of(
        &mut self,
        nodes: &[(Uuid, Uuid)],
    ) -> Result<Vec<(Digest, i64)>, StoreError> {
        let roots: HashMap<Uuid, Uuid> = nodes.iter().copied().collect();
        let people: Vec<Uuid> = roots.keys().copied().collect();
        let mut denied: HashMap<Uuid, i64> = HashMap::new();
        for ((node, _), Said { denied_unix_ms, .. }) in self.statements_of(&people).await? {
            if let (Some(root), Some(at_unix_ms)) = (roots.get(&node), denied_unix_ms) {
                let newest = denied.entry(*root).or_insert(at_unix_ms);
                *newest = (*newest).max(at_unix_ms);
            }
        }
        let identifiers = self.identifiers_of(&people).await?;
        let denial = |(identifier, node): &(crate::intake::Identifier, Uuid)| {
            Some((identifier.tombstone(), *denied.get(roots.get(node)?)?))
        };
        Ok(identifiers.iter().filter_map(denial).collect())
    }

    async fn remove_nodes(&mut self, nodes: &[(Uuid, Uuid)]) -> Result<(), StoreError> {
        for table in TABLES {
            let Holds::Rows { erased: OF_PERSON, .. } = table.holds else { continue };
            let delete =
                format!("DELETE FROM {} WHERE person IN {}", table.name, list(1, nodes.len()));
            let mut query = sqlx::query(AssertSqlSafe(delete)).persistent(false);
            for (node, _) in nodes {
                query = query.bind(node.as_bytes().to_vec());
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }
}

/// The nodes of those groups of which nothing is left, with their roots.
async fn with_nothing_left(
    connection: &mut AnyConnection,
    roots: &[Uuid],
    before: i64,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let roots_list = list(2, roots.len());
    let query = format!(
        "SELECT person, root FROM subjects WHERE root IN {roots_list} AND root NOT IN (
             SELECT s.root FROM subjects AS s WHERE s.root IN {roots_list} AND (
                 s.first_seen_unix_ms >= $1
                 OR EXISTS (SELECT 1 FROM facts AS f WHERE f.person = s.person)
                 OR EXISTS (SELECT 1 FROM people AS p WHERE p.person = s.person)
                 OR EXISTS (SELECT 1 FROM taken AS t WHERE t.person = s.person)
                 OR EXISTS (SELECT 1 FROM orders AS r WHERE r.person = s.person)
                 OR EXISTS (SELECT 1 FROM statements AS said
                     WHERE said.person = s.person AND said.received_unix_ms >= $1)
                 OR EXISTS (SELECT 1 FROM identifiers AS i
                     WHERE i.person = s.person AND i.linked_unix_ms >= $1)))"
    );
    let full = roots.len() == MOST_ROWS;
    let mut query = sqlx::query_as(AssertSqlSafe(query)).persistent(full).bind(before);
    for root in roots {
        query = query.bind(root.as_bytes().to_vec());
    }
    let rows: Vec<(Vec<u8>, Vec<u8>)> = query.fetch_all(connection).await?;
    rows.iter().map(|(node, root)| Ok((id_of(node)?, id_of(root)?))).collect()
}

#[cfg(test)]
mod tests;
