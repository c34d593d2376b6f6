//! Orders that are proposed and wait for a person's word: nothing is bought without it.
//!
//! ```text
//!  prediction --(as sure as threshold asks)--> life --> notification, with links by signing
//!       ^                                       |  <-- what the person answers
//!       '------- threshold <--(explicit answers)'  --> the shop
//! ```
//!
//! In `life`, `pass`, `person`, `signing` and `threshold` values and times go in and values come out: they
//! know no clock, no database and no network. `shop` is the way to whoever sells. Nothing here
//! imports `api`.

pub mod config;
pub mod desk;
pub mod life;
pub(crate) mod model;
pub(crate) mod need;
pub(crate) mod outcome;
pub mod pass;
pub mod person;
mod propose;
mod purchase;
pub(crate) mod service;
pub mod shop;
pub mod signing;
pub(crate) mod sweep;
pub mod threshold;
pub mod wording;
pub(crate) mod work;
