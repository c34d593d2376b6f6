//! Data that an earlier version wrote is there after this one has brought the tables up to date.

use super::{
    Action, Actor, Entry, EventTimes, Store,
    db::{Place, Role},
    testing::{Kind, place},
};
use protocol::{
    event::{Event, EventBody},
    key::PublicKey,
    signing::Signer,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The last migration of each version that was handed out.
const RELEASED: [i64; 2] = [1, 2];

async fn data_of_every_release_is_kept(kind: Option<Kind>) {
    for version in RELEASED {
        let Some((location, _folder)) = place(kind) else { return };
        let at = Place::new(&location, Role::Server).unwrap();
        at.migrate_to(Some(version)).await.unwrap();
        // What issue 4 wrote, by the code that wrote it: it knows none of the later tables.
        let old = Store::assemble(&location, at).await.unwrap();
        let signer = Signer { key: PublicKey([7; 32]), request_number: 1 };
        let (person, device) = (Uuid::from_u128(1), signer.key.device_id());
        let event = Event {
            id: Uuid::from_u128(2),
            sequence: 1,
            device,
            person,
            session: Uuid::from_u128(3),
            consent_record: Uuid::from_u128(4),
            consent_epoch: 1,
            modalities: vec![],
            at_unix_ms: 0,
            at_session_ms: 0,
            body: EventBody::SessionEnded { samples_lost: 0 },
        };
        let mut writing = old.begin().await.unwrap();
        writing.put_device(&signer, 0).await.unwrap();
        writing.put_person(person, device, 0).await.unwrap();
        let times = EventTimes { corrected_unix_ms: 0, received_unix_ms: 9 };
        writing.put_event(&event, times).await.unwrap();
        let (actor, action, result) = (Actor::Device, Action::Consent, "stored 1".to_owned());
        writing.audit(&Entry { actor, action, about: None, result }, 0).await.unwrap();
        writing.commit().await.unwrap();
        old.close().await;

        let now = Store::open_as_server(&location).await.unwrap();
        let events = now.recent_events(9).await.unwrap();
        assert_eq!((&events[0].event, events[0].received_unix_ms), (&event, 9));
        assert_eq!(now.verify_audit().await.unwrap(), 1);
        assert_eq!(now.owner(person).await.unwrap(), Some(device));
        assert!(now.every_fact().await.unwrap().is_empty(), "the new tables are there");
        // And once more, with nothing to do.
        now.close().await;
        Store::open(location).await.unwrap();
    }
}

#[tokio::test]
async fn data_of_every_release_is_kept_on_sqlite() {
    data_of_every_release_is_kept(None).await;
}

#[tokio::test]
async fn data_of_every_release_is_kept_on_postgres() {
    data_of_every_release_is_kept(Some(Kind::Plain)).await;
}

#[tokio::test]
async fn data_of_every_release_is_kept_on_timescale() {
    data_of_every_release_is_kept(Some(Kind::Timescale)).await;
}

/// Columns by table, in the order written.
fn columns(schema: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables = BTreeMap::new();
    for table in schema.split("CREATE TABLE ").skip(1) {
        let Some((name, body)) = table.split_once(" (\n") else { continue };
        let body = body.lines().map(str::trim).take_while(|line| !line.starts_with(')'));
        let words = body.filter_map(|line| line.split_whitespace().next());
        let columns = words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
        tables.insert(name.to_owned(), columns.map(str::to_owned).collect());
    }
    tables
}

#[test]
fn both_databases_have_the_same_tables() {
    let sqlite = concat!(
        include_str!("../../migrations/sqlite/0001_schema.sql"),
        include_str!("../../migrations/sqlite/0002_prediction.sql"),
        include_str!("../../migrations/sqlite/0003_orders.sql")
    );
    let postgres = concat!(
        include_str!("../../migrations/postgres/0001_schema.sql"),
        include_str!("../../migrations/postgres/0002_prediction.sql"),
        include_str!("../../migrations/postgres/0003_orders.sql")
    );
    let (sqlite, postgres) = (columns(sqlite), columns(postgres));
    assert_eq!(sqlite, postgres);
    assert!(sqlite.len() > 15 && sqlite["facts"].len() == 7, "{sqlite:?}");
}
