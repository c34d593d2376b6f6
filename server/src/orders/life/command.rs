//! What is asked of an order, what has to be known for it, and what it answers.

use super::{
    Status,
    event::{Actor, Withdrawn},
    quote::Quote,
};
use protocol::offer::{Currency, Money};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Somebody wants something of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Made by whoever sends it, once for each wish: sent again, it is the same wish. Of two
    /// commands with one id only the first is heard, whatever the second says.
    pub id: Uuid,
    /// Who.
    pub by: Actor,
    /// What.
    pub act: Act,
}

/// So many pieces of an article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The shop's own number for it.
    pub sku: String,
    /// Pieces.
    pub quantity: u32,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Buy what this quote says.
    Approve {
        /// The quote that the person saw.
        seen: Uuid,
        /// The total that they saw, minor units.
        total_minor: i64,
    },
    /// Ask for these goods instead. [`Facts::current`] has the shop's quote for them.
    Modify {
        /// All that is wanted.
        lines: Vec<Wanted>,
    },
    /// Ask again then.
    Delay {
        /// When, Unix milliseconds.
        until_unix_ms: i64,
    },
    /// Do not buy it. Within the grace period this takes an approval back. Once the shop may have it,
    /// the shop is not asked again.
    Cancel,
    /// Consent or a wish of the person ends all their orders.
    Withdraw {
        /// Why.
        because: Withdrawn,
    },
    /// Look at the time.
    Tick,
    /// The person was told of a quote, or reminded of it. By a connector.
    Told {
        /// The quote.
        quote: Uuid,
        /// Which reminder it was; `None` for the first message.
        reminder: Option<u8>,
    },
    /// The fresh quote that was wanted is in [`Facts::current`]. By the timer or a connector.
    Requote,
    /// The shop took the order.
    Accepted {
        /// The shop's own number for it.
        reference: String,
    },
    /// The shop did not take the order.
    NotTaken {
        /// In which attempt.
        attempt: u8,
        /// What it said, for the record.
        reason: String,
        /// Whether asking again may help.
        retry: bool,
        /// Whether it may have taken it all the same, as after a time-out.
        unknown: bool,
    },
}

/// What the shop says now to the goods in question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "current", rename_all = "snake_case", deny_unknown_fields)]
pub enum Current {
    /// They can be had so, or in part.
    Quoted {
        /// The shop's offer; if it is the one that the person saw, exactly that.
        quote: Quote,
    },
    /// None of them can be had.
    Nothing,
}

/// The time that a limit counts over, in the person's own zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// One order.
    Order,
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
}

/// A limit of the person and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// Over which time.
    pub period: Period,
    /// In which money.
    pub currency: Currency,
    /// The most that may be spent, minor units.
    pub most_minor: i64,
    /// What all *other* orders of the period count already, minor units: `Order::spent_minor`. It
    /// has to be read in the transaction that stores the decision, or two devices could both fit in.
    pub spent_minor: i64,
}

impl Allowance {
    /// By how much another `minor` would exceed it; 0 if it fits.
    #[must_use]
    pub fn exceeded_by(&self, minor: i64) -> i64 {
        let spent = i128::from(self.spent_minor.max(0)) + i128::from(minor);
        let over = spent - i128::from(self.most_minor);
        i64::try_from(over.max(0)).unwrap_or(i64::MAX)
    }
}

/// What has to be known to answer a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// What the shop says now: asked before an approval, needed for a modification and a return.
    /// `None` if it was not asked; then an approval is of the quote as it was shown.
    pub current: Option<Current>,
    /// The person's limits; needed for an approval.
    pub allowances: Vec<Allowance>,
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The person said no.
    Person,
    /// The person took their approval back.
    Undone,
    /// The operator.
    Operator,
    /// Nothing of it can be had.
    OutOfStock,
    /// Consent was withdrawn, orders were paused, or the person was forgotten.
    #[serde(untagged)]
    Withdrawn(Withdrawn),
}

/// What a command came to. A command that is sent again gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It was taken.
    Taken {
        /// Where the order stood after it. An approval that finds a dearer price or fewer goods
        /// leaves it `modified`: the person is asked again.
        status: Status,
    },
    /// It was not taken.
    Refused {
        /// Why, and what to do.
        refusal: Refusal,
    },
}

/// Why a command is not taken, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case", deny_unknown_fields)]
pub enum Refusal {
    /// The order has ended.
    #[error("this order is {status}: {}", after(*status))]
    Ended {
        /// How.
        status: Status,
        /// By whom.
        by: Actor,
        /// When, Unix milliseconds.
        at_unix_ms: i64,
    },
    /// It was answered already, perhaps on another device.
    #[error("this order was already answered, it is {status}: {}", after(*status))]
    Answered {
        /// Where it stands.
        status: Status,
        /// By whom.
        by: Actor,
        /// When, Unix milliseconds.
        at_unix_ms: i64,
    },
    /// The person saw an older quote.
    #[error(
        "the order changed since you saw it, it now comes to {total}: look at it and answer that"
    )]
    Superseded {
        /// The quote to answer.
        quote: Uuid,
        /// Its total.
        total: Money,
    },
    /// It is with the shop, and was ended as far as it can be.
    #[error(
        "the shop may have this order, it is not asked again: cancel it there, by the order's id"
    )]
    Handed,
    /// A limit of the person.
    #[error(
        "this would exceed your limit of {limit} by {over}: take something off, or raise the limit"
    )]
    OverLimit {
        /// Over which time.
        period: Period,
        /// The limit.
        limit: Money,
        /// What other orders used of it.
        spent: Money,
        /// By how much.
        over: Money,
    },
    /// A limit in another money.
    #[error("your limit is in {limit:?} and this order in {order:?}: set a limit in {order:?}")]
    LimitCurrency {
        /// The limit's.
        limit: Currency,
        /// The order's.
        order: Currency,
    },
    /// The shop offers something else instead.
    #[error(
        "the shop offers {sku:?}, which was not asked for: nothing was changed, try again later"
    )]
    Substituted {
        /// What it offers.
        sku: String,
    },
    /// Nothing of what is wanted instead can be had.
    #[error("none of this can be had: the order stays as it was, choose something else or cancel")]
    OutOfStock,
    /// The shop was not asked.
    #[error("the shop gave no price: the order stays as it was, try again later")]
    NoQuote,
    /// The shop's quote cannot be used.
    #[error("the shop's new quote has an old id or another currency: try again later")]
    Quote,
    /// It changed too often.
    #[error(
        "this order changed {quotes} times, which is all it may: answer it as it is, or order at the shop"
    )]
    TooManyQuotes {
        /// How often.
        quotes: usize,
    },
    /// A date that it cannot be put off to.
    #[error("it can be put off to a time between now and {most_unix_ms} (Unix ms): choose another")]
    Date {
        /// The latest.
        most_unix_ms: i64,
    },
    /// Somebody else's to do.
    #[error("this is not yours to do: only {who} can")]
    NotYours {
        /// Whose it is.
        who: String,
    },
    /// Nothing of that kind is wanted now.
    #[error("nothing of that kind was wanted, the order is {status}: read it again")]
    OutOfTurn {
        /// Where it stands.
        status: Status,
    },
    /// A text too long or too short to keep.
    #[error("a name, number or reason is empty or too long: shorten it")]
    Text,
}

/// What to do with an order that stands there.
const fn after(status: Status) -> &'static str {
    match status {
        Status::Expired => {
            "nothing was bought. Order at the shop if you still need it, or wait to be asked again"
        }
        Status::Cancelled => "nothing was bought. Order at the shop if you need it after all",
        Status::Fulfilled => "it was bought once. To send it back, turn to the shop",
        Status::Failed => "the shop did not confirm it. Look there before you order it again",
        Status::Approved => "cancel it if you have thought better of it",
        Status::Delayed => "it asks again on its date. Cancel it if you do not need it",
        Status::Fulfilling => "it is with the shop",
        Status::Proposed | Status::Notified | Status::Modified => "it waits for your answer",
    }
}
