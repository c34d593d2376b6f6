//! Fitting and judging models of the next basket.
//!
//! Data come as dated [`Purchases`] or as the [`Published`] files of a benchmark; both give
//! [`Cut`]s: what was known at a time, and what was bought next. Cut 0 is the one that is judged;
//! cuts before it are learned from ([`Data::lesson`]). To choose among methods, cut 1 is judged with
//! what the cuts before that one teach. Nothing that is judged is ever learned from.

mod cut;
mod fit;
mod judge;
mod lessons;
mod published;
mod purchases;
mod recurrent;

#[cfg(test)]
mod tests;

pub use cut::{Asked, Cut, Data, Dated, HORIZON_DAYS};
pub use fit::{fit_model, fit_reranker, settings};
pub use judge::{BasketError, Choice, Field, Report, Scores, evaluate, judge_cut, steps};
pub use published::{Published, PublishedError};
pub use purchases::{Customer, Purchases, PurchasesError};
