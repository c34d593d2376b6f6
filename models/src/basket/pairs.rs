//! What a person might buy next, and what is known of each such pair of person and item.
//!
//! One function makes candidates and features, for training and for running alike.

use super::{
    History, Population, Sparse,
    neighbours::Weighted,
    population::faded,
    similar::falling,
    tifu::{self, Settings},
};

/// The person's own items that are looked at, those bought last first.
const OWN: usize = 200;
/// The best by [`TIFU-KNN`](tifu).
const BY_TIFU: usize = 80;
/// The best by likeness to what the person owns.
const BY_LIKENESS: usize = 15;
/// Those that everybody buys at present.
const BY_POPULARITY: usize = 25;
/// People with the most alike vectors, for the scores of cosines.
const ALIKE: usize = 200;
/// Baskets that count as just now.
const JUST_NOW: usize = 3;
/// Days after which a purchase counts half in `faded_days`.
const FADE_DAYS: f64 = 14.0;
/// Weights of ENS, found on Ta-Feng: (neighbours' mean, faded repeats) against TIFU-KNN's 1.
const ENS: (f64, f64) = (0.3, 0.6);

/// The names of a pair's features, in their order. Counts are of baskets unless they say days;
/// what is not known (when something comes that never came) is NaN.
pub const FEATURES: [&str; 38] = [
    "count",
    "since",
    "fade_90",
    "fade_80",
    "fade_30",
    "share",
    "own_rate",
    "due",
    "just_now",
    "days_since",
    "days_due",
    "days_fade",
    "baskets",
    "basket_size",
    "person_repeats",
    "person_days_since",
    "person_days_gap",
    "last_basket_size",
    "distinct_items",
    "item_buys",
    "item_buys_a_buyer",
    "item_last_share",
    "item_repeat",
    "item_repeat_share",
    "item_recent",
    "item_trend",
    "tifu",
    "tifu_rank",
    "tifu_relative",
    "neighbours",
    "neighbours_relative",
    "alike",
    "alike_relative",
    "likeness",
    "likeness_relative",
    "factors",
    "ens",
    "fade_90_repeat",
];

/// What a person might buy, and what is known of it. All lists are in the order of `items`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Candidates {
    /// The items, ascending.
    pub items: Vec<u32>,
    /// [`FEATURES`] of each, one after the other. Never infinite.
    pub features: Vec<f32>,
    /// Scores by TIFU-KNN.
    pub tifu: Vec<f64>,
    /// Baskets with the item, and below 1 how lately it was bought.
    pub recency: Vec<f64>,
    /// Scores by ENS.
    pub ens: Vec<f64>,
    /// Place among what is popular at present, from 0: decides between equal scores.
    pub places: Vec<u32>,
}

impl Candidates {
    /// Indices of candidates by falling score; of equal ones the more popular first. Scores that are
    /// no numbers come last.
    #[must_use]
    pub fn ranked(&self, scores: &[f64]) -> Vec<usize> {
        let value = |at: usize| {
            scores.get(at).copied().filter(|score| !score.is_nan()).unwrap_or(f64::NEG_INFINITY)
        };
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_by(|a, b| {
            value(*b).total_cmp(&value(*a)).then(self.places[*a].cmp(&self.places[*b]))
        });
        order
    }
}

/// What a person did with an item they own.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    count: f64,
    /// Baskets since the first and the last one with it; 0 when the last basket has it.
    first: f64,
    since: f64,
    first_day: i32,
    last_day: i32,
    fade_90: f64,
    fade_80: f64,
    fade_30: f64,
    days_fade: f64,
    just_now: f64,
}

/// A person's items, ascending.
fn owned(history: &History) -> Vec<(u32, Own)> {
    let all = history.baskets().len();
    let mut pairs: Vec<(u32, usize)> = Vec::new();
    for (number, basket) in history.baskets().iter().enumerate() {
        pairs.extend(basket.items.iter().map(|item| (*item, all - 1 - number)));
    }
    // Stable: the baskets of an item stay in the order of time.
    pairs.sort_by_key(|(item, _)| *item);
    let day = |since: usize| history.baskets()[all - 1 - since].day;
    let mut own: Vec<(u32, Own)> = pairs
        .chunk_by(|a, b| a.0 == b.0)
        .map(|run| {
            let (first, since) = (run[0].1, run[run.len() - 1].1);
            let fade = |kept: f64| run.iter().map(|(_, since)| kept.powi(*since as i32)).sum();
            let days = run.iter().map(|(_, since)| -history.days_since(day(*since)) / FADE_DAYS);
            let own = Own {
                count: run.len() as f64,
                first: first as f64,
                since: since as f64,
                first_day: day(first),
                last_day: day(since),
                fade_90: fade(0.9),
                fade_80: fade(0.8),
                fade_30: fade(0.3),
                days_fade: days.map(f64::exp2).sum(),
                just_now: run.iter().filter(|(_, since)| *since < JUST_NOW).count() as f64,
            };
            (run[0].0, own)
        })
        .collect();
    if own.len() > OWN {
        own.sort_by(|a, b| a.1.since.total_cmp(&b.1.since).then(b.1.count.total_cmp(&a.1.count)));
        own.truncate(OWN);
        own.sort_by_key(|(item, _)| *item);
    }
    own
}

/// What is known of a person beside their items.
struct About {
    baskets: f64,
    size: f64,
    repeats: f64,
    days_since: f64,
    days_gap: f64,
    last_size: f64,
    distinct: f64,
}

impl About {
    fn new(history: &History) -> Self {
        let baskets = history.baskets();
        let count = baskets.len() as f64;
        let bought: usize = baskets.iter().map(|basket| basket.items.len()).sum();
        let mut all: Vec<u32> = baskets.iter().flat_map(|basket| &basket.items).copied().collect();
        all.sort_unstable();
        all.dedup();
        let (first, last) = (baskets.first(), baskets.last());
        let later = bought - first.map_or(0, |basket| basket.items.len());
        let span = first.zip(last).map(|(a, b)| f64::from(b.day) - f64::from(a.day));
        Self {
            baskets: count,
            size: bought as f64 / count,
            repeats: (bought - all.len()) as f64 / later as f64,
            days_since: last.map_or(f64::NAN, |basket| history.days_since(basket.day)),
            days_gap: span.map_or(f64::NAN, |span| span / (count - 1.0)),
            last_size: last.map_or(f64::NAN, |basket| basket.items.len() as f64),
            distinct: all.len() as f64,
        }
    }
}

/// Weights of all items, of which few are not zero.
#[derive(Debug, Default)]
struct Dense {
    weights: Vec<f64>,
    touched: Vec<u32>,
}

impl Dense {
    fn clear(&mut self, items: usize) {
        for item in self.touched.drain(..) {
            self.weights[item as usize] = 0.0;
        }
        self.weights.resize(items, 0.0);
    }

    fn add(&mut self, item: u32, weight: f64) {
        if let Some(sum) = self.weights.get_mut(item as usize) {
            if *sum == 0.0 {
                self.touched.push(item);
            }
            *sum += weight;
        }
    }

    fn get(&self, item: u32) -> f64 {
        self.weights.get(item as usize).copied().unwrap_or(0.0)
    }

    /// The items with the highest weights.
    fn top(&self, count: usize) -> Vec<u32> {
        let mut all: Sparse =
            self.touched.iter().map(|item| (*item, self.get(*item) as f32)).collect();
        if count < all.len() {
            all.select_nth_unstable_by(count, falling);
            all.truncate(count);
        }
        all.into_iter().map(|(item, _)| item).collect()
    }
}

/// Finds candidates of one person after the other; keeps its working space between them.
#[derive(Debug)]
pub struct Finder<'a> {
    population: &'a Population,
    settings: Settings,
    products: Vec<f64>,
    neighbours: Dense,
    alike: Dense,
    likeness: Dense,
    tifu: Dense,
}

impl<'a> Finder<'a> {
    /// Looks in a population.
    #[must_use]
    pub fn new(population: &'a Population) -> Self {
        Self {
            population,
            settings: Settings::TA_FENG,
            products: Vec::new(),
            neighbours: Dense::default(),
            alike: Dense::default(),
            likeness: Dense::default(),
            tifu: Dense::default(),
        }
    }

    /// About a hundred candidates, what is known of them and their scores.
    ///
    /// `own` is the person's place among the population's people, if they are one of them: nobody is
    /// their own neighbour. Items that the population does not know are left out. Whoever has no
    /// history gets what is popular at present, with scores of 0.
    pub fn candidates(&mut self, history: &History, own: Option<u32>) -> Candidates {
        let population = self.population;
        self.score(history, own);
        let known = |(item, _): &(u32, Own)| (*item as usize) < population.items();
        let owned: Vec<(u32, Own)> = owned(history).into_iter().filter(known).collect();
        let mut items: Vec<u32> = owned.iter().map(|(item, _)| *item).collect();
        items.extend(self.tifu.top(BY_TIFU));
        items.extend(self.likeness.top(BY_LIKENESS));
        items.extend(population.popular.iter().take(BY_POPULARITY));
        items.sort_unstable();
        items.dedup();
        self.describe(history, &owned, items)
    }

    /// Fills the working space with all scores.
    fn score(&mut self, history: &History, own: Option<u32>) {
        let population = self.population;
        let items = population.items();
        for scores in [&mut self.neighbours, &mut self.alike, &mut self.likeness, &mut self.tifu] {
            scores.clear(items);
        }
        let query = tifu::vector(history, &self.settings);
        if query.is_empty() {
            return;
        }
        let all = &population.neighbours;
        all.products(&query, &mut self.products);
        let nearest = all.nearest(&self.products, own, self.settings.neighbours);
        mean(all, &nearest, |_| 1.0, &mut self.neighbours);
        let length = query.iter().map(|(_, weight)| f64::from(*weight).powi(2)).sum::<f64>().sqrt();
        let alike = all.alike(&self.products, length, own, ALIKE);
        mean(all, &alike, |person| 1.0 / all.length(person), &mut self.alike);

        let alpha = self.settings.alpha;
        query.iter().for_each(|(item, weight)| self.tifu.add(*item, alpha * f64::from(*weight)));
        for item in &self.neighbours.touched {
            self.tifu.add(*item, (1.0 - alpha) * self.neighbours.get(*item));
        }
        for (item, weight) in faded(history) {
            for (other, cosine) in population.similar.get(item as usize).into_iter().flatten() {
                self.likeness.add(*other, f64::from(weight) * f64::from(*cosine));
            }
        }
    }

    fn describe(&self, history: &History, owned: &[(u32, Own)], items: Vec<u32>) -> Candidates {
        let population = self.population;
        let about = About::new(history);
        let place = population.factors.place(&faded(history));
        let own_of = |item: u32| {
            owned.binary_search_by_key(&item, |(own, _)| *own).ok().map(|at| owned[at].1)
        };
        let most = |scores: &Dense| {
            let most = items.iter().map(|item| scores.get(*item)).fold(0.0, f64::max);
            if most > 0.0 { most } else { 1.0 }
        };
        let repeats: Vec<f64> = items
            .iter()
            .map(|item| {
                let repeat = population.facts[*item as usize].repeat;
                own_of(*item).map_or(0.0, |own| own.fade_90 * repeat)
            })
            .collect();
        let most_repeat = Some(repeats.iter().copied().fold(0.0, f64::max));
        let most_repeat = most_repeat.filter(|most| *most > 0.0).unwrap_or(1.0);
        let (most_tifu, most_near) = (most(&self.tifu), most(&self.neighbours));
        let (most_alike, most_like) = (most(&self.alike), most(&self.likeness));

        let mut found = Candidates::default();
        for (item, repeat) in items.iter().zip(&repeats) {
            found.tifu.push(self.tifu.get(*item));
            found.places.push(population.places[*item as usize]);
            found
                .recency
                .push(own_of(*item).map_or(0.0, |own| own.count + 0.5 / (1.0 + own.since)));
            found.ens.push(
                self.tifu.get(*item) / most_tifu
                    + ENS.0 * self.neighbours.get(*item) / most_near
                    + ENS.1 * repeat / most_repeat,
            );
        }
        found.items = items;
        let mut ranks = vec![0.0; found.items.len()];
        (0..).zip(found.ranked(&found.tifu)).for_each(|(rank, at)| ranks[at] = f64::from(rank));

        found.features.reserve(found.items.len() * FEATURES.len());
        for (at, item) in found.items.iter().copied().enumerate() {
            let fact = &population.facts[item as usize];
            let own = own_of(item);
            let of = |value: fn(&Own) -> f64| own.as_ref().map_or(f64::NAN, value);
            let (count, since) = (own.map_or(0.0, |own| own.count), of(|own| own.since));
            // One purchase has no gap yet.
            let gaps = if count > 1.0 { count - 1.0 } else { f64::NAN };
            let gap = of(|own| own.first - own.since) / gaps;
            let days_gap = of(|own| f64::from(own.last_day) - f64::from(own.first_day)) / gaps;
            let days_since = own.map_or(f64::NAN, |own| history.days_since(own.last_day));
            let row: [f64; FEATURES.len()] = [
                count,
                since,
                own.map_or(0.0, |own| own.fade_90),
                own.map_or(0.0, |own| own.fade_80),
                own.map_or(0.0, |own| own.fade_30),
                count / about.baskets,
                of(|own| own.count / (own.first + 1.0)),
                since / gap,
                own.map_or(0.0, |own| own.just_now),
                days_since,
                days_since / days_gap,
                own.map_or(0.0, |own| own.days_fade),
                about.baskets,
                about.size,
                about.repeats,
                about.days_since,
                about.days_gap,
                about.last_size,
                about.distinct,
                fact.buys.ln_1p(),
                fact.buys / fact.buyers,
                fact.last_share,
                fact.repeat,
                fact.repeat_share,
                fact.recent.ln_1p(),
                fact.recent / fact.buys,
                found.tifu[at],
                ranks[at],
                found.tifu[at] / most_tifu,
                self.neighbours.get(item),
                self.neighbours.get(item) / most_near,
                self.alike.get(item),
                self.alike.get(item) / most_alike,
                self.likeness.get(item),
                self.likeness.get(item) / most_like,
                f64::from(population.factors.score(&place, item)),
                found.ens[at],
                repeats[at],
            ];
            found.features.extend(row.map(finite));
        }
        found
    }
}

/// A feature that trees can split by: what is no number is missing.
fn finite(value: f64) -> f32 {
    let value = value as f32;
    if value.is_finite() { value } else { f32::NAN }
}

/// The weighted mean of people's vectors.
fn mean(
    all: &super::neighbours::Neighbours,
    people: &[Weighted],
    scale: impl Fn(u32) -> f64,
    out: &mut Dense,
) {
    let share = 1.0 / people.len().max(1) as f64;
    for (person, weight) in people {
        let weight = weight * scale(*person) * share;
        for (item, value) in all.vector(*person) {
            out.add(*item, weight * f64::from(*value));
        }
    }
}
