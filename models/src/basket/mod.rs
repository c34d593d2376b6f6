//! What is bought next.
//!
//! A [`History`] is a person's baskets, a [`Population`] is everybody's and what they say of items
//! and of who is near whom. A [`Finder`] gives about a hundred [`Candidates`] for a person, with the
//! features of each pair of person and item and the scores of the untrained methods: TIFU-KNN
//! ([`tifu`]), count and recency, and ENS, the default. A [`Reranker`] is trained to order the same
//! candidates better. A [`Method`] is any of them by name.

mod factors;
mod history;
mod method;
mod neighbours;
mod pairs;
mod population;
#[cfg(feature = "intent")]
mod recurrent;
mod reranker;
mod similar;
pub mod tifu;

#[cfg(test)]
mod tests;

pub use history::{Basket, History, MAX_BASKET_ITEMS, MAX_BASKETS, MAX_ITEMS};
pub use method::{Method, Scorer};
pub use pairs::{Candidates, FEATURES, Finder};
pub use population::{MAX_PEOPLE, Population, PopulationError};
#[cfg(feature = "intent")]
pub use recurrent::{
    EMBEDDING, HIDDEN, KNOTS, MOMENT, MOST_STEPS, Moment, Networks, Quantiles, Recurrent,
    RecurrentError, STEP, gated, is_own, item_weight, steps,
};
pub use reranker::{Model, ModelError, Ranked, Reranker};
pub use tifu::Sparse;
