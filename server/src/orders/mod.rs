//! Orders that are proposed and wait for a person's word: nothing is bought without it.
//!
//! ```text
//!  prediction --(as sure as threshold asks)--> life --> notification, with links by signing
//!       ^                                       |  <-- what the person answers
//!       '------- threshold <--(explicit answers)'  --> the shop
//! ```
//!
//! Values and times go in, values come out. **Invariant.** Nothing here knows a clock, a database or
//! a network, and nothing here imports `api` or `store`.

pub mod life;
pub mod signing;
pub mod threshold;
