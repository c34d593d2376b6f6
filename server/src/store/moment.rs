//! Whether the database was written since, told without asking it: a question takes a trip to a
//! connection's thread, dearer than all else of a small read.

use super::Store;
use std::time::Duration;

/// How long what was read stands for what is there. What is written through this store counts before
/// its writer hears of it; what a command beside a server writes counts after this time at most.
pub const FRESH: Duration = Duration::from_secs(1);

/// A state of the database: as long as this is the same, so is what was read, as said at [`FRESH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    commits: u64,
    turns_of_fresh: u128,
}

impl Store {
    /// The state that the database is in. What is read afterwards is at least as new.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let turns_of_fresh = self.opened.elapsed().as_millis() / FRESH.as_millis();
        Moment { commits: self.writer.commits(), turns_of_fresh }
    }
}
