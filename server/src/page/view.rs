//! A person's orders, suggestions and settings as the templates want them.

use super::{
    speak::{Tongue, percent},
    words::{Words, fill},
};
use crate::{
    delivery::ChannelKind,
    orders::{
        life::{Answer, Ended, Order, Period, Quote, Status},
        person::{Limit, Suggestion, Wishes},
        threshold::{Explanation, Feel},
        wording::WEEK_MS,
    },
    store::StoredOrder,
};
use askama::Template;
use jiff::{Timestamp, tz::TimeZone};
use protocol::offer::{Currency, Money};
use uuid::Uuid;

/// A day, milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Every time that a limit can count over.
pub(super) const PERIODS: [(Period, &str); 4] = [
    (Period::Order, "order"),
    (Period::Day, "day"),
    (Period::Week, "week"),
    (Period::Month, "month"),
];
/// Every way of being asked.
pub(super) const FEELS: [(Feel, &str); 3] =
    [(Feel::Eager, "eager"), (Feel::Balanced, "balanced"), (Feel::Careful, "careful")];

/// What a person is told of their last command, beside its order.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) text: String,
    /// Whether it was taken.
    pub(super) taken: bool,
}

impl Note {
    pub(super) fn of(answer: &Answer, tongue: &Tongue) -> Self {
        let taken = matches!(answer, Answer::Taken { .. });
        Self { text: tongue.answer(answer), taken }
    }
}

/// One line of an order.
pub(super) struct Goods {
    pub(super) sku: String,
    pub(super) title: String,
    pub(super) quantity: u32,
    pub(super) each: Option<String>,
    pub(super) sum: String,
    pub(super) label: String,
}

/// What can be done to an order now; each has the id that its command will have, made here, so that
/// a second tap is the same command.
pub(super) struct Commands {
    pub(super) approve: Uuid,
    pub(super) modify: Uuid,
    pub(super) week: Uuid,
    pub(super) delay: Uuid,
    pub(super) cancel: Uuid,
    pub(super) week_unix_ms: i64,
    /// The first and the last day that it can be put off to, `2026-11-22`.
    pub(super) days: (String, String),
}

/// An order that waits or is under way, or that the person has just answered.
pub(super) struct Card {
    pub(super) id: Uuid,
    pub(super) title: String,
    pub(super) goods: Vec<Goods>,
    pub(super) extra: Option<String>,
    pub(super) total: String,
    pub(super) total_minor: i64,
    pub(super) quote: Uuid,
    pub(super) reasons: Vec<String>,
    pub(super) sure: String,
    pub(super) standing: String,
    pub(super) changed: Option<&'static str>,
    pub(super) note: Option<Note>,
    /// It waits for an answer.
    pub(super) asks: bool,
    /// It can be taken back.
    pub(super) undo: bool,
    pub(super) commands: Commands,
}

impl Card {
    pub(super) fn of(
        stored: &StoredOrder,
        tongue: &Tongue,
        note: Option<Note>,
        now_unix_ms: i64,
    ) -> Self {
        let (order, w) = (&stored.order, tongue.words());
        let quote = order.quote();
        let price = |minor| tongue.money(Money { minor, currency: quote.currency() });
        let goods = quote.lines().iter().map(|line| Goods {
            sku: line.sku.clone(),
            title: line.title.clone(),
            quantity: line.quantity,
            each: (line.quantity > 1).then(|| fill(w.each, &[("price", &price(line.unit_minor))])),
            sum: price(line.unit_minor.saturating_mul(i64::from(line.quantity))),
            label: fill(w.pieces, &[("title", &line.title)]),
        });
        let asks = matches!(order.status(), Status::Proposed | Status::Notified | Status::Modified);
        let changed = asks.then(|| tongue.changed(&stored.events)).flatten();
        // Why it asks again says more than that it does.
        let note = note.map(|note| match changed {
            Some(text) if note.taken => Note { text: text.to_owned(), ..note },
            _ => note,
        });
        let last = now_unix_ms.saturating_add(order.rules().most_delay_ms);
        let iso = |unix_ms| iso_day(unix_ms, &tongue.zone);
        Self {
            id: order.id(),
            title: title(quote),
            goods: goods.collect(),
            extra: (quote.extra_minor() != 0).then(|| price(quote.extra_minor())),
            total: price(quote.total_minor()),
            total_minor: quote.total_minor(),
            quote: quote.id(),
            reasons: order.why().reasons.clone(),
            sure: fill(w.sure, &[("percent", &percent(order.why().confidence).to_string())]),
            standing: tongue.standing(order),
            changed,
            note,
            asks,
            undo: matches!(order.status(), Status::Approved | Status::Delayed),
            commands: Commands {
                approve: Uuid::now_v7(),
                modify: Uuid::now_v7(),
                week: Uuid::now_v7(),
                delay: Uuid::now_v7(),
                cancel: Uuid::now_v7(),
                week_unix_ms: now_unix_ms.saturating_add(WEEK_MS.min(order.rules().most_delay_ms)),
                days: (iso(now_unix_ms.saturating_add(DAY_MS)), iso(last.saturating_sub(DAY_MS))),
            },
        }
    }
}

/// An order that has ended.
pub(super) struct Past {
    pub(super) title: String,
    pub(super) total: String,
    pub(super) how: String,
    pub(super) at: String,
    pub(super) bought: bool,
    pub(super) reference: Option<String>,
}

impl Past {
    pub(super) fn of(order: &Order, tongue: &Tongue) -> Option<Self> {
        let ended = order.ended()?;
        let w = tongue.words();
        let reference = match ended {
            Ended::Fulfilled { reference } => {
                Some(fill(w.end_fulfilled_reference, &[("reference", reference)]))
            }
            _ => None,
        };
        Some(Self {
            title: title(order.quote()),
            total: tongue.money(order.quote().total()),
            how: tongue.ended(ended),
            at: tongue.date(order.changed().1),
            bought: reference.is_some(),
            reference,
        })
    }
}

/// What may be needed soon.
pub(super) struct Tip {
    pub(super) title: String,
    pub(super) window: Option<String>,
    pub(super) held: String,
    pub(super) reasons: Vec<String>,
}

impl Tip {
    pub(super) fn of(suggestion: &Suggestion, tongue: &Tongue) -> Self {
        let window = match suggestion.window_days {
            (Some(from), Some(to)) => {
                let (from, to) = (from.to_string(), to.to_string());
                Some(fill(tongue.words().window, &[("from", &from), ("to", &to)]))
            }
            _ => None,
        };
        Self {
            title: suggestion.category.clone(),
            window,
            held: tongue.held(suggestion),
            reasons: suggestion.reasons.clone(),
        }
    }
}

/// One of several.
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) label: &'static str,
    pub(super) chosen: bool,
}

/// A limit as it is typed.
pub(super) struct LimitField {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) value: String,
}

/// What the person chose, and how to change it.
pub(super) struct Settings {
    pub(super) agreed: bool,
    pub(super) paused: bool,
    pub(super) asked: String,
    pub(super) reach: String,
    pub(super) channels: Vec<Choice>,
    pub(super) email: String,
    pub(super) phone: String,
    pub(super) languages: Vec<Choice>,
    pub(super) zone: String,
    pub(super) limits_text: String,
    pub(super) limits: Vec<LimitField>,
    pub(super) feels: Vec<Choice>,
    pub(super) feel_text: &'static str,
    pub(super) explanation: String,
    pub(super) answered: bool,
    /// Which group was just saved, or could not be, and what to say.
    pub(super) said: Option<(String, Note)>,
}

impl Settings {
    /// Whether there is a way to use an address for, or one to take away.
    pub(super) fn wants(&self, channel: &str) -> bool {
        let there = if channel == "email" { &self.email } else { &self.phone };
        !there.is_empty() || self.channels.iter().any(|one| one.value == channel)
    }

    /// What to say within a group.
    pub(super) fn said(&self, group: &str) -> Option<&Note> {
        self.said.as_ref().filter(|(of, _)| of == group).map(|(_, note)| note)
    }
}

/// What settings are made of.
pub(super) struct Chosen<'a> {
    pub(super) wishes: &'a Wishes,
    pub(super) explanation: Explanation,
    /// The ways that are set up beside the page.
    pub(super) channels: Vec<ChannelKind>,
    /// The money of the person's orders.
    pub(super) currency: Currency,
    pub(super) said: Option<(String, Note)>,
}

impl Settings {
    pub(super) fn of(chosen: Chosen<'_>, tongue: &Tongue) -> Self {
        let Chosen { wishes, explanation, channels, currency, said } = chosen;
        let w = tongue.words();
        let channel = |kind, value, label| {
            let offered = kind == ChannelKind::InApp || channels.contains(&kind);
            let chosen = wishes.channel == kind;
            (offered || chosen).then_some(Choice { value, label, chosen })
        };
        let email = wishes.email.clone().map(String::from).unwrap_or_default();
        let phone = wishes.phone.as_ref().map_or("", |phone| phone.as_str()).to_owned();
        let reach = match wishes.channel {
            ChannelKind::Email if !email.is_empty() => format!("{}: {email}", w.reach_email),
            ChannelKind::Sms if !phone.is_empty() => format!("{}: {phone}", w.reach_sms),
            _ => w.reach_page.to_owned(),
        };
        let asked = match wishes.agreed_unix_ms {
            None => w.asked_no.to_owned(),
            Some(_) if wishes.paused => w.asked_paused.to_owned(),
            Some(since) => fill(w.asked_yes, &[("since", &tongue.day(since))]),
        };
        let limits: Vec<String> = wishes.limits.iter().map(|limit| tongue.limit(limit)).collect();
        let feel = wishes.threshold.feel;
        let language = |one: &'static Words| Choice {
            value: one.lang,
            label: one.language_name,
            chosen: one.lang == w.lang,
        };
        let both =
            [crate::orders::person::Language::English, crate::orders::person::Language::German];
        Self {
            agreed: wishes.agreed_unix_ms.is_some(),
            paused: wishes.paused,
            asked,
            reach,
            channels: [
                channel(ChannelKind::InApp, "in_app", w.reach_page),
                channel(ChannelKind::Email, "email", w.reach_email),
                channel(ChannelKind::Sms, "sms", w.reach_sms),
            ]
            .into_iter()
            .flatten()
            .collect(),
            email,
            phone,
            languages: both.map(super::words::words).map(language).into(),
            zone: tongue.zone.clone(),
            limits_text: if limits.is_empty() {
                w.limits_none.to_owned()
            } else {
                limits.join(", ")
            },
            limits: limit_fields(&wishes.limits, currency, tongue),
            feels: FEELS
                .map(|(one, value)| Choice { value, label: tongue.feel(one), chosen: one == feel })
                .into(),
            feel_text: tongue.feel(feel),
            explanation: tongue.explanation(&explanation),
            answered: explanation.answers > 0,
            said,
        }
    }
}

/// A field for each time in the person's money, then one for each limit in another.
fn limit_fields(limits: &[Limit], currency: Currency, tongue: &Tongue) -> Vec<LimitField> {
    let w = tongue.words();
    let mut wanted: Vec<(Period, Currency)> =
        PERIODS.iter().map(|(period, _)| (*period, currency)).collect();
    for limit in limits {
        if !wanted.contains(&(limit.period, limit.currency)) {
            wanted.push((limit.period, limit.currency));
        }
    }
    let field = |(period, currency): (Period, Currency)| {
        let text = match period {
            Period::Order => w.limit_order,
            Period::Day => w.limit_day,
            Period::Week => w.limit_week,
            Period::Month => w.limit_month,
        };
        let named = PERIODS.iter().find(|(one, _)| *one == period).map_or("", |(_, name)| *name);
        let is_set = |limit: &&Limit| limit.period == period && limit.currency == currency;
        let value = limits.iter().find(is_set).map(|limit| {
            let money = tongue.money(Money { minor: limit.most_minor, currency });
            money.trim_end_matches(|c: char| c.is_ascii_uppercase()).trim().to_owned()
        });
        LimitField {
            name: format!("limit.{named}.{}", currency.code()),
            label: fill(text, &[("currency", currency.code())]),
            value: value.unwrap_or_default(),
        }
    };
    wanted.into_iter().map(field).collect()
}

/// The page.
#[derive(Template)]
#[template(path = "me/page.html")]
pub(super) struct Page<'a> {
    pub(super) w: &'static Words,
    pub(super) pass: &'a str,
    /// Tells one state of the orders from another.
    pub(super) state: String,
    /// The answered order, if it has ended, and those that wait.
    pub(super) waiting: Vec<Card>,
    pub(super) under_way: Vec<Card>,
    pub(super) tips: Vec<Tip>,
    pub(super) past: Vec<Past>,
    /// Before which time the next ones were made, Unix milliseconds.
    pub(super) older: Option<i64>,
    /// Whether these are not the newest.
    pub(super) paged: bool,
    pub(super) settings: Settings,
}

/// The page behind a link of a message.
#[derive(Template)]
#[template(path = "me/link.html")]
pub(super) struct LinkPage<'a> {
    pub(super) w: &'static Words,
    pub(super) link: &'a str,
    pub(super) heading: &'static str,
    pub(super) card: Card,
    /// What the button says; `None` if there is nothing to do.
    pub(super) button: Option<String>,
    /// Whether it says no.
    pub(super) quiet: bool,
}

/// A page with a few words and perhaps a way on.
#[derive(Template)]
#[template(path = "me/message.html")]
pub(super) struct MessagePage {
    pub(super) w: &'static Words,
    pub(super) title: &'static str,
    pub(super) text: &'static str,
}

/// The question before everything is deleted.
#[derive(Template)]
#[template(path = "me/forget.html")]
pub(super) struct ForgetPage<'a> {
    pub(super) w: &'static Words,
    pub(super) pass: &'a str,
    pub(super) untold: bool,
}

/// What an order is about, in a few words.
fn title(quote: &Quote) -> String {
    let named = |line: &crate::orders::life::Line| format!("{} × {}", line.quantity, line.title);
    let first = quote.lines().first().map(named).unwrap_or_default();
    match quote.lines().len() {
        0 | 1 => first,
        more => format!("{first} +{}", more - 1),
    }
}

/// A day as forms write it.
fn iso_day(unix_ms: i64, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let at = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::MAX);
    at.to_zoned(zone).date().to_string()
}
