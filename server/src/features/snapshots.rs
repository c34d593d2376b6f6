//! What models learn from: everybody at past times, by the very code that serves.

use crate::store::{Store, StoreError};
use models::profile::{Cuts, Definitions, Snapshots};
use uuid::Uuid;

/// Groups read at once.
const AT_ONCE: u32 = 500;

/// Everybody at the cuts at which something was known of them, in the order of their roots: of the
/// same facts the same rows.
///
/// # Errors
/// [`StoreError`].
pub async fn snapshots(
    store: &Store,
    definitions: &Definitions,
    cuts: &Cuts,
) -> Result<Snapshots, StoreError> {
    let surroundings = store.surroundings().await?;
    let mut snapshots = Snapshots::default();
    let mut after = Uuid::nil();
    loop {
        let roots = store.roots_after(after, AT_ONCE).await?;
        let Some(last) = roots.last() else { return Ok(snapshots) };
        after = *last;
        for facts in store.facts_by_root(&roots).await?.values() {
            snapshots.add(definitions, cuts, &surroundings, facts);
        }
    }
}
