//! From what was sent to what can be: every field is looked at, nothing is changed.

use super::{
    Fault,
    denial::denial,
    row::{Identifier, Item, Kind, Refused, Row, Said, Who, transaction_key},
    time,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use protocol::{
    digest::Digest,
    intake::{
        CartItem, CloudEvent, Consent, Encoding, MAX_CART_ITEMS, MAX_ID_BYTES, MAX_IDENTIFIERS,
        MAX_NAME_BYTES, Reason, Reported, Scope, Statement, UserIdentifier,
    },
    offer::{Currency, Money},
};
use uuid::Uuid;

/// Most whole units of a currency: no one person pays more at once.
const MOST_UNITS: f64 = 1e10;
/// The same where a currency has no smaller unit.
const MOST_WHOLE_UNITS: f64 = 1e12;
/// Largest number of anything, by size.
const MOST_NUMBER: f64 = 1e12;
/// How far from a whole number of cents a value may be: what doubles do to sums of cents.
const CENT_TOLERANCE: f64 = 1e-6;

/// Since when a row is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Since it arrived.
    Arrival,
    /// Since a time that the sender gives: for dated replays.
    At(i64),
    /// Since it happened, and not since a time to come: for dated replays.
    Event,
}

/// What holds for every row of a request.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The operator's data set.
    pub destination: String,
    /// How hashes are written.
    pub encoding: Encoding,
    /// What people said, unless a row says otherwise.
    pub consent: Option<Consent>,
    /// What the endpoint takes; the first, if a row names none.
    pub scopes: &'static [Scope],
    /// Since when rows are known.
    pub known: Known,
    /// The server's clock, Unix milliseconds.
    pub received_unix_ms: i64,
}

impl Frame {
    /// Since when something is known that happened at a time.
    #[must_use]
    pub const fn known_unix_ms(&self, at_unix_ms: i64) -> i64 {
        match self.known {
            Known::Arrival => self.received_unix_ms,
            Known::At(known) => known,
            Known::Event if at_unix_ms < self.received_unix_ms => at_unix_ms,
            Known::Event => self.received_unix_ms,
        }
    }
}

/// Checks a row.
///
/// # Errors
/// [`Refused`], with the first thing that is wrong, and what was denied nevertheless.
pub fn row(frame: &Frame, reported: Reported) -> Result<Row, Box<Refused>> {
    let denial = denial(frame, &reported);
    let who = identifiers(named(&reported).iter(), frame.encoding);
    let at = time::read("event_timestamp", &reported.event_timestamp);
    let consent = overlaid(reported.consent, frame.consent);
    let checked = who.and_then(|who| checked(frame, reported, at?, who, consent));
    checked.map_err(|fault| Box::new(Refused { fault, denial }))
}

/// Checks a statement that stands for itself.
///
/// # Errors
/// [`Fault`].
pub fn statement(frame: &Frame, said: &Statement) -> Result<Said, Fault> {
    let who = identifiers(said.user_identifiers.iter(), frame.encoding)?;
    let at_unix_ms = time::read("event_timestamp", &said.event_timestamp)?;
    time::plausible("event_timestamp", at_unix_ms, frame.known_unix_ms(at_unix_ms))?;
    Ok(Said { who, consent: said.consent, at_unix_ms })
}

/// A CloudEvent as a row: its source is the data set.
///
/// # Errors
/// [`Fault`] when it is none of version 1.0, or carries something else than JSON.
pub fn cloud_event(event: CloudEvent) -> Result<(String, Reported), Fault> {
    if event.specversion != "1.0" {
        return Err(Fault::new(Reason::Malformed, "specversion must be 1.0"));
    }
    let json = |kind: &String| kind.to_ascii_lowercase().starts_with("application/json");
    if !event.datacontenttype.as_ref().is_none_or(json) {
        let detail = "datacontenttype must be application/json, or be left out";
        return Err(Fault::new(Reason::Malformed, detail));
    }
    let Some(event_timestamp) = event.time else {
        return Err(Fault::new(Reason::MissingField, "time is missing: send it"));
    };
    let source = text("source", event.source, MAX_ID_BYTES)?;
    let data = event.data;
    let reported = Reported {
        transaction_id: Some(event.id),
        event_timestamp,
        event_name: event.kind,
        conversion_value: data.value,
        currency: data.currency,
        user_identifiers: data.user_identifiers,
        consent: data.consent,
        item: data.item.or(event.subject),
        category: data.category,
        number: data.number,
        ..Reported::default()
    };
    Ok((source, reported))
}

/// Identifiers by themselves.
///
/// # Errors
/// [`Fault`] with the first that is none, or if there are none or too many.
pub fn identifiers<'a>(
    given: impl Iterator<Item = &'a UserIdentifier>,
    encoding: Encoding,
) -> Result<Who, Fault> {
    let mut who = Who::default();
    for (count, one) in given.enumerate() {
        if count >= MAX_IDENTIFIERS {
            let detail = format!("a row has at most {MAX_IDENTIFIERS} identifiers");
            return Err(Fault::new(Reason::TooManyIdentifiers, detail));
        }
        match one {
            UserIdentifier::EmailAddress(text) => {
                let hash = hash("email_address", text, encoding)?;
                who.identifiers.push(Identifier { kind: Kind::Email, hash });
            }
            UserIdentifier::PhoneNumber(text) => {
                let hash = hash("phone_number", text, encoding)?;
                who.identifiers.push(Identifier { kind: Kind::Phone, hash });
            }
            UserIdentifier::LoyaltyId(text) => {
                who.identifiers.push(number("loyalty_id", Kind::Loyalty, text)?);
            }
            UserIdentifier::UserId(text) => {
                who.identifiers.push(number("user_id", Kind::User, text)?);
            }
            UserIdentifier::ClickId(text) => {
                who.identifiers.push(number("click_id", Kind::Click, text)?);
            }
            UserIdentifier::DevicePseudonym(text) => {
                let device = Uuid::parse_str(text.trim())
                    .map_err(|_| Fault::new(Reason::BadPseudonym, "device_pseudonym is no UUID"))?;
                if who.device.is_some_and(|other| other != device) {
                    let detail = "a row names at most one device_pseudonym";
                    return Err(Fault::new(Reason::TooManyIdentifiers, detail));
                }
                who.device = Some(device);
            }
        }
    }
    if who.identifiers.is_empty() && who.device.is_none() {
        let detail = "no identifier: send at least one of user_identifiers";
        return Err(Fault::new(Reason::NoIdentifier, detail));
    }
    who.identifiers.sort_unstable();
    who.identifiers.dedup();
    Ok(who)
}

/// A value as money.
///
/// # Errors
/// [`Fault`] when it is negative, absurd, too precise or in no currency there is.
pub fn money(value: f64, currency: Option<&str>) -> Result<Money, Fault> {
    let Some(code) = currency.map(str::trim).filter(|code| !code.is_empty()) else {
        let detail = "conversion_value has no currency beside it: send its ISO 4217 code";
        return Err(Fault::new(Reason::MissingCurrency, detail));
    };
    let currency = iso_currency::Currency::from_code(code)
        .and_then(|_| Currency::try_from(code.to_owned()).ok())
        .ok_or_else(|| {
            let detail = "currency is no ISO 4217 code: write three capital letters, such as EUR";
            Fault::new(Reason::UnknownCurrency, detail)
        })?;
    if !value.is_finite() {
        return Err(Fault::new(Reason::NotANumber, "conversion_value is no finite number"));
    }
    if value < 0.0 {
        let detail = "conversion_value is below zero: retract or adjust the conversion instead";
        return Err(Fault::new(Reason::NegativeValue, detail));
    }
    let digits = currency.minor_digits();
    if value > if digits == 0 { MOST_WHOLE_UNITS } else { MOST_UNITS } {
        let detail = "conversion_value is larger than anybody pays: send whole units, not cents";
        return Err(Fault::new(Reason::AbsurdValue, detail));
    }
    let scaled = value * 10f64.powi(i32::try_from(digits).unwrap_or(2));
    let minor = scaled.round();
    if (scaled - minor).abs() > CENT_TOLERANCE + 4.0 * f64::EPSILON * scaled {
        let detail = format!("conversion_value has more digits than the {digits} of its currency");
        return Err(Fault::new(Reason::TooPrecise, detail));
    }
    Ok(Money { minor: minor as i64, currency })
}

fn checked(
    frame: &Frame,
    reported: Reported,
    at_unix_ms: i64,
    who: Who,
    consent: Consent,
) -> Result<Row, Fault> {
    let known_unix_ms = frame.known_unix_ms(at_unix_ms);
    time::plausible("event_timestamp", at_unix_ms, known_unix_ms)?;
    let scope = scope(frame, reported.source)?;
    let digest = Digest::of(&serde_json::to_vec(&reported).unwrap_or_default());
    let transaction = match reported.transaction_id {
        Some(id) => text("transaction_id", id, MAX_ID_BYTES)?,
        None if matches!(scope, Scope::Conversion | Scope::Loyalty | Scope::ThirdParty) => {
            let detail = "transaction_id is missing: without it a repetition would count twice";
            return Err(Fault::new(Reason::MissingField, detail));
        }
        None => format!("content {digest}"),
    };
    let name = text("event_name", reported.event_name, MAX_NAME_BYTES)?;
    let value = match reported.conversion_value {
        Some(value) => Some(money(value, reported.currency.as_deref())?),
        None => None,
    };
    let number = amount("number", reported.number)?;
    let mut item = reported.item.map(|item| text("item", item, MAX_NAME_BYTES)).transpose()?;
    let mut category =
        reported.category.map(|category| text("category", category, MAX_NAME_BYTES)).transpose()?;
    let nested = reported.cart_data.map(|cart| cart.items).unwrap_or_default();
    let mut cart = cart(reported.cart_items.into_iter().chain(nested))?;
    let mut number = number;
    // A cart of one item is a conversion of that item.
    if let [only] = &cart[..]
        && item.is_none()
        && number.is_none()
    {
        number = Some(only.quantity);
        item = Some(only.item.clone());
        category = category.or_else(|| only.category.clone());
        cart.clear();
    }
    if scope == Scope::Demographics {
        super::bands::check(&name, item.as_deref(), number)?;
    }
    Ok(Row {
        key: transaction_key(scope, &frame.destination, &transaction),
        said: Said { who, consent, at_unix_ms },
        scope,
        name,
        known_unix_ms,
        value,
        number,
        item,
        category,
        cart,
        digest,
    })
}

/// Identifiers in every place where a row may have them.
pub(super) fn named(reported: &Reported) -> Vec<UserIdentifier> {
    let nested = reported.user_data.iter().flat_map(|data| &data.user_identifiers);
    let clicks = reported
        .ad_identifiers
        .iter()
        .flat_map(|ad| [&ad.gclid, &ad.gbraid, &ad.wbraid])
        .flatten()
        .map(|id| UserIdentifier::ClickId(id.clone()));
    reported.user_identifiers.iter().chain(nested).cloned().chain(clicks).collect()
}

fn scope(frame: &Frame, named: Option<Scope>) -> Result<Scope, Fault> {
    match (named, frame.scopes) {
        (None, [only]) => Ok(*only),
        (None, _) => Err(Fault::new(Reason::MissingField, "source is missing: send it")),
        (Some(scope), scopes) if scopes.contains(&scope) => Ok(scope),
        _ => Err(Fault::new(Reason::WrongSource, "source is not taken at this path")),
    }
}

/// What a row says goes before what the request says for all.
pub(super) fn overlaid(row: Option<Consent>, request: Option<Consent>) -> Consent {
    let (row, request) = (row.unwrap_or_default(), request.unwrap_or_default());
    Consent {
        conversion: row.conversion.or(request.conversion),
        behaviour: row.behaviour.or(request.behaviour),
        demographics: row.demographics.or(request.demographics),
        loyalty: row.loyalty.or(request.loyalty),
        third_party: row.third_party.or(request.third_party),
    }
}

fn cart(items: impl Iterator<Item = CartItem>) -> Result<Vec<Item>, Fault> {
    let mut cart = Vec::new();
    for item in items {
        if cart.len() >= MAX_CART_ITEMS {
            let detail = format!("a cart has at most {MAX_CART_ITEMS} items");
            return Err(Fault::new(Reason::TooManyItems, detail));
        }
        amount("cart_items.unit_price", item.unit_price)?;
        let category =
            item.category.map(|text_| text("cart_items.category", text_, MAX_NAME_BYTES));
        cart.push(Item {
            item: text("cart_items.item", item.item, MAX_NAME_BYTES)?,
            category: category.transpose()?,
            quantity: amount("cart_items.quantity", item.quantity)?.unwrap_or(1.0),
        });
    }
    Ok(cart)
}

/// Of how much of something: finite, not negative, not absurd.
fn amount(field: &'static str, number: Option<f64>) -> Result<Option<f64>, Fault> {
    let Some(number) = number else { return Ok(None) };
    if !number.is_finite() {
        return Err(Fault::new(Reason::NotANumber, format!("{field} is no finite number")));
    }
    if number < 0.0 {
        return Err(Fault::new(Reason::NegativeValue, format!("{field} is below zero")));
    }
    if number > MOST_NUMBER {
        return Err(Fault::new(Reason::AbsurdValue, format!("{field} is above 10^12")));
    }
    Ok(Some(number))
}

/// A text that is there, not too long, and shows on one line.
pub(super) fn text(field: &'static str, value: String, most: usize) -> Result<String, Fault> {
    if value.trim().is_empty() {
        return Err(Fault::new(Reason::MissingField, format!("{field} is empty: send it")));
    }
    if value.len() > most || value.chars().any(char::is_control) {
        let detail = format!("{field} must have at most {most} bytes and no control characters");
        return Err(Fault::new(Reason::BadText, detail));
    }
    Ok(value)
}

fn number(field: &'static str, kind: Kind, value: &str) -> Result<Identifier, Fault> {
    if value.trim().is_empty() {
        return Err(Fault::new(Reason::NoIdentifier, format!("{field} is empty: leave it out")));
    }
    if value.len() > MAX_ID_BYTES || value.chars().any(char::is_control) {
        let detail =
            format!("{field} must have at most {MAX_ID_BYTES} bytes and no control characters");
        return Err(Fault::new(Reason::BadText, detail));
    }
    Ok(Identifier::of_number(kind, value))
}

/// SHA-256 of a contact detail, in the request's encoding.
fn hash(field: &'static str, value: &str, encoding: Encoding) -> Result<Digest, Fault> {
    let value = value.trim();
    let bytes: Option<[u8; 32]> = match encoding {
        Encoding::Hex => value.parse().map(|Digest(bytes)| bytes).ok(),
        Encoding::Base64 => STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok()),
    };
    bytes.map(Digest).ok_or_else(|| {
        if in_plain(value) {
            let detail = format!(
                "{field} is in plain text: send its SHA-256, of the normal form, and delete the \
                 plain text"
            );
            return Fault::new(Reason::NotHashed, detail);
        }
        let form = match encoding {
            Encoding::Hex => "64 hexadecimal digits",
            Encoding::Base64 => "44 characters of Base64",
        };
        Fault::new(Reason::WrongHash, format!("{field} is no SHA-256: send {form}"))
    })
}

/// An address, or what can only be a phone number.
fn in_plain(value: &str) -> bool {
    const LONGEST_PHONE: usize = 24;
    let dialled = |c: char| c.is_ascii_digit() || "+-(). ".contains(c);
    value.contains('@')
        || (!value.is_empty() && value.len() <= LONGEST_PHONE && value.chars().all(dialled))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
