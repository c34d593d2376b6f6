//! What is known about a person at a time, and the features that follow from it.
//!
//! [`Definitions`] say as data which numbers are told from which facts. A [`Profile`] holds what
//! they need of one person, and is brought up to date fact by fact. The running server keeps one a
//! person; training replays the facts in the order in which they became known through the very
//! same code, and stops at each cut. So a model never learns from what was not known yet, and sees
//! in service what it saw in training.
//!
//! **Invariant.** No clock and no I/O: times come with the facts and the questions.

mod aggregate;
pub(crate) mod calendar;
mod definitions;
mod drift;
mod fact;
mod person;
mod plan;
mod rows;
mod snapshot;
mod surroundings;
#[cfg(test)]
mod tests;
mod track;

pub use definitions::{
    Aggregation, Definitions, DefinitionsError, Entity, Feature, KEPT_DAYS, MOST_FEATURES,
    MOST_TRACKS,
};
pub use drift::{Drift, Drifted, Present, Reference, SCORE, Spread, psi};
pub use fact::{Fact, PART, Source};
pub use person::{PLACE, Profile};
pub use snapshot::{Cuts, CutsError, Snapshot, Snapshots};
pub use surroundings::Surroundings;
