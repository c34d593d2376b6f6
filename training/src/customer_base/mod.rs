//! Fitting and judging models of a customer base.
//!
//! [`fit`] is maximum likelihood. [`judge`] fits all models on what was known by a day, picks one on
//! that alone, and only then looks at what came after.

mod correct;
mod fit;
mod judge;
mod pick;
mod transactions;

pub use correct::{Outcome, fit_correction};
pub use fit::{FitError, Fitted, fit, fit_best};
pub use judge::{Judgement, Report, Week, judge};
pub use pick::{InnerCut, Pick, Point};
pub use transactions::{Customer, ReadError, Transactions, day_number};
