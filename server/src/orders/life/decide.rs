//! What a command comes to.

use super::{
    Answer, Command, EventFault, MAX_REFUSALS, MAX_UNIX_MS, Order, Phase, Status,
    command::{Act, Current, End, Facts, Refusal, Wanted},
    event::{Actor, Event, FailReason, Proposal, Requote, What},
    quote::{Goods, Quote, is_text},
};
use protocol::offer::Money;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The shop said nothing in time.
const NO_ANSWER: &str = "no answer in time";

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What whoever sent it is told.
    pub answer: Answer,
    /// What has to be stored, in one transaction, before they are told.
    pub events: Vec<Event>,
}

impl Order {
    /// Begins an order. `by` is the timer or an operator.
    ///
    /// # Errors
    /// [`EventFault`] says what cannot be.
    pub fn propose(
        command: Uuid,
        by: Actor,
        proposal: Proposal,
        now_unix_ms: i64,
    ) -> Result<(Self, Event), EventFault> {
        let what = What::Proposed(Box::new(proposal));
        let event = Event { at_unix_ms: now_unix_ms, by, command: Some(command), what };
        Ok((Self::begin(&event)?, event))
    }

    /// What a command comes to at `now_unix_ms`, Unix milliseconds. A clock that went backwards
    /// counts as one that stands still.
    ///
    /// What the time has ended is ended first: who approves a moment too late is refused, whether a
    /// timer came by before them or not.
    #[must_use]
    pub fn decide(&self, command: &Command, now_unix_ms: i64, facts: &Facts) -> Decision {
        if let Some(answer) = self.answer(command.id) {
            return Decision { answer: answer.clone(), events: Vec::new() };
        }
        let at = now_unix_ms.clamp(self.last_unix_ms, MAX_UNIX_MS);
        let mut draft = Draft { order: self.clone(), events: Vec::new(), at };
        let heard = draft.time_out().and_then(|()| draft.hear(command, facts));
        let answer = match heard {
            Ok(()) => Answer::Taken { status: draft.order.status() },
            Err(refusal) => {
                draft.keep(command, &refusal);
                Answer::Refused { refusal }
            }
        };
        Decision { answer, events: draft.events }
    }
}

/// A decision in the making: events, and the order as they leave it.
struct Draft {
    order: Order,
    events: Vec<Event>,
    at: i64,
}

impl Draft {
    /// Adds an event if it can follow.
    fn emit(&mut self, by: &Actor, command: Option<Uuid>, what: What) -> Result<(), Refusal> {
        let event = Event { at_unix_ms: self.at, by: by.clone(), command, what };
        let status = self.order.status();
        self.order.apply(&event).map_err(|fault| match fault {
            EventFault::Actor { .. } => Refusal::NotYours { who: rightful(&event.what).to_owned() },
            EventFault::Quote { .. } => Refusal::Quote,
            EventFault::Text { .. } => Refusal::Text,
            _ => Refusal::OutOfTurn { status },
        })?;
        self.events.push(event);
        Ok(())
    }

    /// Remembers what a person was refused, so that the same tap is refused again. An order that
    /// has ended refuses everything anyway.
    fn keep(&mut self, command: &Command, refusal: &Refusal) {
        let person = matches!(command.by, Actor::Person { .. });
        if person && !self.order.status().is_end() && self.order.refusals < MAX_REFUSALS {
            let what = What::Refused { refusal: refusal.clone() };
            // What cannot be kept, such as a channel with too long a name, is refused all the same.
            let _ = self.emit(&command.by, Some(command.id), what);
        }
    }

    fn hear(&mut self, command: &Command, facts: &Facts) -> Result<(), Refusal> {
        match &command.act {
            Act::Tick => self.tick(),
            Act::Approve { seen, total_minor } => {
                self.check_asking()?;
                let shown = &self.order.quote;
                if *seen != shown.id() || *total_minor != shown.total_minor() {
                    return Err(Refusal::Superseded { quote: shown.id(), total: shown.total() });
                }
                let what = approval(&self.order, facts)?;
                if matches!(what, What::Requoted { .. }) {
                    self.check_room()?;
                }
                self.emit(&command.by, Some(command.id), what)
            }
            Act::Modify { lines } => {
                self.check_asking()?;
                self.check_room()?;
                let quote = modified(lines, facts)?;
                let what = What::Requoted { quote, why: Requote::Modified };
                self.emit(&command.by, Some(command.id), what)
            }
            Act::Delay { until_unix_ms } => {
                self.check_asking()?;
                self.check_room()?;
                let most_unix_ms = self.order.latest_delay(self.at);
                if !(self.at + 1..=most_unix_ms).contains(until_unix_ms) {
                    return Err(Refusal::Date { most_unix_ms });
                }
                let what = What::Delayed { until_unix_ms: *until_unix_ms };
                self.emit(&command.by, Some(command.id), what)
            }
            Act::Cancel => {
                let approved = matches!(self.order.phase, Phase::Approved { .. });
                let because = match command.by {
                    Actor::Operator { .. } => End::Operator,
                    _ if approved => End::Undone,
                    _ => End::Person,
                };
                self.end(command, because)
            }
            // An order that has ended has nothing left to end.
            Act::Withdraw { .. } if self.order.status().is_end() => Ok(()),
            Act::Withdraw { because } => self.end(command, End::Withdrawn(*because)),
            Act::Told { quote, reminder } => self.told(command, *quote, *reminder),
            Act::Requote => self.returned(command, facts),
            Act::Accepted { reference } => self.accepted(command, reference),
            Act::NotTaken { attempt, reason, retry, unknown } => {
                let Phase::Fulfilling { number, open: Some(_), .. } = self.order.phase else {
                    return Err(Refusal::OutOfTurn { status: self.order.status() });
                };
                // Of an attempt that was given up the shop speaks too late.
                if *attempt != number {
                    return Err(Refusal::OutOfTurn { status: self.order.status() });
                }
                let because = if *retry { self.gives_up() } else { Some(FailReason::Declined) };
                let what =
                    What::AttemptFailed { number, reason: reason.clone(), unknown: *unknown };
                let Some(because) = because else {
                    return self.emit(&command.by, Some(command.id), what);
                };
                // The answer is where the order stands after the last of its events.
                self.emit(&command.by, None, what)?;
                self.emit(&command.by, Some(command.id), What::Failed { because })
            }
        }
    }

    /// Ends what the time has ended.
    fn time_out(&mut self) -> Result<(), Refusal> {
        match self.order.expires() {
            Some(expires) if expires <= self.at => self.emit(&Actor::Timer, None, What::Expired),
            _ => Ok(()),
        }
    }

    /// Everything that is due.
    fn tick(&mut self) -> Result<(), Refusal> {
        if let Phase::Fulfilling { number, open: Some(open), .. } = self.order.phase
            && open + self.order.rules.attempt_ms <= self.at
        {
            let reason = NO_ANSWER.to_owned();
            let what = What::AttemptFailed { number, reason, unknown: true };
            self.emit(&Actor::Timer, None, what)?;
        }
        if !matches!(self.order.phase, Phase::Fulfilling { open: Some(_), .. })
            && let Some(because) = self.gives_up()
        {
            return self.emit(&Actor::Timer, None, What::Failed { because });
        }
        if self.order.due().is_none_or(|due| self.at < due) {
            return Ok(());
        }
        match self.order.phase {
            Phase::Asking { told: Some(told), .. } => {
                // Those that a standstill held up come as one.
                let past = |after: &&i64| told + **after <= self.at;
                let number = self.order.rules.reminders_ms.iter().take_while(past).count();
                // There are at most `MAX_REMINDERS`.
                let number = u8::try_from(number).unwrap_or(u8::MAX);
                self.emit(&Actor::Timer, None, What::ReminderDue { number })
            }
            Phase::Delayed { .. } => self.emit(&Actor::Timer, None, What::Woken),
            Phase::Approved { .. } => {
                let what = What::FulfilmentStarted { key: self.order.id };
                self.emit(&Actor::Timer, None, what)?;
                self.emit(&Actor::Timer, None, What::Attempted { number: 1 })
            }
            Phase::Fulfilling { approved, number, .. } => {
                let what = if self.at < self.order.last_attempt(approved) {
                    What::Attempted { number: number.saturating_add(1) }
                } else {
                    What::Failed { because: FailReason::TooLate }
                };
                self.emit(&Actor::Timer, None, what)
            }
            Phase::Asking { .. } | Phase::Ended(_) => Ok(()),
        }
    }

    /// Why the shop is not asked again after this attempt; `None` if it is.
    fn gives_up(&self) -> Option<FailReason> {
        match self.order.phase {
            Phase::Fulfilling { stop: Some(end), .. } => Some(FailReason::Stopped(end)),
            Phase::Fulfilling { number, .. }
                if usize::from(number) > self.order.rules.retry_ms.len() =>
            {
                Some(FailReason::GaveUp)
            }
            _ => None,
        }
    }

    fn told(
        &mut self,
        command: &Command,
        quote: Uuid,
        reminder: Option<u8>,
    ) -> Result<(), Refusal> {
        let what = match (self.order.wants(), reminder) {
            (Some(super::Want::Ask { quote: wanted }), None) if wanted == quote => {
                What::Notified { quote }
            }
            (Some(super::Want::Remind { quote: wanted, number }), Some(told))
                if wanted == quote && number == told =>
            {
                What::Reminded { number }
            }
            // A message that was no longer wanted, or came twice, tells the order nothing.
            _ => return Ok(()),
        };
        self.emit(&command.by, Some(command.id), what)
    }

    /// A fresh quote for an order whose date has come.
    fn returned(&mut self, command: &Command, facts: &Facts) -> Result<(), Refusal> {
        let Phase::Delayed { woken: true, .. } = self.order.phase else {
            return Err(Refusal::OutOfTurn { status: self.order.status() });
        };
        let what = match &facts.current {
            None => return Err(Refusal::NoQuote),
            Some(Current::Nothing) => What::Cancelled { because: End::OutOfStock },
            Some(Current::Quoted { quote }) => {
                let missing = match quote.goods_beside(&self.order.quote) {
                    Goods::Same => Vec::new(),
                    Goods::Fewer(skus) => skus,
                    Goods::Other(sku) => return Err(Refusal::Substituted { sku }),
                };
                What::Requoted { quote: quote.clone(), why: Requote::Returned { missing } }
            }
        };
        self.emit(&command.by, Some(command.id), what)
    }

    fn accepted(&mut self, command: &Command, reference: &str) -> Result<(), Refusal> {
        match self.order.status() {
            Status::Fulfilled => Ok(()),
            Status::Fulfilling if is_text(reference) => {
                let what = What::Fulfilled { reference: reference.to_owned() };
                self.emit(&command.by, Some(command.id), what)
            }
            Status::Fulfilling => Err(Refusal::Text),
            status if status.is_end() => Err(self.ended()),
            status => Err(Refusal::OutOfTurn { status }),
        }
    }

    fn end(&mut self, command: &Command, because: End) -> Result<(), Refusal> {
        if self.order.status().is_end() {
            return Err(self.ended());
        }
        let what = match self.order.phase {
            Phase::Fulfilling { stop: Some(_), .. } => return Err(Refusal::Handed),
            Phase::Fulfilling { open: Some(_), .. } => What::Stopped { because },
            Phase::Fulfilling { unknown: true, .. } => {
                What::Failed { because: FailReason::Stopped(because) }
            }
            _ => What::Cancelled { because },
        };
        self.emit(&command.by, Some(command.id), what)
    }

    /// Only an order that asks can be answered.
    fn check_asking(&self) -> Result<(), Refusal> {
        if matches!(self.order.phase, Phase::Asking { .. }) { Ok(()) } else { Err(self.ended()) }
    }

    fn check_room(&self) -> Result<(), Refusal> {
        let quotes = self.order.quotes.len();
        let room = quotes < usize::from(self.order.rules.most_quotes);
        if room { Ok(()) } else { Err(Refusal::TooManyQuotes { quotes }) }
    }

    /// Where the order stands, and who brought it there.
    fn ended(&self) -> Refusal {
        let status = self.order.status();
        let (by, at_unix_ms) = self.order.changed.clone();
        if status.is_end() {
            Refusal::Ended { status, by, at_unix_ms }
        } else {
            Refusal::Answered { status, by, at_unix_ms }
        }
    }
}

/// What an approval of the quote that was shown comes to.
fn approval(order: &Order, facts: &Facts) -> Result<What, Refusal> {
    let shown = &order.quote;
    let quote = match &facts.current {
        None => shown,
        Some(Current::Nothing) => return Ok(What::Cancelled { because: End::OutOfStock }),
        Some(Current::Quoted { quote }) => quote,
    };
    let asks_again = match quote.goods_beside(shown) {
        Goods::Other(sku) => return Err(Refusal::Substituted { sku }),
        Goods::Fewer(skus) => Some(Requote::OutOfStock { skus }),
        Goods::Same if quote.total_minor() > shown.total_minor() => Some(Requote::Dearer),
        Goods::Same => None,
    };
    if let Some(why) = asks_again {
        return Ok(What::Requoted { quote: quote.clone(), why });
    }
    let money = |minor, currency| Money { minor, currency };
    for one in &facts.allowances {
        let (limit, order) = (one.currency, quote.currency());
        if limit != order {
            return Err(Refusal::LimitCurrency { limit, order });
        }
        let over = one.exceeded_by(quote.total_minor());
        if over > 0 {
            return Err(Refusal::OverLimit {
                period: one.period,
                limit: money(one.most_minor, limit),
                spent: money(one.spent_minor, limit),
                over: money(over, limit),
            });
        }
    }
    let (seen, quote, allowances) = (shown.id(), quote.clone(), facts.allowances.clone());
    Ok(What::Approved { seen, quote, allowances })
}

/// The shop's quote for what is wanted instead, or for what can be had of it.
fn modified(lines: &[Wanted], facts: &Facts) -> Result<Quote, Refusal> {
    match &facts.current {
        None => Err(Refusal::NoQuote),
        Some(Current::Nothing) => Err(Refusal::OutOfStock),
        Some(Current::Quoted { quote }) => {
            let wanted: Vec<_> = lines.iter().map(|one| (&*one.sku, one.quantity)).collect();
            match quote.goods_of(&wanted) {
                Goods::Other(sku) => Err(Refusal::Substituted { sku }),
                Goods::Same | Goods::Fewer(_) => Ok(quote.clone()),
            }
        }
    }
}

/// Who can do what another tried to.
const fn rightful(what: &What) -> &'static str {
    match what {
        What::Cancelled { because: End::Withdrawn(_) }
        | What::Stopped { because: End::Withdrawn(_) } => "the person, the operator or the server",
        What::Cancelled { .. } | What::Stopped { .. } => "the person or the operator",
        What::Notified { .. } | What::Reminded { .. } => "the way that a message took",
        What::Fulfilled { .. } | What::AttemptFailed { .. } | What::Failed { .. } => "the shop",
        What::Requoted { why: Requote::Returned { .. }, .. } => "the server or the shop",
        _ => "the person",
    }
}
