//! What one person buys: of each category when and how much, and which articles.

use super::{Bought, Profile, Purchase, Purchases, purchases::FARTHEST_DAY};
use crate::profile::{Fact, Source, calendar::day_of};
use protocol::offer::{Currency, Money};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};

/// The conversion that an approved order is recorded as.
pub const ORDER: &str = "order";
/// Categories that are kept of a person; what is bought beyond them is left out.
pub const MAX_CATEGORIES: usize = 256;
/// Articles that are kept of a category, those bought last.
pub const MAX_ARTICLES: usize = 32;
/// Days of purchase that are kept of an article, the newest.
const MAX_ARTICLE_DAYS: usize = 16;
/// What a purchase of an article weighs less with each later day on which something of its category
/// was bought: the decay that ranked baskets best on Ta-Feng.
const FADE: f64 = 0.9;

/// Everything a person buys, by category, as facts tell it.
///
/// # Examples
/// ```
/// use models::{profile::{Fact, Source}, reorder::Consumption};
///
/// let bought = |day: i64, item: &str| Fact {
///     source: Source::Conversion,
///     name: "store_purchase".into(),
///     at_unix_ms: day * 86_400_000,
///     known_unix_ms: day * 86_400_000,
///     count: 1,
///     value: None,
///     number: Some(2.0),
///     item: Some(item.into()),
///     category: Some("coffee".into()),
/// };
/// let mut consumption = Consumption::default();
/// for (day, item) in [(0, "beans"), (12, "pods"), (24, "beans")] {
///     assert!(consumption.apply(&bought(day, item), 0));
/// }
/// let coffee = consumption.category("coffee").ok_or("nothing")?;
/// assert_eq!(coffee.purchases().all().len(), 3);
/// assert_eq!(coffee.ranked()[0].0, "beans");
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Consumption(BTreeMap<String, Use>);

/// What a person buys of a category.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Use {
    bought: Bought,
    articles: BTreeMap<String, Article>,
}

/// What a person buys of one article.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// Days it was bought on, ascending, the newest.
    days: Vec<i32>,
    /// What one unit cost when it was last bought and a price was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Money>,
}

impl Consumption {
    /// Whether a fact can change what somebody buys: a purchase of a category, or one taken back. A
    /// conversion, a loyalty programme's or a third party's transaction is one.
    #[must_use]
    pub fn is_about(fact: &Fact) -> bool {
        matches!(fact.source, Source::Conversion | Source::Loyalty | Source::ThirdParty)
            && fact.category.is_some()
            && fact.count != 0
    }

    /// Takes a fact in, where it [is about](Self::is_about) purchases; one called [`ORDER`] is what an
    /// order brought. Days are those of `utc_offset_minutes` east of Greenwich. What takes a
    /// purchase back takes its units away. Tells whether anything changed.
    pub fn apply(&mut self, fact: &Fact, utc_offset_minutes: i16) -> bool {
        let Some(category) = fact.category.as_ref().filter(|_| Self::is_about(fact)) else {
            return false;
        };
        let units = fact.number.map_or(1.0, f64::abs);
        let units = if units.is_finite() { units } else { 1.0 };
        let day = day_of(fact.at_unix_ms, utc_offset_minutes).clamp(-FARTHEST_DAY, FARTHEST_DAY);
        if fact.count < 0 {
            return self.take_back(category, fact.item.as_deref(), day, units);
        }
        if !self.0.contains_key(category) && self.0.len() >= MAX_CATEGORIES {
            return false;
        }
        let own = self.0.entry(category.clone()).or_default();
        let ordered = fact.source == Source::Conversion && fact.name == ORDER;
        own.bought.add(day, units, ordered);
        if let Some(item) = &fact.item {
            let article = own.articles.entry(item.clone()).or_default();
            if let Err(place) = article.days.binary_search(&day) {
                article.days.insert(place, day);
                if article.days.len() > MAX_ARTICLE_DAYS {
                    article.days.remove(0);
                }
            }
            if let Some(value) = fact.value.filter(|value| value.minor >= 0 && units > 0.0) {
                let minor = (value.minor as f64 / units).round() as i64;
                article.unit = Some(Money { minor, ..value });
            }
            own.forget_articles();
        }
        true
    }

    fn take_back(&mut self, category: &str, item: Option<&str>, day: i32, units: f64) -> bool {
        let Some(own) = self.0.get_mut(category) else { return false };
        own.bought.take_back(day, units);
        let left = own.purchases().all();
        let gone = left.binary_search_by_key(&day, |one| one.day).is_err();
        if let Some(article) = item.and_then(|item| own.articles.get_mut(item))
            && gone
        {
            article.days.retain(|on| *on != day);
        }
        own.articles.retain(|_, article| !article.days.is_empty());
        if own.purchases().all().is_empty() {
            self.0.remove(category);
        }
        true
    }

    /// Whether nothing was ever bought.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every category by name, in the order of names.
    pub fn categories(&self) -> impl ExactSizeIterator<Item = (&str, &Use)> {
        self.0.iter().map(|(name, own)| (name.as_str(), own))
    }

    /// A category.
    #[must_use]
    pub fn category(&self, name: &str) -> Option<&Use> {
        self.0.get(name)
    }

    /// The first day on which an order brought anything.
    #[must_use]
    pub fn served_from(&self) -> Option<i32> {
        self.0.values().filter_map(|own| own.bought.served_from()).min()
    }
}

/// Days up to the end of `day` among purchases of several categories; the quantity of each is the
/// number of categories: what [`super::Person::at`] takes.
#[must_use]
pub fn visits<'a>(categories: impl Iterator<Item = &'a [Purchase]>, day: i32) -> Vec<Purchase> {
    let mut days: Vec<i32> =
        categories.flatten().map(|purchase| purchase.day).filter(|on| *on <= day).collect();
    days.sort_unstable();
    let visits = days.chunk_by(|a, b| a == b);
    visits.map(|same| Purchase { day: same[0], quantity: same.len() as u32 }).collect()
}

impl Use {
    /// Its days of purchase, whoever began them.
    #[must_use]
    pub fn purchases(&self) -> &Purchases {
        self.bought.all()
    }

    /// The same, with what orders brought.
    #[must_use]
    pub fn bought(&self) -> &Bought {
        &self.bought
    }

    /// As [`Bought::at_own_pace`].
    #[must_use]
    pub fn at_own_pace(&self, day: i32) -> Cow<'_, [Purchase]> {
        self.bought.at_own_pace(day)
    }

    /// What is known of it at the end of a day; `None` before the first purchase.
    #[must_use]
    pub fn profile(&self, day: i32) -> Option<Profile> {
        Profile::at(self.purchases(), day)
    }

    /// Articles, those first that were bought most and latest: each day of purchase counts .9 as
    /// much for every later day on which something of the category was bought. With what a unit last
    /// cost, where that is known.
    #[must_use]
    pub fn ranked(&self) -> Vec<(&str, Option<Money>)> {
        let all = self.purchases().all();
        let weight = |article: &Article| -> f64 {
            let later = |day: &i32| all.len() - self.purchases().until(*day).len();
            article.days.iter().map(|day| FADE.powf(later(day) as f64)).sum()
        };
        let mut ranked: Vec<_> = self
            .articles
            .iter()
            .map(|(name, article)| (weight(article), article.days.last(), name, article.unit))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(b.2)));
        ranked.into_iter().map(|(_, _, name, unit)| (name.as_str(), unit)).collect()
    }

    /// The money that units were last told in; `None` where no price ever was.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        self.ranked().into_iter().find_map(|(_, unit)| Some(unit?.currency))
    }

    /// Those bought longest ago give way.
    fn forget_articles(&mut self) {
        while self.articles.len() > MAX_ARTICLES {
            let oldest = self.articles.iter().min_by_key(|(_, article)| article.days.last());
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { return };
            self.articles.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_MS: i64 = 86_400_000;

    fn fact(day: i64, item: &str, units: f64, count: i32) -> Fact {
        Fact {
            source: Source::Conversion,
            name: "store_purchase".into(),
            at_unix_ms: day * DAY_MS,
            known_unix_ms: day * DAY_MS,
            count,
            value: Some(Money { minor: 300, currency: Currency::EUR }),
            number: Some(units),
            item: Some(item.into()),
            category: Some("tea".into()),
        }
    }

    #[test]
    fn what_is_taken_back_was_never_bought() {
        let mut consumption = Consumption::default();
        consumption.apply(&fact(1, "green", 2.0, 1), 0);
        let before = consumption.clone();
        consumption.apply(&fact(9, "black", 3.0, 1), 0);
        assert!(consumption.apply(&fact(9, "black", -3.0, -1), 0));
        assert_eq!(consumption, before);
        consumption.apply(&fact(1, "green", -1.0, -1), 0);
        assert_eq!(consumption.category("tea").unwrap().purchases().all()[0].quantity, 1);
        consumption.apply(&fact(1, "green", -1.0, -1), 0);
        assert!(consumption.is_empty());
        assert!(!consumption.apply(&fact(1, "green", -1.0, -1), 0));
    }

    #[test]
    fn what_is_no_purchase_changes_nothing() {
        let mut consumption = Consumption::default();
        let seen = Fact { source: Source::Behaviour, ..fact(1, "green", 1.0, 1) };
        assert!(!consumption.apply(&seen, 0));
        assert!(!consumption.apply(&Fact { category: None, ..fact(1, "green", 1.0, 1) }, 0));
        assert!(!consumption.apply(&fact(1, "green", 1.0, 0), 0), "only a value was corrected");
        assert!(consumption.is_empty());
    }

    #[test]
    fn the_latest_and_most_bought_article_comes_first_with_its_price() {
        let mut consumption = Consumption::default();
        for (day, item, units) in [(1, "a", 1.0), (2, "a", 1.0), (3, "b", 2.0), (4, "a", 3.0)] {
            consumption.apply(&fact(day, item, units, 1), 0);
        }
        let tea = consumption.category("tea").unwrap();
        let euro = |minor| Some(Money { minor, currency: Currency::EUR });
        assert_eq!(tea.ranked(), [("a", euro(100)), ("b", euro(150))]);
        assert_eq!(tea.currency(), Some(Currency::EUR));
        let own = consumption.categories().map(|(_, own)| own.purchases().all());
        let visits: Vec<(i32, u32)> =
            visits(own, 3).iter().map(|visit| (visit.day, visit.quantity)).collect();
        assert_eq!(visits, [(1, 1), (2, 1), (3, 1)]);
    }

    proptest! {
        #[test]
        fn any_facts_are_kept_within_bounds_and_come_back(
            facts in prop::collection::vec(
                (any::<i64>(), 0..400_u32, 0..300_u32, any::<f64>(), -2..3_i32), 0..80),
            offset in any::<i16>(),
        ) {
            let mut consumption = Consumption::default();
            for (at, item, category, number, count) in facts {
                let fact = Fact {
                    at_unix_ms: at,
                    number: Some(number),
                    item: Some(item.to_string()),
                    category: Some(category.to_string()),
                    count,
                    ..fact(0, "", 1.0, 1)
                };
                consumption.apply(&fact, offset);
            }
            prop_assert!(consumption.categories().len() <= MAX_CATEGORIES);
            for (_, own) in consumption.categories() {
                prop_assert!(own.ranked().len() <= MAX_ARTICLES);
            }
            let json = serde_json::to_string(&consumption).unwrap();
            prop_assert_eq!(serde_json::from_str::<Consumption>(&json).unwrap(), consumption);
        }

        #[test]
        fn the_order_of_facts_does_not_matter(
            mut days in prop::collection::vec((0..60_i64, 0..4_u8, 1..5_u8), 1..30), seed in any::<u64>(),
        ) {
            let of = |days: &[(i64, u8, u8)]| {
                let mut consumption = Consumption::default();
                for (day, item, units) in days {
                    let one = Fact { value: None, ..fact(*day, &item.to_string(), f64::from(*units), 1) };
                    consumption.apply(&one, 0);
                }
                consumption
            };
            let before = of(&days);
            let turn = seed as usize % days.len();
            days.rotate_left(turn);
            let after = of(&days);
            for (name, own) in before.categories() {
                prop_assert_eq!(own.purchases(), after.category(name).unwrap().purchases());
            }
        }
    }
}
