//! What a person did, as counts and days.

use super::History;

/// The person's own items that are looked at, those bought last first.
const OWN: usize = 200;
/// Baskets that count as just now.
const JUST_NOW: usize = 3;
/// Days after which a purchase counts half in `faded_days`.
const FADE_DAYS: f64 = 14.0;

/// What a person did with an item they own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own {
    pub(super) count: f64,
    /// Baskets since the first and the last one with it; 0 when the last basket has it.
    pub(super) first: f64,
    pub(super) since: f64,
    pub(super) first_day: i32,
    pub(super) last_day: i32,
    pub(super) fade_90: f64,
    pub(super) fade_80: f64,
    pub(super) fade_30: f64,
    pub(super) days_fade: f64,
    pub(super) just_now: f64,
}

/// A person's items, ascending.
pub(super) fn owned(history: &History) -> Vec<(u32, Own)> {
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
pub(super) struct About {
    pub(super) baskets: f64,
    pub(super) size: f64,
    pub(super) repeats: f64,
    pub(super) days_since: f64,
    pub(super) days_gap: f64,
    pub(super) last_size: f64,
    pub(super) distinct: f64,
}

impl About {
    pub(super) fn new(history: &History) -> Self {
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
