use super::*;
use crate::{
    intake::{Identifier, Kind},
    store::{
        AgeCutoffs, Cutoffs, NewFact, Subject,
        erasure::Finished,
        testing::{Rig, on_each},
    },
};
use models::profile::{Fact, Source};
use protocol::intake::Scope;

on_each![c16_who_has_nothing_left_but_a_name_ends, c16_the_audit_log_says_how_many_ended];

/// What was known or said before ends.
const CUTOFF: i64 = 1_000;
const OLD: i64 = 10;
const NOW: i64 = 2_000;

fn person(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn identifier(number: u128) -> Identifier {
    Identifier { kind: Kind::ALL[0], hash: Digest([number as u8; 32]) }
}

/// Somebody with an identifier, in the group of a root.
async fn put(writing: &mut Writing, number: u128, root: u128, first_seen_unix_ms: i64) {
    let subject = Subject { person: person(number), root: person(root), first_seen_unix_ms };
    writing.put_subjects(&[subject]).await.unwrap();
    let linked = (identifier(number), subject.person);
    writing.put_identifiers(&[linked], first_seen_unix_ms).await.unwrap();
}

async fn put_fact(writing: &mut Writing, number: u128) {
    let fact = Fact {
        source: Source::Behaviour,
        name: "visit".into(),
        at_unix_ms: 0,
        known_unix_ms: 0,
        count: 1,
        value: None,
        number: None,
        item: None,
        category: None,
    };
    let fact = NewFact { id: Uuid::now_v7(), person: person(number), fact };
    writing.put_facts(&[fact]).await.unwrap();
}

async fn say(writing: &mut Writing, number: u128, granted: bool, at_unix_ms: i64, arrived: i64) {
    let statement = (person(number), Scope::Conversion, granted, at_unix_ms);
    writing.put_statements(&[statement], arrived).await.unwrap();
}

async fn left(store: &Store, query: &'static str) -> Vec<u128> {
    let people: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&store.readers).await.unwrap();
    people.iter().map(|person| id_of(person).unwrap().as_u128()).collect()
}

async fn c16_who_has_nothing_left_but_a_name_ends(Rig { store, .. }: Rig) {
    let mut writing = store.begin().await.unwrap();
    // A group, with a Yes of long ago, and what was made of it.
    put(&mut writing, 1, 1, OLD).await;
    put(&mut writing, 2, 1, OLD).await;
    say(&mut writing, 2, true, 5, OLD).await;
    for query in [
        "INSERT INTO profiles (person, changed_unix_ms, due_unix_ms, nonce, sealed)
             VALUES ($1, 1, 1, $2, $2)",
        "INSERT INTO predictions VALUES ($1, 'm', 1, $2, $2)",
        "INSERT INTO forecasts VALUES ('m', 1, $1, $2, $2)",
    ] {
        let row = sqlx::query(query).bind(person(1).as_bytes().to_vec()).bind(vec![0_u8; 12]);
        row.execute(&mut *writing.transaction).await.unwrap();
    }
    // Of these something is left: a fact, a statement, a fact of a link, an identifier, their youth.
    put(&mut writing, 3, 3, OLD).await;
    put_fact(&mut writing, 3).await;
    put(&mut writing, 4, 4, OLD).await;
    say(&mut writing, 4, false, 5, CUTOFF).await;
    put(&mut writing, 5, 5, OLD).await;
    put(&mut writing, 6, 5, OLD).await;
    put_fact(&mut writing, 6).await;
    put(&mut writing, 7, 7, OLD).await;
    writing.put_identifiers(&[(identifier(70), person(7))], CUTOFF).await.unwrap();
    put(&mut writing, 8, 8, CUTOFF).await;
    // A No of long ago, and a Yes before it.
    put(&mut writing, 9, 9, OLD).await;
    say(&mut writing, 9, true, 3, OLD).await;
    say(&mut writing, 9, false, 5, OLD).await;
    writing.commit().await.unwrap();

    assert_eq!(store.forget_people(OLD, NOW).await.unwrap(), 0);
    assert_eq!(store.forget_people(CUTOFF, NOW).await.unwrap(), 2);
    assert_eq!(store.forget_people(CUTOFF, NOW).await.unwrap(), 0);
    let stay = [3, 4, 5, 6, 7, 8];
    assert_eq!(left(&store, "SELECT person FROM subjects ORDER BY person").await, stay);
    let identified = "SELECT DISTINCT person FROM identifiers ORDER BY person";
    assert_eq!(left(&store, identified).await, stay);
    assert_eq!(left(&store, "SELECT person FROM statements").await, [4]);
    for query in [
        "SELECT person FROM profiles",
        "SELECT person FROM predictions",
        "SELECT person FROM forecasts",
    ] {
        assert_eq!(left(&store, query).await, [0; 0], "{query}");
    }
    for number in 1..=9 {
        let key = store.keys.find(&person_hash(person(number))).await.unwrap();
        assert_eq!(key.is_some(), stay.contains(&number), "{number}");
    }
    // Who agreed may come back and begins anew; what happened before a No is not taken.
    let remembered: Vec<Digest> = [1, 2, 9].map(|number| identifier(number).tombstone()).into();
    let remembered = store.keys.erased_of(&remembered).await.unwrap();
    assert_eq!(remembered, HashMap::from([(identifier(9).tombstone(), 5)]));

    // A backup of before does not bring them back.
    let mut writing = store.begin().await.unwrap();
    put(&mut writing, 2, 2, OLD).await;
    writing.commit().await.unwrap();
    let finished = Finished { people: 1, keys: 0 };
    assert_eq!(store.finish_erasures(NOW).await.unwrap(), finished);
    assert_eq!(left(&store, "SELECT person FROM subjects ORDER BY person").await, stay);
}

async fn c16_the_audit_log_says_how_many_ended(Rig { store, .. }: Rig) {
    let mut writing = store.begin().await.unwrap();
    // More than one step.
    for number in 1..=600 {
        let root = person(number);
        let subject = Subject { person: root, root, first_seen_unix_ms: OLD };
        writing.put_subjects(&[subject]).await.unwrap();
    }
    writing.commit().await.unwrap();
    let ages = AgeCutoffs {
        facts: [0; 6],
        intake: 0,
        circumstances: 0,
        jobs: 0,
        orders: 0,
        forecasts_ms: i64::MAX,
    };
    let cutoffs = Cutoffs { derived: 0, behaviour: 0, proof: CUTOFF, audit: 0, ages };
    assert_eq!(store.expire(&cutoffs, NOW).await.unwrap().forgotten, 600);
    assert!(!store.expire(&cutoffs, NOW).await.unwrap().any());
    let said: Vec<String> =
        sqlx::query_scalar("SELECT result FROM audit").fetch_all(&store.readers).await.unwrap();
    assert!(said.len() == 1 && said[0].contains("600 people of whom nothing"), "{said:?}");
}
