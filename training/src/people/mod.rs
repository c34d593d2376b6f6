//! Made-up people, who use things up, buy more, and answer when they are asked.
//!
//! They exercise predictive ordering where the truth is known: whether somebody would have bought a
//! category by themselves can be asked before it happens ([`People::needs_within`]), which no real
//! data tells once an order has come in between. All numbers are invented; they make a household
//! that is neither a clock nor a die:
//!
//! - Each person buys 3 to 9 categories of [`CATALOGUE`] for one to four members. What a day takes is
//!   anything between nothing and twice the mean, with a factor for the week (deviation of its
//!   logarithm .05 for vitamins to .40 for shampoo) and one for the weekend.
//! - More is bought on the person's shopping days (one to four a week, kept with 92 %) once fewer
//!   than 1.5 to 5.5 days are left; 5 % of the times it is forgotten. Quantities are a habit that 16 %
//!   of the purchases deviate from. Up to a fifth are of another article than the favourite. Offers
//!   make three in ten stock up, rarely.
//! - Whims (wine, chocolate, batteries) know no stock: nobody can foresee them.
//! - One in five comes later than the first day; 12 % a year are lost; 10 % of the categories a year
//!   are given up.
//! - Answers are given by [`SHARES`].
//!
//! So a category that is bought weekly is nearly sure to be needed within two weeks, one that lasts a
//! month is so for some days of the month, and a whim never is. Not modelled: other shops, seasons,
//! prices, articles out of stock, and waiting for an order that was approved.
//!
//! **Invariant.** No clock, no I/O, and no state of chance: each number is a function of the seed,
//! the person, the category and the day, so that looking ahead changes nothing.

mod catalogue;
mod chance;
mod holding;
mod household;
mod manner;

#[cfg(test)]
mod tests;

pub use catalogue::{CATALOGUE, Category, Need, Sku, find};
pub use manner::{Answer, Asked, Manner, Reply, SHARES, Shares};

use holding::Holding;
use household::Household;
use models::reorder::FARTHEST_DAY;
use thiserror::Error;

/// Most people: they take about a gigabyte.
pub const MOST_PEOPLE: u32 = 1_000_000;
/// Farthest that can be looked ahead, days.
pub const MOST_DAYS_AHEAD: u32 = 366;
/// Most times as much as before that a drift may make people use.
pub const MOST_FACTOR: f64 = 100.0;
/// Of what happens so often a year.
const YEAR_DAYS: f64 = 365.25;
/// What is paid of the price on offer.
const OFFER_PRICE: f64 = 0.8;

/// Which people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How many; at most [`MOST_PEOPLE`].
    pub people: u32,
    /// Other seeds make other people.
    pub seed: u64,
    /// The first day that they live through, since 1970-01-01.
    pub first_day: i32,
    /// A change for many at once.
    pub drift: Option<Drift>,
}

/// A change for many at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// The first day of it, since 1970-01-01.
    pub day: i32,
    /// Share of the people whom it concerns, 0 to 1.
    pub people_share: f64,
    /// What changes.
    pub turn: Turn,
}

/// What changes in a [`Drift`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Turn {
    /// They are away: nothing is used and nothing bought.
    Away {
        /// How long.
        days: u32,
    },
    /// They use more or less of everything.
    Rates {
        /// So many times as much, 0 to [`MOST_FACTOR`].
        factor: f64,
    },
    /// They give up categories, and take up others instead.
    Tastes {
        /// Share of their categories, 0 to 1.
        share: f64,
    },
}

/// Why there are no such people.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PeopleError {
    /// Too many to hold.
    #[error("{0} people are too many: at most {MOST_PEOPLE}")]
    People(u32),
    /// Beyond any calendar.
    #[error("day {0} is too far from 1970-01-01: at most {FARTHEST_DAY} days")]
    Day(i32),
    /// No share.
    #[error("a share of {0} is none: choose one of 0 to 1")]
    Share(f64),
    /// No factor.
    #[error("they cannot use {0} times as much: choose a factor of 0 to {MOST_FACTOR}")]
    Factor(f64),
}

/// Something bought by a person's own initiative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bought {
    /// Minute of the day, 0 to 1,439. What a person buys in one minute is one basket.
    pub minute: u16,
    /// Who, from 0.
    pub person: u32,
    /// Place in [`CATALOGUE`].
    pub category: usize,
    /// Place in [`Category::skus`].
    pub sku: usize,
    /// Packs, at least 1.
    pub quantity: u32,
    /// What a pack cost, euro cents.
    pub price_cents: u32,
}

/// The people.
///
/// # Examples
/// ```
/// use training::people::{People, Settings};
///
/// let settings = Settings { people: 10, seed: 1, first_day: 20_000, drift: None };
/// let mut people = People::new(&settings)?;
/// let needed = people.needs_within(3, 0, 7);
/// let week: Vec<_> = (0..7).flat_map(|_| people.live_a_day()).collect();
/// assert_eq!(week.iter().any(|one| (one.person, one.category) == (3, 0)), needed);
/// # Ok::<(), training::people::PeopleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct People {
    today: i32,
    people: Vec<Person>,
}

/// One of them, and what they use.
type Person = (Household, Vec<Holding>);

impl Settings {
    /// # Errors
    /// [`PeopleError`] names what cannot be.
    fn validate(&self) -> Result<(), PeopleError> {
        let near = |day: i32| day.unsigned_abs() <= FARTHEST_DAY.unsigned_abs();
        let share = |share: f64| {
            let is = (0.0..=1.0).contains(&share);
            if is { Ok(()) } else { Err(PeopleError::Share(share)) }
        };
        if self.people > MOST_PEOPLE {
            return Err(PeopleError::People(self.people));
        }
        if !near(self.first_day) {
            return Err(PeopleError::Day(self.first_day));
        }
        let Some(Drift { day, people_share, turn }) = self.drift else { return Ok(()) };
        if !near(day) {
            return Err(PeopleError::Day(day));
        }
        share(people_share)?;
        match turn {
            Turn::Tastes { share: of_categories } => share(of_categories),
            Turn::Rates { factor } if !(0.0..=MOST_FACTOR).contains(&factor) => {
                Err(PeopleError::Factor(factor))
            }
            Turn::Rates { .. } | Turn::Away { .. } => Ok(()),
        }
    }
}

impl People {
    /// Makes people up, in the evening before their first day.
    ///
    /// # Errors
    /// [`PeopleError`]: the settings cannot be.
    pub fn new(settings: &Settings) -> Result<Self, PeopleError> {
        settings.validate()?;
        let people = (0..settings.people).map(|number| Household::new(number, settings)).collect();
        Ok(Self { today: settings.first_day.saturating_sub(1), people })
    }

    /// The last day that was lived through, since 1970-01-01. It is evening.
    #[must_use]
    pub fn today(&self) -> i32 {
        self.today
    }

    /// Lives through the next day. Given is what was bought, in the order of time.
    pub fn live_a_day(&mut self) -> Vec<Bought> {
        let day = self.today.saturating_add(1);
        self.today = day;
        let mut bought = Vec::new();
        for (person, (of, holdings)) in (0..).zip(&mut self.people) {
            for holding in holdings {
                let Some(purchase) = holding.live(of, day) else { continue };
                let price = CATALOGUE[holding.category].skus[purchase.sku].price_cents;
                let reduced = f64::from(price) * OFFER_PRICE;
                bought.push(Bought {
                    minute: of.minute(day),
                    person,
                    category: holding.category,
                    sku: purchase.sku,
                    quantity: purchase.quantity,
                    price_cents: if purchase.on_offer { reduced.round() as u32 } else { price },
                });
            }
        }
        bought.sort_unstable();
        bought
    }

    /// An order came: there is more at home, so that the next own purchase is later. Articles and
    /// people that do not exist, and categories that the person does not use, are left out.
    pub fn deliver(&mut self, person: u32, category: usize, sku: usize, quantity: u32) {
        let of = self.people.get_mut(person as usize).map(|(_, holdings)| holdings);
        let holding = of.and_then(|all| all.iter_mut().find(|one| one.category == category));
        let article = CATALOGUE.get(category).and_then(|category| category.skus.get(sku));
        if let (Some(holding), Some(article)) = (holding, article) {
            holding.add(article, quantity);
        }
    }

    /// The truth: whether a person would buy a category by themselves within so many days after
    /// today, if no order came. It looks [`MOST_DAYS_AHEAD`] ahead, at most.
    #[must_use]
    pub fn needs_within(&self, person: u32, category: usize, days: u32) -> bool {
        self.next_need(person, category, days).is_some()
    }

    /// After how many days, from 1, they would do so, if within `days`.
    #[must_use]
    pub fn next_need(&self, person: u32, category: usize, days: u32) -> Option<u32> {
        let (of, holding) = self.holding(person, category)?;
        let mut ahead = holding.clone();
        (1..=days.min(MOST_DAYS_AHEAD))
            .find(|days| ahead.live(of, self.today.saturating_add_unsigned(*days)).is_some())
    }

    /// What a person does about a question that is asked this evening; nothing, if they do not
    /// answer. The same question is answered the same.
    #[must_use]
    pub fn answer(&self, person: u32, asked: &Asked) -> Option<Reply> {
        let (of, _) = self.people.get(person as usize)?;
        let holding = self.holding(person, asked.category).map(|(_, holding)| holding);
        let twice = asked.horizon_days.saturating_mul(2);
        let next_need = self.next_need(person, asked.category, twice);
        manner::reply(of, holding, next_need, asked, self.today)
    }

    /// How a person answers, where there is such a person.
    #[must_use]
    pub fn manner(&self, person: u32) -> Option<Manner> {
        self.people.get(person as usize).map(|(of, _)| of.manner)
    }

    fn holding(&self, person: u32, category: usize) -> Option<(&Household, &Holding)> {
        let (of, holdings) = self.people.get(person as usize)?;
        Some((of, holdings.iter().find(|one| one.category == category)?))
    }
}
