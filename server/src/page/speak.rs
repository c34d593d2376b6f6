//! What happened, in the person's language: states, ends, refusals and reasons.

use super::words::{Words, fill, words};
use crate::{
    delivery::AddressError,
    orders::{
        life::{
            Actor, Answer, End, Ended, Event, FailReason, Order, Period, Refusal, Requote, Status,
            What, Withdrawn,
        },
        person::{Held, Language, Limit, Suggestion, WishFault},
        threshold::{Explanation, Feel, Habit},
        wording::{date, day, money},
    },
};
use protocol::offer::Money;

/// A language, and the zone that times are told in.
#[derive(Debug, Clone)]
pub(super) struct Tongue {
    pub(super) language: Language,
    pub(super) zone: String,
}

impl Tongue {
    pub(super) const fn words(&self) -> &'static Words {
        words(self.language)
    }

    pub(super) fn money(&self, amount: Money) -> String {
        money(amount, self.language)
    }

    pub(super) fn date(&self, unix_ms: i64) -> String {
        date(unix_ms, &self.zone, self.language)
    }

    pub(super) fn day(&self, unix_ms: i64) -> String {
        day(unix_ms, &self.zone, self.language)
    }

    /// Where an order stands, in a sentence.
    pub(super) fn standing(&self, order: &Order) -> String {
        let w = self.words();
        let expires = order.expires().unwrap_or(order.changed().1);
        match order.status() {
            Status::Proposed | Status::Notified | Status::Modified => {
                fill(w.waits, &[("until", &self.date(expires))])
            }
            Status::Approved => {
                let begins = order.begins().unwrap_or(expires);
                fill(w.approved, &[("begins", &self.date(begins))])
            }
            Status::Delayed => {
                // It expires as long after its date as a quote waits for an answer.
                let until = expires.saturating_sub(order.rules().answer_ms);
                fill(w.delayed, &[("until", &self.date(until))])
            }
            Status::Fulfilling => w.fulfilling.to_owned(),
            Status::Fulfilled | Status::Failed | Status::Cancelled | Status::Expired => {
                order.ended().map(|ended| self.ended(ended)).unwrap_or_default()
            }
        }
    }

    /// How an order ended.
    pub(super) fn ended(&self, ended: &Ended) -> String {
        let w = self.words();
        match ended {
            Ended::Fulfilled { .. } => w.end_fulfilled,
            Ended::Expired => w.end_expired,
            Ended::Cancelled { because } => self.end(*because),
            Ended::Failed { because, unknown } => {
                let how = match because {
                    FailReason::Declined => w.end_declined,
                    FailReason::GaveUp => w.end_gave_up,
                    FailReason::TooLate => w.end_too_late,
                    FailReason::Stopped(_) => w.end_stopped,
                };
                return if *unknown { format!("{how}. {}", w.end_unknown) } else { how.to_owned() };
            }
        }
        .to_owned()
    }

    const fn end(&self, because: End) -> &'static str {
        let w = self.words();
        match because {
            End::Person => w.end_person,
            End::Undone => w.end_undone,
            End::Operator => w.end_operator,
            End::OutOfStock => w.end_stock,
            End::Withdrawn(Withdrawn::Consent) => w.end_consent,
            End::Withdrawn(Withdrawn::Paused) => w.end_paused,
            End::Withdrawn(Withdrawn::Erased) => w.end_erased,
        }
    }

    /// Why the newest quote is not the first one; `None` if it is.
    pub(super) fn changed(&self, events: &[Event]) -> Option<&'static str> {
        let w = self.words();
        let why = events.iter().rev().find_map(|event| match &event.what {
            What::Requoted { why, .. } => Some(why),
            _ => None,
        })?;
        Some(match why {
            Requote::Modified => w.changed_modified,
            Requote::Dearer => w.changed_dearer,
            Requote::OutOfStock { .. } => w.changed_stock,
            Requote::Returned { .. } => w.changed_returned,
        })
    }

    /// What a command came to.
    pub(super) fn answer(&self, answer: &Answer) -> String {
        let w = self.words();
        match answer {
            Answer::Refused { refusal } => self.refusal(refusal),
            Answer::Taken { status } => match status {
                Status::Approved => w.said_approved,
                Status::Modified => w.said_modified,
                Status::Delayed => w.said_delayed,
                Status::Cancelled => w.said_cancelled,
                Status::Proposed | Status::Notified => w.said_wait,
                Status::Fulfilling | Status::Fulfilled | Status::Failed | Status::Expired => {
                    w.said_other
                }
            }
            .to_owned(),
        }
    }

    /// Why a command was not taken, and what to do.
    pub(super) fn refusal(&self, refusal: &Refusal) -> String {
        let w = self.words();
        let when = |text, status: Status, by: &Actor, at: i64| {
            let at = self.date(at);
            fill(text, &[("at", &at), ("by", self.by(by)), ("how", self.after(status))])
        };
        match refusal {
            Refusal::Ended { status, by, at_unix_ms } => {
                when(w.refused_ended, *status, by, *at_unix_ms)
            }
            Refusal::Answered { status, by, at_unix_ms } => {
                when(w.refused_answered, *status, by, *at_unix_ms)
            }
            Refusal::Superseded { total, .. } => {
                fill(w.refused_superseded, &[("total", &self.money(*total))])
            }
            Refusal::Handed => w.refused_handed.to_owned(),
            Refusal::OverLimit { period, limit, spent, over } => {
                let text = match period {
                    Period::Order => w.refused_limit_order,
                    Period::Day => w.refused_limit_day,
                    Period::Week => w.refused_limit_week,
                    Period::Month => w.refused_limit_month,
                };
                let [limit, spent, over] = [limit, spent, over].map(|amount| self.money(*amount));
                fill(text, &[("limit", &limit), ("spent", &spent), ("over", &over)])
            }
            Refusal::LimitCurrency { limit, order } => {
                fill(w.refused_currency, &[("limit", limit.code()), ("order", order.code())])
            }
            Refusal::Substituted { .. } => w.refused_substituted.to_owned(),
            Refusal::OutOfStock => w.refused_stock.to_owned(),
            Refusal::NoQuote | Refusal::Quote => w.refused_quote.to_owned(),
            Refusal::TooManyQuotes { quotes } => {
                fill(w.refused_quotes, &[("count", &quotes.to_string())])
            }
            Refusal::Date { most_unix_ms } => {
                fill(w.refused_date, &[("most", &self.date(*most_unix_ms))])
            }
            Refusal::NotYours { .. } => w.refused_not_yours.to_owned(),
            Refusal::OutOfTurn { .. } => w.refused_turn.to_owned(),
            Refusal::Text => w.refused_text.to_owned(),
        }
    }

    const fn after(&self, status: Status) -> &'static str {
        let w = self.words();
        match status {
            Status::Proposed | Status::Notified | Status::Modified => w.after_asking,
            Status::Approved => w.after_approved,
            Status::Delayed => w.after_delayed,
            Status::Fulfilling => w.after_fulfilling,
            Status::Fulfilled => w.after_fulfilled,
            Status::Failed => w.after_failed,
            Status::Cancelled => w.after_cancelled,
            Status::Expired => w.after_expired,
        }
    }

    fn by(&self, actor: &Actor) -> &'static str {
        let w = self.words();
        match actor {
            Actor::Person { channel } => match channel.as_str() {
                "page" => w.by_page,
                "sms" => w.by_sms,
                "email" => w.by_email,
                _ => w.by_app,
            },
            Actor::Timer => w.by_timer,
            Actor::Operator { .. } => w.by_operator,
            Actor::Connector { .. } => w.by_shop,
        }
    }

    /// Why something was not asked for.
    pub(super) fn held(&self, suggestion: &Suggestion) -> String {
        let w = self.words();
        match suggestion.because {
            Held::Unsure => {
                fill(w.held_unsure, &[("percent", &percent(suggestion.confidence).to_string())])
            }
            Held::Early => w.held_early.to_owned(),
            Held::Level => w.held_level.to_owned(),
            Held::Wishes => w.held_wishes.to_owned(),
            Held::Asked => w.held_asked.to_owned(),
            Held::Lot => w.held_lot.to_owned(),
            Held::Shop => w.held_shop.to_owned(),
        }
    }

    /// Why somebody is asked as often as they are.
    pub(super) fn explanation(&self, explanation: &Explanation) -> String {
        let w = self.words();
        let text = match explanation.habit {
            Habit::Unknown => w.habit_unknown,
            Habit::Cancels => w.habit_cancels,
            Habit::Approves => w.habit_approves,
            Habit::Mixed => w.habit_mixed,
        };
        let Explanation { answers, cancels, threshold, .. } = *explanation;
        let approvals = answers.saturating_sub(cancels).to_string();
        let (answers, cancels) = (answers.to_string(), cancels.to_string());
        let percent = percent(threshold).to_string();
        fill(
            text,
            &[
                ("answers", &answers),
                ("cancels", &cancels),
                ("approvals", &approvals),
                ("percent", &percent),
            ],
        )
    }

    pub(super) const fn feel(&self, feel: Feel) -> &'static str {
        let w = self.words();
        match feel {
            Feel::Eager => w.feel_eager,
            Feel::Balanced => w.feel_balanced,
            Feel::Careful => w.feel_careful,
        }
    }

    /// A limit, short.
    pub(super) fn limit(&self, limit: &Limit) -> String {
        let w = self.words();
        let text = match limit.period {
            Period::Order => w.limit_short_order,
            Period::Day => w.limit_short_day,
            Period::Week => w.limit_short_week,
            Period::Month => w.limit_short_month,
        };
        let money = Money { minor: limit.most_minor, currency: limit.currency };
        fill(text, &[("money", &self.money(money))])
    }

    /// Wishes that cannot be.
    pub(super) const fn wish_fault(&self, fault: &WishFault) -> &'static str {
        let w = self.words();
        match fault {
            WishFault::Address(AddressError::Email) => w.fault_email,
            WishFault::Address(AddressError::Phone) => w.fault_phone,
            WishFault::NoAddress => w.fault_no_address,
            WishFault::Zone => w.fault_zone,
            WishFault::Limits => w.fault_limits,
        }
    }
}

/// A probability as people say it.
pub(super) fn percent(probability: f64) -> u8 {
    // A cast of what is no number gives 0.
    (probability * 100.0).round().clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::offer::Currency;
    use uuid::Uuid;

    fn refusals() -> Vec<Refusal> {
        let euro = |minor| Money { minor, currency: Currency::EUR };
        let by = Actor::Person { channel: "email".to_owned() };
        let mut all = vec![
            Refusal::Superseded { quote: Uuid::nil(), total: euro(2_580) },
            Refusal::Handed,
            Refusal::LimitCurrency { limit: Currency::EUR, order: Currency::EUR },
            Refusal::Substituted { sku: "x".to_owned() },
            Refusal::OutOfStock,
            Refusal::NoQuote,
            Refusal::Quote,
            Refusal::TooManyQuotes { quotes: 20 },
            Refusal::Date { most_unix_ms: 1_795_305_600_000 },
            Refusal::NotYours { who: "x".to_owned() },
            Refusal::OutOfTurn { status: Status::Notified },
            Refusal::Text,
        ];
        for status in [Status::Expired, Status::Cancelled, Status::Fulfilled, Status::Failed] {
            all.push(Refusal::Ended { status, by: by.clone(), at_unix_ms: 0 });
        }
        for status in [Status::Approved, Status::Delayed, Status::Fulfilling] {
            all.push(Refusal::Answered { status, by: by.clone(), at_unix_ms: 0 });
        }
        for period in [Period::Order, Period::Day, Period::Week, Period::Month] {
            let (limit, spent, over) = (euro(3_000), euro(1_000), euro(580));
            all.push(Refusal::OverLimit { period, limit, spent, over });
        }
        all
    }

    #[test]
    fn every_refusal_is_worded_in_both_languages() {
        let tongue = |language| Tongue { language, zone: "Europe/Berlin".to_owned() };
        let said = |language| {
            let tongue = tongue(language);
            refusals().iter().map(|one| tongue.refusal(one)).collect::<Vec<_>>()
        };
        let (english, german) = (said(Language::English), said(Language::German));
        for (one, other) in english.iter().zip(&german) {
            assert_ne!(one, other);
            assert!(one.ends_with('.') && other.ends_with('.'), "{one} {other}");
            assert!(!one.contains('{') && !other.contains('{'), "{one} {other}");
        }
        assert!(english[0].contains("25.80 EUR") && german[0].contains("25,80 EUR"));
        let over = english.last().unwrap();
        assert!(over.contains("5.80 EUR") && over.contains("30.00 EUR a month"), "{over}");
    }

    #[test]
    fn percents_are_whole_and_bounded() {
        let said = [0.934, 1.0, 2.0, -1.0, f64::NAN].map(percent);
        assert_eq!(said, [93, 100, 100, 0, 0]);
    }
}
