//! Taking an event: the one table of what may follow what. Decisions are made through it, and so is
//! every order that is read back.

use super::{
    Answer, Ended, Event, MAX_REFUSALS, MAX_TEXT_BYTES, MAX_UNIX_MS, Order, Phase, ReplayFault,
    command::{Allowance, End},
    event::{FailReason, Requote, What},
    fault::EventFault,
    quote::{Goods, Quote},
};
use std::collections::BTreeMap;

impl Order {
    /// The order that these events made.
    ///
    /// # Errors
    /// [`ReplayFault`] names the first event that cannot have happened.
    pub fn replay(events: &[Event]) -> Result<Self, ReplayFault> {
        let at = |index| move |fault| ReplayFault { index, fault };
        let (first, rest) = events.split_first().ok_or(EventFault::None).map_err(at(0))?;
        let mut order = Self::begin(first).map_err(at(0))?;
        for (index, event) in rest.iter().enumerate() {
            order.apply(event).map_err(at(index + 1))?;
        }
        Ok(order)
    }

    /// The order that begins with this event.
    pub(super) fn begin(event: &Event) -> Result<Self, EventFault> {
        let What::Proposed(proposal) = &event.what else {
            return Err(EventFault::Beginning { what: event.what.name().to_owned() });
        };
        let at = event.at_unix_ms;
        if !(0..=MAX_UNIX_MS).contains(&at) {
            return Err(EventFault::Time { at_unix_ms: at, last_unix_ms: 0 });
        }
        check_actor(event)?;
        proposal.validate()?;
        let mut order = Self {
            id: proposal.order,
            person: proposal.person,
            why: proposal.why.clone(),
            rules: proposal.rules.clone(),
            quote: proposal.quote.clone(),
            quotes: vec![proposal.quote.id()],
            phase: Phase::Asking { since: at, changed: false, told: None, remind: None },
            reminders: 0,
            answers: BTreeMap::new(),
            refusals: 0,
            events: 0,
            last_unix_ms: at,
            changed: (event.by.clone(), at),
        };
        order.note(event);
        Ok(order)
    }

    /// Takes an event. If it is refused, the order is as before.
    ///
    /// # Errors
    /// [`EventFault`] says why it cannot have happened.
    pub fn apply(&mut self, event: &Event) -> Result<(), EventFault> {
        let (at_unix_ms, last_unix_ms) = (event.at_unix_ms, self.last_unix_ms);
        if !(last_unix_ms..=MAX_UNIX_MS).contains(&at_unix_ms) {
            return Err(EventFault::Time { at_unix_ms, last_unix_ms });
        }
        check_actor(event)?;
        if event.command.is_some_and(|id| self.answers.contains_key(&id)) {
            return Err(EventFault::Answered);
        }
        let before = self.status();
        self.phase = self.followed_by(event)?;
        match &event.what {
            What::Requoted { quote, .. } | What::Approved { quote, .. } => self.take(quote),
            What::ReminderDue { number } => self.reminders = *number,
            What::Refused { .. } => self.refusals += 1,
            _ => {}
        }
        if self.status() != before || matches!(event.what, What::Requoted { .. }) {
            self.changed = (event.by.clone(), at_unix_ms);
        }
        self.note(event);
        Ok(())
    }

    /// The phase after an event, if it can follow.
    fn followed_by(&self, event: &Event) -> Result<Phase, EventFault> {
        let at = event.at_unix_ms;
        let what = || event.what.name().to_owned();
        let timing =
            |fits: bool| if fits { Ok(()) } else { Err(EventFault::Timing { what: what() }) };
        let number =
            |fits: bool| if fits { Ok(()) } else { Err(EventFault::Number { what: what() }) };
        let text = |text: &str| {
            let fits = text.len() <= MAX_TEXT_BYTES;
            if fits { Ok(()) } else { Err(EventFault::Text { what: what() }) }
        };
        let in_time = || timing(self.expires().is_none_or(|expires| at < expires));
        match (&self.phase, &event.what) {
            (phase, What::Refused { .. }) if !self.status().is_end() => {
                if self.refusals < MAX_REFUSALS && event.command.is_some() {
                    Ok(phase.clone())
                } else {
                    Err(EventFault::TooMany)
                }
            }
            (Phase::Asking { since, changed, told: None, .. }, What::Notified { quote }) => {
                in_time()?;
                number(*quote == self.quote.id())?;
                Ok(Phase::Asking { since: *since, changed: *changed, told: Some(at), remind: None })
            }
            (
                Phase::Asking { since, changed, told: Some(told), .. },
                What::ReminderDue { number: n },
            ) => {
                in_time()?;
                let after =
                    usize::from(*n).checked_sub(1).and_then(|n| self.rules.reminders_ms.get(n));
                number(*n > self.reminders)?;
                timing(after.is_some_and(|after| told + after <= at))?;
                Ok(Phase::Asking {
                    since: *since,
                    changed: *changed,
                    told: Some(*told),
                    remind: Some(*n),
                })
            }
            (
                Phase::Asking { since, changed, told, remind: Some(due) },
                What::Reminded { number: n },
            ) => {
                number(n == due)?;
                Ok(Phase::Asking { since: *since, changed: *changed, told: *told, remind: None })
            }
            (Phase::Asking { .. }, What::Requoted { quote, why }) => {
                in_time()?;
                let goods = quote.goods_beside(&self.quote);
                let fits = match why {
                    Requote::Modified => true,
                    Requote::Dearer => {
                        goods == Goods::Same && quote.total_minor() > self.quote.total_minor()
                    }
                    Requote::OutOfStock { skus } => goods == Goods::Fewer(skus.clone()),
                    Requote::Returned { .. } => false,
                };
                self.check_new(event, quote, fits)?;
                Ok(Phase::Asking { since: at, changed: true, told: None, remind: None })
            }
            (Phase::Delayed { woken: true, .. }, What::Requoted { quote, why }) => {
                in_time()?;
                let fits = match (why, quote.goods_beside(&self.quote)) {
                    (Requote::Returned { missing }, Goods::Same) => missing.is_empty(),
                    (Requote::Returned { missing }, Goods::Fewer(skus)) => *missing == skus,
                    _ => false,
                };
                self.check_new(event, quote, fits)?;
                Ok(Phase::Asking { since: at, changed: false, told: None, remind: None })
            }
            (Phase::Asking { .. }, What::Approved { seen, quote, allowances }) => {
                in_time()?;
                number(*seen == self.quote.id())?;
                self.check_approved(event, quote)?;
                check_limits(quote, allowances)?;
                Ok(Phase::Approved { at })
            }
            (Phase::Asking { .. }, What::Delayed { until_unix_ms: until }) => {
                in_time()?;
                timing((at + 1..=self.latest_delay(at)).contains(until))?;
                Ok(Phase::Delayed { until: *until, woken: false })
            }
            (Phase::Delayed { until, woken: false }, What::Woken) => {
                timing(*until <= at)?;
                Ok(Phase::Delayed { until: *until, woken: true })
            }
            (
                Phase::Asking { .. } | Phase::Delayed { .. } | Phase::Approved { .. },
                What::Expired,
            ) => {
                timing(self.expires().is_some_and(|expires| expires <= at))?;
                Ok(Phase::Ended(Ended::Expired))
            }
            (phase, What::Cancelled { because })
                if !self.status().is_end() && !self.is_handed() =>
            {
                let approved = matches!(phase, Phase::Approved { .. });
                let fits = match because {
                    End::Person => !approved,
                    End::Undone => approved,
                    End::OutOfStock => {
                        matches!(phase, Phase::Asking { .. } | Phase::Delayed { .. })
                    }
                    End::Operator | End::Withdrawn(_) => true,
                };
                if !fits {
                    return Err(EventFault::OutOfPlace { what: what(), status: self.status() });
                }
                Ok(Phase::Ended(Ended::Cancelled { because: *because }))
            }
            (Phase::Approved { at: approved }, What::FulfilmentStarted { key }) => {
                in_time()?;
                timing(self.begins().is_some_and(|begins| begins <= at))?;
                number(*key == self.id)?;
                let approved = *approved;
                Ok(Phase::Fulfilling {
                    approved,
                    number: 0,
                    open: None,
                    next: at,
                    unknown: false,
                    stop: None,
                })
            }
            (
                Phase::Fulfilling { approved, number: last, open: None, next, unknown, stop: None },
                What::Attempted { number: n },
            ) => {
                timing(*next <= at && at < self.last_attempt(*approved))?;
                number(
                    last.checked_add(1) == Some(*n)
                        && usize::from(*last) <= self.rules.retry_ms.len(),
                )?;
                let (approved, next, unknown) = (*approved, *next, *unknown);
                let (open, stop) = (Some(at), None);
                Ok(Phase::Fulfilling { approved, number: *n, open, next, unknown, stop })
            }
            (
                Phase::Fulfilling {
                    approved,
                    number: last,
                    open: Some(_),
                    unknown: before,
                    stop,
                    ..
                },
                What::AttemptFailed { number: n, reason, unknown },
            ) => {
                number(n == last)?;
                text(reason)?;
                let pause = self.rules.retry_ms.get(usize::from(*n).saturating_sub(1));
                let next = pause.map_or(at, |pause| at + pause);
                let unknown = *before || *unknown;
                let (approved, open, stop) = (*approved, None, *stop);
                Ok(Phase::Fulfilling { approved, number: *n, open, next, unknown, stop })
            }
            (
                Phase::Fulfilling { approved, number, open: Some(open), next, unknown, stop: None },
                What::Stopped {
                    because: because @ (End::Person | End::Operator | End::Withdrawn(_)),
                },
            ) => {
                let (approved, number, next, unknown) = (*approved, *number, *next, *unknown);
                let (open, stop) = (Some(*open), Some(*because));
                Ok(Phase::Fulfilling { approved, number, open, next, unknown, stop })
            }
            (Phase::Fulfilling { number: 1.., .. }, What::Fulfilled { reference }) => {
                text(reference)?;
                Ok(Phase::Ended(Ended::Fulfilled { reference: reference.clone() }))
            }
            (
                Phase::Fulfilling { approved, number: last, open: None, unknown, stop, .. },
                What::Failed { because },
            ) => {
                timing(match because {
                    FailReason::Declined => *last > 0,
                    FailReason::GaveUp => usize::from(*last) > self.rules.retry_ms.len(),
                    FailReason::TooLate => self.last_attempt(*approved) <= at,
                    FailReason::Stopped(end) => match stop {
                        Some(stop) => stop == end,
                        None => *unknown,
                    },
                })?;
                Ok(Phase::Ended(Ended::Failed { because: *because, unknown: *unknown }))
            }
            _ => Err(EventFault::OutOfPlace { what: what(), status: self.status() }),
        }
    }

    /// The latest time that an order can be put off to.
    pub(super) const fn latest_delay(&self, at: i64) -> i64 {
        at + self.rules.most_delay_ms
    }

    /// Checks that a quote is a new one in the same money, and one that the order may still have.
    fn check_new(&self, event: &Event, quote: &Quote, fits: bool) -> Result<(), EventFault> {
        let new = !self.quotes.contains(&quote.id()) && quote.currency() == self.quote.currency();
        let room = self.quotes.len() < usize::from(self.rules.most_quotes);
        if new && fits && room {
            Ok(())
        } else {
            Err(EventFault::Quote { what: event.what.name().to_owned() })
        }
    }

    /// Checks that what is bought is what was seen, at that price or a lower one.
    fn check_approved(&self, event: &Event, quote: &Quote) -> Result<(), EventFault> {
        let same = *quote == self.quote;
        let newer = !self.quotes.contains(&quote.id())
            && quote.currency() == self.quote.currency()
            && quote.goods_beside(&self.quote) == Goods::Same
            && quote.total_minor() <= self.quote.total_minor();
        if same || newer {
            Ok(())
        } else {
            Err(EventFault::Quote { what: event.what.name().to_owned() })
        }
    }

    fn take(&mut self, quote: &Quote) {
        if self.quote.id() != quote.id() {
            self.quotes.push(quote.id());
        }
        self.quote = quote.clone();
    }

    /// Keeps what every event leaves behind.
    fn note(&mut self, event: &Event) {
        self.events += 1;
        self.last_unix_ms = event.at_unix_ms;
        if let Some(command) = event.command {
            let answer = match &event.what {
                What::Refused { refusal } => Answer::Refused { refusal: refusal.clone() },
                _ => Answer::Taken { status: self.status() },
            };
            self.answers.insert(command, answer);
        }
    }
}

fn check_actor(event: &Event) -> Result<(), EventFault> {
    if event.what.may_be_by(&event.by) && event.by.is_short() {
        Ok(())
    } else {
        Err(EventFault::Actor { what: event.what.name().to_owned() })
    }
}

fn check_limits(quote: &Quote, allowances: &[Allowance]) -> Result<(), EventFault> {
    let fits = |one: &Allowance| {
        one.currency == quote.currency() && one.exceeded_by(quote.total_minor()) == 0
    };
    if allowances.iter().all(fits) { Ok(()) } else { Err(EventFault::OverLimit) }
}
