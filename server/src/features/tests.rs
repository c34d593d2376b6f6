use super::*;
use crate::{
    intake::{Effects, Follow},
    store::{NewFact, Subject, Writing},
};
use models::profile::{Cuts, Drift, Fact, Reference, Source};
use protocol::offer::{Currency, Money};
use std::collections::BTreeSet;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const DAY: i64 = 86_400_000;

struct Rig {
    folder: TempDir,
    store: Store,
    features: Arc<Features>,
    facts: u128,
}

fn node(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn bought(at_day: i64, known_day: i64) -> Fact {
    Fact {
        source: Source::Conversion,
        name: "store_purchase".to_owned(),
        at_unix_ms: at_day * DAY,
        known_unix_ms: known_day * DAY,
        count: 1,
        value: Some(Money { minor: 1_000, currency: Currency::EUR }),
        number: None,
        item: Some("coffee".to_owned()),
        category: None,
    }
}

impl Rig {
    async fn with(text: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let features = Arc::new(Self::features(&store, text).await);
        Self { folder, store, features, facts: 0 }
    }

    async fn features(store: &Store, text: Option<&str>) -> Features {
        let definitions = text.map_or_else(Definitions::standard, Definitions::parse).unwrap();
        Features::load(store, definitions).await.unwrap()
    }

    async fn make(&self, nodes: &[u128]) {
        let mut writing = self.store.begin().await.unwrap();
        let made: Vec<Subject> = nodes
            .iter()
            .map(|n| Subject { person: node(*n), root: node(*n), first_seen_unix_ms: 0 })
            .collect();
        writing.put_subjects(&made).await.unwrap();
        writing.commit().await.unwrap();
    }

    /// Stores facts of nodes as intake does, by the roots they have.
    async fn store(&mut self, facts: &[(u128, u128, Fact)]) {
        let mut writing = self.store.begin().await.unwrap();
        let mut effects = Effects::default();
        let mut new = vec![];
        for (person, root, fact) in facts {
            self.facts += 1;
            let (id, person) = (Uuid::from_u128(self.facts), node(*person));
            new.push(NewFact { id, person, fact: fact.clone() });
            effects.facts.entry(node(*root)).or_default().push(fact.clone());
        }
        writing.put_facts(&new).await.unwrap();
        self.follow(writing, effects).await;
    }

    async fn follow(&self, mut writing: Writing, effects: Effects) {
        self.features.follow(&mut writing, &effects, 0).await.unwrap();
        writing.commit().await.unwrap();
    }

    async fn value(&self, person: u128, name: &str, at_day: i64) -> Option<f32> {
        let at = at_day * DAY;
        let known = self.features.known(&self.store, node(person), at).await.unwrap()?;
        let mut row = vec![];
        self.features.values(&known.profile, at, &mut row);
        Some(row[self.features.definitions().column(name).unwrap()])
    }
}

#[tokio::test]
async fn values_follow_facts_and_the_past_stays_as_it_was() {
    let mut rig = Rig::with(None).await;
    rig.make(&[1, 2]).await;
    assert_eq!(rig.value(1, "conversions_ever", 10).await, None);
    rig.store(&[(1, 1, bought(1, 1)), (2, 2, bought(2, 2)), (1, 1, bought(3, 3))]).await;
    rig.store(&[(1, 1, bought(2, 8))]).await; // late
    assert_eq!(rig.value(1, "conversions_ever", 10).await, Some(3.0));
    assert_eq!(rig.value(2, "conversions_ever", 10).await, Some(1.0));
    assert_eq!(rig.value(1, "days_since_conversion", 10).await, Some(7.0));
    // As of a time before the late one was known, and before anything was.
    assert_eq!(rig.value(1, "conversions_ever", 7).await, Some(2.0));
    assert_eq!(rig.value(1, "conversions_ever", 0).await, None);
    let value = bought(3, 9).value.map(|value| Money { minor: -value.minor, ..value });
    rig.store(&[(1, 1, Fact { count: -1, value, ..bought(3, 9) })]).await;
    assert_eq!(rig.value(1, "conversions_ever", 10).await, Some(2.0));
    assert_eq!(rig.value(1, "spent_30d", 10).await, Some(2_000.0));
    let many = [node(2), node(9), node(1)];
    let known = rig.features.known_many(&rig.store, &many, 10 * DAY).await.unwrap();
    assert_eq!(known.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from([node(1), node(2)]));
}

#[tokio::test]
async fn groups_that_join_and_part_have_what_is_theirs() {
    let mut rig = Rig::with(None).await;
    rig.make(&[1, 2]).await;
    rig.store(&[(1, 1, bought(1, 1)), (2, 2, bought(2, 2)), (2, 2, bought(4, 4))]).await;
    let mut writing = rig.store.begin().await.unwrap();
    writing.move_group(node(2), node(1)).await.unwrap();
    let rebuild = BTreeSet::from([node(1)]);
    let gone = BTreeSet::from([node(2)]);
    rig.follow(writing, Effects { rebuild, gone, ..Effects::default() }).await;
    for person in [1, 2] {
        assert_eq!(rig.value(person, "conversions_ever", 10).await, Some(3.0));
    }
    rig.store(&[(2, 1, bought(5, 5))]).await;
    assert_eq!(rig.value(1, "conversions_ever", 10).await, Some(4.0));
    let mut writing = rig.store.begin().await.unwrap();
    writing.set_root(node(2), node(2)).await.unwrap();
    let rebuild = BTreeSet::from([node(1), node(2)]);
    rig.follow(writing, Effects { rebuild, ..Effects::default() }).await;
    assert_eq!(rig.value(1, "conversions_ever", 10).await, Some(1.0));
    assert_eq!(rig.value(2, "conversions_ever", 10).await, Some(3.0));
}

#[tokio::test]
async fn c14_what_was_withdrawn_is_in_no_feature_any_more() {
    let mut rig = Rig::with(None).await;
    rig.make(&[1]).await;
    let visit = Fact { source: Source::Behaviour, value: None, ..bought(2, 2) };
    rig.store(&[(1, 1, bought(1, 1)), (1, 1, visit)]).await;
    assert_eq!(rig.value(1, "behaviour_30d", 10).await, Some(1.0));
    for (source, expected) in [("behaviour", Some(0.0)), ("conversion", None)] {
        let mut writing = rig.store.begin().await.unwrap();
        writing.remove_source(&[node(1)], source, i64::MAX).await.unwrap();
        let rebuild = BTreeSet::from([node(1)]);
        rig.follow(writing, Effects { rebuild, ..Effects::default() }).await;
        assert_eq!(rig.value(1, "behaviour_30d", 10).await, expected);
    }
    assert!(rig.store.first_and_last_root().await.unwrap().is_none());
}

#[tokio::test]
async fn c16_what_reached_its_age_is_in_no_feature_any_more() {
    let mut rig = Rig::with(None).await;
    rig.make(&[1, 2]).await;
    let visit = Fact { source: Source::Behaviour, value: None, ..bought(2, 2) };
    rig.store(&[(1, 1, bought(1, 1)), (1, 1, visit.clone()), (2, 2, visit.clone())]).await;
    let mut writing = rig.store.begin().await.unwrap();
    let people = [node(1), node(2)];
    writing.remove_source(&people, "behaviour", i64::MAX).await.unwrap();
    writing.mark_profiles(&people, DAY).await.unwrap();
    writing.commit().await.unwrap();
    // A fact that comes in between is not added to what is gone.
    rig.store(&[(1, 1, bought(3, 3))]).await;
    assert_eq!(rig.value(1, "behaviour_30d", 10).await, Some(0.0));
    assert_eq!(rig.value(1, "conversions_ever", 10).await, Some(2.0));
    let stop = CancellationToken::new();
    assert_eq!(rig.features.rebuild_stale(&rig.store, &stop).await.unwrap(), 1);
    assert_eq!(rig.value(2, "behaviour_30d", 10).await, None);
    assert_eq!(rig.features.rebuild_stale(&rig.store, &stop).await.unwrap(), 0);
}

#[tokio::test]
async fn other_definitions_make_all_profiles_anew_once() {
    let mut rig = Rig::with(None).await;
    rig.make(&[1, 2, 3]).await;
    let stop = CancellationToken::new();
    rig.store(&[(1, 1, bought(1, 1)), (2, 2, bought(2, 2))]).await;
    assert_eq!(rig.features.rebuild_all(&rig.store, &stop, 1).await.unwrap(), 2);
    assert_eq!(rig.features.rebuild_all(&rig.store, &stop, 2).await.unwrap(), 0);
    let text = "[[feature]]\nname = \"all\"\nsource = \"conversion\"\naggregation = \"count\"\n\
                purpose = \"test\"\nsays = \"{n}\"\n";
    rig.features = Arc::new(Rig::features(&rig.store, Some(text)).await);
    assert_eq!(rig.value(1, "all", 10).await, Some(1.0), "before they are made anew");
    rig.store(&[(1, 1, bought(3, 3))]).await;
    assert_eq!(rig.value(1, "all", 10).await, Some(2.0), "and brought up to date meanwhile");
    stop.cancel();
    assert_eq!(rig.features.rebuild_all(&rig.store, &stop, 3).await.unwrap(), 0);
    let stop = CancellationToken::new();
    assert_eq!(rig.features.rebuild_all(&rig.store, &stop, 4).await.unwrap(), 2);
    assert_eq!(rig.features.rebuild_all(&rig.store, &stop, 5).await.unwrap(), 0);
    assert_eq!(rig.value(2, "all", 10).await, Some(1.0));
}

#[tokio::test]
async fn training_sees_what_is_served_and_nothing_that_was_not_known() {
    let mut rig = Rig::with(None).await;
    rig.make(&[1, 2, 3]).await;
    let planted = Fact {
        source: Source::Behaviour,
        name: "planted".to_owned(),
        value: None,
        ..bought(9, 12)
    };
    rig.store(&[
        (1, 1, bought(1, 1)),
        (2, 2, bought(2, 2)),
        (1, 1, bought(11, 11)),
        (1, 1, planted),
        (3, 3, bought(15, 15)),
    ])
    .await;
    let definitions = Arc::clone(rig.features.definitions());
    let cuts = Cuts::new(&[10 * DAY], 7, 30 * DAY, None).unwrap();
    let found = snapshots(&rig.store, &definitions, &cuts).await.unwrap();
    let labels: Vec<_> = found.rows().iter().map(|row| row.converted).collect();
    assert_eq!(labels, [true, false], "nothing was known of the third at the cut");
    for (row, person) in [(0, 1), (1, 2)] {
        for (column, feature) in definitions.features().iter().enumerate() {
            let online = rig.value(person, &feature.name, 10).await.unwrap();
            let trained = found.features(row)[column];
            assert_eq!(online.to_bits(), trained.to_bits(), "{}", feature.name);
        }
        let visits = definitions.column("behaviour_30d").unwrap();
        assert_eq!(found.features(row)[visits], 0.0, "dated back before the cut, known after it");
    }
}

#[tokio::test]
async fn the_population_and_its_drift_are_counted() {
    let mut rig = Rig::with(None).await;
    let people: Vec<u128> = (1..=40).collect();
    rig.make(&people).await;
    let facts: Vec<_> = people.iter().map(|n| (*n, *n, bought(*n as i64, *n as i64))).collect();
    rig.store(&facts).await;
    let population = rig.features.population(&rig.store, 50 * DAY).await.unwrap();
    let covered =
        |name: &str| population.coverage()[rig.features.definitions().column(name).unwrap()];
    assert_eq!(population.people, 40);
    assert_eq!((covered("days_since_conversion"), covered("age_band")), (1.0, 0.0));
    let names = rig.features.definitions().features().iter().map(|f| f.name.as_str());
    let same = Reference::of(names, &population.matrix);
    let report = rig.features.drift(&rig.store, &same, 50 * DAY).await.unwrap();
    assert_eq!((report.people, report.psi, report.drift), (40, 0.0, Drift::Stable));
    let names = ["days_since_conversion", "no_longer_there"];
    let other: Vec<f32> = (0..40).flat_map(|n| [n as f32 / 8.0, 0.0]).collect();
    let other = Reference::of(names, &other);
    let report = rig.features.drift(&rig.store, &other, 50 * DAY).await.unwrap();
    assert_eq!((report.drift, report.features.len()), (Drift::Large, 1));
}

#[tokio::test]
async fn what_was_read_is_kept_until_anybody_writes() {
    let mut rig = Rig::with(None).await;
    rig.make(&[1]).await;
    rig.store(&[(1, 1, bought(1, 1))]).await;
    let kept = async |rig: &Rig| rig.features.latest().get(rig.store.moment(), node(1)).is_some();
    for n in 2..20_u8 {
        assert!(!kept(&rig).await, "it was written");
        let ever = rig.value(1, "conversions_ever", 30).await;
        assert_eq!(ever, Some(f32::from(n) - 1.0), "what was acknowledged counts");
        rig.store(&[(1, 1, bought(n.into(), n.into()))]).await;
    }
    rig.value(1, "conversions_ever", 30).await;
    assert!(kept(&rig).await);
    // Another process, of whose commits this one hears nothing.
    let beside = Store::open(rig.folder.path()).await.unwrap();
    let mut writing = beside.begin().await.unwrap();
    writing.remove_profiles(&[node(1)]).await.unwrap();
    writing.commit().await.unwrap();
    tokio::time::sleep(crate::store::FRESH).await;
    assert_eq!(rig.value(1, "conversions_ever", 30).await, None);
    beside.close().await;
}
