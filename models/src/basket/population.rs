//! What everybody's histories say: of each item, of who is near whom, of what goes with what.

use super::{
    History, MAX_ITEMS, Sparse,
    factors::Factors,
    neighbours::Neighbours,
    similar::similar,
    tifu::{self, Settings, sum},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most people of a population: each question looks at all of them, so a shop with more takes a
/// sample.
pub const MAX_PEOPLE: usize = 1 << 20;
/// Observations that an item's shares are pulled towards everybody's by.
const PRIOR: f64 = 10.0;
/// Days after which a purchase counts half in what is popular now.
const RECENT_DAYS: f64 = 10.0;
/// What a purchase keeps of its weight with each basket that follows, in what a person is asked for
/// by when items or factors are compared.
const KEPT: f64 = 0.8;

/// Why histories are no population.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PopulationError {
    /// Too many items.
    #[error("{0} items are too many: {MAX_ITEMS} are the most; leave out those seldom bought")]
    Items(usize),
    /// Too many people.
    #[error("{0} people are too many: {MAX_PEOPLE} are the most; take a sample of them")]
    People(usize),
    /// An item that is none of the population's.
    #[error("person {person} bought item {item}, but the items are those below {items}")]
    Item {
        /// Which person, from 0.
        person: usize,
        /// What they bought.
        item: u32,
        /// How many items there are.
        items: usize,
    },
}

/// What is known of an item.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct ItemFacts {
    /// Baskets that have it.
    pub(super) buys: f64,
    /// People who ever bought it.
    pub(super) buyers: f64,
    /// Share of people whose last basket has it.
    pub(super) last_share: f64,
    /// P(in the last basket | owned before), pulled towards all items'.
    pub(super) repeat: f64,
    /// Share of its purchases that were not a person's first, pulled towards all items'.
    pub(super) repeat_share: f64,
    /// Purchases, each halved every [`RECENT_DAYS`].
    pub(super) recent: f64,
}

/// Everybody's histories and what they say. Anonymous: a person is a place in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Population {
    items: usize,
    least_baskets: usize,
    people: Vec<History>,
    pub(super) facts: Vec<ItemFacts>,
    /// Items by how popular they are now, the most popular first.
    pub(super) popular: Vec<u32>,
    /// By item: its place in `popular`.
    pub(super) places: Vec<u32>,
    pub(super) neighbours: Neighbours,
    pub(super) similar: Vec<Sparse>,
    pub(super) factors: Factors,
}

/// A population as JSON: all else follows from these.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    items: usize,
    least_baskets: usize,
    people: Vec<History>,
}

impl TryFrom<Stored> for Population {
    type Error = PopulationError;

    fn try_from(stored: Stored) -> Result<Self, PopulationError> {
        Self::new(stored.items, stored.least_baskets, stored.people)
    }
}

impl From<Population> for Stored {
    fn from(population: Population) -> Self {
        let Population { items, least_baskets, people, .. } = population;
        Self { items, least_baskets, people }
    }
}

impl Population {
    /// Of people who bought items below `items`. Whoever has fewer than `least_baskets` is nobody's
    /// neighbour, but counts for the items.
    ///
    /// # Errors
    /// [`PopulationError`]: too many of something, or an unknown item.
    pub fn new(
        items: usize,
        least_baskets: usize,
        people: Vec<History>,
    ) -> Result<Self, PopulationError> {
        if items > MAX_ITEMS {
            return Err(PopulationError::Items(items));
        }
        if people.len() > MAX_PEOPLE {
            return Err(PopulationError::People(people.len()));
        }
        for (person, history) in people.iter().enumerate() {
            let last = history.baskets().iter().filter_map(|basket| basket.items.last()).max();
            if let Some(item) = last.copied().filter(|item| *item as usize >= items) {
                return Err(PopulationError::Item { person, item, items });
            }
        }
        let facts = facts(&people, items);
        let mut popular: Vec<u32> = (0..items as u32).collect();
        popular.sort_by(|a, b| {
            let (a, b) = (&facts[*a as usize], &facts[*b as usize]);
            b.recent.total_cmp(&a.recent).then(b.buys.total_cmp(&a.buys))
        });
        let mut places = vec![0; items];
        (0..).zip(&popular).for_each(|(place, item)| places[*item as usize] = place);
        let vectors = people.iter().map(|history| {
            let counts = history.baskets().len() >= least_baskets;
            if counts { tifu::vector(history, &Settings::TA_FENG) } else { Sparse::new() }
        });
        let neighbours = Neighbours::new(vectors.collect(), items);
        let faded: Vec<Sparse> = people.iter().map(faded).collect();
        let owned = faded.iter().map(|own| own.iter().map(|(item, _)| *item).collect());
        let similar = similar(&owned.collect::<Vec<_>>(), items);
        let factors = Factors::new(&faded, items);
        Ok(Self {
            items,
            least_baskets,
            people,
            facts,
            popular,
            places,
            neighbours,
            similar,
            factors,
        })
    }

    /// Items are the numbers below this.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// The people, in the order they were given.
    #[must_use]
    pub fn people(&self) -> &[History] {
        &self.people
    }
}

/// A person's items, each faded with the baskets since.
pub(super) fn faded(history: &History) -> Sparse {
    let last = history.baskets().len();
    let all = (1..).zip(history.baskets());
    sum(all.flat_map(|(number, basket)| {
        let weight = KEPT.powi((last - number) as i32);
        basket.items.iter().map(move |item| (*item, weight))
    }))
}

fn facts(people: &[History], items: usize) -> Vec<ItemFacts> {
    let mut facts = vec![ItemFacts::default(); items];
    let mut owned_before = vec![0.0; items];
    let mut repeated = vec![0.0; items];
    let mut buyers = 0.0;
    for history in people {
        let Some((last, before)) = history.baskets().split_last() else { continue };
        buyers += 1.0;
        let mut owned: Vec<u32> = before.iter().flat_map(|basket| &basket.items).copied().collect();
        owned.sort_unstable();
        owned.dedup();
        for item in &owned {
            facts[*item as usize].buyers += 1.0;
            owned_before[*item as usize] += 1.0;
        }
        for item in &last.items {
            let is_owned = owned.binary_search(item).is_ok();
            let fact = &mut facts[*item as usize];
            fact.buyers += f64::from(u8::from(!is_owned));
            fact.last_share += 1.0;
            repeated[*item as usize] += f64::from(u8::from(is_owned));
        }
        for basket in history.baskets() {
            let weight = (-history.days_since(basket.day) / RECENT_DAYS).exp2();
            for item in &basket.items {
                facts[*item as usize].buys += 1.0;
                facts[*item as usize].recent += weight;
            }
        }
    }
    let ratio = |of: f64, among: f64| if among > 0.0 { of / among } else { 0.0 };
    let buys: f64 = facts.iter().map(|fact| fact.buys).sum();
    let firsts: f64 = facts.iter().map(|fact| fact.buyers).sum();
    let usual_repeat = ratio(repeated.iter().sum(), owned_before.iter().sum());
    let usual_share = ratio(buys - firsts, buys);
    for ((fact, owned), repeated) in facts.iter_mut().zip(owned_before).zip(repeated) {
        fact.last_share = ratio(fact.last_share, buyers);
        fact.repeat = (repeated + PRIOR * usual_repeat) / (owned + PRIOR);
        fact.repeat_share = (fact.buys - fact.buyers + PRIOR * usual_share) / (fact.buys + PRIOR);
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> Vec<History> {
        vec![
            History::new(11, [(1, vec![0, 1]), (10, vec![0])]),
            History::new(11, [(1, vec![0])]),
            History::default(),
        ]
    }

    #[test]
    fn facts_by_hand() {
        let facts = facts(&people(), 3);
        // Owned before: items 0 and 1, once each; repeated: item 0. So one half is usual.
        assert_eq!((facts[0].buys, facts[0].buyers), (3.0, 2.0));
        assert!((facts[0].last_share - 1.0).abs() < 1e-12);
        assert!((facts[0].repeat - 6.0 / 11.0).abs() < 1e-12);
        assert!((facts[1].repeat - 5.0 / 11.0).abs() < 1e-12);
        assert!((facts[0].repeat_share - (1.0 + 10.0 * 0.25) / 13.0).abs() < 1e-12);
        assert!((facts[0].recent - (1.0 + 2.0_f64.powf(-0.1))).abs() < 1e-12);
        assert_eq!(facts[2].buys, 0.0);
    }

    #[test]
    fn favourites_come_first() {
        let population = Population::new(3, 1, people()).unwrap();
        assert_eq!(population.popular, [0, 1, 2]);
        let text = serde_json::to_string(&population).unwrap();
        assert_eq!(serde_json::from_str::<Population>(&text).unwrap(), population);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |items, expected: &str| {
            let error = Population::new(items, 1, people()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(1, "person 0 bought item 1");
        check(MAX_ITEMS + 1, "too many");
    }
}
