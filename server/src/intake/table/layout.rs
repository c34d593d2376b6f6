//! What the columns of a table stand for, as a file says it.
//!
//! ```toml
//! time_zone = "Asia/Taipei"
//! time_format = "%m/%d/%Y"
//!
//! [columns]
//! event_timestamp = "TRANSACTION_DT"
//! user_id = "CUSTOMER_ID"
//! transaction_id = ["CUSTOMER_ID", "TRANSACTION_DT", "@row"]
//!
//! [constants]
//! event_name = "store_purchase"
//! currency = "TWD"
//! consent = "granted"
//! ```

use super::{super::Fault, Charset};
use jiff::tz::{Offset, TimeZone};
use protocol::intake::{Reason, Scope};
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// A field of a row that a column can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The sender's number of the row.
    TransactionId,
    /// When.
    EventTimestamp,
    /// What.
    EventName,
    /// What it was worth.
    ConversionValue,
    /// In which currency.
    Currency,
    /// SHA-256 of the e-mail address.
    EmailAddress,
    /// SHA-256 of the phone number.
    PhoneNumber,
    /// Number in the loyalty programme.
    LoyaltyId,
    /// The operator's number of the person.
    UserId,
    /// The pseudonym of the person's device.
    DevicePseudonym,
    /// Google's click id.
    Gclid,
    /// Google's click id on iOS, application to web.
    Gbraid,
    /// Google's click id on iOS, web to application.
    Wbraid,
    /// Of what.
    Item,
    /// Of which category.
    Category,
    /// How many.
    Number,
    /// What the row is about.
    Source,
    /// What the person said about what the row is about: granted or denied.
    Consent,
}

impl Field {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TransactionId => "transaction_id",
            Self::EventTimestamp => "event_timestamp",
            Self::EventName => "event_name",
            Self::ConversionValue => "conversion_value",
            Self::Currency => "currency",
            Self::EmailAddress => "email_address",
            Self::PhoneNumber => "phone_number",
            Self::LoyaltyId => "loyalty_id",
            Self::UserId => "user_id",
            Self::DevicePseudonym => "device_pseudonym",
            Self::Gclid => "gclid",
            Self::Gbraid => "gbraid",
            Self::Wbraid => "wbraid",
            Self::Item => "item",
            Self::Category => "category",
            Self::Number => "number",
            Self::Source => "source",
            Self::Consent => "consent",
        }
    }
}

/// A column, or several whose texts stand side by side with `|` between them; `@row` is the number
/// of the row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// One column.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Place {
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// What a table looks like.
#[derive(Debug, Clone)]
pub struct Layout {
    /// How its bytes are read.
    pub charset: Charset,
    /// What stands between fields; told from the header if it is not given.
    pub delimiter: Option<u8>,
    /// The zone of times without one.
    pub zone: Option<TimeZone>,
    /// How times are written (strftime), if not in a usual way.
    pub time_format: Option<String>,
    /// What the columns stand for; told from the header if it is not given. Others are not read.
    pub columns: Option<BTreeMap<Field, Place>>,
    /// What every row has.
    pub constants: BTreeMap<Field, String>,
    /// What the rows are about, unless a column says it.
    pub scope: Scope,
    /// Whether e-mail addresses and phone numbers are in plain text, to be hashed here.
    pub hash: bool,
}

/// Why a mapping file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Not what such a file holds.
    #[error("{0}")]
    Toml(String),
    /// No zone of that name.
    #[error("time_zone {0:?} is no zone: write +08:00, or a name like Asia/Taipei")]
    Zone(String),
    /// A delimiter of several bytes.
    #[error("delimiter must be one character of ASCII")]
    Delimiter,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    delimiter: Option<String>,
    time_zone: Option<String>,
    time_format: Option<String>,
    columns: BTreeMap<Field, Place>,
    #[serde(default)]
    constants: BTreeMap<Field, String>,
}

impl Layout {
    /// A table that its own header explains.
    #[must_use]
    pub const fn classic(scope: Scope) -> Self {
        Self {
            charset: Charset::Utf8,
            delimiter: None,
            zone: None,
            time_format: None,
            columns: None,
            constants: BTreeMap::new(),
            scope,
            hash: false,
        }
    }

    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`LayoutError`] says what is wrong in it.
    pub fn from_toml(text: &str, scope: Scope) -> Result<Self, LayoutError> {
        let file: File =
            toml::from_str(text).map_err(|error| LayoutError::Toml(error.to_string()))?;
        let zone = |name: String| zone_of(&name).ok_or(LayoutError::Zone(name));
        let delimiter = |text: String| match text.as_bytes() {
            [one] if one.is_ascii() && *one != b'"' && *one != b'\n' => Ok(*one),
            _ => Err(LayoutError::Delimiter),
        };
        Ok(Self {
            delimiter: file.delimiter.map(delimiter).transpose()?,
            zone: file.time_zone.map(zone).transpose()?,
            time_format: file.time_format,
            columns: Some(file.columns),
            constants: file.constants,
            ..Self::classic(scope)
        })
    }
}

/// `+0100`, `+01:00`, `UTC` or a name of the time zone database.
pub(super) fn zone_of(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    if let Some(sign) = name.chars().next().filter(|c| "+-".contains(*c)) {
        let plain = name[1..].chars().all(|c| c.is_ascii_digit() || c == ':');
        if !plain || digits.len() != 4 {
            return None;
        }
        let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
        if hours > 14 || minutes > 59 {
            return None;
        }
        let seconds = (hours * 60 + minutes) * 60;
        let seconds = if sign == '-' { -seconds } else { seconds };
        return Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?));
    }
    TimeZone::get(name).ok()
}

/// A time in a format of the table's own.
pub(super) fn read_as(text: &str, format: &str, zone: Option<&TimeZone>) -> Result<i64, Fault> {
    let fault = |reason, detail| Err(Fault::new(reason, detail));
    let Ok(parsed) = jiff::fmt::strtime::parse(format, text.trim()) else {
        return fault(Reason::BadTime, "event_timestamp is not written as time_format says");
    };
    if let Ok(at) = parsed.to_timestamp() {
        return Ok(at.as_millisecond());
    }
    let local = parsed.to_datetime().ok().or_else(|| Some(parsed.to_date().ok()?.at(0, 0, 0, 0)));
    let Some(local) = local else {
        return fault(Reason::BadTime, "event_timestamp is not written as time_format says");
    };
    let Some(zone) = zone else {
        return fault(Reason::MissingZone, "event_timestamp has no zone: give time_zone");
    };
    match zone.to_ambiguous_timestamp(local).unambiguous() {
        Ok(at) => Ok(at.as_millisecond()),
        Err(_) => fault(
            Reason::AmbiguousTime,
            "event_timestamp: its zone set the clocks just then: give times with their offset",
        ),
    }
}
