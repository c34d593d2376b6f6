use super::*;
use crate::store::{
    Location, Store,
    db::Role,
    testing::{Kind, Rig, on_each, place},
};
use futures::future::join_all;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use std::collections::BTreeSet;

on_each![
    who_waits_shares_a_sync,
    what_is_acknowledged_is_there_and_nothing_that_was_taken_back,
    a_closed_store_says_so,
];

async fn insert(turn: &mut Turn, place: i64) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO circumstances VALUES ($1, 'n', 0, 0, 1.5, 0)")
        .bind(place.to_string())
        .execute(&mut **turn)
        .await?;
    Ok(())
}

async fn stored(store: &Store) -> BTreeSet<i64> {
    let query = "SELECT place FROM circumstances";
    let places: Vec<String> = sqlx::query_scalar(query).fetch_all(&store.readers).await.unwrap();
    places.iter().map(|place| place.parse().unwrap()).collect()
}

async fn who_waits_shares_a_sync(Rig { store, .. }: Rig) {
    let writer = &store.writer;
    let mut first = writer.turn().await.unwrap();
    let begun = writer.group().number;
    let others: Vec<_> = (1..=8)
        .map(|number| {
            let writer = writer.clone();
            tokio::spawn(async move {
                let mut turn = writer.turn().await.unwrap();
                insert(&mut turn, number).await.unwrap();
                if number == 4 { turn.undo().await.unwrap() } else { turn.keep().await.unwrap() }
            })
        })
        .collect();
    // Everybody stands in line: on one thread, tasks get there in a few rounds.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    insert(&mut first, 0).await.unwrap();
    first.keep().await.unwrap();
    join_all(others).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(writer.group().number, begun, "one transaction for all nine");
    assert_eq!(stored(&store).await, BTreeSet::from([0, 1, 2, 3, 5, 6, 7, 8]));
    // Alone, nobody waits for company.
    writer.turn().await.unwrap().keep().await.unwrap();
    assert_eq!(writer.group().number, begun + 1);
}

/// What one of many does with its turn.
#[derive(Debug, Clone, Copy)]
enum Act {
    Keep,
    Undo,
    /// Goes away with its turn.
    Drop,
    /// Fails in the middle, and keeps nothing.
    Fail,
    /// Goes away after so many looks at the work, wherever it stands then.
    Leave(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Keep),
        1 => Just(Act::Undo),
        1 => Just(Act::Drop),
        1 => Just(Act::Fail),
        3 => (0..40_u8).prop_map(Act::Leave),
    ]
}

/// Whether the work was acknowledged; `None` if nobody was there to hear.
async fn play(writer: Writer, place: i64, act: Act) -> Option<bool> {
    let work = async {
        let mut turn = writer.turn().await.unwrap();
        insert(&mut turn, place).await.unwrap();
        match act {
            Act::Keep | Act::Leave(_) => {
                turn.keep().await.unwrap();
                true
            }
            Act::Undo => {
                turn.undo().await.unwrap();
                false
            }
            Act::Drop => false,
            Act::Fail => {
                insert(&mut turn, place).await.unwrap_err();
                false
            }
        }
    };
    let Act::Leave(looks) = act else { return Some(work.await) };
    let leaves = async {
        for _ in 0..looks {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        kept = work => Some(kept),
        () = leaves => None,
    }
}

async fn what_is_acknowledged_is_there_and_nothing_that_was_taken_back(Rig { store, .. }: Rig) {
    let acts = prop::collection::vec(act(), 1..24);
    // The runner wants no async: it only makes the plans here.
    let mut runner = TestRunner::new(Config::default());
    let mut place = 0_i64;
    for _ in 0..24 {
        let acts = acts.new_tree(&mut runner).unwrap().current();
        let tasks: Vec<_> = acts
            .iter()
            .map(|act| {
                place += 1;
                (place, *act, tokio::spawn(play(store.writer.clone(), place, *act)))
            })
            .collect();
        let mut outcomes = Vec::new();
        for (place, act, task) in tasks {
            outcomes.push((place, act, task.await.unwrap()));
        }
        // Whatever happened, the writer serves the next.
        store.writer.turn().await.unwrap().keep().await.unwrap();
        let stored = stored(&store).await;
        for (place, act, acknowledged) in outcomes {
            if let Some(acknowledged) = acknowledged {
                assert_eq!(stored.contains(&place), acknowledged, "{act:?} of {acts:?}");
            }
        }
    }
    assert!(!store.writer.group().open || store.writer.group().members.is_empty());
}

async fn a_closed_store_says_so(Rig { store, .. }: Rig) {
    let mut turn = store.writer.turn().await.unwrap();
    insert(&mut turn, 1).await.unwrap();
    let (kept, ()) = tokio::join!(turn.keep(), store.close());
    kept.unwrap();
    assert!(matches!(store.writer.turn().await, Err(StoreError::Closed)));
}

/// PostgreSQL may end a session: what was not durable is said not to be, and work goes on.
#[tokio::test]
async fn a_session_that_ends_takes_back_what_was_not_durable() {
    let Some(Rig { store, .. }) = Rig::new(Some(Kind::Plain)).await else { return };
    let mut first = store.writer.turn().await.unwrap();
    insert(&mut first, 1).await.unwrap();
    let writer = store.writer.clone();
    let second = tokio::spawn(async move {
        let mut turn = writer.turn().await.unwrap();
        let ended = sqlx::query("SELECT count(pg_terminate_backend(pg_backend_pid()))");
        ended.execute(&mut *turn).await.unwrap_err();
        turn.keep().await.unwrap_err()
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let lost = first.keep().await.unwrap_err();
    assert!(matches!(lost, StoreError::NotDurable(_)), "{lost}");
    second.await.unwrap();
    let mut third = store.writer.turn().await.unwrap();
    insert(&mut third, 3).await.unwrap();
    third.keep().await.unwrap();
    assert_eq!(stored(&store).await, BTreeSet::from([3]));
}

#[tokio::test]
async fn a_database_has_one_server_and_commands_beside_it() {
    let Some((location, _folder)) = place(Some(Kind::Plain)) else { return };
    let server = Store::open_as_server(&location).await.unwrap();
    let other = Location { folder: location.folder.join("other"), ..location.clone() };
    let refused = Store::open_as_server(&other).await.unwrap_err();
    assert!(matches!(refused, StoreError::Taken), "{refused}");
    let tool = Store::open(location.clone()).await.unwrap();
    // They write in turns.
    for number in 0..4 {
        let store = if number % 2 == 0 { &server } else { &tool };
        let mut turn = store.writer.turn().await.unwrap();
        insert(&mut turn, number).await.unwrap();
        turn.keep().await.unwrap();
    }
    assert_eq!(stored(&server).await.len(), 4);
    server.close().await;
    assert!(Place::new(&other, Role::Server).unwrap().writer().await.is_ok());
}
