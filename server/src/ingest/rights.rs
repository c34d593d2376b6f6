//! What a person may ask of the server through their device: a copy, and an end.

use super::{Denied, admit, erased, other_owner};
use crate::store::{Action, Actor, Entry, Removed, Store, Writing, person_hash};
use protocol::{problem::ErrorCode, signing::Signer};
use uuid::Uuid;

/// Admits a request for a copy of a person's data, and writes it down.
///
/// # Errors
/// [`Denied`].
pub async fn export_for(
    store: &Store,
    signer: &Signer,
    person: Uuid,
    now_unix_ms: i64,
) -> Result<(), Denied> {
    let mut writing = owned(store, signer, person, now_unix_ms).await?;
    let entry = Entry {
        actor: Actor::Device,
        action: Action::Export,
        about: Some(person_hash(person)),
        result: "exported".to_owned(),
    };
    writing.audit(&entry, now_unix_ms).await?;
    Ok(writing.commit().await?)
}

/// Erases a person, under every pseudonym that is linked to the device's; gives all of them.
///
/// # Errors
/// [`Denied`].
pub async fn erase_for(
    store: &Store,
    signer: &Signer,
    person: Uuid,
    now_unix_ms: i64,
) -> Result<(Removed, Vec<Uuid>), Denied> {
    let writing = owned(store, signer, person, now_unix_ms).await?;
    let erasing = writing.erase(person, Actor::Device, now_unix_ms).await?;
    let people = erasing.people().to_vec();
    Ok((erasing.commit().await?, people))
}

/// A transaction in which the signing device was found to own the pseudonym.
async fn owned(
    store: &Store,
    signer: &Signer,
    person: Uuid,
    now_unix_ms: i64,
) -> Result<Writing, Denied> {
    let mut writing = store.begin().await?;
    admit(&mut writing, signer, now_unix_ms).await?;
    match writing.owner(person).await? {
        Some(owner) if owner == signer.key.device_id() => Ok(writing),
        Some(_) => Err(other_owner()),
        None if writing.erased(person).await? => Err(erased()),
        None => Err(Denied::refused(ErrorCode::NotFound, "nothing is known about this person")),
    }
}
