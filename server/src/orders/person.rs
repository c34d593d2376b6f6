//! What a person wishes of orders: whether to be asked at all, how, where, and within which limits.
//! They say it on their page; what their answers taught is kept with it.

use super::{
    life::{Allowance, Period},
    threshold::{Feel, Threshold},
};
use crate::delivery::{Address, AddressError, ChannelKind, Email, Phone};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use protocol::offer::Currency;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// The languages that people are asked in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// German.
    #[serde(rename = "de")]
    German,
}

/// The most that orders may come to in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The time, in the person's own zone.
    pub period: Period,
    /// In which money: ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// Minor units.
    pub most_minor: i64,
}

/// Everything that a person chose. The default asks for nothing: nobody is sent an order who did
/// not agree to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wishes {
    /// Since when they agree to be asked, Unix milliseconds; `None`: they do not.
    pub agreed_unix_ms: Option<i64>,
    /// Whether they want to be left alone for now.
    pub paused: bool,
    /// How they want to hear of it.
    pub channel: ChannelKind,
    /// Their address.
    pub email: Option<Email>,
    /// Their number.
    pub phone: Option<Phone>,
    /// In which language.
    pub language: Language,
    /// Their time zone, by its IANA name.
    pub zone: String,
    /// What orders may come to.
    pub limits: Vec<Limit>,
    /// How sure a proposal must be, as their answers taught.
    pub threshold: Threshold,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            agreed_unix_ms: None,
            paused: false,
            channel: ChannelKind::InApp,
            email: None,
            phone: None,
            language: Language::default(),
            zone: "UTC".to_owned(),
            limits: Vec::new(),
            threshold: Threshold::default(),
        }
    }
}

impl Wishes {
    /// Whether the person may be asked now.
    #[must_use]
    pub const fn may_ask(&self) -> bool {
        self.agreed_unix_ms.is_some() && !self.paused
    }

    /// Where a message goes: by the channel they chose, or to their page where its address is
    /// missing.
    #[must_use]
    pub fn address(&self, person: Uuid) -> Address {
        match (self.channel, &self.email, &self.phone) {
            (ChannelKind::Email, Some(email), _) => Address::Email(email.clone()),
            (ChannelKind::Sms, _, Some(phone)) => Address::Phone(phone.clone()),
            _ => Address::Person(person),
        }
    }

    /// When the earliest of the times began that limits count over, Unix milliseconds.
    #[must_use]
    pub fn counted_from(&self, now_unix_ms: i64) -> i64 {
        let begins = |limit: &Limit| began(limit.period, &self.zone, now_unix_ms);
        self.limits.iter().map(begins).min().unwrap_or(now_unix_ms)
    }

    /// The limits beside what was spent: `spent` gives when and how much, in which money.
    #[must_use]
    pub fn allowances(&self, spent: &[(i64, Currency, i64)], now_unix_ms: i64) -> Vec<Allowance> {
        let allowance = |limit: &Limit| {
            let from = began(limit.period, &self.zone, now_unix_ms);
            let counts = |(at, money, _): &&(i64, Currency, i64)| {
                *at >= from && *money == limit.currency && limit.period != Period::Order
            };
            let spent_minor = spent
                .iter()
                .filter(counts)
                .fold(0_i64, |sum, (.., minor)| sum.saturating_add(*minor));
            let Limit { period, currency, most_minor } = *limit;
            Allowance { period, currency, most_minor, spent_minor }
        };
        self.limits.iter().map(allowance).collect()
    }
}

/// When the time that a limit counts over began, in a zone; an unknown zone counts as UTC.
fn began(period: Period, zone: &str, now_unix_ms: i64) -> i64 {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let Ok(now) = Timestamp::from_millisecond(now_unix_ms) else { return now_unix_ms };
    let today = now.to_zoned(zone.clone()).date();
    let first = match period {
        Period::Order => return now_unix_ms,
        Period::Day => Ok(today),
        Period::Week => {
            let since_monday = i32::from(today.weekday().to_monday_zero_offset());
            today.checked_sub(since_monday.days())
        }
        Period::Month => Ok(today.first_of_month()),
    };
    let midnight = first.and_then(|day| day.to_zoned(zone));
    midnight.map_or(now_unix_ms, |midnight| midnight.timestamp().as_millisecond())
}

/// What somebody wants changed about their wishes; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WishesChange {
    /// Whether they agree to be asked at all.
    pub agreed: Option<bool>,
    /// Whether they want to be left alone for now.
    pub paused: Option<bool>,
    /// How they want to hear of it.
    pub channel: Option<ChannelKind>,
    /// Their e-mail address; empty: none any more.
    #[schema(examples("ada@example.com"))]
    pub email: Option<String>,
    /// Their telephone number, E.164; empty: none any more.
    #[schema(examples("+4915112345678"))]
    pub phone: Option<String>,
    /// In which language.
    pub language: Option<Language>,
    /// Their time zone, by its IANA name.
    #[schema(examples("Europe/Berlin"))]
    pub zone: Option<String>,
    /// What orders may come to: all limits, in the place of those before.
    pub limits: Option<Vec<Limit>>,
    /// How they want to be asked.
    pub feel: Option<Feel>,
    /// Forget what their answers taught.
    pub reset: bool,
}

/// Most limits of a person.
const MOST_LIMITS: usize = 12;

impl Wishes {
    /// Makes a change.
    ///
    /// # Errors
    /// What cannot be, by its name; nothing was changed then.
    pub fn change(&mut self, change: &WishesChange, now_unix_ms: i64) -> Result<(), WishFault> {
        let mut new = self.clone();
        if let Some(agreed) = change.agreed {
            new.agreed_unix_ms = agreed.then(|| self.agreed_unix_ms.unwrap_or(now_unix_ms));
        }
        if let Some(email) = &change.email {
            let given = (!email.is_empty()).then(|| email.parse());
            new.email = given.transpose().map_err(WishFault::Address)?;
        }
        if let Some(phone) = &change.phone {
            let given = (!phone.is_empty()).then(|| phone.parse());
            new.phone = given.transpose().map_err(WishFault::Address)?;
        }
        if let Some(zone) = &change.zone {
            TimeZone::get(zone).map_err(|_| WishFault::Zone)?;
            new.zone.clone_from(zone);
        }
        if let Some(limits) = &change.limits {
            if limits.len() > MOST_LIMITS || limits.iter().any(|limit| limit.most_minor < 0) {
                return Err(WishFault::Limits);
            }
            new.limits.clone_from(limits);
        }
        new.paused = change.paused.unwrap_or(new.paused);
        new.channel = change.channel.unwrap_or(new.channel);
        new.language = change.language.unwrap_or(new.language);
        new.threshold.feel = change.feel.unwrap_or(new.threshold.feel);
        if change.reset {
            new.threshold.reset();
        }
        match new.channel {
            ChannelKind::Email if new.email.is_none() => Err(WishFault::NoAddress),
            ChannelKind::Sms if new.phone.is_none() => Err(WishFault::NoAddress),
            _ => {
                *self = new;
                Ok(())
            }
        }
    }
}

/// Wishes that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WishFault {
    /// An address that is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A channel without its address.
    #[error("the channel needs an address: give email for email, phone for sms")]
    NoAddress,
    /// A zone that is none.
    #[error("zone is no time zone: give its IANA name, such as Europe/Berlin")]
    Zone,
    /// Limits that cannot be.
    #[error("limits are at most {MOST_LIMITS}, none below zero")]
    Limits,
}

/// Something that may be needed and was not asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Suggestion {
    /// The category.
    pub category: String,
    /// Articles of it, the likeliest first: the shop's numbers.
    pub skus: Vec<String>,
    /// Units that are usually bought.
    pub quantity: u32,
    /// The calibrated probability that it is needed within the horizon.
    pub confidence: f64,
    /// How sure it would have had to be; absent where nothing would have been.
    pub threshold: Option<f64>,
    /// The days from now between which it is needed with probability 0.1 and 0.9.
    pub window_days: (Option<u32>, Option<u32>),
    /// Why it was not asked for.
    pub because: Held,
    /// In words for the person.
    pub reasons: Vec<String>,
    /// The model behind it.
    pub model_id: String,
}

/// Why something was not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// It was not sure enough for this person.
    Unsure,
    /// It will be needed, but likely not in the next days.
    Early,
    /// The model's newest record cannot support asking at all.
    Level,
    /// The person does not want to be asked.
    Wishes,
    /// Something of the kind is being asked already, or was not long ago; or was left to the lot
    /// then.
    Asked,
    /// By lot nobody asks this time, so that it shows what the person buys by themselves.
    Lot,
    /// The shop has none of it, or gave no price.
    Shop,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn times_begin_at_the_persons_own_midnight() {
        // A Sunday; in Berlin it is Monday already.
        let now = at("2026-11-22T23:30:00Z");
        assert_eq!(began(Period::Day, "UTC", now), at("2026-11-22T00:00:00Z"));
        assert_eq!(began(Period::Day, "Europe/Berlin", now), at("2026-11-22T23:00:00Z"));
        assert_eq!(began(Period::Week, "UTC", now), at("2026-11-16T00:00:00Z"));
        assert_eq!(began(Period::Week, "Europe/Berlin", now), at("2026-11-22T23:00:00Z"));
        assert_eq!(began(Period::Month, "no/where", now), at("2026-11-01T00:00:00Z"));
        assert_eq!(began(Period::Order, "UTC", now), now);
        assert_eq!(began(Period::Day, "UTC", i64::MAX), i64::MAX);
    }

    #[test]
    fn limits_count_what_was_approved_within_their_time() {
        let limit = |period, most_minor| Limit { period, currency: Currency::EUR, most_minor };
        let limits = vec![limit(Period::Day, 5_000), limit(Period::Order, 3_000)];
        let wishes = Wishes { limits, ..Wishes::default() };
        let now = at("2026-11-22T12:00:00Z");
        let spent = [
            (at("2026-11-22T08:00:00Z"), Currency::EUR, 1_000),
            (at("2026-11-22T09:00:00Z"), Currency::try_from("USD".to_owned()).unwrap(), 9_000),
            (at("2026-11-21T23:59:59Z"), Currency::EUR, 4_000),
        ];
        let allowances = wishes.allowances(&spent, now);
        let spent: Vec<i64> = allowances.iter().map(|one| one.spent_minor).collect();
        assert_eq!(spent, [1_000, 0]);
        assert_eq!(wishes.counted_from(now), at("2026-11-22T00:00:00Z"));
        assert_eq!(Wishes::default().counted_from(now), now);
    }

    #[test]
    fn nobody_is_asked_who_did_not_agree() {
        let mut wishes = Wishes::default();
        assert!(!wishes.may_ask());
        wishes.agreed_unix_ms = Some(0);
        assert!(wishes.may_ask());
        wishes.paused = true;
        assert!(!wishes.may_ask());
    }

    #[test]
    fn a_change_is_whole_or_none() {
        let mut wishes = Wishes::default();
        let agreed = WishesChange { agreed: Some(true), ..WishesChange::default() };
        wishes.change(&agreed, 5).unwrap();
        wishes.change(&agreed, 9).unwrap();
        assert_eq!(wishes.agreed_unix_ms, Some(5), "since the first time");
        let by_mail = |email: &str| WishesChange {
            channel: Some(ChannelKind::Email),
            email: Some(email.to_owned()),
            paused: Some(true),
            ..WishesChange::default()
        };
        let before = wishes.clone();
        assert_eq!(wishes.change(&by_mail(""), 9), Err(WishFault::NoAddress));
        assert!(matches!(wishes.change(&by_mail("nobody"), 9), Err(WishFault::Address(_))));
        let zone = WishesChange { zone: Some("no/where".into()), ..WishesChange::default() };
        assert_eq!(wishes.change(&zone, 9), Err(WishFault::Zone));
        let limit = Limit { period: Period::Day, currency: Currency::EUR, most_minor: -1 };
        let limits = WishesChange { limits: Some(vec![limit]), ..WishesChange::default() };
        assert_eq!(wishes.change(&limits, 9), Err(WishFault::Limits));
        assert_eq!(wishes, before);
        wishes.change(&by_mail("ada@example.com"), 9).unwrap();
        assert!(wishes.paused && !wishes.may_ask());
        let never = WishesChange { agreed: Some(false), ..WishesChange::default() };
        wishes.change(&never, 9).unwrap();
        assert_eq!(wishes.agreed_unix_ms, None);
    }

    #[test]
    fn a_channel_without_an_address_is_the_page() {
        let person = Uuid::from_u128(1);
        let mut wishes = Wishes { channel: ChannelKind::Email, ..Wishes::default() };
        assert_eq!(wishes.address(person), Address::Person(person));
        wishes.email = Some("ada@example.com".parse().unwrap());
        assert!(matches!(wishes.address(person), Address::Email(_)));
        let json = serde_json::to_string(&wishes).unwrap();
        assert_eq!(serde_json::from_str::<Wishes>(&json).unwrap(), wishes);
    }
}
