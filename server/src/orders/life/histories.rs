//! Random histories of two orders of one person, beside a ledger that only reads their events.
//!
//! Commands come in any order, twice, from two devices at once and from those who have no right to
//! them; the clock jumps; the server crashes before and after it stores. `ATTUNE_HISTORIES` says how
//! many histories to try.

use super::*;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use protocol::offer::Currency;
use std::{cell::RefCell, collections::BTreeMap};

/// Histories that every run of the suite tries.
const HISTORIES: u32 = 2_000;
/// Says how many to try instead.
const HISTORIES_AT: &str = "ATTUNE_HISTORIES";
const START_MS: i64 = 1_795_190_645_000;
const ORDERS: usize = 2;
/// More ticks than any order needs to come to its end by time alone.
const TICKS: usize = 100;

/// What a step is made of: its kind, and three numbers that mean what the kind says.
type Step = (u8, u8, u8, u8);

/// What the events say, read without the state machine.
#[derive(Debug, Clone)]
struct Ledger {
    rules: Rules,
    asked: Quote,
    asked_at: i64,
    approved: Option<(Quote, i64)>,
    started: u32,
    attempts: u8,
    unknown: bool,
    /// Consent ended, or the person cancelled at the shop.
    withdrawn: bool,
    ended: Option<&'static str>,
}

impl Ledger {
    fn new(proposal: &Proposal) -> Self {
        Self {
            rules: proposal.rules.clone(),
            asked: proposal.quote.clone(),
            asked_at: START_MS,
            approved: None,
            started: 0,
            attempts: 0,
            unknown: false,
            withdrawn: false,
            ended: None,
        }
    }

    /// What may have been spent.
    fn spent(&self) -> i64 {
        let bought = match self.ended {
            None | Some("fulfilled") => true,
            Some("failed") => self.unknown,
            Some(_) => false,
        };
        self.approved.as_ref().filter(|_| bought).map_or(0, |(quote, _)| quote.total_minor())
    }

    /// Takes an event and checks all that must be true of it. `others` is what other orders spent.
    fn take(&mut self, event: &Event, others: i64, limit: Option<i64>) {
        let at = event.at_unix_ms;
        assert_eq!(self.ended, None, "after its end: {event:?}");
        let buys = matches!(
            event.what,
            What::Approved { .. } | What::FulfilmentStarted { .. } | What::Attempted { .. }
        );
        assert!(!(self.withdrawn && buys), "after a withdrawal: {event:?}");
        match &event.what {
            What::Proposed(_) => panic!("a second beginning"),
            What::Requoted { quote, .. } => {
                assert_eq!(self.approved, None, "changed after its approval");
                (self.asked, self.asked_at) = (quote.clone(), at);
            }
            What::Approved { seen, quote, .. } => {
                assert!(matches!(event.by, Actor::Person { .. }));
                assert_eq!(self.approved, None, "approved twice");
                assert_eq!(*seen, self.asked.id());
                assert!(at < self.asked_at + self.rules.answer_ms, "approved too late");
                let goods = |quote: &Quote| -> BTreeMap<String, u32> {
                    quote.lines().iter().map(|line| (line.sku.clone(), line.quantity)).collect()
                };
                assert_eq!(goods(quote), goods(&self.asked), "other goods");
                assert!(quote.total_minor() <= self.asked.total_minor(), "dearer");
                assert_eq!(quote.currency(), self.asked.currency());
                assert!(limit.is_none_or(|most| others + quote.total_minor() <= most), "limit");
                self.approved = Some((quote.clone(), at));
            }
            What::FulfilmentStarted { .. } => {
                let begins = self.approved.as_ref().map(|(_, at)| at + self.rules.grace_ms);
                let begins = begins.expect("not approved");
                assert!((begins..begins + self.rules.hold_ms).contains(&at));
                self.started += 1;
                assert_eq!(self.started, 1, "started twice");
            }
            What::Attempted { number } => {
                assert_eq!((self.started, *number), (1, self.attempts + 1));
                self.attempts += 1;
            }
            What::AttemptFailed { unknown, .. } => self.unknown |= unknown,
            What::Fulfilled { .. } => {
                assert!(self.started == 1 && self.attempts > 0);
                self.ended = Some("fulfilled");
            }
            What::Failed { .. } => self.ended = Some("failed"),
            What::Expired => {
                assert_eq!(self.started, 0, "expired at the shop");
                self.ended = Some("expired");
            }
            What::Cancelled { .. } => {
                assert!(!self.unknown, "cancelled while the shop may have it");
                self.ended = Some("cancelled");
            }
            What::Delayed { until_unix_ms } => self.asked_at = *until_unix_ms,
            What::Stopped { .. } => self.withdrawn = true,
            What::Notified { .. }
            | What::ReminderDue { .. }
            | What::Reminded { .. }
            | What::Woken
            | What::Refused { .. } => {}
        }
    }
}

/// One order: what is on disk, what is in memory, and the ledger.
struct Kept {
    disk: Vec<String>,
    order: Order,
    ledger: Ledger,
}

impl Kept {
    /// The server stops and starts again.
    fn crash(&mut self) {
        let events: Vec<Event> =
            self.disk.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
        let order = Order::replay(&events).unwrap();
        assert_eq!(order, self.order);
        self.order = order;
    }
}

struct World {
    orders: Vec<Kept>,
    now: i64,
    limit: Option<i64>,
    sent: Vec<(usize, Command, Facts, Answer)>,
    ids: u128,
}

fn line(sku: &str, quantity: u32, unit_minor: i64) -> Line {
    Line { sku: sku.into(), title: "Coffee".into(), quantity, unit_minor }
}

impl World {
    fn new() -> Self {
        let mut world =
            Self { orders: Vec::new(), now: START_MS, limit: None, sent: Vec::new(), ids: 0 };
        for _ in 0..ORDERS {
            let lines = vec![line("a", 2, 1_000), line("b", 1, 500)];
            let proposal = Proposal {
                order: world.id(),
                person: Uuid::from_u128(u128::MAX),
                quote: Quote::new(world.id(), Currency::EUR, lines, 100).unwrap(),
                why: Why {
                    model_id: "m".into(),
                    category: "coffee".into(),
                    confidence: 0.9,
                    threshold: 0.7,
                    reasons: vec!["r".into()],
                    inputs_digest: "0".repeat(64),
                },
                rules: Rules { reminders_ms: vec![3_600_000, 86_400_000], ..Rules::default() },
            };
            let ledger = Ledger::new(&proposal);
            let (order, event) =
                Order::propose(world.id(), Actor::Timer, proposal, START_MS).unwrap();
            let disk = vec![serde_json::to_string(&event).unwrap()];
            world.orders.push(Kept { disk, order, ledger });
        }
        world
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    /// What the shop says now, from honest to hostile.
    fn current(&mut self, of: usize, kind: u8) -> Option<Current> {
        let shown = self.orders[of].order.quote().clone();
        let mut lines = shown.lines().to_vec();
        let (mut id, mut currency) = (self.id(), Currency::EUR);
        match kind % 16 {
            0..=3 => return None,
            4 | 5 => return Some(Current::Quoted { quote: shown }),
            6 => lines.iter_mut().for_each(|line| line.unit_minor -= line.unit_minor / 10),
            7 => lines.iter_mut().for_each(|line| line.unit_minor += 7),
            8 => {
                lines.truncate(1);
                lines[0].quantity = 1;
            }
            9 => lines[0].quantity += 1,
            10 => lines[0].sku = "other".into(),
            11 => return Some(Current::Nothing),
            12 => currency = Currency::try_from("USD".to_owned()).unwrap(),
            13 => {
                id = shown.id();
                lines[0].unit_minor = 1;
            }
            _ => {}
        }
        let extra = shown.extra_minor();
        Some(Current::Quoted { quote: Quote::new(id, currency, lines, extra).unwrap() })
    }

    fn facts(&mut self, of: usize, kind: u8) -> Facts {
        let current = self.current(of, kind);
        let others = self.orders.iter().enumerate().filter(|(index, _)| *index != of);
        let spent_minor = others.map(|(_, kept)| kept.order.spent_minor()).sum();
        let allowances = self.limit.map(|most_minor| Allowance {
            period: Period::Month,
            currency: Currency::EUR,
            most_minor,
            spent_minor,
        });
        Facts { current, allowances: allowances.into_iter().collect() }
    }

    fn person(device: u8) -> Actor {
        Actor::Person { channel: if device.is_multiple_of(2) { "in_app" } else { "email" }.into() }
    }

    fn command(&mut self, of: usize, (kind, a, b, _): Step) -> Command {
        let shop = Actor::Connector { name: "webhook".into() };
        let order = &self.orders[of].order;
        let (seen, total_minor) = (order.quote().id(), order.quote().total_minor());
        let (by, act) = match kind {
            0..=4 => (Self::person(a), Act::Approve { seen, total_minor }),
            5 => (Self::person(a), Act::Approve { seen, total_minor: i64::from(b) }),
            6 => (Self::person(a), Act::Approve { seen: Uuid::from_u128(b.into()), total_minor }),
            7 | 8 => {
                let quantity = u32::from(b % 4);
                let lines = ["a", "b", "other"].map(|sku| Wanted { sku: sku.into(), quantity });
                (Self::person(a), Act::Modify { lines: lines[..usize::from(b % 3) + 1].to_vec() })
            }
            9 | 10 => {
                let until_unix_ms = self.now + i64::from(b) * 3_600_000 - 3_600_000;
                (Self::person(a), Act::Delay { until_unix_ms })
            }
            11 => (Self::person(a), Act::Cancel),
            12 => {
                let all = [Withdrawn::Consent, Withdrawn::Paused, Withdrawn::Erased];
                (Self::person(a), Act::Withdraw { because: all[usize::from(b % 3)] })
            }
            13..=16 => {
                let reminder = match order.wants() {
                    Some(Want::Remind { number, .. }) => Some(number),
                    _ => None,
                };
                (shop, Act::Told { quote: seen, reminder })
            }
            17 | 18 => (Actor::Timer, Act::Requote),
            19..=21 => (shop, Act::Accepted { reference: "S".into() }),
            22..=25 => {
                let attempt = match order.wants() {
                    Some(Want::Fulfil { attempt, .. }) => attempt,
                    _ => a,
                };
                let (retry, unknown) = (b % 8 > 0, b % 4 == 3);
                (shop, Act::NotTaken { attempt, reason: "no".into(), retry, unknown })
            }
            // Those who have no right to it.
            26 => {
                let by = [Actor::Timer, shop, Actor::Operator { name: "o".into() }];
                let act = if b % 2 == 0 {
                    Act::Approve { seen, total_minor }
                } else {
                    Act::Accepted { reference: "S".into() }
                };
                (by[usize::from(a % if b % 2 == 0 { 3 } else { 1 })].clone(), act)
            }
            27 => (Actor::Operator { name: "o".into() }, Act::Cancel),
            _ => (Actor::Timer, Act::Tick),
        };
        Command { id: self.id(), by, act }
    }

    /// Stores a decision, as a transaction would. Returns the answer if the order was still as the
    /// decision saw it.
    fn store(&mut self, of: usize, seen: u64, decision: Decision) -> Option<Answer> {
        let spent = self.orders.iter().enumerate().filter(|(index, _)| *index != of);
        let others = spent.map(|(_, kept)| kept.ledger.spent()).sum();
        let kept = &mut self.orders[of];
        if kept.order.events() != seen {
            return None;
        }
        for event in &decision.events {
            kept.order.apply(event).unwrap();
            kept.ledger.take(event, others, self.limit);
            kept.disk.push(serde_json::to_string(event).unwrap());
        }
        assert_eq!(kept.order.events(), kept.disk.len() as u64);
        assert_eq!(kept.order.spent_minor(), kept.ledger.spent());
        if matches!(kept.order.wants(), Some(Want::Fulfil { .. })) {
            let approved = kept.ledger.approved.as_ref().map(|(quote, _)| quote);
            assert_eq!(Some(kept.order.quote()), approved, "another quote than approved");
        }
        if let Some(due) = kept.order.due() {
            assert!(due > START_MS);
        }
        Some(decision.answer)
    }

    /// Decides and stores, again if somebody else was quicker.
    fn send(&mut self, of: usize, command: &Command, facts: &Facts) -> Answer {
        let order = &self.orders[of].order;
        let (seen, decision) = (order.events(), order.decide(command, self.now, facts));
        self.store(of, seen, decision).unwrap()
    }

    fn take(&mut self, step: Step) {
        let (kind, a, b, c) = step;
        let of = usize::from(c) % ORDERS;
        match kind {
            0..=31 => {
                let command = self.command(of, step);
                let facts = self.facts(of, a.wrapping_add(b));
                let answer = self.send(of, &command, &facts);
                if matches!(command.act, Act::Withdraw { .. }) {
                    let kept = &mut self.orders[of];
                    kept.ledger.withdrawn = true;
                    assert!(kept.order.status().is_end() || kept.ledger.started == 1);
                }
                self.sent.push((of, command, facts, answer));
            }
            // Two devices decide on the same state; one of them is the first to store.
            32..=34 => {
                let one = self.command(of, (a % 13, 0, b, c));
                let two = self.command(of, (b % 13, 1, a, c));
                let facts = self.facts(of, a);
                let order = &self.orders[of].order;
                let seen = order.events();
                let [first, second] = [&one, &two].map(|tap| order.decide(tap, self.now, &facts));
                let first = self.store(of, seen, first).unwrap();
                let second = self.store(of, seen, second);
                let second = second.unwrap_or_else(|| self.send(of, &two, &facts));
                self.sent.push((of, one, facts.clone(), first));
                self.sent.push((of, two, facts, second));
            }
            // A command comes again, with whatever is known by now.
            35..=38 if !self.sent.is_empty() => {
                let index = usize::from(a) % self.sent.len();
                let (of, command, _, answer) = self.sent[index].clone();
                let before = self.orders[of].order.clone();
                let facts = self.facts(of, b);
                if before.answer(command.id).is_some() {
                    assert_eq!(self.send(of, &command, &facts), answer);
                    assert_eq!(self.orders[of].order, before);
                } else {
                    self.sent[index].3 = self.send(of, &command, &facts);
                }
            }
            // A crash between deciding and storing: whoever asked asks again.
            39 | 40 => {
                let command = self.command(of, (a % 32, b, a, c));
                let facts = self.facts(of, b);
                drop(self.orders[of].order.decide(&command, self.now, &facts));
                self.orders[of].crash();
                let answer = self.send(of, &command, &facts);
                self.sent.push((of, command, facts, answer));
            }
            41 | 42 => self.orders[of].crash(),
            43 => {
                self.limit = [None, Some(2_600), Some(4_000), Some(6_000)]
                    .get(usize::from(a % 4))
                    .copied()
                    .flatten()
            }
            44..=46 => self.now += i64::from(a) * 60_000,
            47 => self.now += i64::from(a) * 3_600_000,
            48 => self.now -= i64::from(a) * 60_000,
            // On to when something is due, and a tick.
            49..=52 => {
                if let Some(due) = self.orders[of].order.due() {
                    self.now = self.now.max(due - i64::from(a.is_multiple_of(8)));
                }
                self.tick(of);
            }
            // What is wanted is done.
            _ => {
                let kind = match self.orders[of].order.wants() {
                    Some(Want::Ask { .. } | Want::Remind { .. }) => 13,
                    Some(Want::Requote) => 17,
                    Some(Want::Fulfil { .. }) if a.is_multiple_of(4) => 19,
                    Some(Want::Fulfil { .. }) => 22,
                    None => 31,
                };
                self.take((kind, a, b, c));
            }
        }
    }

    fn tick(&mut self, of: usize) {
        let command = Command { id: self.id(), by: Actor::Timer, act: Act::Tick };
        self.send(of, &command, &Facts::default());
        let due = self.orders[of].order.due();
        let at = self.now.max(self.orders[of].order.last_unix_ms);
        assert!(due.is_none_or(|due| due > at), "a tick left something due");
    }

    /// With time alone every order comes to its end, and no command changes anything any more.
    fn finish(&mut self) {
        for of in 0..ORDERS {
            for _ in 0..TICKS {
                let Some(due) = self.orders[of].order.due() else { break };
                self.now = self.now.max(due);
                self.tick(of);
            }
            assert!(self.orders[of].order.status().is_end(), "{:?}", self.orders[of].order);
            self.orders[of].crash();
        }
        for (of, command, facts, answer) in &self.sent {
            let order = &self.orders[*of].order;
            let decision = order.decide(command, self.now, facts);
            assert_eq!(decision.events, []);
            if matches!(command.by, Actor::Person { .. }) {
                assert_eq!(decision.answer, *answer, "{command:?}");
            }
        }
        for of in 0..ORDERS {
            let fresh = Command {
                id: Uuid::nil(),
                by: Self::person(0),
                act: Act::Approve { seen: Uuid::nil(), total_minor: 0 },
            };
            let decision = self.orders[of].order.decide(&fresh, self.now, &Facts::default());
            assert!(decision.events.is_empty());
            let Answer::Refused { refusal: Refusal::Ended { .. } } = decision.answer else {
                panic!("{:?}", decision.answer)
            };
        }
    }
}

#[test]
fn whatever_happens_nothing_is_bought_that_was_not_approved() {
    let cases = std::env::var(HISTORIES_AT).ok().map_or(HISTORIES, |text| text.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec((0..60u8, any::<u8>(), any::<u8>(), any::<u8>()), 1..80);
    let tally = RefCell::new(BTreeMap::<String, u64>::new());
    TestRunner::new(config)
        .run(&steps, |steps| {
            let mut world = World::new();
            steps.into_iter().for_each(|step| world.take(step));
            world.finish();
            let mut tally = tally.borrow_mut();
            for kept in &world.orders {
                *tally.entry(format!("= {}", kept.order.status())).or_default() += 1;
                for json in &kept.disk {
                    let event: Event = serde_json::from_str(json).unwrap();
                    *tally.entry(event.what.name().to_owned()).or_default() += 1;
                }
            }
            Ok(())
        })
        .unwrap();
    let tally = tally.into_inner();
    println!("{cases} histories of {ORDERS} orders: {tally:?}");
    // 17 events and 4 ends: histories that never get there prove nothing.
    assert_eq!(tally.len(), 21, "{tally:?}");
}

proptest! {
    /// Events in any order and at any time make an order, or are refused.
    #[test]
    fn any_sequence_of_events_is_an_order_or_is_not(
        steps in prop::collection::vec((0..60u8, any::<u8>(), any::<u8>(), any::<u8>()), 1..40),
        shuffled in prop::collection::vec((any::<prop::sample::Index>(), any::<i64>()), 0..30),
        near in any::<bool>(),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.take(step));
        let events: Vec<Event> = world.orders.iter().flat_map(|kept| &kept.disk)
            .map(|json| serde_json::from_str(json).unwrap()).collect();
        let mut record = vec![events[0].clone()];
        for (index, at) in shuffled {
            let mut event = index.get(&events).clone();
            event.at_unix_ms = if near { event.at_unix_ms.saturating_add(at % 1_000) } else { at };
            record.push(event);
        }
        if let Err(fault) = Order::replay(&record) {
            prop_assert!(fault.index < record.len());
            if let Ok(order) = Order::replay(&record[..fault.index]) {
                let mut same = order.clone();
                prop_assert_eq!(same.apply(&record[fault.index]), Err(fault.fault));
                prop_assert_eq!(same, order);
            }
        }
    }

    /// Hostile times and numbers never panic.
    #[test]
    fn any_time_is_a_time(now in any::<i64>(), until_unix_ms in any::<i64>(), at in any::<i64>()) {
        let mut world = World::new();
        world.orders.truncate(1);
        let order = &mut world.orders[0].order;
        for (number, act, time) in [
            (901, Act::Delay { until_unix_ms }, now),
            (902, Act::Tick, at),
            (903, Act::Requote, now),
            (904, Act::Tick, now),
        ] {
            let by = if number == 901 { World::person(0) } else { Actor::Timer };
            let command = Command { id: Uuid::from_u128(number), by, act };
            for event in order.decide(&command, time, &Facts::default()).events {
                order.apply(&event).unwrap();
            }
        }
        let bad = Order::replay(&[]).unwrap_err();
        prop_assert_eq!(bad.fault, EventFault::None);
    }
}
