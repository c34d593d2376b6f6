//! What the shop took is a purchase: it is stored as one, so that whoever bought something is not asked
//! for it again.
//!
//! It is remembered as transaction ORDER-ID of the destination `orders`: a shop that reports it
//! under these names does not count it twice.

use super::life::Order;
use crate::{
    intake::{Effects, Follow, transaction_key},
    store::{NewFact, StoreError, Taken, Writing},
};
use models::{
    profile::{Fact, PART, Source},
    reorder::ORDER,
};
use protocol::{digest::Digest, intake::Scope};
use uuid::Uuid;

/// The destination under which they are remembered.
pub const DESTINATION: &str = "orders";

/// Stores a fulfilled order as a purchase, unless its person said No to that.
///
/// # Errors
/// [`StoreError`]; the turn is to be dropped then.
pub(super) async fn record(
    turn: &mut Writing,
    follow: &dyn Follow,
    order: &Order,
    now_unix_ms: i64,
) -> Result<(), StoreError> {
    let group = turn.groups_of(&[order.person()]).await?;
    let Some(root) = group.first().map(|node| node.root) else { return Ok(()) };
    let nodes: Vec<Uuid> = group.iter().map(|node| node.person).collect();
    let statements = turn.statements_of(&nodes).await?;
    let said = nodes.iter().filter_map(|node| statements.get(&(*node, Scope::Conversion)));
    let said = said.copied().reduce(crate::store::Said::and).unwrap_or_default();
    if said.denied_unix_ms > said.granted_unix_ms {
        return Ok(());
    }
    let key = transaction_key(Scope::Conversion, DESTINATION, &order.id().to_string());
    if turn.taken(&[key]).await?.contains_key(&key) {
        return Ok(());
    }
    let facts = facts(order, now_unix_ms);
    let new: Vec<NewFact> = facts
        .iter()
        .map(|fact| NewFact { id: Uuid::now_v7(), person: root, fact: fact.clone() })
        .collect();
    let Some(first) = new.first() else { return Ok(()) };
    let taken = Taken {
        fact: first.id,
        at_unix_ms: now_unix_ms,
        person: root,
        digest: Digest::NONE,
        retracted: false,
    };
    turn.load_keys([root].into_iter()).await?;
    turn.put_facts(&new).await?;
    turn.put_taken(&[(key, taken)], now_unix_ms).await?;
    let effects = Effects { facts: [(root, facts)].into(), ..Effects::default() };
    follow.follow(turn, &effects, now_unix_ms).await
}

/// One fact; of several articles one for each beside it, as of a cart. The first alone has the
/// category: it is one purchase.
fn facts(order: &Order, now_unix_ms: i64) -> Vec<Fact> {
    let quote = order.quote();
    let whole = Fact {
        source: Source::Conversion,
        name: ORDER.to_owned(),
        at_unix_ms: now_unix_ms,
        known_unix_ms: now_unix_ms,
        count: 1,
        value: Some(quote.total()),
        number: Some(quote.lines().iter().map(|line| f64::from(line.quantity)).sum()),
        item: None,
        category: Some(order.why().category.clone()),
    };
    if let [line] = quote.lines() {
        return vec![Fact { item: Some(line.sku.clone()), ..whole }];
    }
    let part = |line: &super::life::Line| Fact {
        name: PART.to_owned(),
        value: None,
        number: Some(f64::from(line.quantity)),
        item: Some(line.sku.clone()),
        category: None,
        ..whole.clone()
    };
    std::iter::once(whole.clone()).chain(quote.lines().iter().map(part)).collect()
}
