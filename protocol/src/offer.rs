//! The offer on screen, and what changed on it and why.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// An ISO 4217 currency code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, examples("EUR")))]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Euro.
    pub const EUR: Self = Self(*b"EUR");

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Digits after the decimal point (ISO 4217, the codes that do not have two).
    #[must_use]
    pub fn minor_digits(&self) -> usize {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = OfferError;

    fn try_from(text: String) -> Result<Self, OfferError> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|letter| letter.is_ascii_uppercase()) => {
                Ok(Self([*a, *b, *c]))
            }
            _ => Err(OfferError::Currency(text)),
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in the minor units of its currency (cents).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Money {
    /// Minor units; never negative in an offer.
    pub minor: i64,
    /// Their currency.
    pub currency: Currency,
}

impl Money {
    /// The amount changed by `permille`, rounded half away from zero to whole minor units.
    ///
    /// # Examples
    /// ```
    /// use protocol::offer::{Currency, Money};
    /// let price = Money { minor: 19_990, currency: Currency::EUR };
    /// assert_eq!(price.change_permille(-100).minor, 17_991);
    /// ```
    #[must_use]
    pub fn change_permille(self, permille: i32) -> Self {
        let product = i128::from(self.minor) * i128::from(1000 + permille);
        let half = if product < 0 { -500 } else { 500 };
        let minor = i64::try_from((product + half) / 1000).unwrap_or(self.minor);
        Self { minor, ..self }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let scale = 10u64.pow(digits as u32);
        let (sign, minor) = (if self.minor < 0 { "-" } else { "" }, self.minor.unsigned_abs());
        let whole = minor / scale;
        match digits {
            0 => write!(f, "{sign}{whole} {}", self.currency.code()),
            _ => write!(f, "{sign}{whole}.{:0digits$} {}", minor % scale, self.currency.code()),
        }
    }
}

/// Something that can be added to an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BundleItem {
    /// The shop's own number for it.
    pub sku: String,
    /// What the person reads.
    pub title: String,
    /// Its price on top of the offer's, in minor units of the offer's currency; 0 = included.
    pub price_minor: i64,
}

/// A way to receive the goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryOption {
    /// What the person reads.
    pub title: String,
    /// Its price, in minor units of the offer's currency.
    pub price_minor: i64,
    /// Days until arrival.
    pub days: u16,
}

/// Everything the person sees of one offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The shop's own number for it.
    pub sku: String,
    /// What the person reads.
    pub title: String,
    /// The price now.
    pub price: Money,
    /// Product features that are pointed out, most important first.
    #[serde(default)]
    pub features: Vec<String>,
    /// What comes with it.
    #[serde(default)]
    pub bundle: Vec<BundleItem>,
    /// Ways to receive it, the preselected one first.
    #[serde(default)]
    pub delivery: Vec<DeliveryOption>,
    /// Assurances shown beside the price.
    #[serde(default)]
    pub guarantees: Vec<String>,
    /// Related products suggested below.
    #[serde(default)]
    pub related: Vec<String>,
}

/// Why an offer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OfferError {
    /// Not three capital letters.
    #[error("currency {0:?} is not an ISO 4217 code: write three capital letters, such as EUR")]
    Currency(String),
    /// A price under zero.
    #[error("{what} has the price {minor} (minor units): prices cannot be negative")]
    NegativePrice {
        /// The field.
        what: String,
        /// Its value.
        minor: i64,
    },
    /// A text that must be there is empty.
    #[error("{0} is empty: give it a text")]
    Empty(&'static str),
    /// A bound outside what the policy allows.
    #[error("{what} is {permille} permille, allowed is 0..={most}")]
    Bound {
        /// The field.
        what: &'static str,
        /// Its value.
        permille: u32,
        /// The most it may be.
        most: u32,
    },
}

impl Offer {
    /// Checks what the types alone cannot say.
    ///
    /// # Errors
    /// [`OfferError`] names the first field that cannot be.
    pub fn validate(&self) -> Result<(), OfferError> {
        if self.sku.trim().is_empty() {
            return Err(OfferError::Empty("the offer's sku"));
        }
        if self.title.trim().is_empty() {
            return Err(OfferError::Empty("the offer's title"));
        }
        let bundle = self.bundle.iter().map(|item| (&item.title, item.price_minor));
        let delivery = self.delivery.iter().map(|option| (&option.title, option.price_minor));
        let prices = std::iter::once((&self.title, self.price.minor)).chain(bundle).chain(delivery);
        for (what, minor) in prices {
            if minor < 0 {
                return Err(OfferError::NegativePrice { what: what.clone(), minor });
            }
        }
        Ok(())
    }
}

/// The policy rule behind a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// High interest: premium features and an add-on; a slightly higher price where granted.
    Premium,
    /// Hesitation or strain: a lower price, value and guarantees.
    Reassure,
    /// Neutral: the offer is held, related products are suggested.
    Suggest,
    /// Back to the offer as listed: the model abstains, or consent ended.
    Restore,
}

impl Rule {
    /// The rule's id, as stored beside every personalised price.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Premium => "premium",
            Self::Reassure => "reassure",
            Self::Suggest => "suggest",
            Self::Restore => "restore",
        }
    }
}

/// A new version of the offer on screen, with all that explains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OfferRevision {
    /// Counts revisions in a session, from 1.
    pub revision: u32,
    /// Session time, milliseconds.
    pub at_ms: u64,
    /// The rule that fired.
    pub rule: Rule,
    /// The offer from now on.
    pub offer: Offer,
    /// What differs from the revision before, a short sentence each.
    pub changes: Vec<String>,
    /// Why, in plain words for the person.
    pub reason: String,
    /// The list price that the price is compared with.
    pub reference_price: Money,
    /// The text that must stand beside a personalised price; `None` at list price.
    pub disclosure: Option<String>,
    /// The model behind the estimate.
    pub model_id: String,
    /// SHA-256 over the model's inputs, hexadecimal.
    pub inputs_digest: String,
    /// Probability with which the policy chose this action; 1 = deterministic.
    pub propensity: f32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(minor: i64, code: &str) -> Money {
        Money { minor, currency: Currency::try_from(code.to_owned()).unwrap() }
    }

    #[test]
    fn money_reads_as_people_write_it() {
        assert_eq!(money(19_990, "EUR").to_string(), "199.90 EUR");
        assert_eq!(money(5, "USD").to_string(), "0.05 USD");
        assert_eq!(money(5, "JPY").to_string(), "5 JPY");
        assert_eq!(money(12_345, "KWD").to_string(), "12.345 KWD");
        assert_eq!(money(-150, "EUR").to_string(), "-1.50 EUR");
    }

    #[test]
    fn currencies_are_three_capitals() {
        for bad in ["", "eur", "EURO", "E1R", "é€"] {
            assert!(Currency::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn negative_prices_are_named() {
        let mut offer: Offer = serde_json::from_value(serde_json::json!({
            "sku": "a", "title": "Espresso machine", "price": {"minor": 100, "currency": "EUR"}
        }))
        .unwrap();
        assert_eq!(offer.validate(), Ok(()));
        offer.bundle.push(BundleItem { sku: "b".into(), title: "Grinder".into(), price_minor: -1 });
        let expected = OfferError::NegativePrice { what: "Grinder".into(), minor: -1 };
        assert_eq!(offer.validate(), Err(expected));
    }

    proptest! {
        #[test]
        fn a_cut_never_raises_and_never_turns_negative(
            minor in 0..i64::MAX, cut in 0i32..=1000
        ) {
            let cheaper = money(minor, "EUR").change_permille(-cut).minor;
            prop_assert!((0..=minor).contains(&cheaper));
        }
    }
}
