//! Needs on a real database, told by a model that finds everything as likely as the test wants.

use super::*;
use crate::{
    delivery::DeliveryConfig,
    features::Features,
    intake::{Effects, Follow},
    orders::{
        config::OrdersConfig,
        life::{Act, Actor, Command, Current, Quote, Status},
        model::OrdersReport,
        outcome::Check,
        person::{Held, WishesChange},
        service::Ending,
        shop::{Shop, ShopError},
        wording::Wording,
    },
    rehearsal,
    store::{NewFact, Subject},
};
use async_trait::async_trait;
use models::{
    calibration::{Calibrator, Line},
    profile::{Definitions, Fact, Source},
    reorder::left_alone,
};
use protocol::offer::{Currency, Money};
use tempfile::TempDir;

const DAY_MS: i64 = 86_400_000;
const NOW: i64 = 20_000 * DAY_MS;
const ADA: Uuid = Uuid::from_u128(1);

/// Has everything at the price it had, and takes every order.
#[derive(Debug)]
struct Kiosk;

#[async_trait]
impl Shop for Kiosk {
    async fn quote(
        &self,
        goods: &[crate::orders::life::Wanted],
        currency: Currency,
    ) -> Result<Current, ShopError> {
        let line = |one: &crate::orders::life::Wanted| crate::orders::life::Line {
            sku: one.sku.clone(),
            title: one.sku.clone(),
            quantity: one.quantity,
            unit_minor: 250,
        };
        let lines = goods.iter().map(line).collect();
        let quote = Quote::new(Uuid::now_v7(), currency, lines, 0).unwrap();
        Ok(Current::Quoted { quote })
    }

    async fn take(&self, key: Uuid, _: u8, _: &Quote) -> Act {
        Act::Accepted { reference: key.to_string() }
    }
}

struct Rig {
    _folder: TempDir,
    store: Store,
    follow: Arc<dyn Follow>,
    orders: Arc<Orders>,
}

impl Rig {
    /// With a model that finds everything so likely.
    async fn sure(probability: f64) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut turn = store.begin().await.unwrap();
        turn.put_subjects(&[Subject { person: ADA, root: ADA, first_seen_unix_ms: 0 }])
            .await
            .unwrap();
        turn.commit().await.unwrap();
        let definitions = Definitions::standard().unwrap();
        let features = Features::load(&store, definitions.clone()).await.unwrap();
        let follow: Arc<dyn Follow> = Arc::new(Ending(Arc::new(features)));
        let (config, delivery) = (OrdersConfig::default(), DeliveryConfig::default());
        let known = Arc::clone(&follow);
        let loaded = Orders::load(&store, config, &delivery, &definitions, known, &[7; 32]).await;
        let mut orders = loaded.unwrap();
        let desk = crate::orders::desk::Desk::new(
            Some(Arc::new(Kiosk) as Arc<dyn Shop>),
            [],
            Wording::new(None, None).unwrap(),
        );
        orders.desk = desk.recording(Arc::clone(&follow));
        let log_odds = (probability / (1.0 - probability)).ln();
        let calibrator = Calibrator::Platt(Line::new(0.0, log_odds).unwrap());
        let bundle = rehearsal::needs_model_of((3, 3), calibrator).unwrap();
        orders.register(&store, &bundle, OrdersReport::default(), NOW).await.unwrap();
        let rig = Self { _folder: folder, store, follow, orders: Arc::new(orders) };
        for days_ago in [36, 24, 12] {
            rig.buys("coffee", NOW - days_ago * DAY_MS).await;
        }
        rig
    }

    /// The same, where the lot leaves Ada alone with something that she bought on the same days.
    async fn drawn(probability: f64) -> (Self, String) {
        let rig = Self::sure(probability).await;
        let drawn = |name: &String| left_alone(&ADA.to_string(), name, 20_000 - 12);
        let category = (0..).map(|n| format!("tea-{n}")).find(drawn).unwrap();
        for days_ago in [36, 24, 12] {
            rig.buys(&category, NOW - days_ago * DAY_MS).await;
        }
        rig.agrees().await;
        (rig, category)
    }

    async fn buys(&self, category: &str, at_unix_ms: i64) {
        let fact = Fact {
            source: Source::Conversion,
            name: "store_purchase".into(),
            at_unix_ms,
            known_unix_ms: at_unix_ms,
            count: 1,
            value: Some(Money { minor: 500, currency: Currency::EUR }),
            number: Some(2.0),
            item: Some("c-1".into()),
            category: Some(category.into()),
        };
        let mut turn = self.store.begin().await.unwrap();
        let new = NewFact { id: Uuid::now_v7(), person: ADA, fact: fact.clone() };
        turn.put_facts(&[new]).await.unwrap();
        let effects = Effects { facts: [(ADA, vec![fact])].into(), ..Effects::default() };
        self.follow.follow(&mut turn, &effects, at_unix_ms).await.unwrap();
        turn.commit().await.unwrap();
    }

    async fn agrees(&self) {
        let change = WishesChange { agreed: Some(true), ..WishesChange::default() };
        let by = Actor::Person { channel: "page".into() };
        let wished = self.orders.desk.wish(&self.store, ADA, &change, &by, NOW).await.unwrap();
        wished.unwrap();
    }

    async fn look(&self, now: i64) -> Looked {
        self.orders.look(&self.store, now, &CancellationToken::new()).await.unwrap()
    }

    /// Why things were not asked for.
    async fn held(&self) -> Vec<Held> {
        let stored = self.store.suggestions_of::<Vec<Suggestion>>(ADA).await.unwrap();
        stored.map(|stored| stored.body).into_iter().flatten().map(|one| one.because).collect()
    }

    async fn says(&self, order: Uuid, act: Act, now: i64) -> Status {
        let by = Actor::Person { channel: "page".into() };
        let command = Command { id: Uuid::now_v7(), by, act };
        let heard = self.orders.desk.hear(&self.store, order, &command, now).await.unwrap();
        heard.unwrap().order.order.status()
    }
}

#[tokio::test]
async fn nobody_is_asked_who_did_not_agree_and_what_is_asked_is_asked_once() {
    let rig = Rig::sure(0.99).await;
    let looked = rig.look(NOW).await;
    assert_eq!((looked.people, looked.proposed, looked.suggested), (1, 0, 1));
    assert_eq!(rig.held().await, [Held::Wishes]);
    rig.agrees().await;
    assert_eq!(rig.look(NOW + 1).await.proposed, 1);
    assert_eq!(rig.held().await, [], "what is asked is no suggestion any more");
    let orders = rig.store.orders_of(ADA, i64::MAX, 9).await.unwrap();
    let order = &orders[0].order;
    assert_eq!(order.quote().total_minor(), 500, "as much as usual, at the price of today");
    assert_eq!(order.why().category, "coffee");
    let why = &order.why().reasons[0];
    assert!(why.contains("about every 12 days, 2 at a time; last 12 days ago"), "{why}");
    assert_eq!(rig.look(NOW + 2).await.proposed, 0);
    assert_eq!(rig.held().await, [Held::Asked]);
}

#[tokio::test]
async fn what_is_not_sure_or_not_due_is_kept_with_the_reason() {
    for (probability, expected) in [
        (0.99, vec![Held::Wishes]),
        (0.93, vec![Held::Early]),
        (0.4, vec![Held::Unsure]),
        (0.2, vec![]),
    ] {
        let rig = Rig::sure(probability).await;
        rig.look(NOW).await;
        assert_eq!(rig.held().await, expected, "{probability}");
    }
}

#[tokio::test]
async fn what_was_cancelled_rests_and_what_was_got_is_a_purchase() {
    let rig = Rig::sure(0.99).await;
    rig.agrees().await;
    rig.look(NOW).await;
    let first = rig.store.orders_of(ADA, i64::MAX, 1).await.unwrap().remove(0).order;
    assert_eq!(rig.says(first.id(), Act::Cancel, NOW + 1).await, Status::Cancelled);
    assert_eq!(rig.look(NOW + 6 * DAY_MS).await.proposed, 0);
    assert_eq!(rig.held().await, [Held::Asked]);
    let later = NOW + 9 * DAY_MS;
    assert_eq!(rig.look(later).await.proposed, 1);
    let second = rig.store.orders_of(ADA, i64::MAX, 1).await.unwrap().remove(0).order;
    let (seen, total_minor) = (second.quote().id(), second.quote().total_minor());
    let approved = rig.says(second.id(), Act::Approve { seen, total_minor }, later).await;
    assert_eq!(approved, Status::Approved);
    // The grace period is over.
    let took = later + DAY_MS / 2;
    while rig.orders.desk.round(&rig.store, took).await.unwrap() > 0 {}
    let stored = rig.store.order(second.id()).await.unwrap().unwrap();
    assert_eq!(stored.order.status(), Status::Fulfilled);
    let consumption = rig.store.consumption(ADA).await.unwrap().unwrap();
    let newest = consumption.category("coffee").unwrap().purchases().all().last().copied();
    assert_eq!(newest.map(|newest| (newest.day, newest.quantity)), Some((20_009, 2)));
}

#[tokio::test]
async fn c3_who_withdraws_has_no_order_left_that_waits() {
    let rig = Rig::sure(0.99).await;
    rig.agrees().await;
    rig.look(NOW).await;
    let order = rig.store.orders_of(ADA, i64::MAX, 1).await.unwrap().remove(0).order;
    let mut turn = rig.store.begin().await.unwrap();
    let forgotten = [ADA].into();
    let effects = Effects { forgotten, ..Effects::default() };
    rig.follow.follow(&mut turn, &effects, NOW + 1).await.unwrap();
    turn.commit().await.unwrap();
    let stored = rig.store.order(order.id()).await.unwrap().unwrap();
    assert_eq!(stored.order.status(), Status::Cancelled);
    assert_eq!(rig.held().await, [], "what was said of them goes, too");
}

#[tokio::test]
async fn what_came_is_counted_when_all_of_it_is_known_and_moves_the_level() {
    let rig = Rig::sure(0.99).await;
    rig.agrees().await;
    rig.look(NOW).await;
    let checks = async || rig.store.need_checks::<Check>(0).await.unwrap();
    rig.look(NOW + 14 * DAY_MS).await;
    assert_eq!(checks().await, [], "late purchases may be missing");
    rig.look(NOW + 15 * DAY_MS).await;
    let (at, first) = checks().await.remove(0);
    assert_eq!((at, first.proposed.proposals, first.proposed.wrong), (NOW, 1, 1));
    assert_eq!((first.at_level.proposals, first.at_level.wrong), (1, 1));
    assert_eq!((first.bins[9].count, first.bins[9].came), (1, 0));
    assert_eq!(first.left_alone.proposals, 0);
    rig.buys("coffee", NOW + 20 * DAY_MS).await;
    rig.look(NOW + 40 * DAY_MS).await;
    let came: u64 = checks().await.iter().map(|(_, check)| check.bins[9].came).sum();
    assert_eq!(came, 2, "within a fortnight of the later two looks, not of the first");
}

#[tokio::test]
async fn what_the_lot_leaves_alone_is_not_asked_for_and_is_what_the_level_learns_from() {
    let (rig, tea) = Rig::drawn(0.99).await;
    let looked = rig.look(NOW).await;
    assert_eq!((looked.proposed, looked.suggested), (1, 1), "coffee is asked for");
    assert_eq!(rig.held().await, [Held::Lot]);
    rig.look(NOW + 3 * DAY_MS).await;
    assert_eq!(rig.held().await, [Held::Asked, Held::Asked], "as if it had been asked for");
    rig.look(NOW + 8 * DAY_MS).await;
    assert_eq!(rig.held().await.iter().filter(|held| **held == Held::Lot).count(), 1);
    // What somebody buys unasked is seen; what an order brought tells nothing.
    rig.buys(&tea, NOW + 10 * DAY_MS).await;
    let order = rig.store.orders_of(ADA, i64::MAX, 9).await.unwrap().pop().unwrap().order;
    assert_eq!(order.why().category, "coffee");
    rig.look(NOW + 40 * DAY_MS).await;
    let checks = rig.store.need_checks::<Check>(0).await.unwrap();
    let alone: Vec<_> = checks
        .iter()
        .map(|(_, check)| (check.left_alone.proposals, check.left_alone.wrong))
        .collect();
    assert_eq!(alone, [(1, 0), (0, 0), (1, 0)]);
}
