//! How one person lives and shops: what is the same for all of their categories.

use super::{
    Drift, Manner, Person, Settings, Turn, YEAR_DAYS, catalogue::CATALOGUE, chance::Chance,
    holding::Holding, manner,
};
use models::reorder::weekday;
use std::ops::Range;

/// Shares of the households with one to four members.
const SIZES: [f64; 4] = [0.42, 0.33, 0.13, 0.12];
/// Categories that a person buys: from, to.
const CATEGORIES: (usize, usize) = (3, 9);
/// Habitual shopping days a week, most.
const SHOPPING_DAYS: f64 = 4.0;
/// Chance of shopping on a habitual day, and on another.
const ON_HABIT: f64 = 0.92;
const OFF_HABIT: f64 = 0.06;
/// Use on a day of the weekend beside one of the week: from, and so much more.
const WEEKEND: (f64, f64) = (0.8, 0.7);
/// Chance that another article than the favourite is bought: up to.
const SWITCHES: f64 = 0.20;
/// Share of those who stock up, and the chance that they do, a shopping day with an offer.
const FOND: f64 = 0.30;
const STOCKS_UP: f64 = 0.15;
/// Share of the weeks in which a category is on offer.
const ON_OFFER: f64 = 0.08;
/// Share of those who come later than the first day, and within how many days they come.
const LATER: f64 = 0.20;
const LATER_DAYS: f64 = 240.0;
/// Share of those who never come again from some day of a year on, at a constant rate.
const LOST_A_YEAR: f64 = 0.12;
/// The usual minute of shopping, its deviation between people and between days, and when the shop
/// opens and closes.
const SHOPPING_MINUTE: f64 = 17.0 * 60.0;
const BETWEEN_PEOPLE: f64 = 150.0;
const BETWEEN_DAYS: f64 = 40.0;
const OPEN: (f64, f64) = (7.0 * 60.0, 22.0 * 60.0 - 1.0);

/// What numbers are drawn for; below are those of the categories.
mod purpose {
    pub(super) const SIZE: u64 = 1_000;
    pub(super) const COUNT: u64 = 1_001;
    pub(super) const DAYS: u64 = 1_002;
    pub(super) const HABIT: u64 = 1_003;
    pub(super) const WEEKEND: u64 = 1_004;
    pub(super) const SWITCHES: u64 = 1_005;
    pub(super) const FOND: u64 = 1_006;
    pub(super) const LATER: u64 = 1_007;
    pub(super) const BEGIN: u64 = 1_008;
    pub(super) const END: u64 = 1_009;
    pub(super) const MINUTE: u64 = 1_010;
    pub(super) const DRIFTS: u64 = 1_011;
    pub(super) const SHOPS: u64 = 1_012;
    /// And on, one a category.
    pub(super) const TASTE: u64 = 2_000;
    pub(super) const GIVES_UP: u64 = 3_000;
}

/// One person, and whom they shop for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Household {
    /// Of this person.
    pub(super) chance: Chance,
    /// Of everybody.
    offers: Chance,
    /// How they answer.
    pub(super) manner: Manner,
    /// Members.
    pub(super) size: u32,
    /// Chance of shopping, from Monday on.
    shopping: [f64; 7],
    /// Use by weekday, from Monday on; mean 1.
    week: [f64; 7],
    /// Chance that another article than the favourite is bought.
    pub(super) switches: f64,
    /// Chance to stock up on a shopping day with an offer.
    pub(super) fond_of_offers: f64,
    /// Minute of the day they shop.
    usual_minute: f64,
    /// Days of absence.
    away: Range<i32>,
    /// From that day on they use so many times as much.
    change: (i32, f64),
}

impl Household {
    /// The `number`-th person, and what they hold.
    pub(super) fn new(number: u32, settings: &Settings) -> Person {
        let all = Chance::new(settings.seed);
        // 0 is what everybody shares.
        let chance = all.of(u64::from(number) + 1);
        let drift = settings.drift.filter(|d| chance.happens(purpose::DRIFTS, d.people_share));
        let one = Self {
            chance,
            offers: all.of(0),
            manner: manner::draw(chance, settings.first_day),
            size: size(chance),
            shopping: shopping(chance),
            week: week(chance),
            switches: SWITCHES * chance.even(purpose::SWITCHES),
            fond_of_offers: if chance.happens(purpose::FOND, FOND) { STOCKS_UP } else { 0.0 },
            usual_minute: SHOPPING_MINUTE + BETWEEN_PEOPLE * chance.bell(purpose::MINUTE),
            away: match drift {
                Some(Drift { day, turn: Turn::Away { days }, .. }) => {
                    day..day.saturating_add_unsigned(days)
                }
                _ => 0..0,
            },
            change: match drift {
                Some(Drift { day, turn: Turn::Rates { factor }, .. }) => (day, factor),
                _ => (0, 1.0),
            },
        };
        let holdings = one.holdings(settings.first_day, drift);
        (one, holdings)
    }

    /// Whether they neither use nor buy anything.
    pub(super) fn is_away(&self, day: i32) -> bool {
        self.away.contains(&day)
    }

    /// How much more they use than they did at first.
    pub(super) fn factor(&self, day: i32) -> f64 {
        let (from, factor) = self.change;
        if day >= from { factor } else { 1.0 }
    }

    /// Use on a day beside the mean.
    pub(super) fn use_on(&self, day: i32) -> f64 {
        self.week[weekday(day)]
    }

    /// Whether it is a shopping day.
    pub(super) fn shops(&self, day: i32) -> bool {
        self.chance.on(day).happens(purpose::SHOPS, self.shopping[weekday(day)])
    }

    /// The minute of that day they shop.
    pub(super) fn minute(&self, day: i32) -> u16 {
        let moved = BETWEEN_DAYS * self.chance.on(day).bell(purpose::MINUTE);
        (self.usual_minute + moved).clamp(OPEN.0, OPEN.1) as u16
    }

    /// Whether a category is on offer: for everybody, a week long.
    pub(super) fn on_offer(&self, category: usize, day: i32) -> bool {
        self.offers.on(day.div_euclid(7)).happens(category as u64, ON_OFFER)
    }

    /// What they buy, and from when to when.
    fn holdings(&self, first_day: i32, drift: Option<Drift>) -> Vec<Holding> {
        let chance = self.chance;
        let later = LATER_DAYS * chance.even(purpose::BEGIN);
        let later = if chance.happens(purpose::LATER, LATER) { later } else { 0.0 };
        let begin = first_day.saturating_add(later as i32);
        let lasts = -chance.even(purpose::END).ln() / LOST_A_YEAR * YEAR_DAYS;
        let end = begin.saturating_add(lasts as i32);

        let mut liked = tastes(chance).into_iter();
        let (least, most) = CATEGORIES;
        let count = least + (chance.even(purpose::COUNT) * (most - least + 1) as f64) as usize;
        let mut holdings: Vec<Holding> =
            liked.by_ref().take(count).map(|one| Holding::new(one, self, begin..end)).collect();
        if let Some(Drift { day, turn: Turn::Tastes { share }, .. }) = drift {
            let mut taken_up = Vec::new();
            for own in &mut holdings {
                if chance.happens(purpose::GIVES_UP + own.category as u64, share) {
                    own.days.end = own.days.end.min(day);
                    let other = liked.next();
                    taken_up.extend(other.map(|one| Holding::new(one, self, day.max(begin)..end)));
                }
            }
            holdings.append(&mut taken_up);
        }
        holdings
    }
}

/// Members, by [`SIZES`].
fn size(chance: Chance) -> u32 {
    let mut left = chance.even(purpose::SIZE);
    let mut size = 1;
    for share in &SIZES[..SIZES.len() - 1] {
        left -= share;
        size += u32::from(left >= 0.0);
    }
    size
}

/// One to four habitual days of the week.
fn shopping(chance: Chance) -> [f64; 7] {
    let count = 1 + (SHOPPING_DAYS * chance.even(purpose::DAYS)) as usize;
    let mut days = [0, 1, 2, 3, 4, 5, 6];
    let habit = chance.of(purpose::HABIT);
    days.sort_by(|a, b| habit.even(*a).total_cmp(&habit.even(*b)));
    let mut shopping = [OFF_HABIT; 7];
    days.iter().take(count).for_each(|day| shopping[*day as usize] = ON_HABIT);
    shopping
}

/// Use by weekday.
fn week(chance: Chance) -> [f64; 7] {
    let weekend = WEEKEND.0 + WEEKEND.1 * chance.even(purpose::WEEKEND);
    let mean = (5.0 + 2.0 * weekend) / 7.0;
    std::array::from_fn(|day| if day < 5 { 1.0 / mean } else { weekend / mean })
}

/// All categories, the liked ones first: weighted sampling without replacement (Efraimidis and
/// Spirakis 2006, algorithm A).
fn tastes(chance: Chance) -> Vec<usize> {
    let key = |category: &usize| {
        let drawn = chance.even(purpose::TASTE + *category as u64);
        drawn.ln() / CATALOGUE[*category].popularity
    };
    let mut all: Vec<usize> = (0..CATALOGUE.len()).collect();
    all.sort_by(|a, b| key(b).total_cmp(&key(a)));
    all
}
