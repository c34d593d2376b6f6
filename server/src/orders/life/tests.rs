//! Each rule of an order's life, once.

use super::*;
use protocol::offer::{Currency, Money};

const START_MS: i64 = 1_795_190_645_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const GRACE_MS: i64 = HOUR_MS / 2;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn line(sku: &str, quantity: u32, unit_minor: i64) -> Line {
    Line { sku: sku.into(), title: format!("Coffee {sku}"), quantity, unit_minor }
}

fn quote(number: u128, lines: &[Line]) -> Quote {
    Quote::new(id(number), Currency::EUR, lines.to_vec(), 0).unwrap()
}

/// Two of `a` and one of `b`: 25.00 EUR.
fn first() -> Quote {
    quote(1, &[line("a", 2, 1_000), line("b", 1, 500)])
}

fn proposal() -> Proposal {
    Proposal {
        order: id(100),
        person: id(101),
        quote: first(),
        why: Why {
            model_id: "reorder-3".into(),
            category: "coffee".into(),
            confidence: 0.91,
            threshold: 0.76,
            reasons: vec!["you buy this about every 12 days; last 11 days ago".into()],
            inputs_digest: "0".repeat(64),
        },
        rules: Rules::default(),
    }
}

fn phone() -> Actor {
    Actor::Person { channel: "in_app".into() }
}

fn mail() -> Actor {
    Actor::Person { channel: "email".into() }
}

fn shop() -> Actor {
    Actor::Connector { name: "webhook".into() }
}

fn quoted(quote: Quote) -> Facts {
    Facts { current: Some(Current::Quoted { quote }), ..Facts::default() }
}

/// An order, its record, and a clock.
struct Bench {
    order: Order,
    events: Vec<Event>,
    now: i64,
    commands: u128,
}

impl Bench {
    fn new() -> Self {
        let (order, event) = Order::propose(id(999), Actor::Timer, proposal(), START_MS).unwrap();
        Self { order, events: vec![event], now: START_MS, commands: 1_000 }
    }

    fn after(mut self, ms: i64) -> Self {
        self.now += ms;
        self
    }

    fn next(&mut self, by: Actor, act: Act) -> Command {
        self.commands += 1;
        Command { id: id(self.commands), by, act }
    }

    fn send(&mut self, command: &Command, facts: &Facts) -> Answer {
        let decision = self.order.decide(command, self.now, facts);
        decision.events.iter().for_each(|event| self.order.apply(event).unwrap());
        self.events.extend(decision.events);
        assert_eq!(Order::replay(&self.events).unwrap(), self.order);
        decision.answer
    }

    fn says(&mut self, by: Actor, act: Act, facts: &Facts) -> Answer {
        let command = self.next(by, act);
        self.send(&command, facts)
    }

    /// The command is taken and leads there.
    fn then(mut self, by: Actor, act: Act, status: Status) -> Self {
        let answer = self.says(by, act, &Facts::default());
        assert_eq!((answer, self.order.status()), (Answer::Taken { status }, status));
        self
    }

    fn tick(self, status: Status) -> Self {
        self.then(Actor::Timer, Act::Tick, status)
    }

    fn told(self) -> Self {
        let quote = self.order.quote().id();
        self.then(shop(), Act::Told { quote, reminder: None }, Status::Notified)
    }

    fn approve(&self) -> Act {
        let seen = self.order.quote();
        Act::Approve { seen: seen.id(), total_minor: seen.total_minor() }
    }

    fn approved(self) -> Self {
        let act = self.approve();
        self.then(phone(), act, Status::Approved)
    }

    fn refused(&mut self, by: Actor, act: Act, facts: &Facts) -> Refusal {
        let before = (self.order.status(), self.order.quote().clone());
        match self.says(by, act, facts) {
            Answer::Refused { refusal } => {
                let after = (self.order.status(), self.order.quote().clone());
                assert!(before == after || after.0 == Status::Expired);
                refusal
            }
            taken @ Answer::Taken { .. } => panic!("{taken:?}"),
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.what.name()).collect()
    }
}

/// With the shop for the first time.
fn fulfilling() -> Bench {
    Bench::new().told().approved().after(GRACE_MS).tick(Status::Fulfilling)
}

fn not_taken(attempt: u8, retry: bool, unknown: bool) -> Act {
    Act::NotTaken { attempt, reason: "503".into(), retry, unknown }
}

#[test]
fn one_tap_and_it_is_bought() {
    let bench = fulfilling();
    assert_eq!(bench.order.wants(), Some(Want::Fulfil { key: id(100), attempt: 1 }));
    let bench = bench
        .then(shop(), Act::Accepted { reference: "S-1".into() }, Status::Fulfilled)
        .tick(Status::Fulfilled);
    assert_eq!(
        bench.names(),
        ["proposed", "notified", "approved", "fulfilment_started", "attempted", "fulfilled"]
    );
    assert_eq!((bench.order.due(), bench.order.wants()), (None, None));
    assert_eq!((bench.order.lesson(), bench.order.spent_minor()), (Some(true), 2_500));
}

#[test]
fn the_same_command_is_answered_the_same() {
    let mut bench = Bench::new().told();
    let act = bench.approve();
    let tap = bench.next(phone(), act);
    let answer = bench.send(&tap, &Facts::default());
    assert_eq!(answer, Answer::Taken { status: Status::Approved });
    let mut bench = bench.after(GRACE_MS).tick(Status::Fulfilling);
    let events = bench.events.len();
    assert_eq!(bench.send(&tap, &Facts::default()), answer);
    assert_eq!(bench.events.len(), events);
}

#[test]
fn a_refusal_is_remembered_too() {
    let mut bench = Bench::new().told();
    let act = bench.approve();
    let tap = bench.next(phone(), act);
    let limit = |most_minor| Facts {
        allowances: vec![Allowance {
            period: Period::Month,
            currency: Currency::EUR,
            most_minor,
            spent_minor: 8_000,
        }],
        ..Facts::default()
    };
    let refused = bench.send(&tap, &limit(10_000));
    // The limit was raised meanwhile; the tap that was refused must not buy now.
    assert_eq!(bench.send(&tap, &limit(99_999)), refused);
    assert_eq!(bench.order.status(), Status::Notified);
    let act = bench.approve();
    let again = bench.says(phone(), act, &limit(10_500));
    assert_eq!(again, Answer::Taken { status: Status::Approved });
}

#[test]
fn the_second_device_is_told_what_the_first_did() {
    let mut bench = Bench::new().told().approved();
    let (by, at_unix_ms) = (phone(), START_MS);
    let act = bench.approve();
    let refusal = bench.refused(mail(), act, &Facts::default());
    let status = Status::Approved;
    assert_eq!(refusal, Refusal::Answered { status, by: by.clone(), at_unix_ms });
    let mut bench = bench.then(phone(), Act::Cancel, Status::Cancelled);
    let refusal = bench.refused(mail(), Act::Cancel, &Facts::default());
    assert_eq!(refusal, Refusal::Ended { status: Status::Cancelled, by, at_unix_ms });
}

#[test]
fn silence_never_buys_and_late_taps_are_told_so() {
    let bench = Bench::new().told().after(2 * DAY_MS - 1);
    assert_eq!(bench.order.expires(), Some(START_MS + 2 * DAY_MS));
    // No timer came by: the tap itself finds that it is late.
    let mut bench = bench.after(1);
    let act = bench.approve();
    let refusal = bench.refused(phone(), act, &Facts::default());
    assert!(matches!(refusal, Refusal::Ended { status: Status::Expired, .. }));
    assert_eq!(
        refusal.to_string(),
        "this order is expired: nothing was bought. Order at the shop if you still need it, or \
         wait to be asked again"
    );
    assert_eq!(bench.order.lesson(), None);
    let bench = Bench::new().after(2 * DAY_MS).tick(Status::Expired);
    assert_eq!(bench.names(), ["proposed", "expired"]);
}

#[test]
fn reminders_come_within_their_cap() {
    let bench = Bench::new().told();
    assert_eq!(bench.order.due(), Some(START_MS + DAY_MS));
    let bench = bench.after(DAY_MS).tick(Status::Notified);
    let quote = bench.order.quote().id();
    assert_eq!(bench.order.wants(), Some(Want::Remind { quote, number: 1 }));
    let bench = bench.tick(Status::Notified).then(
        shop(),
        Act::Told { quote, reminder: Some(1) },
        Status::Notified,
    );
    assert_eq!(bench.order.wants(), None);
    assert_eq!(bench.order.due(), bench.order.expires());
    assert_eq!(bench.names(), ["proposed", "notified", "reminder_due", "reminded"]);
}

#[test]
fn a_modification_asks_again_and_old_links_are_dead() {
    let mut bench = Bench::new().told();
    let old = bench.approve();
    let wanted = vec![Wanted { sku: "a".into(), quantity: 3 }];
    let act = Act::Modify { lines: wanted };
    let new = quote(2, &[line("a", 3, 1_000)]);
    let answer = bench.says(phone(), act.clone(), &quoted(new.clone()));
    assert_eq!(answer, Answer::Taken { status: Status::Modified });
    assert_eq!(bench.order.wants(), Some(Want::Ask { quote: id(2) }));
    let refusal = bench.refused(mail(), old, &Facts::default());
    assert_eq!(refusal, Refusal::Superseded { quote: id(2), total: new.total() });
    let bench = bench.told().approved();
    assert_eq!(bench.order.quote(), &new);

    let mut bench = Bench::new();
    assert_eq!(bench.refused(phone(), act.clone(), &Facts::default()), Refusal::NoQuote);
    let nothing = Facts { current: Some(Current::Nothing), ..Facts::default() };
    assert_eq!(bench.refused(phone(), act.clone(), &nothing), Refusal::OutOfStock);
    let other = quoted(quote(2, &[line("c", 1, 1)]));
    assert_eq!(
        bench.refused(phone(), act.clone(), &other),
        Refusal::Substituted { sku: "c".into() }
    );
    assert_eq!(bench.refused(phone(), act, &quoted(quote(1, &[line("a", 3, 1)]))), Refusal::Quote);
}

#[test]
fn an_approval_names_what_it_saw() {
    let mut bench = Bench::new();
    let wrong = Act::Approve { seen: id(1), total_minor: 2_499 };
    let refusal = bench.refused(phone(), wrong, &Facts::default());
    assert!(matches!(refusal, Refusal::Superseded { .. }));
}

#[test]
fn a_dearer_price_asks_again_and_a_lower_one_goes_through() {
    let check = |current: Quote, status: Status, why: Option<Requote>| {
        let mut bench = Bench::new().told();
        let act = bench.approve();
        let answer = bench.says(phone(), act, &quoted(current.clone()));
        assert_eq!(answer, Answer::Taken { status });
        assert_eq!(bench.order.quote(), &current);
        let found = bench.events.last().and_then(|event| match &event.what {
            What::Requoted { why, .. } => Some(why.clone()),
            _ => None,
        });
        assert_eq!(found, why);
    };
    let priced = |unit| quote(2, &[line("a", 2, unit), line("b", 1, 500)]);
    check(priced(1_001), Status::Modified, Some(Requote::Dearer));
    check(priced(1_000), Status::Approved, None);
    check(priced(900), Status::Approved, None);
    check(first(), Status::Approved, None);
    let skus = vec!["b".to_owned()];
    let fewer = quote(2, &[line("a", 2, 1_000)]);
    check(fewer, Status::Modified, Some(Requote::OutOfStock { skus }));
}

#[test]
fn another_article_is_never_put_in_place_of_one() {
    let mut bench = Bench::new().told();
    let other = quoted(quote(2, &[line("a", 2, 1_000), line("c", 1, 400)]));
    let act = bench.approve();
    let refusal = bench.refused(phone(), act, &other);
    assert_eq!(refusal, Refusal::Substituted { sku: "c".into() });
    let nothing = Facts { current: Some(Current::Nothing), ..Facts::default() };
    let act = bench.approve();
    let answer = bench.says(phone(), act, &nothing);
    assert_eq!(answer, Answer::Taken { status: Status::Cancelled });
    assert_eq!(bench.order.lesson(), None);
}

#[test]
fn limits_say_by_how_much() {
    let mut bench = Bench::new().told();
    let euro = |minor| Money { minor, currency: Currency::EUR };
    let allowance = Allowance {
        period: Period::Week,
        currency: Currency::EUR,
        most_minor: 5_000,
        spent_minor: 2_501,
    };
    let facts = |allowance| Facts { allowances: vec![allowance], ..Facts::default() };
    let act = bench.approve();
    let refusal = bench.refused(phone(), act, &facts(allowance));
    let expected = Refusal::OverLimit {
        period: Period::Week,
        limit: euro(5_000),
        spent: euro(2_501),
        over: euro(1),
    };
    assert_eq!(refusal, expected);
    assert_eq!(
        refusal.to_string(),
        "this would exceed your limit of 50.00 EUR by 0.01 EUR: take something off, or raise the \
         limit"
    );
    let dollar = Currency::try_from("USD".to_owned()).unwrap();
    let act = bench.approve();
    let refusal = bench.refused(phone(), act, &facts(Allowance { currency: dollar, ..allowance }));
    assert_eq!(refusal, Refusal::LimitCurrency { limit: dollar, order: Currency::EUR });
    let act = bench.approve();
    let fits = facts(Allowance { spent_minor: 2_500, ..allowance });
    assert_eq!(bench.says(phone(), act, &fits), Answer::Taken { status: Status::Approved });
    // Numbers that make no sense do not make room.
    for spent_minor in [i64::MIN, i64::MAX] {
        let most_minor = if spent_minor < 0 { 2_499 } else { i64::MAX };
        let hostile = Allowance { spent_minor, most_minor, ..allowance };
        assert!(hostile.exceeded_by(2_500) > 0, "{spent_minor}");
    }
}

#[test]
fn an_approval_can_be_taken_back_within_its_grace() {
    let bench = Bench::new().told().approved();
    assert_eq!(bench.order.begins(), Some(START_MS + GRACE_MS));
    let bench = bench.after(GRACE_MS - 1).tick(Status::Approved);
    assert_eq!(bench.order.lesson(), None);
    let bench = bench.then(mail(), Act::Cancel, Status::Cancelled);
    assert_eq!(bench.order.ended(), Some(&Ended::Cancelled { because: End::Undone }));
    assert_eq!((bench.order.lesson(), bench.order.spent_minor()), (Some(false), 0));
    bench.after(GRACE_MS).tick(Status::Cancelled);
}

#[test]
fn what_a_standstill_held_up_is_not_bought() {
    let bench = Bench::new().told().approved().after(GRACE_MS + DAY_MS).tick(Status::Expired);
    assert_eq!(bench.order.spent_minor(), 0);
    let bench = fulfilling().then(shop(), not_taken(1, true, false), Status::Fulfilling);
    let bench = bench.after(2 * DAY_MS).tick(Status::Failed);
    let because = FailReason::TooLate;
    assert_eq!(bench.order.ended(), Some(&Ended::Failed { because, unknown: false }));
}

#[test]
fn a_delay_asks_again_on_its_date_with_a_fresh_quote() {
    let mut bench = Bench::new().told();
    let most = START_MS + 90 * DAY_MS;
    for until_unix_ms in [START_MS, i64::MIN, most + 1, i64::MAX] {
        let refusal = bench.refused(phone(), Act::Delay { until_unix_ms }, &Facts::default());
        assert_eq!(refusal, Refusal::Date { most_unix_ms: most });
    }
    let old = bench.approve();
    let until_unix_ms = START_MS + 7 * DAY_MS;
    let mut bench = bench.then(phone(), Act::Delay { until_unix_ms }, Status::Delayed);
    assert_eq!((bench.order.due(), bench.order.wants()), (Some(until_unix_ms), None));
    let refusal = bench.refused(mail(), old.clone(), &Facts::default());
    assert!(matches!(refusal, Refusal::Answered { status: Status::Delayed, .. }));
    let mut bench = bench.after(7 * DAY_MS).tick(Status::Delayed);
    assert_eq!(bench.order.wants(), Some(Want::Requote));
    let fresh = quote(2, &[line("a", 2, 1_100)]);
    let answer = bench.says(Actor::Timer, Act::Requote, &quoted(fresh));
    assert_eq!(answer, Answer::Taken { status: Status::Proposed });
    let missing = vec!["b".to_owned()];
    let why = bench.events.last().map(|event| event.what.clone());
    assert!(matches!(why, Some(What::Requoted { why: Requote::Returned { missing: found }, .. })
        if found == missing));
    let refusal = bench.refused(mail(), old, &Facts::default());
    assert!(matches!(refusal, Refusal::Superseded { .. }));
    bench.told().approved();
}

#[test]
fn a_delay_that_finds_no_price_expires() {
    let until_unix_ms = START_MS + DAY_MS;
    let delayed = || Bench::new().then(phone(), Act::Delay { until_unix_ms }, Status::Delayed);
    let bench = delayed().after(DAY_MS).tick(Status::Delayed);
    assert_eq!(bench.order.due(), Some(until_unix_ms + 2 * DAY_MS));
    bench.after(2 * DAY_MS).tick(Status::Expired);
    let mut bench = delayed().after(DAY_MS).tick(Status::Delayed);
    let nothing = Facts { current: Some(Current::Nothing), ..Facts::default() };
    let answer = bench.says(Actor::Timer, Act::Requote, &nothing);
    assert_eq!(answer, Answer::Taken { status: Status::Cancelled });
}

#[test]
fn withdrawal_ends_what_the_shop_does_not_have() {
    let until_unix_ms = START_MS + DAY_MS;
    for because in [Withdrawn::Consent, Withdrawn::Paused, Withdrawn::Erased] {
        let act = || Act::Withdraw { because };
        for bench in [
            Bench::new(),
            Bench::new().told(),
            Bench::new().then(phone(), Act::Delay { until_unix_ms }, Status::Delayed),
            Bench::new().told().approved(),
            Bench::new().told().approved().after(2 * GRACE_MS),
            fulfilling().then(shop(), not_taken(1, true, false), Status::Fulfilling),
        ] {
            let bench = bench.then(Actor::Timer, act(), Status::Cancelled);
            let end = Ended::Cancelled { because: End::Withdrawn(because) };
            assert_eq!((bench.order.ended(), bench.order.lesson()), (Some(&end), None));
            // Once more is no fault.
            bench.then(phone(), act(), Status::Cancelled).after(DAY_MS).tick(Status::Cancelled);
        }
    }
}

#[test]
fn what_is_ended_at_the_shop_is_not_asked_for_again() {
    let consent = || Act::Withdraw { because: Withdrawn::Consent };
    let stopped = || fulfilling().then(phone(), consent(), Status::Fulfilling);
    let because = FailReason::Stopped(End::Withdrawn(Withdrawn::Consent));
    let check = |bench: Bench, unknown| {
        assert_eq!(bench.order.ended(), Some(&Ended::Failed { because, unknown }));
        assert_eq!(bench.order.lesson(), None);
    };
    check(stopped().then(shop(), not_taken(1, true, false), Status::Failed), false);
    check(stopped().after(2 * 60_000).tick(Status::Failed), true);
    let unknown = fulfilling().then(shop(), not_taken(1, true, true), Status::Fulfilling);
    check(unknown.then(phone(), consent(), Status::Failed), true);
    // It was there already: then it is bought, and the record says so.
    stopped().then(shop(), Act::Accepted { reference: "S".into() }, Status::Fulfilled);
    let mut bench = stopped();
    assert_eq!(bench.refused(phone(), Act::Cancel, &Facts::default()), Refusal::Handed);
    let bench = fulfilling().then(phone(), Act::Cancel, Status::Fulfilling).after(2 * 60_000);
    assert_eq!(bench.tick(Status::Failed).order.lesson(), Some(false));
}

#[test]
fn the_shop_is_asked_again_by_its_schedule_and_then_no_more() {
    let rules = Rules::default();
    let mut bench = fulfilling();
    for (pause, attempt) in rules.retry_ms.iter().zip(1..) {
        assert_eq!(bench.order.wants(), Some(Want::Fulfil { key: id(100), attempt }));
        bench = bench.then(shop(), not_taken(attempt, true, false), Status::Fulfilling);
        assert_eq!(bench.order.wants(), None);
        assert_eq!(bench.order.due(), Some(bench.now + pause));
        bench = bench.after(*pause).tick(Status::Fulfilling);
    }
    let bench = bench.then(shop(), not_taken(6, true, false), Status::Failed);
    let because = FailReason::GaveUp;
    assert_eq!(bench.order.ended(), Some(&Ended::Failed { because, unknown: false }));
    assert_eq!(bench.names().iter().filter(|name| **name == "fulfilment_started").count(), 1);
    assert_eq!(bench.order.spent_minor(), 0);
}

#[test]
fn a_shop_that_says_nothing_may_have_taken_it() {
    let bench = fulfilling().after(2 * 60_000).tick(Status::Fulfilling);
    assert_eq!(bench.names().last(), Some(&"attempt_failed"));
    let mut late = fulfilling().after(2 * 60_000).tick(Status::Fulfilling);
    let refusal = late.refused(shop(), not_taken(1, true, false), &Facts::default());
    assert_eq!(refusal, Refusal::OutOfTurn { status: Status::Fulfilling });
    late.then(shop(), Act::Accepted { reference: "S-1".into() }, Status::Fulfilled);
    let bench = bench.after(60_000).tick(Status::Fulfilling);
    let bench = bench.then(shop(), not_taken(2, false, false), Status::Failed);
    let because = FailReason::Declined;
    assert_eq!(bench.order.ended(), Some(&Ended::Failed { because, unknown: true }));
    assert_eq!(bench.order.spent_minor(), 2_500);
}

#[test]
fn nobody_does_what_is_not_theirs() {
    let operator = || Actor::Operator { name: "anna".into() };
    let check = |mut bench: Bench, by: Actor, act: Act| {
        let refusal = bench.refused(by, act.clone(), &Facts::default());
        assert!(matches!(refusal, Refusal::NotYours { .. }), "{act:?}: {refusal:?}");
    };
    let approve = || Bench::new().approve();
    for by in [operator(), Actor::Timer, shop()] {
        check(Bench::new(), by.clone(), approve());
        check(Bench::new(), by, Act::Delay { until_unix_ms: START_MS + 1 });
    }
    check(Bench::new(), phone(), Act::Told { quote: id(1), reminder: None });
    check(fulfilling(), phone(), Act::Accepted { reference: "S".into() });
    check(Bench::new(), shop(), Act::Cancel);
    check(Bench::new(), shop(), Act::Withdraw { because: Withdrawn::Consent });
    Bench::new().then(operator(), Act::Cancel, Status::Cancelled);
    let proposed = Order::propose(id(1), phone(), proposal(), START_MS);
    assert!(matches!(proposed, Err(EventFault::Actor { .. })));
}

#[test]
fn a_life_is_bounded() {
    let mut bench = Bench::new();
    let most = bench.order.rules().most_quotes;
    for number in 2..=u128::from(most) {
        let act = Act::Modify { lines: vec![Wanted { sku: "a".into(), quantity: 1 }] };
        let answer = bench.says(phone(), act, &quoted(quote(number, &[line("a", 1, 1_000)])));
        assert_eq!(answer, Answer::Taken { status: Status::Modified });
    }
    let full = Refusal::TooManyQuotes { quotes: usize::from(most) };
    let act = Act::Delay { until_unix_ms: START_MS + 1 };
    assert_eq!(bench.refused(phone(), act, &Facts::default()), full);
    let act = bench.approve();
    assert_eq!(bench.refused(phone(), act, &quoted(quote(99, &[line("a", 1, 1_001)]))), full);
    for _ in 0..2 * MAX_REFUSALS {
        bench.refused(phone(), Act::Approve { seen: id(1), total_minor: 0 }, &Facts::default());
    }
    let refusals = bench.names().iter().filter(|name| **name == "refused").count();
    assert_eq!(refusals, MAX_REFUSALS);
    bench.approved();
}

#[test]
fn a_proposal_needs_a_reason_and_confidence() {
    let check = |change: &dyn Fn(&mut Proposal), expected: ProposalFault| {
        let mut one = proposal();
        change(&mut one);
        let fault = Order::propose(id(1), Actor::Timer, one, START_MS).unwrap_err();
        assert_eq!(fault, EventFault::Proposal(expected));
    };
    check(&|one| one.why.confidence = f64::NAN, ProposalFault::Probability);
    check(&|one| one.why.threshold = -0.1, ProposalFault::Probability);
    let unsure = ProposalFault::Unsure { confidence: 0.5, threshold: 0.76 };
    check(&|one| one.why.confidence = 0.5, unsure);
    check(&|one| one.why.reasons.clear(), ProposalFault::Reasons);
    check(&|one| one.why.inputs_digest = "x".repeat(64), ProposalFault::Origin);
    check(&|one| one.why.model_id.clear(), ProposalFault::Origin);
    let what = "grace_ms must be at most 366 days".to_owned();
    check(&|one| one.rules.grace_ms = i64::MAX, ProposalFault::Rules { what });
}

#[test]
fn a_record_that_was_changed_is_refused() {
    let bench =
        fulfilling().then(shop(), Act::Accepted { reference: "S".into() }, Status::Fulfilled);
    let check = |change: &dyn Fn(&mut Vec<Event>), index: usize| {
        let mut events = bench.events.clone();
        change(&mut events);
        assert_eq!(Order::replay(&events).unwrap_err().index, index, "{events:?}");
    };
    check(&|events| events.clear(), 0);
    check(&|events| drop(events.remove(0)), 0);
    check(&|events| events[2].by = Actor::Timer, 2);
    check(&|events| drop(events.remove(2)), 2);
    check(&|events| events.swap(2, 3), 2);
    check(&|events| events.push(events[5].clone()), 6);
    check(&|events| events[3].at_unix_ms -= 1, 3);
    check(&|events| events[0].at_unix_ms = -1, 0);
    check(&|events| events[5].at_unix_ms = i64::MAX, 5);
    check(&|events| events[3].what = What::FulfilmentStarted { key: id(5) }, 3);
    check(&|events| events[4].what = What::Attempted { number: 2 }, 4);
    check(&|events| events[2].command = events[0].command, 2);
    let approved = |quote| What::Approved { seen: id(1), quote, allowances: Vec::new() };
    check(&|events| events[2].what = approved(quote(1, &[line("a", 1, 1)])), 2);
    check(&|events| events[2].what = approved(quote(2, &[line("c", 1, 1)])), 2);
}

#[test]
fn records_are_written_so() {
    let bench = fulfilling();
    let json = serde_json::to_value(&bench.events[2]).unwrap();
    let lines = serde_json::json!([
        {"sku": "a", "title": "Coffee a", "quantity": 2, "unit_minor": 1000},
        {"sku": "b", "title": "Coffee b", "quantity": 1, "unit_minor": 500}
    ]);
    let expected = serde_json::json!({
        "at_unix_ms": START_MS, "by": {"actor": "person", "channel": "in_app"},
        "command": id(1_002),
        "what": {"type": "approved", "seen": id(1), "allowances": [], "quote": {"id": id(1),
            "currency": "EUR", "lines": lines, "extra_minor": 0, "total_minor": 2500}}
    });
    assert_eq!(json, expected);
    let cancelled = What::Cancelled { because: End::Withdrawn(Withdrawn::Consent) };
    let json = serde_json::json!({"type": "cancelled", "because": "consent"});
    assert_eq!(serde_json::to_value(&cancelled).unwrap(), json);
    assert_eq!(serde_json::from_value::<What>(json).unwrap(), cancelled);
}

#[test]
fn what_is_not_known_is_not_read() {
    let check = |json: serde_json::Value| {
        assert!(serde_json::from_value::<Event>(json.clone()).is_err(), "{json}");
    };
    let known = serde_json::to_value(&fulfilling().events[2]).unwrap();
    let changed = |pointer: &str, to: serde_json::Value| {
        let mut json = known.clone();
        *json.pointer_mut(pointer).unwrap() = to;
        json
    };
    check(changed("/what/type", "bought".into()));
    check(changed("/by/actor", "model".into()));
    check(changed("/at_unix_ms", 1.5.into()));
    check(changed("/what/quote/total_minor", 1.into()));
    check(changed("/what/quote/lines/0/quantity", 0.into()));
    check(changed("/what/quote/lines/0/unit_minor", (-1).into()));
    let mut more = known.clone();
    more["price"] = 1.into();
    check(more);
    let mut more = known.clone();
    more["what"]["price"] = 1.into();
    check(more);
}
