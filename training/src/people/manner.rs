//! How people answer when they are asked whether something is to be ordered.

use super::{chance::Chance, holding::Holding, household::Household};
use serde::Serialize;

/// How somebody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// As they need it: approves what they would buy within the horizon, perhaps changed; has what
    /// they need somewhat later delayed or cancelled; cancels the rest. Forgets some.
    Honest,
    /// Approves nearly everything.
    Eager,
    /// Cancels everything.
    Refuser,
    /// Never answers.
    Silent,
    /// Honest for months, then cancels everything.
    Drifting {
        /// The first day of refusing, since 1970-01-01.
        from: i32,
    },
    /// Honest, but often too late.
    Late,
}

/// Which manner how large a share of the people has. Invented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// [`Manner::Honest`].
    pub honest: f64,
    /// [`Manner::Eager`].
    pub eager: f64,
    /// [`Manner::Refuser`].
    pub refuser: f64,
    /// [`Manner::Silent`].
    pub silent: f64,
    /// [`Manner::Drifting`].
    pub drifting: f64,
    /// [`Manner::Late`].
    pub late: f64,
}

/// Of the made-up people.
pub const SHARES: Shares =
    Shares { honest: 0.55, eager: 0.12, refuser: 0.08, silent: 0.08, drifting: 0.07, late: 0.10 };

/// When drifting people begin to refuse: days after the first, from, and so many more.
const DRIFTS_AFTER_DAYS: (f64, f64) = (60.0, 180.0);
/// Share of the questions that an honest person leaves without an answer.
const UNANSWERED: f64 = 0.08;
/// Share of what is needed later that is delayed; the rest is cancelled.
const DELAYED: f64 = 0.60;
/// Share of what is needed that is changed, where not the usual quantity or not the favourite is
/// proposed.
const CHANGED: f64 = 0.40;
/// Share of the questions that an eager person approves; the rest is cancelled.
const EAGER: f64 = 0.97;
/// Median minutes until an answer, and the deviation of their logarithm.
const ANSWERS_AFTER_MINUTES: f64 = 90.0;
const ANSWERS_SPREAD: f64 = 1.2;
/// When late people answer, as a share of the time there was: from, and so much more.
const LATE: (f64, f64) = (0.7, 1.0);
/// Latest answer, minutes: four weeks.
const LATEST_MINUTES: f64 = 40_320.0;
/// Share of the answers that are tapped twice.
const TWICE: f64 = 0.05;

/// What numbers are drawn for; those of the household are others.
mod purpose {
    pub(super) const MANNER: u64 = 4_000;
    pub(super) const DRIFTS_AFTER: u64 = 4_001;
    pub(super) const QUESTION: u64 = 4_002;
    pub(super) const UNANSWERED: u64 = 0;
    pub(super) const DELAYED: u64 = 1;
    pub(super) const CHANGED: u64 = 2;
    pub(super) const EAGER: u64 = 3;
    pub(super) const MINUTES: u64 = 4;
    pub(super) const TWICE: u64 = 5;
}

/// A question: shall this be ordered?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Place in [`super::CATALOGUE`].
    pub category: usize,
    /// Place in [`super::Category::skus`].
    pub sku: usize,
    /// Packs.
    pub quantity: u32,
    /// It is said to be needed within so many days.
    pub horizon_days: u32,
    /// Minutes after which no answer counts.
    pub timeout_minutes: u32,
}

/// What somebody does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Order it.
    Approve,
    /// Order this instead.
    Modify {
        /// Place in [`super::Category::skus`].
        sku: usize,
        /// Packs, at least 1.
        quantity: u32,
    },
    /// Do not order it.
    Cancel,
    /// Ask again.
    Delay {
        /// In so many days, at least 1.
        days: u32,
    },
}

/// An answer, and how it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// After the question. It may be after the time-out.
    pub minutes_later: u32,
    /// How often it is sent, 1 or 2.
    pub taps: u8,
    /// What it says.
    pub answer: Answer,
}

/// The manner of a person.
pub(super) fn draw(chance: Chance, first_day: i32) -> Manner {
    let months = DRIFTS_AFTER_DAYS.0 + DRIFTS_AFTER_DAYS.1 * chance.even(purpose::DRIFTS_AFTER);
    let from = first_day.saturating_add(months as i32);
    let Shares { honest, eager, refuser, silent, drifting, late: _ } = SHARES;
    let table = [
        (honest, Manner::Honest),
        (eager, Manner::Eager),
        (refuser, Manner::Refuser),
        (silent, Manner::Silent),
        (drifting, Manner::Drifting { from }),
    ];
    let mut left = chance.even(purpose::MANNER);
    for (share, manner) in table {
        if left < share {
            return manner;
        }
        left -= share;
    }
    Manner::Late
}

/// What a person does about a question of this day. `next_need` is the number of days after which
/// they would buy the category by themselves, if that is within twice the horizon.
pub(super) fn reply(
    of: &Household,
    holding: Option<&Holding>,
    next_need: Option<u32>,
    asked: &Asked,
    day: i32,
) -> Option<Reply> {
    let chance = of.chance.of(purpose::QUESTION).of(asked.category as u64).on(day);
    let honest = || {
        let answers = !chance.happens(purpose::UNANSWERED, UNANSWERED);
        answers.then(|| as_needed(chance, holding, next_need, asked))
    };
    let answer = match of.manner {
        Manner::Silent => None,
        Manner::Refuser => Some(Answer::Cancel),
        Manner::Drifting { from } if day >= from => Some(Answer::Cancel),
        Manner::Eager if chance.happens(purpose::EAGER, EAGER) => Some(Answer::Approve),
        Manner::Eager => Some(Answer::Cancel),
        Manner::Honest | Manner::Drifting { .. } | Manner::Late => honest(),
    }?;
    let minutes = match of.manner {
        Manner::Late => {
            let share = LATE.0 + LATE.1 * chance.even(purpose::MINUTES);
            share * f64::from(asked.timeout_minutes)
        }
        _ => ANSWERS_AFTER_MINUTES * (ANSWERS_SPREAD * chance.bell(purpose::MINUTES)).exp(),
    };
    let taps = 1 + u8::from(chance.happens(purpose::TWICE, TWICE));
    Some(Reply { minutes_later: minutes.clamp(1.0, LATEST_MINUTES) as u32, taps, answer })
}

fn as_needed(
    chance: Chance,
    holding: Option<&Holding>,
    next_need: Option<u32>,
    asked: &Asked,
) -> Answer {
    let (Some(holding), Some(days)) = (holding, next_need) else { return Answer::Cancel };
    let later = days.saturating_sub(asked.horizon_days);
    if later > 0 {
        let delays = chance.happens(purpose::DELAYED, DELAYED);
        return if delays { Answer::Delay { days: later } } else { Answer::Cancel };
    }
    let (sku, quantity) = (holding.favourite, holding.packs);
    let other = (sku, quantity) != (asked.sku, asked.quantity);
    if other && chance.happens(purpose::CHANGED, CHANGED) {
        Answer::Modify { sku, quantity }
    } else {
        Answer::Approve
    }
}
