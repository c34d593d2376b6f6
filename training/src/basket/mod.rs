//! Fitting and judging models of the next basket.
//!
//! Data come as dated [`Purchases`] or as the [`Published`] files of a benchmark; both give
//! [`Cut`]s: what was known at a time, and what was bought next. Cut 0 is the one that is judged,
//! cut 1 is the one before, which models are trained on, cut 2 the one before that: to choose among
//! methods, cut 1 is judged with what cut 2 teaches. Nothing that is judged is ever learned from.

mod cut;
mod fit;
mod judge;
mod published;
mod purchases;

#[cfg(test)]
mod tests;

pub use cut::{Asked, Cut, Data, Dated, HORIZON_DAYS};
pub use fit::{fit_model, fit_reranker, settings};
pub use judge::{BasketError, Choice, Report, Scores, evaluate, judge_cut, steps};
pub use published::{Published, PublishedError};
pub use purchases::{Customer, Purchases, PurchasesError};
