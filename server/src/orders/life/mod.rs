//! The life of a pending order: a state machine whose only memory is its events.
//!
//! ```text
//!  proposed --told--> notified --approve--> approved --grace is over--> fulfilling --> fulfilled
//!   ^   |\               | | |                 |                         |    ^  |
//!   |   | \--------------' | |                 |                         '----'  '---> failed
//!   |   |        modify, dearer, out of stock  |                         again later
//!   |   |                  | '--> modified --told--> notified
//!   |   |                delay                 |
//!   '---|--- its date -- delayed               |
//!       '----------------- | ----------------- | ---> expired (time), cancelled (anybody)
//! ```
//!
//! [`Order::decide`] turns what somebody wants into events and an [`Answer`]; [`Order::apply`] takes
//! an event; [`Order::replay`] makes the order from its events. A decision is built by applying its
//! own events, so whatever is decided can be replayed, and what could not have been decided is
//! refused.
//!
//! # What it promises
//! * **Silence never buys.** A quote that is not answered within [`Rules::answer_ms`] expires, and so
//!   does an approval that was not begun within [`Rules::hold_ms`] after its grace period.
//! * **An approval is of one quote:** its id and its total. Lines and total that are bought are the
//!   ones approved, at the same price or a lower one. A dearer price asks again; a line that is out
//!   of stock is taken off and asks again; another article is never put in its place.
//! * **An approval can be taken back** for [`Rules::grace_ms`], by a cancel.
//! * **Each command counts once.** The same id gives the same answer and no new event; a second
//!   device is told what the first one did.
//! * **Until the shop may have it, it can be ended:** by the person, and by withdrawal of consent,
//!   pausing and erasure. From then on the same means that the shop is not asked again.
//! * **The shop is asked under one key** that never changes, so that asking again is not buying
//!   again.
//!
//! # What the outside does
//! Stores the events of a decision in one transaction, under the order's id and the number that
//! follows [`Order::events`]; who finds that number taken reads the order again and decides again.
//! Stores [`Order::due`] and [`Order::wants`] beside them: at the first a [`Act::Tick`] is sent, and
//! the second says what else has to be done. Both follow from the events alone, so a crash loses
//! nothing.

mod command;
mod decide;
mod event;
mod fault;
#[cfg(test)]
mod histories;
mod quote;
mod rules;
mod step;
#[cfg(test)]
mod tests;

pub use command::{Act, Allowance, Answer, Command, Current, End, Facts, Period, Refusal, Wanted};
pub use decide::Decision;
pub use event::{Actor, Event, FailReason, Proposal, Requote, What, Why, Withdrawn};
pub use fault::{EventFault, ProposalFault, ReplayFault};
pub use quote::{Goods, Line, MAX_LINES, MAX_QUANTITY, MAX_UNIT_MINOR, Quote, QuoteFault};
pub use rules::{MAX_REMINDERS, MAX_RETRIES, Rules};

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use uuid::Uuid;

/// Refused commands that one order remembers. Those after them are refused without a trace.
pub const MAX_REFUSALS: usize = 100;
/// The last millisecond of the year 9999, Unix milliseconds: no time lies after it.
pub const MAX_UNIX_MS: i64 = 253_402_300_799_999;
/// Longest text that an order takes in, bytes.
pub const MAX_TEXT_BYTES: usize = 500;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Made, and not told to the person yet.
    Proposed,
    /// The person was told, and has not answered.
    Notified,
    /// Its quote changed, and the person was not told yet.
    Modified,
    /// Approved; it can be taken back until the shop is asked.
    Approved,
    /// Put off to a date.
    Delayed,
    /// With the shop.
    Fulfilling,
    /// Bought.
    Fulfilled,
    /// Approved, and not to be had.
    Failed,
    /// Ended by somebody.
    Cancelled,
    /// Ended by the time.
    Expired,
}

impl Status {
    /// Every status, in the order of the type.
    pub const ALL: [Self; 10] = [
        Self::Proposed,
        Self::Notified,
        Self::Modified,
        Self::Approved,
        Self::Delayed,
        Self::Fulfilling,
        Self::Fulfilled,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Fulfilled | Self::Failed | Self::Cancelled | Self::Expired)
    }

    /// As it is written in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Notified => "notified",
            Self::Modified => "modified",
            Self::Approved => "approved",
            Self::Delayed => "delayed",
            Self::Fulfilling => "fulfilling",
            Self::Fulfilled => "fulfilled",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the outside has to do for an order now, until a command says that it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "want", rename_all = "snake_case")]
pub enum Want {
    /// Tell the person of this quote, then [`Act::Told`].
    Ask {
        /// The quote.
        quote: Uuid,
    },
    /// Remind the person of this quote, then [`Act::Told`].
    Remind {
        /// The quote.
        quote: Uuid,
        /// Which reminder, from 1.
        number: u8,
    },
    /// Ask the shop for a fresh quote, then [`Act::Requote`].
    Requote,
    /// Have the shop take the order, exactly as quoted, then [`Act::Accepted`] or [`Act::NotTaken`].
    Fulfil {
        /// Idempotency key for the shop, always the same for an order.
        key: Uuid,
        /// Which attempt, from 1.
        attempt: u8,
    },
}

/// The state behind a [`Status`].
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    /// A quote waits for an answer.
    Asking {
        since: i64,
        changed: bool,
        told: Option<i64>,
        remind: Option<u8>,
    },
    /// `woken` once the date has come.
    Delayed {
        until: i64,
        woken: bool,
    },
    Approved {
        at: i64,
    },
    /// `open` since when the shop has been asked; `next` when it is asked (again) otherwise.
    /// `unknown` if it may have taken the order without saying so, `stop` if it must not be asked
    /// again.
    Fulfilling {
        approved: i64,
        number: u8,
        open: Option<i64>,
        next: i64,
        unknown: bool,
        stop: Option<End>,
    },
    Ended(Ended),
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ended {
    /// Bought.
    Fulfilled {
        /// The shop's own number for it.
        reference: String,
    },
    /// Approved, and not to be had.
    Failed {
        /// Why.
        because: FailReason,
        /// The shop may have taken it without saying so: ask there, with the order's key.
        unknown: bool,
    },
    /// By somebody.
    Cancelled {
        /// Why.
        because: End,
    },
    /// By the time.
    Expired,
}

/// An order as its events made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    id: Uuid,
    person: Uuid,
    why: Why,
    rules: Rules,
    quote: Quote,
    /// Every quote it had, the newest last: an id is never used twice.
    quotes: Vec<Uuid>,
    phase: Phase,
    /// Reminders that came due, over the whole life.
    reminders: u8,
    answers: BTreeMap<Uuid, Answer>,
    refusals: usize,
    events: u64,
    last_unix_ms: i64,
    /// Who brought it where it stands, and when.
    changed: (Actor, i64),
}

impl Order {
    /// Its id, which is also its idempotency key at the shop.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Whose it is.
    #[must_use]
    pub const fn person(&self) -> Uuid {
        self.person
    }

    /// Why it was proposed.
    #[must_use]
    pub const fn why(&self) -> &Why {
        &self.why
    }

    /// The rules it was proposed under. They hold for its whole life.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The newest quote: what is asked, or was approved.
    #[must_use]
    pub const fn quote(&self) -> &Quote {
        &self.quote
    }

    /// How many events made it: the number of the next one, counted from 0.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Who brought it where it stands, and when, Unix milliseconds.
    #[must_use]
    pub const fn changed(&self) -> (&Actor, i64) {
        (&self.changed.0, self.changed.1)
    }

    /// How it ended; `None` if it has not.
    #[must_use]
    pub const fn ended(&self) -> Option<&Ended> {
        match &self.phase {
            Phase::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// What a command was answered; `None` if it is not known.
    #[must_use]
    pub fn answer(&self, command: Uuid) -> Option<&Answer> {
        self.answers.get(&command)
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        match &self.phase {
            Phase::Asking { told: Some(_), .. } => Status::Notified,
            Phase::Asking { changed: true, .. } => Status::Modified,
            Phase::Asking { .. } => Status::Proposed,
            Phase::Delayed { .. } => Status::Delayed,
            Phase::Approved { .. } => Status::Approved,
            Phase::Fulfilling { .. } => Status::Fulfilling,
            Phase::Ended(Ended::Fulfilled { .. }) => Status::Fulfilled,
            Phase::Ended(Ended::Failed { .. }) => Status::Failed,
            Phase::Ended(Ended::Cancelled { .. }) => Status::Cancelled,
            Phase::Ended(Ended::Expired) => Status::Expired,
        }
    }

    /// When a timer has to look again, Unix milliseconds; `None` if never. After a tick at that time
    /// or later it lies in the future.
    #[must_use]
    pub fn due(&self) -> Option<i64> {
        match &self.phase {
            Phase::Asking { .. } => {
                let expires = self.expires()?;
                Some(self.next_reminder().map_or(expires, |at| at.min(expires)))
            }
            Phase::Delayed { until, woken: false } => Some(*until),
            Phase::Delayed { woken: true, .. } => self.expires(),
            Phase::Approved { .. } => self.begins(),
            Phase::Fulfilling { open: Some(open), .. } => Some(open + self.rules.attempt_ms),
            Phase::Fulfilling { next, .. } => Some(*next),
            Phase::Ended(_) => None,
        }
    }

    /// What has to be done for it now.
    #[must_use]
    pub const fn wants(&self) -> Option<Want> {
        let quote = self.quote.id();
        match &self.phase {
            Phase::Asking { told: None, .. } => Some(Want::Ask { quote }),
            Phase::Asking { remind: Some(number), .. } => {
                Some(Want::Remind { quote, number: *number })
            }
            Phase::Delayed { woken: true, .. } => Some(Want::Requote),
            Phase::Fulfilling { number, open: Some(_), .. } => {
                Some(Want::Fulfil { key: self.id, attempt: *number })
            }
            _ => None,
        }
    }

    /// When it expires unless something happens, Unix milliseconds.
    #[must_use]
    pub const fn expires(&self) -> Option<i64> {
        match &self.phase {
            Phase::Asking { since, .. } => Some(*since + self.rules.answer_ms),
            Phase::Delayed { until, .. } => Some(*until + self.rules.answer_ms),
            Phase::Approved { at } => Some(*at + self.rules.grace_ms + self.rules.hold_ms),
            _ => None,
        }
    }

    /// When the grace period of an approval ends and the shop is asked, Unix milliseconds.
    #[must_use]
    pub const fn begins(&self) -> Option<i64> {
        match &self.phase {
            Phase::Approved { at } => Some(*at + self.rules.grace_ms),
            _ => None,
        }
    }

    /// What the order counts against the limits of a period: its total from the approval on, unless
    /// it was certainly not bought. Minor units of its quote's currency.
    #[must_use]
    pub const fn spent_minor(&self) -> i64 {
        match &self.phase {
            Phase::Approved { .. }
            | Phase::Fulfilling { .. }
            | Phase::Ended(Ended::Fulfilled { .. } | Ended::Failed { unknown: true, .. }) => {
                self.quote.total_minor()
            }
            _ => 0,
        }
    }

    /// What the person's answer teaches of their threshold, once the order has ended: `true` if they
    /// approved and left it so, `false` if they cancelled, `None` if they said neither. That time
    /// passed, that something was out of stock, and that consent ended are no answers.
    #[must_use]
    pub const fn lesson(&self) -> Option<bool> {
        match self.ended() {
            Some(
                Ended::Cancelled { because: End::Person | End::Undone }
                | Ended::Failed { because: FailReason::Stopped(End::Person), .. },
            ) => Some(false),
            Some(Ended::Failed { because: FailReason::Stopped(_), .. }) => None,
            Some(Ended::Fulfilled { .. } | Ended::Failed { .. }) => Some(true),
            Some(Ended::Cancelled { .. } | Ended::Expired) | None => None,
        }
    }

    /// Whether the shop may have it, so that ending it here would not end it there.
    const fn is_handed(&self) -> bool {
        match &self.phase {
            Phase::Fulfilling { open, unknown, .. } => open.is_some() || *unknown,
            _ => false,
        }
    }

    /// When the next reminder is due; `None` if there is none before the quote expires.
    fn next_reminder(&self) -> Option<i64> {
        match &self.phase {
            Phase::Asking { told: Some(told), .. } => {
                let after = self.rules.reminders_ms.get(usize::from(self.reminders))?;
                Some(told + after)
            }
            _ => None,
        }
    }

    /// After this time the shop is not asked any more, Unix milliseconds.
    const fn last_attempt(&self, approved: i64) -> i64 {
        approved + self.rules.grace_ms + self.rules.hold_ms
    }
}
