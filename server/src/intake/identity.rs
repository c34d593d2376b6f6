//! Who is who: identifiers lead to nodes, and nodes that turn out to be one person share a root.
//!
//! Sans-I/O: a [`Directory`] holds what the database knows about the people of a batch, answers, and
//! collects what changes.

use super::{
    Fault,
    row::{Identifier, Who},
};
use crate::store::Subject;
use protocol::intake::Reason;
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// Most nodes of one person: a number that more people share is nobody's.
pub const MOST_NODES: usize = 16;
/// Most identifiers of one person.
pub const MOST_IDENTIFIERS: usize = 32;

/// What is known about the people of a batch.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    known: HashMap<Identifier, Uuid>,
    nodes: HashMap<Uuid, Subject>,
    groups: HashMap<Uuid, Group>,
    changes: Changes,
}

#[derive(Debug, Clone, Default)]
struct Group {
    nodes: Vec<Uuid>,
    identifiers: usize,
}

/// What a batch changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Nodes that were made; their roots are those at the end of the batch.
    pub made: Vec<Subject>,
    /// Identifiers that lead to a node from now on.
    pub linked: Vec<(Identifier, Uuid)>,
    /// Roots of groups that became part of another, with its root, in order.
    pub merged: Vec<(Uuid, Uuid)>,
}

impl Directory {
    /// From what the database knows.
    pub fn new(
        known: HashMap<Identifier, Uuid>,
        nodes: impl IntoIterator<Item = Subject>,
        identifier_counts: &HashMap<Uuid, usize>,
    ) -> Self {
        let mut directory = Self { known, ..Self::default() };
        for node in nodes {
            let group = directory.groups.entry(node.root).or_default();
            group.nodes.push(node.person);
            group.identifiers += identifier_counts.get(&node.person).copied().unwrap_or_default();
            directory.nodes.insert(node.person, node);
        }
        directory
    }

    /// What was changed since the beginning.
    pub fn changes(&self) -> Changes {
        let mut changes = self.changes.clone();
        for made in &mut changes.made {
            made.root = self.root(made.person);
        }
        changes
    }

    /// The root of a node; of one that is not known, itself.
    #[must_use]
    pub fn root(&self, node: Uuid) -> Uuid {
        self.nodes.get(&node).map_or(node, |found| found.root)
    }

    /// The nodes of a group.
    #[must_use]
    pub fn nodes(&self, root: Uuid) -> &[Uuid] {
        self.groups.get(&root).map_or(&[], |group| &group.nodes)
    }

    /// The groups that somebody's identifiers lead to.
    #[must_use]
    pub fn find(&self, who: &Who) -> BTreeSet<Uuid> {
        self.candidates(who).map(|node| self.root(node)).collect()
    }

    /// Whether any identifier leads nowhere yet.
    #[must_use]
    pub fn any_unknown(&self, who: &Who) -> bool {
        who.identifiers.iter().any(|one| !self.known.contains_key(one))
    }

    /// The node that a row is about: made if nobody is known, joined if several are.
    ///
    /// # Errors
    /// [`Fault`] `shared_identifier` if that would make one person of too many; nothing is changed
    /// then.
    pub fn resolve(&mut self, who: &Who, now_unix_ms: i64) -> Result<Uuid, Fault> {
        let unknown: Vec<Identifier> =
            who.identifiers.iter().filter(|one| !self.known.contains_key(one)).copied().collect();
        let new_device = who.device.filter(|device| !self.nodes.contains_key(device));
        let roots = self.find(who);
        let members = roots.iter().filter_map(|root| self.groups.get(root));
        let (nodes, identifiers) = members.fold((0, 0), |(nodes, identifiers), group| {
            (nodes + group.nodes.len(), identifiers + group.identifiers)
        });
        let known = who.identifiers.iter().find_map(|one| self.known.get(one)).copied();
        let nobody = known.is_none() && !who.identifiers.is_empty();
        if nodes + usize::from(new_device.is_some()) + usize::from(nobody) > MOST_NODES
            || identifiers + unknown.len() > MOST_IDENTIFIERS
        {
            let detail = "its identifiers would make one person of too many: an address or number \
                 that several people share identifies nobody; leave it out";
            return Err(Fault::new(Reason::SharedIdentifier, detail));
        }
        if let Some(device) = new_device {
            self.make(device, now_unix_ms);
        }
        // What is known of a person beside their device is a node of its own, to be taken apart.
        let home = match (known, who.device) {
            (Some(node), _) => node,
            (None, Some(device)) if who.identifiers.is_empty() => device,
            (None, _) => self.make(Uuid::now_v7(), now_unix_ms),
        };
        for identifier in unknown {
            self.known.insert(identifier, home);
            self.changes.linked.push((identifier, home));
            let root = self.root(home);
            self.groups.entry(root).or_default().identifiers += 1;
        }
        self.join(self.find(who));
        Ok(home)
    }

    /// Nodes that are known, the most trusted first.
    pub fn candidates<'a>(&'a self, who: &'a Who) -> impl Iterator<Item = Uuid> + 'a {
        let identified = who.identifiers.iter().filter_map(|one| self.known.get(one)).copied();
        identified.chain(who.device.filter(|device| self.nodes.contains_key(device)))
    }

    fn make(&mut self, person: Uuid, now_unix_ms: i64) -> Uuid {
        let node = Subject { person, root: person, first_seen_unix_ms: now_unix_ms };
        self.nodes.insert(person, node);
        self.groups.insert(person, Group { nodes: vec![person], identifiers: 0 });
        self.changes.made.push(node);
        person
    }

    /// Younger groups become part of the oldest.
    fn join(&mut self, roots: BTreeSet<Uuid>) {
        // Whoever was made by this batch is younger than anybody stored, whatever clocks say: a
        // root that is stored leads to no other.
        let made: HashSet<Uuid> = self.changes.made.iter().map(|node| node.person).collect();
        let age = |root: &Uuid| {
            let seen = self.nodes.get(root).map_or(i64::MAX, |node| node.first_seen_unix_ms);
            (made.contains(root), seen, *root)
        };
        let Some(oldest) = roots.iter().copied().min_by_key(age) else { return };
        for root in roots.into_iter().filter(|root| *root != oldest) {
            let Some(younger) = self.groups.remove(&root) else { continue };
            for node in &younger.nodes {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.root = oldest;
                }
            }
            let older = self.groups.entry(oldest).or_default();
            older.nodes.extend(younger.nodes);
            older.identifiers += younger.identifiers;
            self.changes.merged.push((root, oldest));
        }
    }
}

impl Changes {
    /// Merges of groups that were there before the batch: of new nodes nothing has to be moved.
    #[must_use]
    pub fn merged_of_old(&self) -> Vec<(Uuid, Uuid)> {
        let made: HashSet<Uuid> = self.made.iter().map(|node| node.person).collect();
        self.merged.iter().filter(|(from, _)| !made.contains(from)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::row::Kind;
    use proptest::prelude::*;

    fn email(name: &str) -> Identifier {
        Identifier::of_number(Kind::Email, name)
    }

    fn who(identifiers: &[Identifier]) -> Who {
        Who { identifiers: identifiers.to_vec(), device: None }
    }

    #[test]
    fn one_row_makes_one_person_and_several_identifiers_join_two() {
        let mut directory = Directory::default();
        let (a, b) = (email("a"), email("b"));
        let first = directory.resolve(&who(&[a]), 1).unwrap();
        assert_eq!(directory.resolve(&who(&[a]), 2), Ok(first));
        let second = directory.resolve(&who(&[b]), 2).unwrap();
        assert_ne!(directory.root(first), directory.root(second));
        assert_eq!(directory.resolve(&who(&[b, a]), 3), Ok(second));
        assert_eq!(directory.root(second), first, "the older is the root");
        let changes = directory.changes();
        assert_eq!(changes.made.len(), 2);
        assert_eq!(changes.made[1].root, first);
        assert_eq!(changes.linked, [(a, first), (b, second)]);
        assert_eq!(changes.merged, [(second, first)]);
        assert_eq!(changes.merged_of_old(), []);
    }

    #[test]
    fn whoever_is_stored_is_older_than_whoever_is_made() {
        // A device whose pseudonym sorts first, in a batch dated before the one stored.
        let (stored, device) = (Uuid::from_u128(9), Uuid::from_u128(1));
        let node = Subject { person: stored, root: stored, first_seen_unix_ms: 5 };
        let known = HashMap::from([(email("a"), stored)]);
        let mut directory = Directory::new(known, [node], &HashMap::new());
        let both = Who { identifiers: vec![email("a")], device: Some(device) };
        directory.resolve(&both, 4).unwrap();
        assert_eq!((directory.root(device), directory.root(stored)), (stored, stored));
        assert_eq!(directory.changes().merged_of_old(), []);
    }

    #[test]
    fn an_identifier_that_many_share_identifies_nobody() {
        let mut directory = Directory::default();
        let shared = email("shop@shop.example");
        let mut joined = 0;
        for number in 0..200 {
            let own = email(&format!("{number}"));
            joined += usize::from(directory.resolve(&who(&[shared, own]), number).is_ok());
        }
        assert_eq!(joined, MOST_IDENTIFIERS - 1);
        let mut directory = Directory::default();
        for number in 0..40 {
            directory.resolve(&who(&[email(&format!("{number}"))]), number).unwrap();
        }
        let results = (1..40).map(|number| {
            let pair = [email("0"), email(&format!("{number}"))];
            directory.resolve(&who(&pair), 99).map_err(|fault| fault.reason)
        });
        let results: Vec<_> = results.collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), MOST_NODES - 1);
        assert_eq!(results.last(), Some(&Err(Reason::SharedIdentifier)));
    }

    proptest! {
        /// Whoever was joined stays joined, nobody else is, and no group passes its bounds.
        #[test]
        fn groups_are_what_the_rows_connect(
            rows in proptest::collection::vec(proptest::collection::vec(0u8..30, 1..4), 0..40)
        ) {
            let mut directory = Directory::default();
            let mut model: Vec<BTreeSet<u8>> = Vec::new();
            for (now, row) in rows.iter().enumerate() {
                let identifiers: Vec<_> =
                    row.iter().map(|one| email(&one.to_string())).collect();
                if directory.resolve(&who(&identifiers), now as i64).is_ok() {
                    let mut joined: BTreeSet<u8> = row.iter().copied().collect();
                    model.retain(|group| {
                        let apart = group.is_disjoint(&joined);
                        if !apart {
                            joined.extend(group);
                        }
                        apart
                    });
                    model.push(joined);
                }
            }
            for group in &model {
                let roots: BTreeSet<Uuid> = group
                    .iter()
                    .flat_map(|one| directory.find(&who(&[email(&one.to_string())])))
                    .collect();
                prop_assert_eq!(roots.len(), 1);
                prop_assert!(group.len() <= MOST_IDENTIFIERS);
            }
            let all: BTreeSet<Uuid> = model
                .iter()
                .flatten()
                .flat_map(|one| directory.find(&who(&[email(&one.to_string())])))
                .collect();
            prop_assert_eq!(all.len(), model.len());
        }
    }
}
