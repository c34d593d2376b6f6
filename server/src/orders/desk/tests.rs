//! The desk on a real database, with a shop and channels that do as they are told.

use super::*;
use crate::orders::life::Period;
use crate::{
    delivery::Notice,
    orders::{
        life::{End, Ended, Line, Quote, Refusal, Rules, Why},
        person::Limit,
        shop::ShopError,
    },
    store::Subject,
};
use async_trait::async_trait;
use std::sync::{
    Mutex,
    atomic::{AtomicI64, Ordering},
};
use tempfile::TempDir;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Sells everything at one price, and takes orders as its script says.
#[derive(Debug)]
struct Kiosk {
    unit_minor: AtomicI64,
    script: Mutex<Vec<Act>>,
    taken: Mutex<Vec<(Uuid, u8, i64)>>,
}

#[async_trait]
impl Shop for Kiosk {
    async fn quote(&self, goods: &[Wanted], currency: Currency) -> Result<Current, ShopError> {
        let unit_minor = self.unit_minor.load(Ordering::Relaxed);
        if unit_minor < 0 {
            return Err(ShopError::Unavailable("closed".to_owned()));
        }
        let lines = goods.iter().map(|one| line(&one.sku, one.quantity, unit_minor)).collect();
        let quote = Quote::new(Uuid::now_v7(), currency, lines, 0).unwrap();
        Ok(Current::Quoted { quote })
    }

    async fn take(&self, key: Uuid, attempt: u8, quote: &Quote) -> Act {
        self.taken.lock().unwrap().push((key, attempt, quote.total_minor()));
        let next = self.script.lock().unwrap().pop();
        next.unwrap_or(Act::Accepted { reference: format!("A-{attempt}") })
    }
}

fn line(sku: &str, quantity: u32, unit_minor: i64) -> Line {
    Line { sku: sku.to_owned(), title: sku.to_uppercase(), quantity, unit_minor }
}

/// A way to people that is closed.
#[derive(Debug)]
struct Closed(DeliveryError);

#[async_trait]
impl Channel for Closed {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Email
    }

    async fn send(&self, _: &Message) -> Result<Accepted, DeliveryError> {
        Err(self.0.clone())
    }
}

struct Rig {
    folder: TempDir,
    store: Store,
    desk: Desk,
    kiosk: Arc<Kiosk>,
    now: i64,
}

const PERSON: Uuid = Uuid::from_u128(1);

impl Rig {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut turn = store.begin().await.unwrap();
        let ada = Subject { person: PERSON, root: PERSON, first_seen_unix_ms: 0 };
        turn.put_subjects(&[ada]).await.unwrap();
        turn.commit().await.unwrap();
        let kiosk = Arc::new(Kiosk {
            unit_minor: AtomicI64::new(1_000),
            script: Mutex::default(),
            taken: Mutex::default(),
        });
        let shop = Some(Arc::clone(&kiosk) as Arc<dyn Shop>);
        let desk = Desk::new(shop, [], Wording::new(None, None).unwrap());
        let rig = Self { folder, store, desk, kiosk, now: 1_795_305_600_000 };
        rig.wish(Wishes { agreed_unix_ms: Some(0), ..Wishes::default() }).await;
        rig
    }

    async fn wish(&self, wishes: Wishes) {
        let mut turn = self.store.begin().await.unwrap();
        turn.put_wishes(PERSON, &wishes, self.now).await.unwrap();
        turn.commit().await.unwrap();
    }

    async fn wishes(&self) -> Wishes {
        self.store.wishes(PERSON).await.unwrap().unwrap()
    }

    fn proposal(sku: &str) -> Proposal {
        let quote = Quote::new(Uuid::now_v7(), Currency::EUR, vec![line(sku, 2, 1_000)], 0);
        Proposal {
            order: Uuid::now_v7(),
            person: PERSON,
            quote: quote.unwrap(),
            why: Why {
                model_id: "m".to_owned(),
                category: "coffee".into(),
                confidence: 0.9,
                threshold: 0.8,
                reasons: vec!["you buy this about every 12 days".to_owned()],
                inputs_digest: "0".repeat(64),
            },
            rules: Rules::default(),
        }
    }

    async fn propose(&self, sku: &str) -> Result<Uuid, NotAsked> {
        self.desk.propose(&self.store, Self::proposal(sku), self.now).await.unwrap()
    }

    async fn order(&self, id: Uuid) -> Order {
        self.store.order(id).await.unwrap().unwrap().order
    }

    async fn status(&self, id: Uuid) -> Status {
        self.order(id).await.status()
    }

    async fn rounds(&self) {
        while self.desk.round(&self.store, self.now).await.unwrap() > 0 {}
    }

    async fn tap(&self, id: Uuid, command: Uuid, act: Act) -> Answer {
        let by = Actor::Person { channel: "page".to_owned() };
        let command = Command { id: command, by, act };
        let heard = self.desk.hear(&self.store, id, &command, self.now).await.unwrap().unwrap();
        assert_eq!(heard.order, self.store.order(id).await.unwrap().unwrap(), "it is stored");
        heard.answer
    }

    async fn approve(&self, id: Uuid) -> Answer {
        let order = self.order(id).await;
        let (seen, total_minor) = (order.quote().id(), order.quote().total_minor());
        self.tap(id, Uuid::now_v7(), Act::Approve { seen, total_minor }).await
    }
}

#[tokio::test]
async fn an_order_is_asked_for_approved_held_and_bought_once() {
    let mut rig = Rig::new().await;
    let mut notices = rig.desk.in_app().listen();
    let id = rig.propose("coffee").await.unwrap();
    rig.rounds().await;
    assert_eq!(rig.status(id).await, Status::Notified);
    let Notice { person, subject, .. } = notices.try_recv().unwrap();
    assert_eq!((person, subject.as_str()), (PERSON, "COFFEE for 20.00 EUR?"));
    assert!(notices.try_recv().is_err(), "told once");

    let tap = Uuid::now_v7();
    let quote = rig.order(id).await.quote().clone();
    let yes = Act::Approve { seen: quote.id(), total_minor: quote.total_minor() };
    let taken = Answer::Taken { status: Status::Approved };
    assert_eq!(rig.tap(id, tap, yes.clone()).await, taken);
    assert_eq!(rig.tap(id, tap, yes.clone()).await, taken, "a double tap");
    let other = rig.tap(id, Uuid::now_v7(), yes).await;
    assert!(matches!(other, Answer::Refused { refusal: Refusal::Answered { .. } }), "{other:?}");

    rig.now += 29 * MINUTE;
    rig.rounds().await;
    assert!(rig.kiosk.taken.lock().unwrap().is_empty(), "it can still be taken back");
    rig.now += MINUTE;
    rig.rounds().await;
    assert_eq!(*rig.kiosk.taken.lock().unwrap(), [(id, 1, 2_000)]);
    assert_eq!(rig.status(id).await, Status::Fulfilled);
    let (fresh, learnt) = (Wishes::default().threshold, rig.wishes().await.threshold);
    assert!(learnt.approves(0.8) > fresh.approves(0.8), "the answer taught");
}

#[tokio::test]
async fn what_a_crash_broke_off_is_done_again_under_the_same_key() {
    let mut rig = Rig::new().await;
    let id = rig.propose("tea").await.unwrap();
    rig.rounds().await;
    rig.approve(id).await;
    rig.now += HOUR;
    // The shop does not answer twice, and may have it; between, the server ends and starts anew.
    let silent = |attempt| Act::NotTaken {
        attempt,
        reason: "no answer".to_owned(),
        retry: true,
        unknown: true,
    };
    *rig.kiosk.script.lock().unwrap() = vec![silent(2), silent(1)];
    for _ in 0..3 {
        rig.rounds().await;
        rig.store.close().await;
        rig.store = Store::open(rig.folder.path()).await.unwrap();
        rig.now += 10 * MINUTE;
    }
    rig.rounds().await;
    let asked = rig.kiosk.taken.lock().unwrap().clone();
    assert_eq!(asked, [(id, 1, 2_000), (id, 2, 2_000), (id, 3, 2_000)]);
    assert_eq!(rig.status(id).await, Status::Fulfilled);
}

#[tokio::test]
async fn silence_ends_an_order_and_buys_nothing() {
    let mut rig = Rig::new().await;
    let mut notices = rig.desk.in_app().listen();
    let id = rig.propose("milk").await.unwrap();
    rig.rounds().await;
    rig.now += 25 * HOUR;
    rig.rounds().await;
    rig.now += 30 * HOUR;
    rig.rounds().await;
    assert_eq!(rig.status(id).await, Status::Expired);
    let subjects: Vec<String> =
        std::iter::from_fn(|| notices.try_recv().ok()).map(|notice| notice.subject).collect();
    assert_eq!(subjects, ["MILK for 20.00 EUR?", "Still waiting for you: MILK for 20.00 EUR?"]);
    assert!(rig.kiosk.taken.lock().unwrap().is_empty());
    let late = rig.approve(id).await;
    assert!(matches!(late, Answer::Refused { refusal: Refusal::Ended { .. } }), "{late:?}");
    assert_eq!(rig.wishes().await.threshold, Wishes::default().threshold, "silence is no answer");
}

#[tokio::test]
async fn a_dearer_price_asks_again_and_a_shop_without_one_changes_nothing() {
    let mut rig = Rig::new().await;
    let mut notices = rig.desk.in_app().listen();
    let id = rig.propose("rice").await.unwrap();
    rig.rounds().await;
    rig.kiosk.unit_minor.store(1_100, Ordering::Relaxed);
    assert_eq!(rig.approve(id).await, Answer::Taken { status: Status::Modified });
    rig.rounds().await;
    let subjects: Vec<String> =
        std::iter::from_fn(|| notices.try_recv().ok()).map(|notice| notice.subject).collect();
    assert_eq!(subjects, ["RICE for 20.00 EUR?", "Changed: RICE for 22.00 EUR?"]);
    rig.kiosk.unit_minor.store(-1, Ordering::Relaxed);
    let lines = vec![Wanted { sku: "rice".to_owned(), quantity: 5 }];
    let answer = rig.tap(id, Uuid::now_v7(), Act::Modify { lines }).await;
    assert_eq!(answer, Answer::Refused { refusal: Refusal::NoQuote });
    // Put off, and the shop closed when its date comes: tried again until it opens.
    let until_unix_ms = rig.now + HOUR;
    rig.tap(id, Uuid::now_v7(), Act::Delay { until_unix_ms }).await;
    rig.now += HOUR;
    rig.rounds().await;
    assert_eq!(rig.status(id).await, Status::Delayed);
    rig.kiosk.unit_minor.store(900, Ordering::Relaxed);
    rig.now += MINUTE;
    rig.rounds().await;
    assert_eq!(rig.order(id).await.quote().total_minor(), 1_800);
    assert_eq!(rig.status(id).await, Status::Notified);
}

#[tokio::test]
async fn limits_hold_over_all_orders_of_a_person() {
    let rig = Rig::new().await;
    let day = Limit { period: Period::Day, currency: Currency::EUR, most_minor: 3_000 };
    rig.wish(Wishes { limits: vec![day], ..rig.wishes().await }).await;
    let (one, other) = (rig.propose("a").await.unwrap(), rig.propose("b").await.unwrap());
    rig.rounds().await;
    assert_eq!(rig.approve(one).await, Answer::Taken { status: Status::Approved });
    let over = rig.approve(other).await;
    let Answer::Refused { refusal: Refusal::OverLimit { over, .. } } = over else {
        panic!("{over:?}")
    };
    assert_eq!(over.minor, 1_000);
    // Taken back, it counts no more.
    rig.tap(one, Uuid::now_v7(), Act::Cancel).await;
    assert_eq!(rig.approve(other).await, Answer::Taken { status: Status::Approved });
}

#[tokio::test]
async fn nobody_is_asked_against_their_wishes_nor_twice_for_the_same() {
    let rig = Rig::new().await;
    rig.propose("soap").await.unwrap();
    assert_eq!(rig.propose("soap").await, Err(NotAsked::Waiting));
    rig.wish(Wishes { paused: true, ..rig.wishes().await }).await;
    assert_eq!(rig.propose("tea").await, Err(NotAsked::Wishes));
    rig.wish(Wishes::default()).await;
    assert_eq!(rig.propose("tea").await, Err(NotAsked::Wishes));
}

#[tokio::test]
async fn c3_a_withdrawal_ends_every_order_that_waits() {
    let mut rig = Rig::new().await;
    let (one, other) = (rig.propose("a").await.unwrap(), rig.propose("b").await.unwrap());
    rig.rounds().await;
    rig.approve(one).await;
    let by = Actor::Person { channel: "page".to_owned() };
    let end = rig.desk.end_all(&rig.store, PERSON, Withdrawn::Consent, &by, rig.now);
    assert_eq!(end.await.unwrap(), 2);
    rig.now += 48 * HOUR;
    rig.rounds().await;
    for id in [one, other] {
        let order = rig.order(id).await;
        let because = End::Withdrawn(Withdrawn::Consent);
        assert_eq!(order.ended(), Some(&Ended::Cancelled { because }));
    }
    assert!(rig.kiosk.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_channel_that_is_closed_is_tried_again_and_one_that_refuses_gives_way_to_the_page() {
    let mut rig = Rig::new().await;
    let email = Some("ada@example.com".parse().unwrap());
    rig.wish(Wishes { channel: ChannelKind::Email, email, ..rig.wishes().await }).await;
    let desk = |error| {
        let channel: Arc<dyn Channel> = Arc::new(Closed(error));
        Desk::new(None, [channel], Wording::new(None, None).unwrap())
    };
    rig.desk = desk(DeliveryError::Unreachable { channel: "email", why: String::new() });
    let id = rig.propose("a").await.unwrap();
    rig.rounds().await;
    assert_eq!(rig.status(id).await, Status::Proposed);
    rig.desk = desk(DeliveryError::Refused { channel: "email", status: 550 });
    rig.rounds().await;
    assert_eq!(rig.status(id).await, Status::Proposed, "not before its time");
    let mut notices = rig.desk.in_app().listen();
    rig.now += MINUTE;
    rig.rounds().await;
    assert_eq!(rig.status(id).await, Status::Notified);
    assert_eq!(notices.try_recv().unwrap().person, PERSON);
}
