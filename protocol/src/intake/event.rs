//! Requests and their rows, as they stand in JSON.

use serde::{Deserialize, Serialize};

/// A request: rows, and what holds for all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, bound(deserialize = "E: Deserialize<'de>"))]
pub struct Ingest<E> {
    /// Which of the operator's data sets the rows belong to: transaction ids are unique in it.
    #[serde(default)]
    pub destination: Destination,
    /// The rows.
    pub events: Vec<E>,
    /// What people said, for rows that do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// Checks everything and stores nothing.
    #[serde(default, alias = "validateOnly")]
    pub validate_only: bool,
    /// How hashes are written.
    #[serde(default)]
    pub encoding: Encoding,
}

/// A data set of the operator's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Its name, by the operator's own choice; may be empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(examples("stores-eu")))]
    pub reference: String,
}

/// How the bytes of hashes are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// 64 hexadecimal digits.
    #[default]
    #[serde(alias = "HEX")]
    Hex,
    /// 44 characters of Base64 with padding.
    #[serde(alias = "BASE64")]
    Base64,
}

/// What a row is about; each is a consent scope of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Offline conversions.
    Conversion,
    /// What people do in apps and on pages.
    Behaviour,
    /// Banded attributes.
    Demographics,
    /// A loyalty programme's transactions.
    Loyalty,
    /// What a third party reports.
    #[serde(alias = "thirdParty")]
    ThirdParty,
}

/// What the person said about one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConsentStatus {
    /// Yes.
    #[serde(alias = "CONSENT_GRANTED", alias = "GRANTED")]
    Granted,
    /// No: what was stored is deleted, and what is older than this No is not taken any more.
    #[serde(alias = "CONSENT_DENIED", alias = "DENIED")]
    Denied,
}

/// What the person had said by the time of the row, scope by scope. Silence is not consent: it
/// leaves what was said before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// About offline conversions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<ConsentStatus>,
    /// About behaviour in apps and on pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<ConsentStatus>,
    /// About banded attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demographics: Option<ConsentStatus>,
    /// About the loyalty programme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loyalty: Option<ConsentStatus>,
    /// About what third parties report.
    #[serde(default, alias = "thirdParty", skip_serializing_if = "Option::is_none")]
    pub third_party: Option<ConsentStatus>,
}

/// By what the person of a row is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UserIdentifier {
    /// SHA-256 of the e-mail address.
    #[serde(alias = "emailAddress")]
    EmailAddress(String),
    /// SHA-256 of the phone number.
    #[serde(alias = "phoneNumber")]
    PhoneNumber(String),
    /// Number in the loyalty programme. The server keeps its hash alone.
    #[serde(alias = "loyaltyId")]
    LoyaltyId(String),
    /// The operator's own number of the person. The server keeps its hash alone.
    #[serde(alias = "userId")]
    UserId(String),
    /// The pseudonym under which the person's device reports: a UUID. Counts only while the device's
    /// consent receipt permits sharing behaviour with the operator.
    DevicePseudonym(String),
    /// The id of a click on an advertisement. The server keeps its hash alone.
    #[serde(alias = "clickId", alias = "gclid")]
    ClickId(String),
}

/// The person of a row, as Data Manager nests it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UserData {
    /// All known of one person; several link what is known under each.
    #[serde(default, alias = "userIdentifiers")]
    pub user_identifiers: Vec<UserIdentifier>,
}

/// Clicks that led to the row, as Data Manager names them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AdIdentifiers {
    /// Google's click id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gclid: Option<String>,
    /// Google's click id on iOS, application to web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gbraid: Option<String>,
    /// Google's click id on iOS, web to application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wbraid: Option<String>,
}

/// A cart, as Data Manager nests it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CartData {
    /// What was bought.
    #[serde(default)]
    pub items: Vec<CartItem>,
}

/// One item of a cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CartItem {
    /// The operator's code of the item.
    #[serde(alias = "merchantProductId", alias = "item_id", alias = "itemId")]
    pub item: String,
    /// The operator's code of its category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How many or how much; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<f64>,
    /// Price of one, in the currency of the row. The row's own value counts, not the sum of these.
    #[serde(default, alias = "unitPrice", skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<f64>,
}

/// A row: something that happened to one person. Conversions, behaviour, loyalty and third-party
/// transactions and banded attributes have this one shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// The operator's number of it, unique in the destination and source: by it a repetition is
    /// recognised and an adjustment finds what it is about. Needed with conversions and
    /// transactions; elsewhere the whole row is its own number.
    #[serde(default, alias = "transactionId", skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// When it happened: RFC 3339 with a zone.
    #[serde(alias = "eventTimestamp")]
    #[cfg_attr(feature = "openapi", schema(examples("2026-11-20T17:04:05+01:00")))]
    pub event_timestamp: String,
    /// What it was: `store_purchase`, `loan_application`, `page_view`, `age_band`, ...
    #[serde(alias = "eventName", alias = "event_type", alias = "eventType")]
    #[cfg_attr(feature = "openapi", schema(examples("store_purchase")))]
    pub event_name: String,
    /// What it was worth, in whole units of the currency.
    #[serde(default, alias = "conversionValue", skip_serializing_if = "Option::is_none")]
    pub conversion_value: Option<f64>,
    /// ISO 4217 code; needed with a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(examples("EUR")))]
    pub currency: Option<String>,
    /// By what the person is recognised.
    #[serde(default, alias = "userIdentifiers", skip_serializing_if = "Vec::is_empty")]
    pub user_identifiers: Vec<UserIdentifier>,
    /// The same, nested as in Data Manager.
    #[serde(default, alias = "userData", skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
    /// Clicks that led here.
    #[serde(default, alias = "adIdentifiers", skip_serializing_if = "Option::is_none")]
    pub ad_identifiers: Option<AdIdentifiers>,
    /// What the person had said by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// What was bought.
    #[serde(default, alias = "cartItems", skip_serializing_if = "Vec::is_empty")]
    pub cart_items: Vec<CartItem>,
    /// The same, nested as in Data Manager.
    #[serde(default, alias = "cartData", skip_serializing_if = "Option::is_none")]
    pub cart_data: Option<CartData>,
    /// Of what: the operator's code of an item, or the label of a band.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Of which category: the operator's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How many or how much of the item; the place of a band in its order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// What the row is about, where the endpoint takes several kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Scope>,
}

/// A new value for a conversion that was taken before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    /// The number under which the conversion was sent.
    #[serde(alias = "transactionId", alias = "orderId")]
    pub transaction_id: String,
    /// When the value was changed: RFC 3339 with a zone. The newest counts.
    #[serde(alias = "adjustmentTimestamp", alias = "adjustmentDateTime")]
    pub adjustment_timestamp: String,
    /// What it is worth now, altogether.
    #[serde(alias = "conversionValue", alias = "adjustedValue")]
    pub conversion_value: f64,
    /// ISO 4217 code, the same as before.
    pub currency: String,
    /// What it was sent as; a conversion if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Scope>,
}

/// A conversion that was taken before and did not happen after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Retraction {
    /// The number under which the conversion was sent.
    #[serde(alias = "transactionId", alias = "orderId")]
    pub transaction_id: String,
    /// What it was sent as; a conversion if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Scope>,
}

/// What a person said, without anything else having happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// When they said it: RFC 3339 with a zone. The newest counts, in whatever order they arrive.
    #[serde(alias = "eventTimestamp")]
    pub event_timestamp: String,
    /// By what the person is recognised.
    #[serde(alias = "userIdentifiers")]
    pub user_identifiers: Vec<UserIdentifier>,
    /// What they said.
    pub consent: Consent,
}

/// What was measured, or will take place, at a place. About nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Circumstance {
    /// The operator's code of the place.
    #[cfg_attr(feature = "openapi", schema(examples("berlin-mitte")))]
    pub place: String,
    /// What: `temperature_celsius`, `rain_mm`, `concert`, ...
    #[cfg_attr(feature = "openapi", schema(examples("temperature_celsius")))]
    pub name: String,
    /// For when: RFC 3339 with a zone; a forecast may lie ahead.
    #[serde(alias = "eventTimestamp")]
    pub event_timestamp: String,
    /// How much.
    pub number: f64,
}

impl Scope {
    /// Every scope, in the order of the type.
    pub const ALL: [Self; 5] =
        [Self::Conversion, Self::Behaviour, Self::Demographics, Self::Loyalty, Self::ThirdParty];

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conversion => "conversion",
            Self::Behaviour => "behaviour",
            Self::Demographics => "demographics",
            Self::Loyalty => "loyalty",
            Self::ThirdParty => "third_party",
        }
    }
}

impl Consent {
    /// What was said about a scope.
    #[must_use]
    pub const fn about(&self, scope: Scope) -> Option<ConsentStatus> {
        match scope {
            Scope::Conversion => self.conversion,
            Scope::Behaviour => self.behaviour,
            Scope::Demographics => self.demographics,
            Scope::Loyalty => self.loyalty,
            Scope::ThirdParty => self.third_party,
        }
    }

    /// The same statement about one scope.
    #[must_use]
    pub fn only(scope: Scope, status: ConsentStatus) -> Self {
        let mut consent = Self::default();
        *match scope {
            Scope::Conversion => &mut consent.conversion,
            Scope::Behaviour => &mut consent.behaviour,
            Scope::Demographics => &mut consent.demographics,
            Scope::Loyalty => &mut consent.loyalty,
            Scope::ThirdParty => &mut consent.third_party,
        } = Some(status);
        consent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_managers_names_are_taken_beside_our_own() {
        let theirs: Ingest<Reported> = serde_json::from_str(
            r#"{"events": [{"transactionId": "T-1", "eventTimestamp": "2026-11-20T17:04:05Z",
                "eventName": "store_purchase", "conversionValue": 19.9, "currency": "EUR",
                "userData": {"userIdentifiers": [{"emailAddress": "ab"}, {"phoneNumber": "cd"}]},
                "adIdentifiers": {"gclid": "g"}, "consent": {"conversion": "CONSENT_GRANTED"},
                "cartData": {"items": [{"merchantProductId": "p", "quantity": 2, "unitPrice": 9.95}]}
               }], "validateOnly": true, "encoding": "BASE64"}"#,
        )
        .unwrap();
        let ours: Ingest<Reported> = serde_json::from_str(
            r#"{"events": [{"transaction_id": "T-1", "event_timestamp": "2026-11-20T17:04:05Z",
                "event_type": "store_purchase", "conversion_value": 19.9, "currency": "EUR",
                "user_data": {"user_identifiers": [{"email_address": "ab"}, {"phone_number": "cd"}]},
                "ad_identifiers": {"gclid": "g"}, "consent": {"conversion": "granted"},
                "cart_data": {"items": [{"item": "p", "quantity": 2, "unit_price": 9.95}]}
               }], "validate_only": true, "encoding": "base64"}"#,
        )
        .unwrap();
        assert_eq!(theirs, ours);
        let unknown = r#"{"events": [], "consent": {"adUserData": "CONSENT_GRANTED"}}"#;
        assert!(serde_json::from_str::<Ingest<Reported>>(unknown).is_err());
    }
}
