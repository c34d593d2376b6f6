//! Fitting and judging [`models::reorder`]: when a person needs a category again, and how much.
//!
//! Everything goes in the order of time. A *cut* is a day; features know what was bought up to its
//! end, labels what was bought in the days after. A model for a cut is fitted to earlier cuts whose
//! labels were complete by then, calibrated on the newest of them, which it was not fitted to, and
//! judged on what came after: see [`Recipe`].

mod cut;
mod fit;
mod judge;
mod kept;
mod ledger;
mod loglinear;
mod rows;
mod seen;

#[cfg(test)]
mod tests;

pub use cut::{Outcome, Pair, Snapshot};
pub use fit::{Fitted, Recipe, ReorderFitError, fit};
pub use judge::{Report, STEPS, evaluate};
pub use ledger::{Ledger, LedgerError, read_pairs};
