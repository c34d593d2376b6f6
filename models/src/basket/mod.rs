//! What is bought next.
//!
//! A [`History`] is a person's baskets, a [`Population`] is everybody's and what they say of items
//! and of who is near whom. A [`Finder`] gives about a hundred [`Candidates`] for a person, with the
//! features of each pair of person and item and the scores of the untrained methods: TIFU-KNN
//! ([`tifu`]), count and recency, and ENS, the default. A [`Reranker`] is trained to order the same
//! candidates better; so is a [`Recurrent`] network, which reads the baskets in their order. A
//! [`Method`] is any of them by name, [`Fitted`] with what it learned, a [`Model`] with the population
//! too.

mod candidates;
mod dense;
mod factors;
mod finder;
mod fitted;
mod history;
mod method;
mod model;
mod neighbours;
mod person;
mod population;
mod recurrent;
mod reranker;
mod similar;
pub mod tifu;

#[cfg(test)]
mod tests;

pub use candidates::{Candidates, FEATURES};
pub use finder::Finder;
pub use fitted::Fitted;
pub use history::{Basket, History, MAX_BASKET_ITEMS, MAX_BASKETS, MAX_ITEMS};
pub use method::{Method, Scorer};
pub use model::{Model, ModelError, Ranked};
pub use population::{MAX_PEOPLE, Population, PopulationError};
pub use recurrent::{
    EMBEDDING, HIDDEN, KNOTS, MOMENT, MOST_STEPS, Moment, Networks, Quantiles, Recurrent,
    RecurrentError, STEP, gated, is_own, item_weight, steps,
};
pub use reranker::Reranker;
pub use tifu::Sparse;
