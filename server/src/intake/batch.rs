//! A batch of rows against the database: recognised, judged by consent, ascribed to people, stored.
//!
//! **Invariants.** The order is fixed: every No of the batch counts before any row is looked at, so
//! that no order of rows lets one through; a row that came before is recognised before anything
//! else is said of it; no identifier is linked and nothing is stored before consent was found.

use super::{
    Fault,
    facts::{self, source},
    follow::{Effects, Follow},
    identity::Directory,
    row::{Identifier, Refused, Row, Said as Statement, Who},
};
use crate::store::{
    Action, Actor, Chain, Entry, NewFact, Said, StoreError, Taken, Writing, person_hash,
};
use protocol::{
    consent::{Modality, Purpose, Recipient},
    digest::Digest,
    intake::{ConsentStatus, Reason, Scope},
};
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was stored.
    Stored,
    /// It was stored before.
    Duplicate,
}

/// What the database knows about a batch, and what is to be written.
#[derive(Debug, Default)]
struct Batch {
    directory: Directory,
    statements: HashMap<(Uuid, Scope), Said>,
    taken: HashMap<Digest, Taken>,
    erased: HashMap<Digest, i64>,
    /// What devices say, by their pseudonyms.
    chains: HashMap<Uuid, Chain>,
    new_statements: HashMap<(Uuid, Scope, bool), i64>,
    new_facts: Vec<NewFact>,
    new_taken: Vec<(Digest, Taken)>,
    /// Who said No, and about what.
    denied: BTreeSet<(Uuid, Scope)>,
    now_unix_ms: i64,
}

/// Takes rows in; one verdict a row. With `keep` false nothing is written.
pub(super) async fn take(
    writing: &mut Writing,
    follow: &dyn Follow,
    rows: Vec<Result<Row, Box<Refused>>>,
    keep: bool,
    now_unix_ms: i64,
) -> Result<Vec<Result<Verdict, Fault>>, StoreError> {
    let mut batch = load(writing, &rows, now_unix_ms).await?;
    for row in &rows {
        match row {
            Ok(row) if denies(&row.said) => batch.note(&row.said),
            Err(refused) => {
                if let Some(denial) = &refused.denial {
                    batch.note(denial);
                }
            }
            Ok(_) => {}
        }
    }
    let judge = |row: Result<Row, Box<Refused>>| match row {
        Ok(row) => batch.judge(row),
        Err(refused) => Err(refused.fault),
    };
    let verdicts = rows.into_iter().map(judge).collect();
    if keep {
        batch.write(writing, follow).await?;
    }
    Ok(verdicts)
}

/// Takes statements in; those that do not stand for somebody are faults, and a No of theirs counts.
pub(super) async fn state(
    writing: &mut Writing,
    follow: &dyn Follow,
    said: Vec<Result<Statement, Box<Refused>>>,
    keep: bool,
    now_unix_ms: i64,
) -> Result<Vec<Result<Verdict, Fault>>, StoreError> {
    let heard = said.iter().filter_map(|said| match said {
        Ok(said) => Some(&said.who),
        Err(refused) => refused.denial.as_ref().map(|denial| &denial.who),
    });
    let whos: Vec<&Who> = heard.collect();
    let mut batch = load_people(writing, &whos, false, now_unix_ms).await?;
    let mut verdicts = Vec::with_capacity(said.len());
    for said in said {
        verdicts.push(match said {
            Ok(said) => batch.not_erased(&said).map(|()| {
                batch.note(&said);
                Verdict::Stored
            }),
            Err(refused) => {
                if let Some(denial) = &refused.denial {
                    batch.note(denial);
                }
                Err(refused.fault)
            }
        });
    }
    if keep {
        batch.write(writing, follow).await?;
    }
    Ok(verdicts)
}

fn denies(said: &Statement) -> bool {
    Scope::ALL.iter().any(|&scope| said.consent.about(scope) == Some(ConsentStatus::Denied))
}

async fn load(
    writing: &mut Writing,
    rows: &[Result<Row, Box<Refused>>],
    now_unix_ms: i64,
) -> Result<Batch, StoreError> {
    let whos: Vec<&Who> = rows
        .iter()
        .filter_map(|row| match row {
            Ok(row) => Some(&row.said.who),
            Err(refused) => refused.denial.as_ref().map(|denial| &denial.who),
        })
        .collect();
    let behaviour = rows.iter().flatten().any(|row| row.scope == Scope::Behaviour);
    let mut batch = load_people(writing, &whos, behaviour, now_unix_ms).await?;
    let keys: Vec<Digest> = rows.iter().flatten().map(|row| row.key).collect();
    batch.taken = writing.taken(&keys).await?;
    Ok(batch)
}

async fn load_people(
    writing: &mut Writing,
    whos: &[&Who],
    behaviour: bool,
    now_unix_ms: i64,
) -> Result<Batch, StoreError> {
    let identifiers: HashSet<Identifier> =
        whos.iter().flat_map(|who| &who.identifiers).copied().collect();
    let devices: HashSet<Uuid> = whos.iter().filter_map(|who| who.device).collect();
    let known = writing.nodes_of(&identifiers).await?;
    let people: HashSet<Uuid> = known.values().chain(&devices).copied().collect();
    let people: Vec<Uuid> = people.into_iter().collect();
    let subjects = writing.groups_of(&people).await?;
    let nodes: Vec<Uuid> = subjects.iter().map(|node| node.person).collect();
    // Only what joins somebody can make a group too large.
    let joins = |who: &&Who| who.identifiers.len() + usize::from(who.device.is_some()) > 1;
    let counts = if whos.iter().any(joins) {
        writing.identifier_counts(&nodes).await?
    } else {
        HashMap::new()
    };
    let statements = writing.statements_of(&nodes).await?;
    let mut tombstones: Vec<Digest> = identifiers.iter().map(Identifier::tombstone).collect();
    tombstones.extend(devices.iter().map(|device| person_hash(*device)));
    let erased = writing.erased_of(&tombstones).await?;
    let mut devices_chains = HashMap::new();
    if behaviour || !devices.is_empty() {
        let candidates: HashSet<Uuid> = nodes.iter().chain(&devices).copied().collect();
        let candidates: Vec<Uuid> = candidates.into_iter().collect();
        let brought = writing.devices_of(&candidates).await?;
        devices_chains = writing.chains(&brought).await?;
    }
    Ok(Batch {
        directory: Directory::new(known, subjects, &counts),
        statements,
        erased,
        chains: devices_chains,
        now_unix_ms,
        ..Batch::default()
    })
}

impl Batch {
    /// Keeps what somebody said, with the nodes that the identifiers lead to: it is theirs should the
    /// group be taken apart. One about somebody unknown makes them known, so that it holds for what
    /// comes late; nobody who was erased becomes known by it.
    fn note(&mut self, said: &Statement) {
        if self.not_erased(said).is_err() {
            return;
        }
        let mut nodes: BTreeSet<Uuid> = self.directory.candidates(&said.who).collect();
        if nodes.is_empty() || self.directory.any_unknown(&said.who) {
            let identified = Who { device: None, ..said.who.clone() };
            let whole = if identified.identifiers.is_empty() { &said.who } else { &identified };
            // Linking nobody new: a shared identifier must not keep a No from being heard.
            if self.directory.find(&said.who).len() < 2 {
                nodes.extend(self.directory.resolve(whole, self.now_unix_ms).ok());
            }
        }
        for node in nodes {
            self.keep_said(node, said);
        }
    }

    fn keep_said(&mut self, node: Uuid, said: &Statement) {
        for scope in Scope::ALL {
            let Some(status) = said.consent.about(scope) else { continue };
            let known = self.statements.entry((node, scope)).or_default();
            let (newest, granted) = match status {
                ConsentStatus::Granted => (&mut known.granted_unix_ms, true),
                ConsentStatus::Denied => (&mut known.denied_unix_ms, false),
            };
            if newest.is_none_or(|newest| newest < said.at_unix_ms) {
                *newest = Some(said.at_unix_ms);
                self.new_statements.insert((node, scope, granted), said.at_unix_ms);
                if !granted {
                    self.denied.insert((node, scope));
                }
            }
        }
    }

    fn judge(&mut self, row: Row) -> Result<Verdict, Fault> {
        if let Some(known) = self.taken.get(&row.key) {
            if known.digest == row.digest {
                return Ok(Verdict::Duplicate);
            }
            let detail = "transaction_id was used before for another row: give each its own, and \
                 change values by an adjustment";
            return Err(Fault::new(Reason::Conflict, detail));
        }
        self.not_erased(&row.said)?;
        self.permitted(&row)?;
        let person = self.directory.resolve(&row.said.who, self.now_unix_ms)?;
        self.keep_said(person, &row.said);
        let (key, digest, id) = (row.key, row.digest, Uuid::now_v7());
        let at_unix_ms = row.said.at_unix_ms;
        let taken = Taken { fact: id, at_unix_ms, person, digest, retracted: false };
        self.taken.insert(key, taken);
        self.new_taken.push((key, taken));
        self.new_facts.extend(facts::of_row(row, id, person));
        Ok(Verdict::Stored)
    }

    /// What happened before somebody was erased is not taken any more; a device's pseudonym is
    /// never taken again.
    fn not_erased(&self, said: &Statement) -> Result<(), Fault> {
        let gone = |hash: &Digest| self.erased.get(hash).copied();
        let device = said.who.device.and_then(|device| gone(&person_hash(device)));
        let identified = said.who.identifiers.iter().filter_map(|one| gone(&one.tombstone()));
        if device.is_some() || identified.max().is_some_and(|erased| said.at_unix_ms <= erased) {
            let detail = "this person was erased after it happened: delete your copy, too";
            return Err(Fault::new(Reason::Erased, detail));
        }
        Ok(())
    }

    /// Whether the person allows it, by the newest that they said, in whatever order it came.
    fn permitted(&self, row: &Row) -> Result<(), Fault> {
        let no = |detail: &'static str| Err(Fault::new(Reason::NoConsent, detail));
        let (scope, who) = (row.scope, &row.said.who);
        let roots = self.directory.find(who);
        let nodes = || roots.iter().flat_map(|root| self.directory.nodes(*root));
        let said = nodes()
            .filter_map(|node| self.statements.get(&(*node, scope)))
            .fold(Said::default(), |all, one| all.and(*one));
        let stated = row.said.consent.about(scope);
        if stated == Some(ConsentStatus::Denied) {
            return no("the person said no to this kind of data: delete your copy, too");
        }
        if said.denied_unix_ms.is_some_and(|denied| denied >= row.said.at_unix_ms) {
            return no("the person said no to this kind of data since: delete your copy, too");
        }
        // A Yes of the row itself is newer than the last No, as the row is.
        let before = said.granted_unix_ms > said.denied_unix_ms;
        if stated.is_none() && !before {
            return no("nothing says that the person agreed to this kind of data: send consent");
        }
        if scope == Scope::Behaviour && nodes().any(|node| self.device_refuses(*node, row)) {
            return no("the consent of the person's device does not permit sharing behaviour");
        }
        let unproved = |device: Uuid| !self.chains.contains_key(&device);
        if who.device.is_some_and(|one| unproved(one) || self.device_refuses(one, row)) {
            return no("no consent receipt of the device named by device_pseudonym permits this");
        }
        Ok(())
    }

    /// Whether a pseudonym is that of a device whose receipts do not permit sharing behaviour, or
    /// have ended it since the row.
    fn device_refuses(&self, node: Uuid, row: &Row) -> bool {
        let Some(Chain { in_force, withdrawn_unix_ms }) = self.chains.get(&node) else {
            return false;
        };
        let (share, to) = (Purpose::Share, Recipient::Operator);
        !in_force.permits(Modality::Behaviour, share, to, self.now_unix_ms)
            || withdrawn_unix_ms.is_some_and(|withdrawn| row.said.at_unix_ms <= withdrawn)
    }

    async fn write(mut self, writing: &mut Writing, follow: &dyn Follow) -> Result<(), StoreError> {
        let now = self.now_unix_ms;
        let changes = self.directory.changes();
        let made: HashSet<Uuid> = changes.made.iter().map(|node| node.person).collect();
        if !made.is_empty() {
            writing.put_subjects(&changes.made).await?;
        }
        if !changes.linked.is_empty() {
            writing.put_identifiers(&changes.linked, now).await?;
        }
        let mut effects = Effects::default();
        for (from, into) in changes.merged_of_old() {
            writing.move_group(from, into).await?;
            effects.gone.insert(from);
            effects.rebuild.insert(self.directory.root(into));
            let result = "several identifiers of one row were known apart".to_owned();
            let entry = Entry {
                actor: Actor::Operator,
                action: Action::Link,
                about: Some(person_hash(into)),
                result,
            };
            writing.audit(&entry, now).await?;
        }
        let statements: Vec<_> = self
            .new_statements
            .iter()
            .map(|((node, scope, granted), at)| (*node, *scope, *granted, *at))
            .collect();
        writing.put_statements(&statements, now).await?;
        self.remove_denied(writing, &mut effects).await?;

        let people: HashSet<Uuid> = self.new_facts.iter().map(|fact| fact.person).collect();
        writing.load_keys(people.into_iter()).await?;
        writing.put_facts(&self.new_facts).await?;
        writing.put_taken(&self.new_taken, now).await?;
        self.new_facts.sort_by_key(|new| new.fact.known_unix_ms);
        for NewFact { person, fact, .. } in self.new_facts {
            let root = self.directory.root(person);
            if !effects.rebuild.contains(&root) {
                effects.facts.entry(root).or_default().push(fact);
            }
        }
        follow.follow(writing, &effects, now).await
    }

    /// Deletes what a No forbids: of who said it, and of groups that somebody who did has joined.
    async fn remove_denied(
        &self,
        writing: &mut Writing,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let denied = self.denied.iter().map(|(node, scope)| (self.directory.root(*node), *scope));
        let mut concerned: BTreeSet<(Uuid, Scope)> = denied.collect();
        for root in &effects.rebuild {
            concerned.extend(Scope::ALL.into_iter().map(|scope| (*root, scope)));
        }
        for (root, scope) in concerned {
            let nodes = self.directory.nodes(root);
            let said = nodes.iter().filter_map(|node| self.statements.get(&(*node, scope)));
            let Some(denied) = said.filter_map(|said| said.denied_unix_ms).max() else { continue };
            let removed = writing.remove_source(nodes, source(scope).name(), denied).await?;
            if removed == 0 && !self.denied.iter().any(|(node, _)| nodes.contains(node)) {
                continue;
            }
            if removed > 0 {
                effects.rebuild.insert(root);
                effects.forgotten.insert(root);
            }
            let result = format!("no to {}; deleted {removed} facts", scope.name());
            let entry = Entry {
                actor: Actor::Operator,
                action: Action::Withdrawal,
                about: Some(person_hash(root)),
                result,
            };
            writing.audit(&entry, self.now_unix_ms).await?;
        }
        Ok(())
    }
}
