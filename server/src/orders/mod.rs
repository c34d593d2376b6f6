//! Orders that are proposed and wait for a person's word: nothing is bought without it.
//!
//! ```text
//!  prediction --(as sure as threshold asks)--> life --> notification, with links by signing
//!       ^                                       |  <-- what the person answers
//!       '------- threshold <--(explicit answers)'  --> the shop
//! ```
//!
//! In `life`, `person`, `signing` and `threshold` values and times go in and values come out: they
//! know no clock, no database and no network. `shop` is the way to whoever sells. Nothing here
//! imports `api`.

pub mod desk;
pub mod life;
pub mod person;
pub mod shop;
pub mod signing;
pub mod threshold;
pub mod wording;
