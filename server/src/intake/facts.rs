//! Rows as facts, and the facts that change or take back others.

use super::row::Row;
use crate::store::NewFact;
use models::profile::{Fact, Source};
use protocol::{
    digest::Digest,
    intake::{MAX_CART_ITEMS, Scope},
    offer::Money,
};
use uuid::Uuid;

/// The name of the facts of a cart's items.
pub const CART_ITEM: &str = "cart_item";
/// Most adjustments of one transaction.
pub const MOST_ADJUSTMENTS: usize = 50;

/// A fact that belongs to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Item(usize),
    Adjustment(usize),
    RetractedItem(usize),
    Retraction,
}

/// The source that a scope is about.
#[must_use]
pub const fn source(scope: Scope) -> Source {
    match scope {
        Scope::Conversion => Source::Conversion,
        Scope::Behaviour => Source::Behaviour,
        Scope::Demographics => Source::Demographics,
        Scope::Loyalty => Source::Loyalty,
        Scope::ThirdParty => Source::ThirdParty,
    }
}

/// What a row says: the fact itself first, then one for each item of a cart of several, without a
/// value, which the first has altogether.
pub fn of_row(row: Row, id: Uuid, person: Uuid) -> Vec<NewFact> {
    let (source, at_unix_ms, known_unix_ms) =
        (source(row.scope), row.said.at_unix_ms, row.known_unix_ms);
    let whole = Fact {
        source,
        name: row.name,
        at_unix_ms,
        known_unix_ms,
        count: 1,
        value: row.value,
        number: row.number,
        item: row.item,
        category: row.category,
    };
    let items = row.cart.into_iter().enumerate().map(|(place, item)| {
        let fact = Fact {
            source,
            name: CART_ITEM.to_owned(),
            at_unix_ms,
            known_unix_ms,
            count: 1,
            value: None,
            number: Some(item.quantity),
            item: Some(item.item),
            category: item.category,
        };
        NewFact { id: derived(id, Part::Item(place)), person, fact }
    });
    let mut facts = vec![NewFact { id, person, fact: whole }];
    facts.extend(items);
    facts
}

/// The ids under which the facts that belong to one can be.
pub fn family(id: Uuid) -> Vec<Uuid> {
    let items = (0..MAX_CART_ITEMS).map(|place| derived(id, Part::Item(place)));
    let adjustments = (0..MOST_ADJUSTMENTS).map(|place| derived(id, Part::Adjustment(place)));
    std::iter::once(id).chain(adjustments).chain(items).collect()
}

/// A transaction as it stands.
#[derive(Debug)]
pub struct Standing {
    id: Uuid,
    whole: Fact,
    adjustments: Vec<Fact>,
    items: Vec<(usize, Fact)>,
}

impl Standing {
    /// From the facts of its family that are there; `None` if the first is not.
    pub fn new(id: Uuid, mut found: std::collections::HashMap<Uuid, Fact>) -> Option<Self> {
        let whole = found.remove(&id)?;
        let mut part = |part| found.remove(&derived(id, part));
        let adjustments = (0..MOST_ADJUSTMENTS).map_while(|n| part(Part::Adjustment(n))).collect();
        let items = (0..MAX_CART_ITEMS).filter_map(|n| Some((n, part(Part::Item(n))?))).collect();
        Some(Self { id, whole, adjustments, items })
    }

    /// What it is worth now; `None` if nothing was ever said.
    pub fn value(&self) -> Option<Money> {
        let mut values =
            std::iter::once(&self.whole).chain(&self.adjustments).filter_map(|fact| fact.value);
        let first = values.next()?;
        let minor = values.fold(first.minor, |sum, value| sum.saturating_add(value.minor));
        Some(Money { minor, ..first })
    }

    /// Whether it can be adjusted once more.
    pub fn adjustable(&self) -> bool {
        self.adjustments.len() < MOST_ADJUSTMENTS
    }

    /// The fact that gives it a new value.
    pub fn adjusted(&self, person: Uuid, value: Money, known_unix_ms: i64) -> NewFact {
        let before = self.value().map_or(0, |value| value.minor);
        let minor = value.minor.saturating_sub(before);
        let fact = Fact {
            known_unix_ms,
            count: 0,
            value: Some(Money { minor, ..value }),
            number: None,
            ..self.whole.clone()
        };
        let id = derived(self.id, Part::Adjustment(self.adjustments.len()));
        NewFact { id, person, fact }
    }

    /// The facts that take it back.
    pub fn retracted(&self, person: Uuid, known_unix_ms: i64) -> Vec<NewFact> {
        let back = |fact: &Fact, value: Option<Money>| Fact {
            known_unix_ms,
            count: -1,
            value: value.map(|value| Money { minor: value.minor.saturating_neg(), ..value }),
            number: fact.number.map(|number| -number),
            ..fact.clone()
        };
        let whole = NewFact {
            id: derived(self.id, Part::Retraction),
            person,
            fact: back(&self.whole, self.value()),
        };
        let items = self.items.iter().map(|(place, item)| NewFact {
            id: derived(self.id, Part::RetractedItem(*place)),
            person,
            fact: back(item, None),
        });
        std::iter::once(whole).chain(items).collect()
    }
}

/// A UUIDv8 that follows from another.
fn derived(id: Uuid, part: Part) -> Uuid {
    let (kind, place) = match part {
        Part::Item(place) => (1u8, place),
        Part::Adjustment(place) => (2, place),
        Part::RetractedItem(place) => (3, place),
        Part::Retraction => (4, 0),
    };
    let mut bytes = id.as_bytes().to_vec();
    bytes.push(kind);
    bytes.extend_from_slice(&(place as u64).to_be_bytes());
    let Digest(hash) = Digest::of(&bytes);
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    // It arrived, and ages, with what it is part of: ids begin with the time (UUIDv7).
    short[..6].copy_from_slice(&id.as_bytes()[..6]);
    uuid::Builder::from_custom_bytes(short).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::offer::Currency;

    fn fact(minor: Option<i64>) -> Fact {
        Fact {
            source: Source::Conversion,
            name: "store_purchase".into(),
            at_unix_ms: 5,
            known_unix_ms: 6,
            count: 1,
            value: minor.map(|minor| Money { minor, currency: Currency::EUR }),
            number: Some(2.0),
            item: None,
            category: None,
        }
    }

    proptest! {
        /// However often it is adjusted, the sum is the last value; taken back, nothing is left.
        #[test]
        fn sums_are_what_was_said_last(
            first in proptest::option::of(0i64..1_000_000),
            values in proptest::collection::vec(0i64..1_000_000, 0..8),
        ) {
            let id = Uuid::from_u128(9);
            let mut stored = vec![NewFact { id, person: id, fact: fact(first) }];
            let item = fact(None);
            stored.push(NewFact { id: derived(id, Part::Item(0)), person: id, fact: item });
            let standing = |stored: &[NewFact]| {
                let facts = stored.iter().map(|one| (one.id, one.fact.clone())).collect();
                Standing::new(id, facts).unwrap()
            };
            for (n, minor) in values.iter().enumerate() {
                let value = Money { minor: *minor, currency: Currency::EUR };
                stored.push(standing(&stored).adjusted(id, value, n as i64));
            }
            let last = values.last().copied().or(first);
            let now = standing(&stored).value().map(|value| value.minor);
            prop_assert_eq!(now, last);
            let ids = family(id);
            prop_assert!(stored.iter().all(|one| ids.contains(&one.id)));
            stored.extend(standing(&stored).retracted(id, 99));
            let sum: i64 = stored.iter().filter_map(|one| one.fact.value).map(|v| v.minor).sum();
            let count: i32 = stored.iter().map(|one| one.fact.count).sum();
            let numbers: f64 = stored.iter().filter_map(|one| one.fact.number).sum();
            prop_assert_eq!((sum, count, numbers), (0, 0, 0.0));
            prop_assert!(stored.iter().all(|one| one.fact.at_unix_ms == 5));
        }
    }
}
