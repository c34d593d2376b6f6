use super::*;
use crate::store::{
    Actor, id_of,
    testing::{Rig, on_each},
};
use models::profile::Source;
use protocol::offer::{Currency, Money};

on_each![
    facts_come_back_as_they_went_in,
    a_turn_that_is_taken_back_leaves_no_fact,
    sums_stay_in_their_range,
    c15_nobody_who_was_erased_gets_a_key,
];

const DAY: i64 = DAY_MS;

/// A fact as stored.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct StoredFact {
    pub(in crate::store) id: Uuid,
    pub(in crate::store) person: Uuid,
    pub(in crate::store) fact: Fact,
}

type FactRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

impl Store {
    /// Every fact in the order in which they became known.
    pub(in crate::store) async fn every_fact(&self) -> Result<Vec<StoredFact>, StoreError> {
        let rows: Vec<FactRow> = sqlx::query_as(
            "SELECT id, person, nonce, sealed FROM facts ORDER BY known_unix_ms, id",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut facts = Vec::with_capacity(rows.len());
        for (id, person, nonce, sealed) in rows {
            let person = id_of(&person)?;
            let key = self.keys.find(&person_hash(person)).await?.ok_or(StoreError::Sealed)?;
            let fact = key.open(&id, &nonce, &sealed)?;
            facts.push(StoredFact { id: id_of(&id)?, person, fact });
        }
        Ok(facts)
    }
}

fn fact(number: u64) -> Fact {
    let number = number as i64;
    Fact {
        source: if number % 3 == 0 { Source::Conversion } else { Source::Behaviour },
        name: if number % 3 == 0 { "store_purchase" } else { "page_view" }.into(),
        at_unix_ms: number * DAY / 4,
        known_unix_ms: number / 7,
        count: 1,
        value: (number % 3 == 0).then_some(Money { minor: 100, currency: Currency::EUR }),
        number: Some(number as f64 / 3.0),
        item: None,
        category: Some(format!("c{}", number % 5)),
    }
}

/// Facts about so many people in turn, whose nodes are there.
async fn facts(store: &Store, people: u64, count: u64) -> Vec<NewFact> {
    let people: Vec<Uuid> = (0..people).map(|_| Uuid::now_v7()).collect();
    let mut writing = store.begin().await.unwrap();
    assert!(writing.make_keys(&people).await.unwrap().is_empty());
    for person in &people {
        put_subject(&mut writing, *person).await;
    }
    writing.commit().await.unwrap();
    let person = |number: u64| people[number as usize % people.len()];
    let new = |n| NewFact { id: Uuid::now_v7(), person: person(n), fact: fact(n) };
    (0..count).map(new).collect()
}

async fn put_subject(writing: &mut Writing, person: Uuid) {
    sqlx::query(
        "INSERT INTO subjects (person, hash, root, first_seen_unix_ms) VALUES ($1, $2, $1, 0)",
    )
    .bind(person.as_bytes().to_vec())
    .bind(person_hash(person).0.to_vec())
    .execute(&mut *writing.transaction)
    .await
    .unwrap();
}

async fn put(store: &Store, facts: &[NewFact]) {
    let mut writing = store.begin().await.unwrap();
    writing.put_facts(facts).await.unwrap();
    writing.commit().await.unwrap();
}

fn as_stored(facts: &[NewFact]) -> Vec<StoredFact> {
    let stored =
        |new: &NewFact| StoredFact { id: new.id, person: new.person, fact: new.fact.clone() };
    let mut facts: Vec<_> = facts.iter().map(stored).collect();
    facts.sort_by_key(|stored| (stored.fact.known_unix_ms, stored.id));
    facts
}

async fn rollups(store: &Store) -> Vec<(i64, String, i64, i64)> {
    let sums = store.day_sums(i64::MIN, i64::MAX).await.unwrap();
    sums.into_iter().map(|sum| (sum.day, sum.name, sum.facts, sum.value_minor)).collect()
}

async fn facts_come_back_as_they_went_in(Rig { store, .. }: Rig) {
    let mut facts = facts(&store, 40, 1_203).await;
    // Whatever a time is, it has a place.
    facts[0].fact.at_unix_ms = i64::MIN;
    facts[1].fact.at_unix_ms = i64::MAX;
    facts[2].fact.at_unix_ms = -1;
    put(&store, &facts[..700]).await;
    put(&store, &facts[700..]).await;
    assert_eq!(store.every_fact().await.unwrap(), as_stored(&facts));

    let sums = rollups(&store).await;
    assert_eq!(sums.iter().map(|(_, _, facts, _)| facts).sum::<i64>(), 1_203);
    assert_eq!(sums.iter().map(|(_, _, _, value)| value).sum::<i64>(), 401 * 100);
    // Of a whole day: four facts, one or two of them purchases.
    assert_eq!(sums.iter().filter(|(day, ..)| *day == 100).map(|sum| sum.2).sum::<i64>(), 4);
}

async fn a_turn_that_is_taken_back_leaves_no_fact(Rig { store, .. }: Rig) {
    let facts = facts(&store, 2, 10).await;
    let mut writing = store.begin().await.unwrap();
    writing.put_facts(&facts).await.unwrap();
    writing.rollback().await.unwrap();
    let mut writing = store.begin().await.unwrap();
    writing.put_facts(&facts).await.unwrap();
    drop(writing);
    assert_eq!(store.every_fact().await.unwrap(), []);
    assert_eq!(rollups(&store).await, []);
    // The parts that went with it are made again.
    put(&store, &facts).await;
    assert_eq!(store.every_fact().await.unwrap().len(), 10);
    // The same fact twice is refused, and a person without a node.
    let mut writing = store.begin().await.unwrap();
    assert!(writing.put_facts(&facts[..1]).await.is_err());
    drop(writing);
    let nobody = NewFact { id: Uuid::now_v7(), person: Uuid::now_v7(), fact: fact(1) };
    let mut writing = store.begin().await.unwrap();
    assert!(writing.put_facts(&[nobody]).await.is_err());
}

async fn sums_stay_in_their_range(Rig { store, .. }: Rig) {
    let mut facts = facts(&store, 1, 6).await;
    for (new, minor) in facts.iter_mut().zip([i64::MAX, i64::MAX, i64::MIN, i64::MIN, -5, 7]) {
        let value = Some(Money { minor, currency: Currency::EUR });
        new.fact = Fact { at_unix_ms: 0, name: "x".into(), value, ..fact(0) };
    }
    let mut said = Vec::new();
    for new in facts {
        put(&store, &[new]).await;
        said.push(rollups(&store).await[0].3);
    }
    assert_eq!(said, [i64::MAX, i64::MAX, -1, -i64::MAX, -i64::MAX, -i64::MAX + 7]);
}

async fn c15_nobody_who_was_erased_gets_a_key(Rig { store, .. }: Rig) {
    let facts = facts(&store, 2, 6).await;
    put(&store, &facts).await;
    let (gone, stays) = (facts[0].person, facts[1].person);
    let erasing = store.begin().await.unwrap().erase(gone, Actor::Operator, 0).await.unwrap();
    erasing.commit().await.unwrap();
    assert_eq!(store.every_fact().await.unwrap().len(), 3);
    let mut writing = store.begin().await.unwrap();
    let erased = writing.make_keys(&[gone, stays]).await.unwrap();
    assert_eq!(erased, HashSet::from([gone]));
    put_subject(&mut writing, gone).await;
    assert!(matches!(writing.put_facts(&facts[..1]).await, Err(StoreError::Sealed)));
}
