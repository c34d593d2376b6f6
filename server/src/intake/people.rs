//! Who is who, as operators ask for it: look somebody up, link what is known apart, take a link away.

use super::{
    Fault,
    facts::source,
    follow::{Effects, Follow},
    identity::Directory,
    row::Who,
};
use crate::store::{Action, Actor, Entry, Store, StoreError, Subject, Writing, person_hash};
use protocol::{
    consent::{Modality, Purpose, Recipient},
    digest::Digest,
    intake::{Reason, Scope},
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use thiserror::Error;
use uuid::Uuid;

/// Somebody: a group of nodes that are one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The node that the group is named by.
    pub root: Uuid,
    /// Every node of the group, the oldest first.
    pub nodes: Vec<Uuid>,
}

/// Why somebody was not linked or taken apart.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Nobody.
    #[error("nobody is known by this: send a row about them first")]
    Unknown,
    /// The person was erased.
    #[error("this person was erased: nothing about them is kept")]
    Erased,
    /// The node stands alone.
    #[error("this person is linked to no other: there is nothing to take apart")]
    Alone,
    /// It cannot be.
    #[error("{}", .0.detail)]
    Fault(Fault),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whom identifiers lead to; several people if nothing has linked them.
///
/// # Errors
/// [`IdentityError::Unknown`] if to nobody.
pub async fn resolve(store: &Store, who: &Who) -> Result<Vec<Person>, IdentityError> {
    let mut writing = store.begin().await?;
    let (_, subjects) = load(&mut writing, who).await?;
    writing.rollback().await?;
    let people = people_of(subjects);
    if people.is_empty() { Err(IdentityError::Unknown) } else { Ok(people) }
}

/// Makes one person of all that the identifiers lead to. A device's pseudonym is linked only while
/// the device's consent receipt permits sharing behaviour with the operator.
///
/// # Errors
/// [`IdentityError`].
pub async fn link(
    store: &Store,
    follow: &dyn Follow,
    who: &Who,
    now_unix_ms: i64,
) -> Result<Person, IdentityError> {
    let mut writing = store.begin().await?;
    let (known, subjects) = load(&mut writing, who).await?;
    not_erased(&mut writing, who, &known).await?;
    if let Some(device) = who.device {
        let brought = writing.devices_of(&[device]).await?;
        let chains = writing.chains(&brought).await?;
        let permits = chains.get(&device).is_some_and(|chain| {
            let (share, to) = (Purpose::Share, Recipient::Operator);
            chain.in_force.permits(Modality::Behaviour, share, to, now_unix_ms)
        });
        if !permits {
            let detail = "no consent receipt of the device named by device_pseudonym permits this";
            return Err(IdentityError::Fault(Fault::new(Reason::NoConsent, detail)));
        }
    }
    if subjects.is_empty() {
        return Err(IdentityError::Unknown);
    }
    let nodes: Vec<Uuid> = subjects.iter().map(|node| node.person).collect();
    let counts = writing.identifier_counts(&nodes).await?;
    let mut directory = Directory::new(known, subjects, &counts);
    let home = directory.resolve(who, now_unix_ms).map_err(IdentityError::Fault)?;
    let changes = directory.changes();
    writing.put_subjects(&changes.made).await?;
    writing.put_identifiers(&changes.linked, now_unix_ms).await?;
    let mut effects = Effects::default();
    for (from, into) in changes.merged_of_old() {
        writing.move_group(from, into).await?;
        effects.gone.insert(from);
        audit(&mut writing, Action::Link, into, "asked for", now_unix_ms).await?;
    }
    let root = directory.root(home);
    if !effects.gone.is_empty() {
        effects.rebuild.insert(root);
        if forget_denied(&mut writing, root, directory.nodes(root), now_unix_ms).await? {
            effects.forgotten.insert(root);
        }
    }
    follow.follow(&mut writing, &effects, now_unix_ms).await?;
    let person = group(&mut writing, root).await?;
    writing.commit().await?;
    Ok(person)
}

/// Takes a node out of its group; if the others were named by it, they are named by their oldest
/// from now on. Gives both. A row that names both again links them again.
///
/// # Errors
/// [`IdentityError`].
pub async fn split(
    store: &Store,
    follow: &dyn Follow,
    node: Uuid,
    now_unix_ms: i64,
) -> Result<(Person, Person), IdentityError> {
    let mut writing = store.begin().await?;
    let whole = group(&mut writing, node).await?;
    let rest: Vec<Uuid> = whole.nodes.iter().copied().filter(|other| *other != node).collect();
    let Some(&oldest) = rest.first() else { return Err(IdentityError::Alone) };
    let rest_root = if whole.root == node { oldest } else { whole.root };
    writing.set_root(node, node).await?;
    for other in rest {
        writing.set_root(other, rest_root).await?;
    }
    audit(&mut writing, Action::Split, node, "taken out", now_unix_ms).await?;
    audit(&mut writing, Action::Split, rest_root, "left behind", now_unix_ms).await?;
    let parts = BTreeSet::from([node, rest_root]);
    let effects = Effects { rebuild: parts.clone(), forgotten: parts, ..Effects::default() };
    follow.follow(&mut writing, &effects, now_unix_ms).await?;
    let (alone, rest) = (group(&mut writing, node).await?, group(&mut writing, rest_root).await?);
    writing.commit().await?;
    Ok((alone, rest))
}

type Known = HashMap<super::Identifier, Uuid>;

async fn load(writing: &mut Writing, who: &Who) -> Result<(Known, Vec<Subject>), StoreError> {
    let identifiers: HashSet<_> = who.identifiers.iter().copied().collect();
    let known = writing.nodes_of(&identifiers).await?;
    let people: HashSet<Uuid> = known.values().copied().chain(who.device).collect();
    let people: Vec<Uuid> = people.into_iter().collect();
    let subjects = writing.groups_of(&people).await?;
    Ok((known, subjects))
}

async fn group(writing: &mut Writing, node: Uuid) -> Result<Person, IdentityError> {
    if writing.erased(node).await? {
        return Err(IdentityError::Erased);
    }
    let mut people = people_of(writing.groups_of(&[node]).await?);
    people.pop().ok_or(IdentityError::Unknown)
}

fn people_of(mut subjects: Vec<Subject>) -> Vec<Person> {
    subjects.sort_by_key(|node| (node.first_seen_unix_ms, node.person));
    let mut people: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for node in subjects {
        people.entry(node.root).or_default().push(node.person);
    }
    people.into_iter().map(|(root, nodes)| Person { root, nodes }).collect()
}

/// Nobody erased is brought back by a link: neither a device nor an identifier that leads nowhere
/// since.
async fn not_erased(writing: &mut Writing, who: &Who, known: &Known) -> Result<(), IdentityError> {
    let unknown = who.identifiers.iter().filter(|one| !known.contains_key(one));
    let mut hashes: Vec<Digest> = unknown.map(super::Identifier::tombstone).collect();
    hashes.extend(who.device.map(person_hash));
    let erased = writing.erased_of(&hashes).await?;
    if erased.is_empty() { Ok(()) } else { Err(IdentityError::Erased) }
}

/// A No of any of them is a No of all. Gives whether anything went.
async fn forget_denied(
    writing: &mut Writing,
    root: Uuid,
    nodes: &[Uuid],
    now_unix_ms: i64,
) -> Result<bool, StoreError> {
    let statements = writing.statements_of(nodes).await?;
    let mut any = false;
    for scope in Scope::ALL {
        let said = nodes.iter().filter_map(|node| statements.get(&(*node, scope)));
        let Some(denied) = said.filter_map(|said| said.denied_unix_ms).max() else { continue };
        let removed = writing.remove_source(nodes, source(scope).name(), denied).await?;
        if removed > 0 {
            let result = format!("no to {}; deleted {removed} facts", scope.name());
            audit(writing, Action::Withdrawal, root, &result, now_unix_ms).await?;
            any = true;
        }
    }
    Ok(any)
}

async fn audit(
    writing: &mut Writing,
    action: Action,
    about: Uuid,
    result: &str,
    now_unix_ms: i64,
) -> Result<(), StoreError> {
    let about = Some(person_hash(about));
    let entry = Entry { actor: Actor::Operator, action, about, result: result.to_owned() };
    writing.audit(&entry, now_unix_ms).await
}
