//! What is said later of a transaction: another value, or that it did not happen.

use super::{
    Fault,
    batch::Verdict,
    check::{Frame, money, text},
    facts::{Standing, family},
    follow::{Effects, Follow},
    row::{adjustment_key, transaction_key},
    time,
};
use crate::store::{NewFact, StoreError, Taken, Writing};
use protocol::{
    digest::Digest,
    intake::{Adjustment, MAX_ID_BYTES, Reason, Retraction, Scope},
    offer::Money,
};
use std::collections::HashMap;

/// A change, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Of which transaction.
    pub key: Digest,
    /// Of the row as sent.
    pub digest: Digest,
    /// Since when it counts as known, Unix milliseconds.
    pub known_unix_ms: i64,
    /// What.
    pub what: What,
}

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The value, since a time.
    Value(Money, i64),
    /// That it happened.
    Retracted,
}

/// Checks an adjustment.
///
/// # Errors
/// [`Fault`].
pub fn adjustment(frame: &Frame, row: Adjustment) -> Result<Change, Fault> {
    let digest = Digest::of(&serde_json::to_vec(&row).unwrap_or_default());
    let at_unix_ms = time::read("adjustment_timestamp", &row.adjustment_timestamp)?;
    let known_unix_ms = frame.known_unix_ms(at_unix_ms);
    time::plausible("adjustment_timestamp", at_unix_ms, known_unix_ms)?;
    let value = money(row.conversion_value, Some(&row.currency))?;
    let key = key(frame, row.source, row.transaction_id)?;
    Ok(Change { key, digest, known_unix_ms, what: What::Value(value, at_unix_ms) })
}

/// Checks a retraction.
///
/// # Errors
/// [`Fault`].
pub fn retraction(frame: &Frame, row: Retraction) -> Result<Change, Fault> {
    let digest = Digest::of(&serde_json::to_vec(&row).unwrap_or_default());
    let known_unix_ms = frame.known_unix_ms(frame.received_unix_ms);
    let key = key(frame, row.source, row.transaction_id)?;
    Ok(Change { key, digest, known_unix_ms, what: What::Retracted })
}

fn key(frame: &Frame, scope: Option<Scope>, transaction: String) -> Result<Digest, Fault> {
    let scope = scope.unwrap_or(Scope::Conversion);
    if !frame.scopes.contains(&scope) {
        return Err(Fault::new(Reason::WrongSource, "source is not taken at this path"));
    }
    let transaction = text("transaction_id", transaction, MAX_ID_BYTES)?;
    Ok(transaction_key(scope, &frame.destination, &transaction))
}

/// Takes changes in; one verdict a row.
pub(super) async fn take(
    writing: &mut Writing,
    follow: &dyn Follow,
    changes: Vec<Result<Change, Fault>>,
    keep: bool,
    now_unix_ms: i64,
) -> Result<Vec<Result<Verdict, Fault>>, StoreError> {
    let keys: Vec<Digest> = changes
        .iter()
        .flatten()
        .flat_map(|change| [change.key, adjustment_key(&change.key)])
        .collect();
    let mut taken = writing.taken(&keys).await?;
    let mut effects = Effects::default();
    let mut facts: HashMap<_, Vec<NewFact>> = HashMap::new();
    let mut verdicts = Vec::with_capacity(changes.len());
    for change in changes {
        verdicts.push(match change {
            Err(fault) => Err(fault),
            Ok(change) => judge(writing, &mut taken, &mut facts, &change).await?,
        });
    }
    if !keep {
        return Ok(verdicts);
    }
    let mut facts: Vec<NewFact> = facts.into_values().flatten().collect();
    facts.sort_by_key(|new| (new.fact.known_unix_ms, new.id));
    writing.put_facts(&facts).await?;
    let changed: Vec<_> = keys.iter().filter_map(|key| Some((*key, *taken.get(key)?))).collect();
    let changed: HashMap<_, _> = changed.into_iter().collect();
    writing.put_taken(&changed.into_iter().collect::<Vec<_>>(), now_unix_ms).await?;
    let people: Vec<_> = facts.iter().map(|fact| fact.person).collect();
    let subjects = writing.groups_of(&people).await?;
    let roots: HashMap<_, _> = subjects.iter().map(|node| (node.person, node.root)).collect();
    for NewFact { person, fact, .. } in facts {
        let root = roots.get(&person).copied().unwrap_or(person);
        effects.facts.entry(root).or_default().push(fact);
    }
    follow.follow(writing, &effects, now_unix_ms).await?;
    Ok(verdicts)
}

async fn judge(
    writing: &mut Writing,
    taken: &mut HashMap<Digest, Taken>,
    new: &mut HashMap<Digest, Vec<NewFact>>,
    change: &Change,
) -> Result<Result<Verdict, Fault>, StoreError> {
    let state_key = adjustment_key(&change.key);
    let before = taken.get(&state_key).copied();
    let Some(known) = taken.get_mut(&change.key) else {
        let detail = "no transaction is known under this transaction_id: send it first, or its \
             person was erased or said no";
        return Ok(Err(Fault::new(Reason::UnknownTransaction, detail)));
    };
    if known.retracted {
        return Ok(match change.what {
            What::Retracted => Ok(Verdict::Duplicate),
            What::Value(..) => {
                let detail = "the transaction was retracted: send it under a new transaction_id";
                Err(Fault::new(Reason::Retracted, detail))
            }
        });
    }
    if let (What::Value(_, at), Some(before)) = (change.what, before) {
        if before.at_unix_ms > at {
            let detail = "a newer adjustment is in effect: nothing to do";
            return Ok(Err(Fault::new(Reason::Superseded, detail)));
        }
        if before.at_unix_ms == at {
            let detail = "another adjustment has the same adjustment_timestamp: send a newer one";
            let same = before.digest == change.digest;
            return Ok(if same {
                Ok(Verdict::Duplicate)
            } else {
                Err(Fault::new(Reason::Conflict, detail))
            });
        }
    }
    let mut found =
        writing.facts_by_id(known.person, known.at_unix_ms, &family(known.fact)).await?;
    let pending = new.get(&change.key).into_iter().flatten();
    found.extend(pending.map(|one| (one.id, one.fact.clone())));
    let Some(standing) = Standing::new(known.fact, found) else {
        let detail = "the transaction is past its age and was deleted: nothing to do";
        return Ok(Err(Fault::new(Reason::UnknownTransaction, detail)));
    };
    let facts = match change.what {
        What::Retracted => {
            known.retracted = true;
            standing.retracted(known.person, change.known_unix_ms)
        }
        What::Value(value, at_unix_ms) => {
            if standing.value().is_some_and(|before| before.currency != value.currency) {
                let detail = "currency is not that of the transaction: send the same";
                return Ok(Err(Fault::new(Reason::OtherCurrency, detail)));
            }
            if !standing.adjustable() {
                let detail = "the transaction was adjusted 50 times: retract it, and send it under \
                     a new transaction_id";
                return Ok(Err(Fault::new(Reason::Conflict, detail)));
            }
            let fact = standing.adjusted(known.person, value, change.known_unix_ms);
            let (person, digest) = (known.person, change.digest);
            let state = Taken { fact: fact.id, at_unix_ms, person, digest, retracted: false };
            taken.insert(state_key, state);
            vec![fact]
        }
    };
    new.entry(change.key).or_default().extend(facts);
    Ok(Ok(Verdict::Stored))
}
