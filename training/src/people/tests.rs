use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A Monday: 2024-10-07.
const FIRST_DAY: i32 = 20_003;

fn settings(people: u32, seed: u64) -> Settings {
    Settings { people, seed, first_day: FIRST_DAY, drift: None }
}

fn drifting(people: u32, day: i32, people_share: f64, turn: Turn) -> Settings {
    let drift = Some(Drift { day: FIRST_DAY + day, people_share, turn });
    Settings { drift, ..settings(people, 1) }
}

fn made(settings: &Settings) -> People {
    People::new(settings).unwrap()
}

/// What is bought on each of so many days.
fn lived(people: &mut People, days: usize) -> Vec<Vec<Bought>> {
    (0..days).map(|_| people.live_a_day()).collect()
}

/// Everybody with everything they use at some time.
fn pairs(people: &People) -> Vec<(u32, usize)> {
    let of = |(person, (_, holdings)): (u32, &Person)| {
        holdings.iter().map(|one| (person, one.category)).collect::<Vec<_>>()
    };
    (0..).zip(&people.people).flat_map(of).collect()
}

fn category(id: &str) -> usize {
    CATALOGUE.iter().position(|one| one.id == id).unwrap()
}

#[test]
fn a_seed_makes_the_same_people_and_another_makes_others() {
    let year = |seed| lived(&mut made(&settings(40, seed)), 120);
    assert_eq!(year(1), year(1));
    assert_ne!(year(1), year(2));
    // More people change nothing for the first ones.
    let mut more = lived(&mut made(&settings(50, 1)), 120);
    more.iter_mut().for_each(|day| day.retain(|one| one.person < 40));
    assert_eq!(more, year(1));
}

#[test]
fn what_is_foreseen_is_what_comes() {
    const AHEAD: u32 = 40;
    let mut people = made(&settings(300, 3));
    let (mut needed, mut not) = (0, 0);
    for _ in 0..6 {
        lived(&mut people, 25);
        let mut future = people.clone();
        let mut first: BTreeMap<(u32, usize), u32> = BTreeMap::new();
        for (after, day) in (1..).zip(lived(&mut future, AHEAD as usize)) {
            day.iter().for_each(|one| {
                first.entry((one.person, one.category)).or_insert(after);
            });
        }
        for (person, category) in pairs(&people) {
            let comes = first.get(&(person, category)).copied();
            assert_eq!(people.next_need(person, category, AHEAD), comes, "{person} {category}");
            for days in [0, 1, 7, 14] {
                let within = comes.is_some_and(|after| after <= days);
                assert_eq!(people.needs_within(person, category, days), within);
            }
            *if comes.is_some() { &mut needed } else { &mut not } += 1;
        }
    }
    assert!(needed > 1_000 && not > 1_000, "{needed} {not}");
}

#[test]
fn a_delivery_postpones_the_own_purchase() {
    let mut people = made(&settings(400, 4));
    lived(&mut people, 60);
    let (mut all, mut later) = (0, 0);
    for (person, category) in pairs(&people) {
        let Some(before) = people.next_need(person, category, 30) else { continue };
        let (_, holding) = people.holding(person, category).unwrap();
        let (sku, packs) = (holding.favourite, holding.packs);
        let mut supplied = people.clone();
        supplied.deliver(person, category, sku, packs);
        let after = supplied.next_need(person, category, 120).unwrap_or(u32::MAX);
        if matches!(CATALOGUE[category].need, Need::Whim { .. }) {
            assert_eq!(after, before, "a whim knows no stock");
            continue;
        }
        // Never earlier.
        assert!(after >= before, "{person} {category}: {before}, then {after}");
        all += 1;
        later += u32::from(after > before);
        // The others' are as they were.
        let other = (person + 1) % 400;
        assert_eq!(supplied.next_need(other, category, 30), people.next_need(other, category, 30));
    }
    // An offer may tempt somebody who has enough.
    assert!(all > 500 && f64::from(later) > 0.97 * f64::from(all), "{later} of {all}");
}

#[test]
fn what_is_bought_is_what_is_used() {
    const DAYS: usize = 365;
    let mut people = made(&settings(3_000, 5));
    let days = lived(&mut people, DAYS);
    let mut units: BTreeMap<(u32, usize), f64> = BTreeMap::new();
    for one in days.iter().flatten() {
        let category = &CATALOGUE[one.category];
        let each = if matches!(category.need, Need::Whim { .. }) {
            1.0
        } else {
            category.skus[one.sku].pack
        };
        let packs = if matches!(category.need, Need::Whim { .. }) { 1 } else { one.quantity };
        *units.entry((one.person, one.category)).or_default() += each * f64::from(packs);
    }
    let last = FIRST_DAY + DAYS as i32;
    for (place, category) in CATALOGUE.iter().enumerate() {
        let (mut bought, mut used, mut catalogue) = (0.0, 0.0, 0.0);
        for (person, (of, holdings)) in (0..).zip(&people.people) {
            let Some(own) = holdings.iter().find(|one| one.category == place) else { continue };
            let days = f64::from((own.days.end.min(last) - own.days.start).max(0));
            bought += units.get(&(person, place)).copied().unwrap_or_default();
            used += days * own.rate;
            catalogue += days
                * match category.need {
                    Need::Stock { use_per_day, shared, .. } => {
                        use_per_day * if shared { f64::from(of.size) } else { 1.0 }
                    }
                    Need::Whim { per_day } => per_day,
                };
        }
        // What was at home at first is not bought, what is left at the end not used; what was not
        // there could not be used.
        let of_used = bought / used;
        assert!((0.85..1.10).contains(&of_used), "{}: {of_used} of what was used", category.id);
        let of_catalogue = used / catalogue;
        assert!((0.90..1.10).contains(&of_catalogue), "{}: {of_catalogue}", category.id);
    }
}

#[test]
fn people_are_as_the_documentation_says() {
    let people = made(&settings(4_000, 6));
    let n = people.people.len() as f64;
    let share = |is: &dyn Fn(&Person) -> bool| {
        people.people.iter().filter(|one| is(one)).count() as f64 / n
    };
    // Four standard errors are .032 at most.
    let near = |found: f64, expected: f64| (found - expected).abs() < 0.032;
    let manner = |manner: &dyn Fn(Manner) -> bool| share(&|one| manner(one.0.manner));
    assert!(near(manner(&|m| m == Manner::Honest), SHARES.honest));
    assert!(near(manner(&|m| m == Manner::Eager), SHARES.eager));
    assert!(near(manner(&|m| m == Manner::Refuser), SHARES.refuser));
    assert!(near(manner(&|m| m == Manner::Silent), SHARES.silent));
    assert!(near(manner(&|m| matches!(m, Manner::Drifting { .. })), SHARES.drifting));
    assert!(near(manner(&|m| m == Manner::Late), SHARES.late));
    assert!(near(share(&|one| one.0.size == 1), 0.42) && near(share(&|one| one.0.size == 4), 0.12));
    assert!(near(share(&|one| one.0.fond_of_offers > 0.0), 0.30));
    let starts = |one: &Person| one.1[0].days.start;
    assert!(near(share(&|one| starts(one) > FIRST_DAY), 0.20));
    for (_, holdings) in &people.people {
        assert!((3..=9).contains(&holdings.len()));
        let mut categories: Vec<usize> = holdings.iter().map(|one| one.category).collect();
        categories.sort_unstable();
        categories.dedup();
        assert_eq!(categories.len(), holdings.len());
    }
    // After a year: who gave a category up or left, of those who began on the first day.
    let began = people.people.iter().flat_map(|one| &one.1);
    let began: Vec<_> = began.filter(|one| one.days.start == FIRST_DAY).collect();
    let ended = began.iter().filter(|one| one.days.end <= FIRST_DAY + 365).count() as f64;
    assert!(near(ended / began.len() as f64, 1.0 - (-0.22_f64).exp()));
}

#[test]
fn purchases_come_in_the_order_of_time_while_the_shop_is_open() {
    let mut people = made(&settings(300, 7));
    for day in lived(&mut people, 30) {
        assert!(day.is_sorted() && !day.is_empty());
        for one in day {
            assert!(
                (420..1_320).contains(&one.minute) && (1..=13).contains(&one.quantity),
                "{one:?}"
            );
            let price = CATALOGUE[one.category].skus[one.sku].price_cents;
            assert!(one.price_cents <= price && one.price_cents >= price * 4 / 5, "{one:?}");
        }
    }
}

/// Packs bought in each of twelve weeks.
fn weekly(settings: &Settings) -> Vec<u32> {
    let days = lived(&mut made(settings), 84);
    days.chunks(7).map(|week| week.iter().flatten().map(|one| one.quantity).sum()).collect()
}

#[test]
fn a_drift_changes_what_comes_and_nothing_before() {
    let usual = weekly(&settings(1_000, 1));
    for turn in [Turn::Away { days: 21 }, Turn::Rates { factor: 1.8 }, Turn::Tastes { share: 1.0 }]
    {
        let changed = weekly(&drifting(1_000, 42, 0.5, turn));
        assert_eq!(changed[..6], usual[..6], "{turn:?}");
        let (mut before, mut after) =
            (made(&settings(1_000, 1)), made(&drifting(1_000, 42, 0.5, turn)));
        assert_eq!(lived(&mut before, 42), lived(&mut after, 42), "{turn:?}");
        assert_ne!(before.live_a_day(), after.live_a_day(), "{turn:?}");
        let beside = |weeks: std::ops::Range<usize>| {
            let sum = |all: &[u32]| f64::from(all[weeks.clone()].iter().sum::<u32>());
            sum(&changed) / sum(&usual)
        };
        match turn {
            // Half of them buy nothing for three weeks, and then a little more than usual.
            Turn::Away { .. } => {
                assert!((0.45..0.55).contains(&beside(6..9)), "{}", beside(6..9));
                assert!((1.0..1.2).contains(&beside(9..12)), "{}", beside(9..12));
            }
            // Half of them 1.8 times as much.
            Turn::Rates { .. } => {
                assert!((1.3..1.5).contains(&beside(8..12)), "{}", beside(8..12));
            }
            // Other goods, more of them at first.
            Turn::Tastes { .. } => {
                assert!((0.6..1.4).contains(&beside(8..12)), "{}", beside(8..12))
            }
        }
    }
    // Of nobody, it is none; what all of them give up, nobody buys.
    let nobody = drifting(50, 42, 0.0, Turn::Tastes { share: 1.0 });
    assert_eq!(weekly(&nobody), weekly(&settings(50, 1)));
    let mut all = made(&drifting(50, 10, 1.0, Turn::Tastes { share: 1.0 }));
    let first = pairs(&made(&settings(50, 1)));
    lived(&mut all, 10);
    assert!(
        lived(&mut all, 90)
            .iter()
            .flatten()
            .all(|one| !first.contains(&(one.person, one.category)))
    );
}

/// How often each answer came, of so many questions put to people of a manner on a day.
fn answers(is: impl Fn(Manner) -> bool, day: usize) -> (usize, BTreeMap<&'static str, usize>) {
    let mut people = made(&settings(3_000, 8));
    lived(&mut people, day);
    let mut counts = BTreeMap::new();
    let mut questions = 0;
    for (person, category) in pairs(&people) {
        if !people.manner(person).is_some_and(&is) {
            continue;
        }
        questions += 1;
        let asked =
            Asked { category, sku: 0, quantity: 1, horizon_days: 14, timeout_minutes: 2_880 };
        let reply = people.answer(person, &asked);
        assert_eq!(reply, people.answer(person, &asked));
        let next = people.next_need(person, category, 28);
        let name = match reply.map(|reply| reply.answer) {
            None => "none",
            Some(Answer::Approve) => "approve",
            Some(Answer::Modify { quantity, .. }) => {
                assert!(quantity >= 1);
                "modify"
            }
            Some(Answer::Cancel) => "cancel",
            Some(Answer::Delay { days }) => {
                assert_eq!(next, Some(days + 14));
                "delay"
            }
        };
        if !is(Manner::Eager) && matches!(name, "approve" | "modify") {
            assert!(next.is_some_and(|after| after <= 14), "approved without need");
        }
        *counts.entry(name).or_default() += 1;
        let Some(reply) = reply else { continue };
        *counts.entry(if reply.taps == 2 { "twice" } else { "once" }).or_default() += 1;
        *counts.entry("too late").or_default() += usize::from(reply.minutes_later > 2_880);
    }
    (questions, counts)
}

#[test]
fn each_manner_answers_in_its_own_way() {
    let share = |(questions, counts): &(usize, BTreeMap<&str, usize>), name: &str| {
        counts.get(name).copied().unwrap_or(0) as f64 / *questions as f64
    };
    let honest = answers(|m| m == Manner::Honest, 30);
    assert!((0.07..0.09).contains(&share(&honest, "none")), "{honest:?}");
    assert!((0.04..0.06).contains(&share(&honest, "twice")), "{honest:?}");
    assert!(share(&honest, "too late") < 0.01, "{honest:?}");
    for name in ["approve", "modify", "cancel", "delay"] {
        assert!(share(&honest, name) > 0.05, "{name}: {honest:?}");
    }
    let late = answers(|m| m == Manner::Late, 30);
    assert!((0.5..0.8).contains(&share(&late, "too late")), "{late:?}");
    let eager = answers(|m| m == Manner::Eager, 30);
    assert!((0.95..0.99).contains(&share(&eager, "approve")), "{eager:?}");
    assert_eq!(share(&answers(|m| m == Manner::Silent, 30), "none"), 1.0);
    assert_eq!(share(&answers(|m| m == Manner::Refuser, 30), "cancel"), 1.0);
    let turns = |m| matches!(m, Manner::Drifting { .. });
    assert!(share(&answers(turns, 30), "approve") > 0.1);
    assert_eq!(share(&answers(turns, 241), "cancel"), 1.0);
}

/// How well "so many of its usual gaps have passed" ranks who buys a category within `horizon_days`;
/// and the share of those who do.
fn rule_of_thumb(id: &str, horizon_days: u32) -> (f64, f64) {
    const DAYS: usize = 160;
    let wanted = category(id);
    let mut people = made(&settings(3_000, 9));
    let mut bought: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (day, all) in lived(&mut people, DAYS).iter().enumerate() {
        for one in all.iter().filter(|one| one.category == wanted) {
            bought.entry(one.person).or_default().push(day);
        }
    }
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    for (person, days) in bought.iter().filter(|(_, days)| days.len() >= 3) {
        let (first, last) = (days[0] as f64, days[days.len() - 1] as f64);
        let gap = (last - first) / (days.len() - 1) as f64;
        scores.push((DAYS as f64 - 1.0 - last) / gap);
        let comes = people.needs_within(*person, wanted, horizon_days);
        labels.push(f32::from(u8::from(comes)));
    }
    let share = labels.iter().sum::<f32>() / labels.len() as f32;
    (crate::metrics::auc(&scores, &labels), f64::from(share))
}

#[test]
fn regular_categories_can_be_foreseen_and_whims_cannot() {
    let (auc, came) = rule_of_thumb("coffee", 7);
    assert!(auc > 0.62 && (0.1..0.6).contains(&came), "{auc} {came}");
    let (auc, came) = rule_of_thumb("vitamins", 7);
    assert!(auc > 0.70 && (0.1..0.6).contains(&came), "{auc} {came}");
    // Who left long ago does not come: that much, the rule knows the wrong way round.
    let (auc, came) = rule_of_thumb("chocolate", 7);
    assert!(auc < 0.55 && (0.2..0.6).contains(&came), "{auc} {came}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let usual = settings(10, 1);
    let refused = |settings: Settings| People::new(&settings).unwrap_err().to_string();
    let with = |day, people_share, turn| {
        refused(Settings { drift: Some(Drift { day, people_share, turn }), ..usual })
    };
    let away = Turn::Away { days: 1 };
    assert!(refused(Settings { people: u32::MAX, ..usual }).contains("at most 1000000"));
    assert!(refused(Settings { first_day: i32::MIN, ..usual }).contains("too far"));
    assert!(with(i32::MAX, 0.5, away).contains("too far"));
    assert!(with(0, f64::NAN, away).contains("a share of NaN is none"));
    assert!(with(0, 0.5, Turn::Tastes { share: 1.1 }).contains("a share of 1.1"));
    assert!(with(0, 0.5, Turn::Rates { factor: f64::INFINITY }).contains("inf times as much"));
}

fn turns() -> impl Strategy<Value = Turn> {
    prop_oneof![
        any::<u32>().prop_map(|days| Turn::Away { days }),
        prop_oneof![any::<f64>(), 0.0..=MOST_FACTOR].prop_map(|factor| Turn::Rates { factor }),
        prop_oneof![any::<f64>(), 0.0..=1.0].prop_map(|share| Turn::Tastes { share }),
    ]
}

fn days() -> impl Strategy<Value = i32> {
    prop_oneof![any::<i32>(), -FARTHEST_DAY..=FARTHEST_DAY, -30..30]
}

proptest! {
    #[test]
    fn any_settings_are_lived_through_or_refused(
        people in prop_oneof![Just(0), 1_u32..20, MOST_PEOPLE + 1..],
        seed: u64,
        first_day in days(),
        drift in prop::option::of((days(), prop_oneof![any::<f64>(), 0.0..=1.0], turns())),
        (person, category, sku, quantity) in (0_u32..30, 0_usize..20, 0_usize..5, any::<u32>()),
        (horizon_days, timeout_minutes) in any::<(u32, u32)>(),
    ) {
        let drift = drift.map(|(day, people_share, turn)| Drift { day, people_share, turn });
        let settings = Settings { people, seed, first_day, drift };
        let Ok(mut people) = People::new(&settings) else { return Ok(()) };
        for _ in 0..20 {
            let bought = people.live_a_day();
            prop_assert!(bought.iter().all(|one| one.person < settings.people && one.quantity > 0));
            people.deliver(person, category, sku, quantity);
            let asked = Asked { category, sku, quantity, horizon_days, timeout_minutes };
            if let Some(reply) = people.answer(person, &asked) {
                prop_assert!(person < settings.people && (1..=2).contains(&reply.taps));
            }
        }
        prop_assert_eq!(people.today(), first_day + 19);
    }
}
