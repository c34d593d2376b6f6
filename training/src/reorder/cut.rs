//! What was known at the end of a day, and what came after.

use super::{Ledger, ledger::Customer};
use models::reorder::{
    Bought, Categories, Category, CategoryCounts, Person, Purchase, Subject, left_alone, visits,
};
use std::borrow::Cow;

/// A customer and one of their categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Place in [`Ledger::customers`].
    pub customer: usize,
    /// Place among the customer's categories.
    pub slot: usize,
}

/// The next purchase of a pair, where it came within the horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Days after the cut, from 1.
    pub days: u32,
    /// Units bought on that day.
    pub quantity: u32,
}

/// All that is known at the end of a day.
pub struct Snapshot<'a> {
    ledger: &'a Ledger,
    day: i32,
    horizon_days: i32,
    overall: Category,
    categories: Vec<Category>,
}

impl<'a> Snapshot<'a> {
    /// Counts what everybody has bought up to the end of `day`, and how much of it again within the
    /// horizon.
    #[must_use]
    pub fn at(ledger: &'a Ledger, day: i32, horizon_days: i32) -> Self {
        let mut counts = vec![CategoryCounts::default(); ledger.categories.len()];
        for (place, purchases) in ledger.customers.iter().flat_map(|c| &c.categories) {
            counts[*place].add(&purchases.at_own_pace(day), day, horizon_days);
        }
        let mut all = CategoryCounts::default();
        counts.iter().for_each(|own| all.merge(own));
        let categories = counts.iter().map(|own| own.category(&all)).collect();
        Self { ledger, day, horizon_days, overall: all.category(&all), categories }
    }

    /// Its day.
    #[must_use]
    pub fn day(&self) -> i32 {
        self.day
    }

    /// Pairs with at least so many days of purchase, of which it shows within the horizon what their
    /// customers buy by themselves; in the order of customers and categories.
    ///
    /// Who gets orders buys less by themselves, and how much less depends on what was foretold. Such
    /// people teach only by the categories that they were left alone with, and where nothing of an
    /// earlier order is left.
    #[must_use]
    pub fn pairs(&self, least_purchases: usize) -> Vec<Pair> {
        let of_customer = |(customer, about): (usize, &'a Customer)| {
            let slots = about.categories.iter().enumerate().filter(move |(_, (place, own))| {
                own.all().until(self.day).len() >= least_purchases.max(1)
                    && self.shows(about, *place, own)
            });
            slots.map(move |(slot, _)| Pair { customer, slot })
        };
        self.ledger.customers.iter().enumerate().flat_map(of_customer).collect()
    }

    /// Whether nobody asks a customer for a category within the horizon.
    fn shows(&self, customer: &Customer, place: usize, own: &Bought) -> bool {
        let end = self.day.saturating_add(self.horizon_days);
        if customer.served_from.is_none_or(|from| from > end) {
            return true;
        }
        let last = own.all().until(self.day).last().map_or(self.day, |last| last.day);
        left_alone(&customer.id, &self.ledger.categories[place], last)
            && !own.is_served_after(self.day)
            && own.at_own_pace(self.day).last().is_none_or(|last| last.day <= self.day)
    }

    /// Shows each pair, with what a model may know of it.
    pub fn each(&self, pairs: &[Pair], mut show: impl FnMut(Pair, &Subject)) {
        let day = self.day;
        for of_customer in pairs.chunk_by(|a, b| a.customer == b.customer) {
            let customer = &self.ledger.customers[of_customer[0].customer];
            let paced: Vec<Cow<'_, [Purchase]>> =
                customer.categories.iter().map(|(_, own)| own.at_own_pace(day)).collect();
            let owned = paced.iter().filter(|bought| !bought.is_empty()).count();
            let usual = &self.overall.weekday_shares;
            let served = customer.served_from.is_some_and(|from| from <= day);
            let person = if served {
                let visits = visits(paced.iter().map(|bought| &**bought), day);
                Person::at(&visits, owned, usual, day)
            } else {
                Person::at(customer.visits.until(day), owned, usual, day)
            };
            for pair in of_customer {
                let (place, _) = &customer.categories[pair.slot];
                let category = &self.categories[*place];
                let bought = &paced[pair.slot];
                show(*pair, &Subject { bought, person: &person, category, day });
            }
        }
    }

    /// What came of a pair within the horizon.
    #[must_use]
    pub fn outcome(&self, pair: Pair, horizon_days: i32) -> Option<Outcome> {
        let next = self.ledger.bought(pair).all().next_after(self.day)?;
        let days = next.day.saturating_sub(self.day);
        (days <= horizon_days).then_some(Outcome { days: days as u32, quantity: next.quantity })
    }

    /// The values of all categories, for a model to run with.
    #[must_use]
    pub fn into_categories(self) -> Categories {
        let named = self.ledger.categories.iter().cloned().zip(self.categories);
        // Nobody has bought the others yet.
        let named = named.filter(|(_, category)| category.purchases > 0).collect();
        Categories { overall: self.overall, named }
    }
}
