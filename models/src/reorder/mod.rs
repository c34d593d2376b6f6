//! When a person needs something again, how much of it, and how sure that is.
//!
//! Everything is about one person and one category of goods: single products are bought too rarely
//! to be sure of. [`Purchases`] holds what a person bought of a category and when, [`Bought`] what of
//! it orders brought, and [`left_alone`] says when nobody asks, to see what is bought without;
//! [`Profile`] sums it up in words. [`features`] is the one function that makes rows of numbers of
//! it, for fitting (in `training`) and for running. [`ReorderModel`] turns a row into the probability
//! that the person needs the category within a horizon, and into [`When`], the same for any number of
//! days. [`Amounts`] says how much.
//!
//! **Invariant.** Everything is counted in whole days as given; nothing asks a clock. Whatever
//! outside numbers say, nothing here panics, and all that is kept is bounded.

mod alone;
mod amount;
mod bought;
mod bundle;
mod category;
mod consumption;
mod explain;
mod features;
mod loglinear;
mod model;
mod need;
mod profile;
mod purchases;
mod when;

#[cfg(test)]
mod tests;

pub use crate::profile::calendar::day_of;
pub use alone::{ONE_IN, left_alone};
pub use amount::{Amounts, LARGEST};
pub use bought::Bought;
pub use bundle::{Bundle, BundleError, MAX_BUNDLE_BYTES};
pub use category::{Category, CategoryCounts};
pub use consumption::{Consumption, MAX_ARTICLES, MAX_CATEGORIES, ORDER, Use, visits};
pub use explain::Language;
pub use features::{AHEAD, FEATURES, Person, ahead, ahead_names, feature_names, features};
pub use loglinear::{LogLinear, LogLinearError, Scale, signed_log};
pub use model::{Categories, Parts, ReorderError, ReorderModel, Scored, Subject};
pub use need::{Need, needs};
pub use profile::Profile;
pub use purchases::{FARTHEST_DAY, MAX_PURCHASES, MAX_QUANTITY, Purchase, Purchases, weekday};
pub use when::{MAX_DAYS, When};
