//! What one person has of one category, and when they buy more of it.

use super::{
    catalogue::{CATALOGUE, Category, Need, Sku},
    chance::Chance,
    household::Household,
};
use std::ops::Range;

/// Mean days that a purchase is meant to last, where packs are small: from, and so many more.
const COVER_DAYS: (f64, f64) = (4.0, 12.0);
/// Most packs that a habit is.
const MOST_PACKS: f64 = 6.0;
/// Days of use that should be left: fewer, and more is bought on the next shopping day. From, and so
/// many more.
const RESERVE_DAYS: (f64, f64) = (1.5, 4.0);
/// How much people differ in what they use: deviation of the logarithm.
const PEOPLE_SPREAD: f64 = 0.35;
/// Chance that, at the shop, something that runs low is forgotten.
const FORGOTTEN: f64 = 0.05;
/// Chance of a way for that alone, a day, when nothing is left.
const EMERGENCY: f64 = 0.35;
/// Shares of the purchases with one pack more and one fewer than usual.
const ONE_MORE: f64 = 0.10;
const ONE_LESS: f64 = 0.06;
/// Nobody stocks up who has so many usual purchases at home.
const FULL: f64 = 2.0;
/// Share of the categories that a person gives up within a year, at a constant rate.
const GIVEN_UP_A_YEAR: f64 = 0.10;

/// What numbers are drawn for.
mod purpose {
    pub(super) const RATE: u64 = 0;
    pub(super) const COVER: u64 = 1;
    pub(super) const RESERVE: u64 = 2;
    pub(super) const FAVOURITE: u64 = 3;
    pub(super) const AT_HOME: u64 = 4;
    pub(super) const END: u64 = 5;
    pub(super) const WEEK: u64 = 6;
    pub(super) const USE: u64 = 7;
    pub(super) const WHIM: u64 = 8;
    pub(super) const FORGETS: u64 = 9;
    pub(super) const EMERGENCY: u64 = 10;
    pub(super) const OFFER: u64 = 11;
    pub(super) const QUANTITY: u64 = 12;
    pub(super) const SWITCH: u64 = 13;
    pub(super) const OTHER: u64 = 14;
}

/// A purchase by one's own initiative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Purchase {
    pub(super) sku: usize,
    pub(super) quantity: u32,
    /// At a reduced price.
    pub(super) on_offer: bool,
}

/// One person's category.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Holding {
    /// Its place in [`CATALOGUE`].
    pub(super) category: usize,
    /// Days with use: the last one is before the end.
    pub(super) days: Range<i32>,
    /// The article that is bought as a rule.
    pub(super) favourite: usize,
    /// Packs that are bought as a rule.
    pub(super) packs: u32,
    /// Units of use, or purchases, a day.
    pub(super) rate: f64,
    /// Days of use below which more is bought.
    reserve_days: f64,
    /// Units of use at home.
    stock: f64,
    /// Of this person and category.
    chance: Chance,
}

impl Holding {
    /// How somebody of this household uses a category during these days at most.
    pub(super) fn new(category: usize, of: &Household, days: Range<i32>) -> Self {
        let chance = of.chance.of(category as u64);
        let Category { need, skus, .. } = CATALOGUE[category];
        let favourite = ((chance.even(purpose::FAVOURITE) * skus.len() as f64) as usize)
            .min(skus.len().saturating_sub(1));
        let mean = match need {
            Need::Stock { use_per_day, shared: true, .. } => use_per_day * f64::from(of.size),
            Need::Stock { use_per_day, .. } => use_per_day,
            Need::Whim { per_day } => per_day,
        };
        let rate = mean * chance.around_one(purpose::RATE, PEOPLE_SPREAD);
        let between = |(from, more): (f64, f64), purpose| from + more * chance.even(purpose);
        let pack = skus[favourite].pack;
        let packs = match need {
            Need::Stock { .. } => between(COVER_DAYS, purpose::COVER) * rate / pack,
            Need::Whim { .. } => 1.0,
        };
        let packs = packs.round().clamp(1.0, MOST_PACKS);
        let lasts = -chance.even(purpose::END).ln() / GIVEN_UP_A_YEAR * super::YEAR_DAYS;
        let given_up = days.start.saturating_add(lasts as i32);
        Self {
            category,
            days: days.start..days.end.min(given_up),
            favourite,
            packs: packs as u32,
            rate,
            reserve_days: between(RESERVE_DAYS, purpose::RESERVE),
            stock: chance.even(purpose::AT_HOME) * packs * pack,
            chance,
        }
    }

    /// More of it is there.
    pub(super) fn add(&mut self, sku: &Sku, quantity: u32) {
        self.stock += sku.pack * f64::from(quantity);
    }

    /// Lives through a day: uses some, and buys more when that is called for.
    pub(super) fn live(&mut self, of: &Household, day: i32) -> Option<Purchase> {
        if !self.days.contains(&day) || of.is_away(day) {
            return None;
        }
        let today = self.chance.on(day);
        let factor = of.factor(day);
        match CATALOGUE[self.category].need {
            Need::Whim { .. } => {
                let probability = -(-self.rate * factor).exp_m1();
                let comes = today.happens(purpose::WHIM, probability);
                comes.then(|| self.purchase(of, today, false))
            }
            Need::Stock { spread, .. } => {
                let week = self.chance.on(day.div_euclid(7)).around_one(purpose::WEEK, spread);
                let use_per_day = self.rate * factor * of.use_on(day);
                // From nothing to twice as much.
                let used = use_per_day * week * 2.0 * today.even(purpose::USE);
                self.stock = (self.stock - used).max(0.0);
                let bought = self.buy(of, day, self.rate * factor)?;
                self.add(&CATALOGUE[self.category].skus[bought.sku], bought.quantity);
                Some(bought)
            }
        }
    }

    /// What is bought today of something that is used up.
    fn buy(&self, of: &Household, day: i32, use_per_day: f64) -> Option<Purchase> {
        let today = self.chance.on(day);
        if !of.shops(day) {
            let goes = self.stock <= 0.0 && today.happens(purpose::EMERGENCY, EMERGENCY);
            return goes.then(|| self.purchase(of, today, of.on_offer(self.category, day)));
        }
        let low = self.stock < use_per_day * self.reserve_days;
        let needed = low && !today.happens(purpose::FORGETS, FORGOTTEN);
        let on_offer = of.on_offer(self.category, day);
        let usual = CATALOGUE[self.category].skus[self.favourite].pack * f64::from(self.packs);
        let room = self.stock < FULL * usual;
        let stocks_up = on_offer && room && today.happens(purpose::OFFER, of.fond_of_offers);
        (needed || stocks_up).then(|| {
            let mut bought = self.purchase(of, today, on_offer);
            bought.quantity += if stocks_up { self.packs } else { 0 };
            bought
        })
    }

    fn purchase(&self, of: &Household, today: Chance, on_offer: bool) -> Purchase {
        let skus = CATALOGUE[self.category].skus.len();
        let switches = skus > 1 && today.happens(purpose::SWITCH, of.switches);
        // One of the others, each as likely.
        let others = skus.saturating_sub(1);
        let step = 1 + (today.even(purpose::OTHER) * others as f64) as usize;
        let sku = if switches { (self.favourite + step) % skus } else { self.favourite };
        let drawn = today.even(purpose::QUANTITY);
        let quantity = if drawn < ONE_MORE {
            self.packs + 1
        } else if drawn < ONE_MORE + ONE_LESS {
            self.packs.saturating_sub(1).max(1)
        } else {
            self.packs
        };
        Purchase { sku, quantity, on_offer }
    }
}
