//! Finds what a person might buy next.
//!
//! One function makes candidates and features, for training and for running alike.

use super::{
    Candidates, FEATURES, History, Population,
    dense::{Dense, mean},
    person::{About, Own, owned},
    population::faded,
    tifu::{self, Settings},
};

/// The best by [`TIFU-KNN`](tifu).
const BY_TIFU: usize = 80;
/// The best by likeness to what the person owns.
const BY_LIKENESS: usize = 15;
/// Those that everybody buys at present.
const BY_POPULARITY: usize = 25;
/// People with the most alike vectors, for the scores of cosines.
const ALIKE: usize = 200;
/// Weights of ENS, found on Ta-Feng: (neighbours' mean, faded repeats) against TIFU-KNN's 1.
const ENS: (f64, f64) = (0.3, 0.6);

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
