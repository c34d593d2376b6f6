//! What a person might buy next, and what is known of each such pair of person and item.

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
