//! What happened to an order. Events are its only record, and its audit: each says when and by whom.

use super::{
    MAX_TEXT_BYTES,
    command::{Allowance, End, Refusal},
    fault::ProposalFault,
    quote::{Quote, is_text},
    rules::Rules,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most reasons beside a proposal.
const MAX_REASONS: usize = 20;
/// A SHA-256 in hexadecimal.
const DIGEST_DIGITS: usize = 64;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "actor", rename_all = "snake_case", deny_unknown_fields)]
pub enum Actor {
    /// The person whose order it is.
    Person {
        /// Where they answered: `email`, `sms`, `in_app`, `page`.
        channel: String,
    },
    /// The server, because a time had come.
    Timer,
    /// Somebody of the operator.
    Operator {
        /// Who, as the operator calls them.
        name: String,
    },
    /// A system outside: the shop, or the way a message took.
    Connector {
        /// Which.
        name: String,
    },
}

impl Actor {
    /// Whether its name is short enough to keep.
    pub(super) fn is_short(&self) -> bool {
        match self {
            Self::Timer => true,
            Self::Person { channel: name } | Self::Operator { name } | Self::Connector { name } => {
                name.len() <= MAX_TEXT_BYTES
            }
        }
    }
}

/// Why an order was proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// The model behind it.
    pub model_id: String,
    /// The category of goods that is needed.
    pub category: String,
    /// The calibrated probability that it is needed, 0..=1.
    pub confidence: f64,
    /// How sure the person wanted to have it, 0..=1; never above the confidence.
    pub threshold: f64,
    /// In words for the person, the weightiest first.
    pub reasons: Vec<String>,
    /// SHA-256 over the model's inputs, hexadecimal.
    pub inputs_digest: String,
}

/// An order as it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The id of the order.
    pub order: Uuid,
    /// Whose it is.
    pub person: Uuid,
    /// What it is about.
    pub quote: Quote,
    /// Why it is made.
    pub why: Why,
    /// The rules it lives under.
    pub rules: Rules,
}

impl Proposal {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`ProposalFault`] names the first thing that cannot be.
    pub fn validate(&self) -> Result<(), ProposalFault> {
        let Why { model_id, category, confidence, threshold, reasons, inputs_digest } = &self.why;
        self.rules.validate().map_err(|what| ProposalFault::Rules { what: what.to_owned() })?;
        if ![confidence, threshold].into_iter().all(|one| (0.0..=1.0).contains(one)) {
            return Err(ProposalFault::Probability);
        }
        if confidence < threshold {
            return Err(ProposalFault::Unsure { confidence: *confidence, threshold: *threshold });
        }
        if !(1..=MAX_REASONS).contains(&reasons.len()) || !reasons.iter().all(|one| is_text(one)) {
            return Err(ProposalFault::Reasons);
        }
        let hexadecimal = inputs_digest.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_text(model_id)
            || !is_text(category)
            || inputs_digest.len() != DIGEST_DIGITS
            || !hexadecimal
        {
            return Err(ProposalFault::Origin);
        }
        Ok(())
    }
}

/// Why a quote took the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case", deny_unknown_fields)]
pub enum Requote {
    /// The person changed what they want.
    Modified,
    /// The shop wants more for the same than the person had seen.
    Dearer,
    /// Of these articles the shop has less, or none.
    OutOfStock {
        /// Their numbers.
        skus: Vec<String>,
    },
    /// The order was put off, and its date has come.
    Returned {
        /// Articles of which the shop has less by now, or none.
        missing: Vec<String>,
    },
}

/// Why consent or a wish ended an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawn {
    /// Consent was withdrawn.
    Consent,
    /// The person paused all orders.
    Paused,
    /// The person had themselves forgotten.
    Erased,
}

/// Why the shop did not get to sell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    /// It said no for good.
    Declined,
    /// All attempts were used up.
    GaveUp,
    /// Too much time passed after the approval.
    TooLate,
    /// It was ended while the shop may have had it, so the shop was not asked again.
    Stopped(End),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// It began.
    Proposed(Box<Proposal>),
    /// The person was told of a quote.
    Notified {
        /// The quote.
        quote: Uuid,
    },
    /// It is time to remind the person.
    ReminderDue {
        /// Which reminder, from 1. Some are left out where the server stood still.
        number: u8,
    },
    /// The person was reminded.
    Reminded {
        /// Which reminder.
        number: u8,
    },
    /// Another quote took the place of the one before, and has to be told.
    Requoted {
        /// The new one.
        quote: Quote,
        /// Why.
        why: Requote,
    },
    /// The person said yes.
    Approved {
        /// The quote they saw.
        seen: Uuid,
        /// What is bought: that quote, or a newer one of the same goods that is not dearer.
        quote: Quote,
        /// The limits it was held to.
        allowances: Vec<Allowance>,
    },
    /// The person put it off.
    Delayed {
        /// Until when, Unix milliseconds.
        until_unix_ms: i64,
    },
    /// The date that it was put off to has come.
    Woken,
    /// The person wanted something that is not to be had.
    Refused {
        /// Why not.
        refusal: Refusal,
    },
    /// It was ended.
    Cancelled {
        /// Why.
        because: End,
    },
    /// Its time was over.
    Expired,
    /// The grace period is over: from here on it is for the shop. At most once in a life.
    FulfilmentStarted {
        /// Idempotency key, the same in every attempt.
        key: Uuid,
    },
    /// The shop is asked.
    Attempted {
        /// Which attempt, from 1.
        number: u8,
    },
    /// The shop did not take it this time.
    AttemptFailed {
        /// Which attempt.
        number: u8,
        /// What the shop said.
        reason: String,
        /// It may have taken it all the same.
        unknown: bool,
    },
    /// It was ended while the shop was being asked: the shop is not asked again, but may take it yet.
    Stopped {
        /// Why.
        because: End,
    },
    /// The shop took it.
    Fulfilled {
        /// The shop's own number for it.
        reference: String,
    },
    /// It is not to be had.
    Failed {
        /// Why.
        because: FailReason,
    },
}

impl What {
    /// As it is written in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proposed(_) => "proposed",
            Self::Notified { .. } => "notified",
            Self::ReminderDue { .. } => "reminder_due",
            Self::Reminded { .. } => "reminded",
            Self::Requoted { .. } => "requoted",
            Self::Approved { .. } => "approved",
            Self::Delayed { .. } => "delayed",
            Self::Woken => "woken",
            Self::Refused { .. } => "refused",
            Self::Cancelled { .. } => "cancelled",
            Self::Expired => "expired",
            Self::FulfilmentStarted { .. } => "fulfilment_started",
            Self::Attempted { .. } => "attempted",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::Stopped { .. } => "stopped",
            Self::Fulfilled { .. } => "fulfilled",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether this may be somebody's doing.
    pub(super) const fn may_be_by(&self, actor: &Actor) -> bool {
        use Actor::{Connector, Operator, Person, Timer};
        match self {
            Self::Proposed(_) => matches!(actor, Timer | Operator { .. }),
            Self::Notified { .. } | Self::Reminded { .. } | Self::Fulfilled { .. } => {
                matches!(actor, Connector { .. })
            }
            Self::ReminderDue { .. }
            | Self::Woken
            | Self::Expired
            | Self::FulfilmentStarted { .. }
            | Self::Attempted { .. } => matches!(actor, Timer),
            Self::Failed { because: FailReason::Stopped(_) } => true,
            Self::Requoted { why: Requote::Returned { .. }, .. }
            | Self::AttemptFailed { .. }
            | Self::Failed { .. } => matches!(actor, Timer | Connector { .. }),
            Self::Requoted { .. }
            | Self::Approved { .. }
            | Self::Delayed { .. }
            | Self::Refused { .. } => matches!(actor, Person { .. }),
            Self::Cancelled { because } | Self::Stopped { because } => match because {
                End::Person | End::Undone => matches!(actor, Person { .. }),
                End::Operator => matches!(actor, Operator { .. }),
                End::OutOfStock => !matches!(actor, Operator { .. }),
                End::Withdrawn(_) => !matches!(actor, Connector { .. }),
            },
        }
    }
}

/// Something that happened, when, and by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, Unix milliseconds; never before the event before it.
    pub at_unix_ms: i64,
    /// By whom.
    pub by: Actor,
    /// The command it answers; none if the time alone brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Uuid>,
    /// What.
    pub what: What,
}
