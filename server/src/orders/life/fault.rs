//! Why something cannot be the beginning of an order, or cannot have happened to one.

use super::{MAX_REFUSALS, MAX_TEXT_BYTES, MAX_UNIX_MS, Status};
use thiserror::Error;

/// Why an order cannot begin so.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ProposalFault {
    /// A rule that cannot be.
    #[error("the rules cannot be: {what}")]
    Rules {
        /// What to put right.
        what: String,
    },
    /// No probability.
    #[error("confidence and threshold must be probabilities, 0 to 1")]
    Probability,
    /// Less sure than the person wants it.
    #[error("confidence {confidence} is under the threshold {threshold}: do not ask, suggest")]
    Unsure {
        /// How sure the model is.
        confidence: f64,
        /// How sure it must be.
        threshold: f64,
    },
    /// No reasons, or too many.
    #[error("give 1 to 20 reasons of at most {MAX_TEXT_BYTES} bytes each")]
    Reasons,
    /// Nobody could tell later where it came from.
    #[error("give the model's id and the SHA-256 of its inputs in hexadecimal")]
    Origin,
}

/// Why an event cannot have happened.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum EventFault {
    /// There is none.
    #[error("there are no events: an order begins with `proposed`")]
    None,
    /// The beginning is no beginning.
    #[error("the order begins with `{what}`: it must begin with `proposed`, and only once")]
    Beginning {
        /// What it begins with.
        what: String,
    },
    /// The proposal cannot be.
    #[error("{0}")]
    Proposal(#[from] ProposalFault),
    /// Before the event before it, or no time at all.
    #[error("the time {at_unix_ms} lies before {last_unix_ms} or after {MAX_UNIX_MS}")]
    Time {
        /// Its time.
        at_unix_ms: i64,
        /// The least it could be.
        last_unix_ms: i64,
    },
    /// Not theirs to do.
    #[error("`{what}` cannot be done by this actor")]
    Actor {
        /// What was done.
        what: String,
    },
    /// The command was answered already.
    #[error("the event answers a command that was answered before")]
    Answered,
    /// Not where the order stands.
    #[error("`{what}` cannot follow when the order is {status}")]
    OutOfPlace {
        /// What happened.
        what: String,
        /// Where the order stands.
        status: Status,
    },
    /// Too early or too late.
    #[error("`{what}` cannot happen at this time")]
    Timing {
        /// What happened.
        what: String,
    },
    /// The quote does not fit.
    #[error("the quote of `{what}` is not one that can stand there")]
    Quote {
        /// What happened.
        what: String,
    },
    /// Over a limit of the person.
    #[error("the approval exceeds a limit that it names")]
    OverLimit,
    /// The wrong number or key.
    #[error("`{what}` has the wrong number or key")]
    Number {
        /// What happened.
        what: String,
    },
    /// A text too long to keep.
    #[error("`{what}` has a text of more than {MAX_TEXT_BYTES} bytes")]
    Text {
        /// What happened.
        what: String,
    },
    /// More refusals than are kept.
    #[error("there are more than {MAX_REFUSALS} refusals")]
    TooMany,
}

/// Which event cannot have happened, and why.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("event {index} is not to be had: {fault}; the order's record was changed or is not whole")]
pub struct ReplayFault {
    /// Counted from 0.
    pub index: usize,
    /// Why.
    pub fault: EventFault,
}
