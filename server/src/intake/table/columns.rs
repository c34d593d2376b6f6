//! Which column stands for what, and a row by it.

use super::{super::Fault, Field, Layout, TableError};
use protocol::{
    digest::Digest,
    intake::{
        AdIdentifiers, Consent, ConsentStatus, Reason, Reported, Scope, UserIdentifier,
        normal_email, normal_phone,
    },
};
use std::collections::BTreeMap;

/// The number of the row, where a column is named.
const ROW: &str = "@row";

/// Where the fields of a row stand.
#[derive(Debug)]
pub(super) struct Columns {
    count: usize,
    places: BTreeMap<Field, Vec<Option<usize>>>,
}

impl Columns {
    pub(super) fn new(header: &[String], layout: &Layout) -> Result<Self, TableError> {
        let mut places = BTreeMap::new();
        match &layout.columns {
            Some(named) => {
                for (field, place) in named {
                    let columns = place.names().iter().map(|name| {
                        if name == ROW {
                            return Ok(None);
                        }
                        let at = header.iter().position(|column| column.trim() == name.trim());
                        at.map(Some).ok_or_else(|| TableError::NoColumn(name.clone()))
                    });
                    places.insert(*field, columns.collect::<Result<_, _>>()?);
                }
            }
            None => {
                for (at, name) in header.iter().enumerate() {
                    let Some(meaning) = classic(name) else {
                        return Err(TableError::UnknownColumn(at + 1));
                    };
                    let Some(field) = meaning else { continue };
                    if places.insert(field, vec![Some(at)]).is_some() {
                        return Err(TableError::Twice(field.name()));
                    }
                }
            }
        }
        for needed in [Field::EventTimestamp, Field::EventName] {
            if !places.contains_key(&needed) && !layout.constants.contains_key(&needed) {
                return Err(TableError::NoColumn(needed.name().to_owned()));
            }
        }
        Ok(Self { count: header.len(), places })
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn row(
        &self,
        fields: &[String],
        layout: &Layout,
        number: u64,
    ) -> Result<Reported, Fault> {
        let get = |field: Field| self.get(field, fields, layout, number);
        let source = get(Field::Source).map(|text| source(&text)).transpose()?;
        let scope = source.unwrap_or(layout.scope);
        let consent = get(Field::Consent).map(|text| consent(&text)).transpose()?;
        let mut user_identifiers = Vec::new();
        if let Some(text) = get(Field::EmailAddress) {
            let hash = hashed(Field::EmailAddress, text, layout.hash, normal_email)?;
            user_identifiers.push(UserIdentifier::EmailAddress(hash));
        }
        if let Some(text) = get(Field::PhoneNumber) {
            let hash = hashed(Field::PhoneNumber, text, layout.hash, normal_phone)?;
            user_identifiers.push(UserIdentifier::PhoneNumber(hash));
        }
        user_identifiers.extend(get(Field::LoyaltyId).map(UserIdentifier::LoyaltyId));
        user_identifiers.extend(get(Field::UserId).map(UserIdentifier::UserId));
        user_identifiers.extend(get(Field::DevicePseudonym).map(UserIdentifier::DevicePseudonym));
        let clicks = AdIdentifiers {
            gclid: get(Field::Gclid),
            gbraid: get(Field::Gbraid),
            wbraid: get(Field::Wbraid),
        };
        let number = |field| get(field).map(|text| decimal(field, &text)).transpose();
        Ok(Reported {
            transaction_id: get(Field::TransactionId),
            event_timestamp: get(Field::EventTimestamp).unwrap_or_default(),
            event_name: get(Field::EventName).unwrap_or_default(),
            conversion_value: number(Field::ConversionValue)?,
            currency: get(Field::Currency),
            user_identifiers,
            ad_identifiers: (clicks != AdIdentifiers::default()).then_some(clicks),
            consent: consent.map(|status| Consent::only(scope, status)),
            item: get(Field::Item),
            category: get(Field::Category),
            number: number(Field::Number)?,
            source,
            ..Reported::default()
        })
    }

    /// Of a row only who, when and what they said: what is wrong with it elsewhere does not count
    /// here, and what cannot be read is left out.
    pub(super) fn said(&self, fields: &[String], layout: &Layout, number: u64) -> Reported {
        let get = |field: Field| self.get(field, fields, layout, number);
        let scope = get(Field::Source).and_then(|text| source(&text).ok()).unwrap_or(layout.scope);
        let consent = get(Field::Consent).and_then(|text| consent(&text).ok());
        let hash = |field, normal| hashed(field, get(field)?, layout.hash, normal).ok();
        let identifiers = [
            hash(Field::EmailAddress, normal_email).map(UserIdentifier::EmailAddress),
            hash(Field::PhoneNumber, normal_phone).map(UserIdentifier::PhoneNumber),
            get(Field::LoyaltyId).map(UserIdentifier::LoyaltyId),
            get(Field::UserId).map(UserIdentifier::UserId),
            get(Field::DevicePseudonym).map(UserIdentifier::DevicePseudonym),
            get(Field::Gclid).map(UserIdentifier::ClickId),
            get(Field::Gbraid).map(UserIdentifier::ClickId),
            get(Field::Wbraid).map(UserIdentifier::ClickId),
        ];
        Reported {
            event_timestamp: get(Field::EventTimestamp).unwrap_or_default(),
            user_identifiers: identifiers.into_iter().flatten().collect(),
            consent: consent.map(|status| Consent::only(scope, status)),
            ..Reported::default()
        }
    }

    /// What stands there; an empty field is none. A column goes before a constant.
    fn get(&self, field: Field, fields: &[String], layout: &Layout, number: u64) -> Option<String> {
        let text = match self.places.get(&field).map(Vec::as_slice) {
            None => None,
            Some([Some(at)]) => fields.get(*at).map(|text| text.trim().to_owned()),
            Some(several) => {
                let parts = several.iter().map(|place| match place {
                    Some(at) => fields.get(*at).map(|text| text.trim()).unwrap_or_default().into(),
                    None => number.to_string(),
                });
                Some(parts.collect::<Vec<String>>().join("|"))
            }
        };
        text.filter(|text| !text.is_empty()).or_else(|| layout.constants.get(&field).cloned())
    }
}

/// What a column of the classic file stands for; `Some(None)` for one that is not read.
fn classic(name: &str) -> Option<Option<Field>> {
    let plain: String =
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    Some(Some(match plain.as_str() {
        "googleclickid" | "gclid" | "clickid" => Field::Gclid,
        "gbraid" => Field::Gbraid,
        "wbraid" => Field::Wbraid,
        "conversionname" | "eventname" | "eventtype" => Field::EventName,
        "conversiontime" | "eventtimestamp" | "conversiondatetime" => Field::EventTimestamp,
        "conversionvalue" => Field::ConversionValue,
        "conversioncurrency" | "currency" | "currencycode" => Field::Currency,
        "orderid" | "transactionid" => Field::TransactionId,
        "email" | "emailaddress" | "hashedemail" | "hashedemailaddress" => Field::EmailAddress,
        "phone" | "phonenumber" | "hashedphone" | "hashedphonenumber" => Field::PhoneNumber,
        "userid" => Field::UserId,
        "loyaltyid" => Field::LoyaltyId,
        "devicepseudonym" => Field::DevicePseudonym,
        "item" | "itemid" => Field::Item,
        "category" => Field::Category,
        "number" | "quantity" => Field::Number,
        "source" => Field::Source,
        "consent" => Field::Consent,
        // What these say is about advertising on Google, not about anything here.
        "aduserdata"
        | "adpersonalization"
        | "attributioncredit"
        | "attributedcredit"
        | "conversionenvironment" => return Some(None),
        _ => return None,
    }))
}

/// Digits with a point: what a comma means nobody can know.
fn decimal(field: Field, text: &str) -> Result<f64, Fault> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let value = text.parse::<f64>().ok().filter(|value| plain && value.is_finite());
    value.ok_or_else(|| {
        let name = field.name();
        let detail = format!("{name} is no number: write digits with a point, like 1234.56");
        Fault::new(Reason::NotANumber, detail)
    })
}

fn source(text: &str) -> Result<Scope, Fault> {
    let known = Scope::ALL.into_iter().find(|scope| text.eq_ignore_ascii_case(scope.name()));
    known.ok_or_else(|| Fault::new(Reason::WrongSource, "source is none of those there are"))
}

fn consent(text: &str) -> Result<ConsentStatus, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "granted" | "consent_granted" | "yes" | "true" | "1" => Ok(ConsentStatus::Granted),
        "denied" | "consent_denied" | "no" | "false" | "0" => Ok(ConsentStatus::Denied),
        _ => Err(Fault::new(Reason::Malformed, "consent must be granted or denied")),
    }
}

fn hashed(
    field: Field,
    text: String,
    plain: bool,
    normal: fn(&str) -> Option<String>,
) -> Result<String, Fault> {
    if !plain {
        return Ok(text);
    }
    let name = field.name();
    let normal = normal(&text).ok_or_else(|| {
        let detail = format!(
            "{name} is not one: an address needs an @, a number its country code behind a +"
        );
        Fault::new(Reason::WrongHash, detail)
    })?;
    Ok(Digest::of(normal.as_bytes()).to_string())
}
