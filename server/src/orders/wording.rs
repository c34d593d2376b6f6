//! The words of messages about orders, from templates that an operator may replace file by file
//! (minijinja; what is not there is taken from those that come with Attune).

use super::{
    life::{Order, Status},
    person::{Language, Wishes},
    signing::{Action, Link, Signer},
};
use crate::delivery::{Address, Message};
use jiff::{Timestamp, tz::TimeZone};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use protocol::{digest::Digest, offer::Money};
use std::{fs, io, path::Path};
use thiserror::Error;
use uuid::Uuid;

/// Templates by their names, which are also those of the files that replace them.
const TEMPLATES: [(&str, &str); 8] = [
    ("en/subject.txt", include_str!("../../wording/en/subject.txt")),
    ("en/message.txt", include_str!("../../wording/en/message.txt")),
    ("en/message.html", include_str!("../../wording/en/message.html")),
    ("en/sms.txt", include_str!("../../wording/en/sms.txt")),
    ("de/subject.txt", include_str!("../../wording/de/subject.txt")),
    ("de/message.txt", include_str!("../../wording/de/message.txt")),
    ("de/message.html", include_str!("../../wording/de/message.html")),
    ("de/sms.txt", include_str!("../../wording/de/sms.txt")),
];
/// How far "in a week" is, milliseconds.
pub(crate) const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
const MINUTE_MS: i64 = 60_000;

/// Why there are no words.
#[derive(Debug, Error)]
pub enum WordingError {
    /// A file of the operator's cannot be read.
    #[error("cannot read the template {name}: {source}")]
    File {
        /// Which.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A template does not do.
    #[error("the template {name}: {fault}")]
    Template {
        /// Which.
        name: &'static str,
        /// What and where.
        fault: String,
    },
}

impl protocol::log::LogSafe for WordingError {}

/// What is asked, of whom.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The order.
    pub order: &'a Order,
    /// What its person wishes.
    pub wishes: &'a Wishes,
    /// Which reminder; `None` for the first message about a quote.
    pub reminder: Option<u8>,
}

/// The words, and the links in them.
#[derive(Debug)]
pub struct Wording {
    templates: Environment<'static>,
    /// Where people reach the server, and what signs their links.
    links: Option<(String, Signer)>,
}

impl Wording {
    /// With an operator's own templates in a folder, and with links where people can reach the
    /// server under an address.
    ///
    /// # Errors
    /// [`WordingError`] names the template.
    pub fn new(
        folder: Option<&Path>,
        links: Option<(String, Signer)>,
    ) -> Result<Self, WordingError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, ours) in TEMPLATES {
            let own = match folder.map(|folder| fs::read_to_string(folder.join(name))) {
                Some(Err(source)) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(WordingError::File { name, source });
                }
                Some(Ok(text)) => text,
                _ => ours.to_owned(),
            };
            let added = templates.add_template_owned(name, own);
            added.map_err(|fault| WordingError::Template { name, fault: fault.to_string() })?;
        }
        Ok(Self { templates, links })
    }

    /// The message that asks for an answer. The same question has the same id, so that a repetition
    /// can be told.
    ///
    /// # Errors
    /// [`WordingError::Template`].
    pub fn message(&self, asking: &Asking<'_>) -> Result<Message, WordingError> {
        let Asking { order, wishes, reminder } = *asking;
        let to = wishes.address(order.person());
        let words = self.words(asking);
        let say = |template: usize, words: &Value| self.say(wishes.language, template, words);
        let subject = say(0, &words)?.trim().to_owned();
        let words = context! { subject => &subject, ..words };
        let (text, html) = match to {
            Address::Phone(_) => (say(3, &words)?, None),
            Address::Person(_) => (say(1, &words)?, None),
            Address::Email(_) => (say(1, &words)?, Some(say(2, &words)?)),
        };
        let (id, quote) = (order.id(), order.quote().id());
        let named = [&id.as_bytes()[..], quote.as_bytes(), &[reminder.unwrap_or(0)]].concat();
        let id = Digest::of(&named).0.first_chunk().map_or(id, |bytes| Uuid::from_bytes(*bytes));
        Ok(Message { id, to, subject, text: text.trim().to_owned(), html })
    }

    fn say(
        &self,
        language: Language,
        template: usize,
        words: &Value,
    ) -> Result<String, WordingError> {
        let first = match language {
            Language::English => 0,
            Language::German => 4,
        };
        let (name, _) = TEMPLATES[first + template];
        let said = self.templates.get_template(name).and_then(|template| template.render(words));
        said.map_err(|fault| WordingError::Template { name, fault: fault.to_string() })
    }

    fn words(&self, asking: &Asking<'_>) -> Value {
        let Asking { order, wishes, reminder } = *asking;
        let quote = order.quote();
        let price = |minor| money(Money { minor, currency: quote.currency() }, wishes.language);
        let lines: Vec<Value> = quote
            .lines()
            .iter()
            .map(|line| {
                let sum = line.unit_minor.saturating_mul(i64::from(line.quantity));
                context! { title => &line.title, quantity => line.quantity, price => price(sum) }
            })
            .collect();
        let extra = (quote.extra_minor() != 0).then(|| price(quote.extra_minor()));
        let expires_unix_ms = order.expires().unwrap_or(order.changed().1);
        let links = self.links.as_ref().map(|(base, signer)| {
            let link = |action| {
                let link = Link {
                    order: order.id(),
                    quote: quote.id(),
                    action,
                    expires_unix_ms,
                    nonce: Uuid::now_v7(),
                };
                format!("{base}/o/{}", signer.sign(&link))
            };
            context! {
                approve => link(Action::Approve { total_minor: quote.total_minor() }),
                delay => link(Action::Delay { until_unix_ms: order.changed().1 + WEEK_MS }),
                modify => link(Action::Modify),
                cancel => link(Action::Cancel),
            }
        });
        context! {
            lines => lines,
            extra => extra,
            total => price(quote.total_minor()),
            reasons => &order.why().reasons,
            reminder => reminder.is_some(),
            changed => order.status() == Status::Modified,
            expires => date(expires_unix_ms, &wishes.zone, wishes.language),
            grace_minutes => order.rules().grace_ms / MINUTE_MS,
            links => links,
        }
    }
}

/// An amount as it is written in a language.
pub(crate) fn money(money: Money, language: Language) -> String {
    let text = money.to_string();
    match language {
        Language::English => text,
        Language::German => text.replace('.', ","),
    }
}

/// A time as it is written in a language, in the person's zone.
pub(crate) fn date(unix_ms: i64, zone: &str, language: Language) -> String {
    let form = match language {
        Language::English => "%-d %B %Y, %H:%M",
        Language::German => "%-d.%-m.%Y, %H:%M Uhr",
    };
    written(unix_ms, zone, form)
}

/// The day of a time, likewise.
pub(crate) fn day(unix_ms: i64, zone: &str, language: Language) -> String {
    let form = match language {
        Language::English => "%-d %B %Y",
        Language::German => "%-d.%-m.%Y",
    };
    written(unix_ms, zone, form)
}

fn written(unix_ms: i64, zone: &str, form: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let Ok(at) = Timestamp::from_millisecond(unix_ms) else { return String::new() };
    at.to_zoned(zone).strftime(form).to_string()
}
