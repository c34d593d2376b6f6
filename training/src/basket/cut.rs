//! What was known at a time, and what was bought next.

use super::{Published, Purchases};
use models::basket::History;

/// Purchases that an item needs to be recommended: rarer ones teach nothing.
const LEAST_BUYS: usize = 10;
/// Baskets that a person needs to be asked about, and to be anybody's neighbour.
const LEAST_BASKETS: usize = 3;
/// Days ahead that are looked at, where nothing else is asked for: those that make Ta-Feng's split.
pub const HORIZON_DAYS: i32 = 20;

/// Cuts that are learned from, where purchases have dates. They do not overlap: one alone teaches the
/// fashion of its weeks (on Ta-Feng, the Chinese New Year), several teach habits.
const LESSONS: u8 = 3;

/// A person of whom the next basket is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Their place among the people.
    pub person: u32,
    /// The next basket, ascending; may hold items that are beyond the known ones.
    pub next: Vec<u32>,
}

/// What was known at a time, and what some people bought next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Items are the numbers below this.
    pub items: usize,
    /// Baskets that a neighbour has at least.
    pub least_baskets: usize,
    /// Everybody, as known then.
    pub people: Vec<History>,
    /// Who bought something next, and what.
    pub asked: Vec<Asked>,
}

/// Where cuts come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Purchases with dates, cut by days.
    Dated(Dated),
    /// A benchmark's files, cut by each user's own baskets.
    Published(Published),
}

impl Data {
    /// The cut that is judged (0) and those before it. Beyond the beginning nobody is asked.
    #[must_use]
    pub fn cut(&self, back: u8) -> Cut {
        match self {
            Self::Dated(dated) => dated.cut(back),
            Self::Published(files) => by_basket(files, usize::from(back)),
        }
    }

    /// How many cuts [`Data::lesson`] gives.
    #[must_use]
    pub fn lessons(&self) -> u8 {
        match self {
            Self::Dated(_) => LESSONS,
            Self::Published(_) => 1,
        }
    }

    /// What a cut may learn from: with dates the cuts before it, the latest first; in a benchmark's
    /// files each user's previous basket and no other.
    #[must_use]
    pub fn lesson(&self, back: u8, number: u8) -> Cut {
        self.cut(back.saturating_add(1).saturating_add(number))
    }
}

/// Purchases of the items that are bought often enough, and from when on they are forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    items: usize,
    people: Vec<Vec<(i32, Vec<u32>)>>,
    last_day: i32,
    horizon: i32,
}

impl Dated {
    /// Learns from purchases up to the day `cutoff` (since 1970-01-01), and forecasts the first
    /// basket of the `horizon` days after it. Without a cut-off the last `horizon` days of the file
    /// are forecast.
    ///
    /// Items are those bought ten times by the last day of which the training's features know.
    #[must_use]
    pub fn new(purchases: Purchases, cutoff: Option<i32>, horizon: Option<u16>) -> Self {
        let horizon = horizon.map_or(HORIZON_DAYS, i32::from).max(1);
        let end = purchases.last_day().unwrap_or_default();
        let last_day = cutoff.unwrap_or_else(|| end.saturating_sub(horizon));
        let known = day_of_cut(last_day, horizon, 1);
        let mut buys = vec![0; purchases.items.len()];
        for (day, items) in purchases.customers.iter().flat_map(|customer| &customer.baskets) {
            items.iter().filter(|_| *day <= known).for_each(|item| buys[*item as usize] += 1);
        }
        let mut numbers = vec![None; buys.len()];
        let often = buys.iter().enumerate().filter(|(_, buys)| **buys >= LEAST_BUYS);
        let mut items = 0;
        for (number, (item, _)) in (0..).zip(often) {
            numbers[item] = Some(number);
            items += 1;
        }
        let basket = |(day, items): (i32, Vec<u32>)| {
            let kept: Vec<u32> = items.iter().filter_map(|item| numbers[*item as usize]).collect();
            (!kept.is_empty()).then_some((day, kept))
        };
        let people = purchases.customers.into_iter();
        let people = people.map(|person| person.baskets.into_iter().filter_map(basket).collect());
        Self { items, people: people.collect(), last_day, horizon }
    }

    fn cut(&self, back: u8) -> Cut {
        let last = day_of_cut(self.last_day, self.horizon, back);
        let (first, end) = (last.saturating_add(1), last.saturating_add(self.horizon));
        let people: Vec<History> = self
            .people
            .iter()
            .map(|baskets| History::new(first, baskets.iter().cloned()))
            .collect();
        let asked = (0..).zip(&self.people).filter_map(|(person, baskets)| {
            let next = baskets.iter().find(|(day, _)| (first..=end).contains(day));
            let (_, next) =
                next.filter(|_| people[person as usize].baskets().len() >= LEAST_BASKETS)?;
            Some(Asked { person, next: next.clone() })
        });
        let asked = asked.collect();
        Cut { items: self.items, least_baskets: LEAST_BASKETS, people, asked }
    }
}

/// The last day that a cut knows. A day lies between its forecast and the features of the next.
fn day_of_cut(last_day: i32, horizon: i32, back: u8) -> i32 {
    last_day.saturating_sub(i32::from(back).saturating_mul(horizon.saturating_add(1)))
}

/// Cut 0 asks for the test users' future; the others leave out each user's last baskets, and ask
/// for the first of these.
fn by_basket(files: &Published, back: usize) -> Cut {
    let known = |history: &Vec<Vec<u32>>| history.len().saturating_sub(back);
    let people = files.histories.iter().map(|history| {
        let now = known(history);
        History::new(now as i32, (0..).zip(history[..now].iter().cloned()))
    });
    let asked = if back == 0 {
        let test = files.test.iter();
        test.map(|(person, next)| Asked { person: *person, next: next.clone() }).collect()
    } else {
        let all = (0..).zip(&files.histories).filter(|(_, history)| known(history) > 0);
        all.map(|(person, history)| Asked { person, next: history[known(history)].clone() })
            .collect()
    };
    Cut { items: files.items, least_baskets: 1, people: people.collect(), asked }
}
