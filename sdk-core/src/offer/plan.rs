//! What a shop lets the policy do with one offer.

use protocol::offer::{BundleItem, DeliveryOption, Offer, OfferError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// No plan may raise a price by more than this.
pub const MOST_INCREASE_PERMILLE: u32 = 100;
/// No plan may cut a price by more than this.
pub const MOST_DECREASE_PERMILLE: u32 = 300;

/// Largest plan that is read, in bytes.
const MAX_PLAN_BYTES: usize = 1 << 16;

/// One offer as listed, and how far it may be sculpted.
///
/// # Examples
/// ```
/// use sdk_core::offer::OfferPlan;
/// let plan = OfferPlan::from_toml(r#"
///     [offer]
///     sku = "esp-1"
///     title = "Espresso machine"
///     price = { minor = 19990, currency = "EUR" }
///     [reassure]
///     decrease_permille = 100
///     guarantees = ["30 days to change your mind"]
/// "#).unwrap();
/// assert_eq!(plan.offer.price.to_string(), "199.90 EUR");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferPlan {
    /// The offer as listed; its price is the reference price.
    pub offer: Offer,
    /// What high interest adds.
    #[serde(default)]
    pub premium: Premium,
    /// What hesitation or strain adds.
    #[serde(default)]
    pub reassure: Reassure,
    /// What a neutral state adds.
    #[serde(default)]
    pub suggest: Suggest,
}

/// High interest: premium features and add-ons; a price increase only where granted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Premium {
    /// Price increase, permille of the list price; 0..=100. Applies only with a grant to raise.
    pub increase_permille: u32,
    /// Features put in front.
    pub features: Vec<String>,
    /// Add-ons.
    pub bundle: Vec<BundleItem>,
    /// Delivery options put in front.
    pub delivery: Vec<DeliveryOption>,
}

/// Hesitation: a lower price, value and guarantees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reassure {
    /// Price cut, permille of the list price; 0..=300.
    pub decrease_permille: u32,
    /// What the product is worth to the person, put in front of its features.
    pub value: Vec<String>,
    /// Assurances.
    pub guarantees: Vec<String>,
    /// Delivery options put in front.
    pub delivery: Vec<DeliveryOption>,
}

/// Neutral: the offer as listed, with related products.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suggest {
    /// Related products.
    pub related: Vec<String>,
}

/// Why a plan cannot be used.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Too long to be a plan.
    #[error("the offer plan has {0} bytes, more than the {MAX_PLAN_BYTES} a plan may have")]
    TooLarge(usize),
    /// Not TOML, or not a plan.
    #[error("the offer plan cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A value that cannot be.
    #[error("the offer plan cannot be used: {0}")]
    Offer(#[from] OfferError),
}

impl OfferPlan {
    /// Reads and checks a plan. Total: any text gives a plan or an error.
    ///
    /// # Errors
    /// [`PlanError`] with line and column, or the field that cannot be.
    pub fn from_toml(text: &str) -> Result<Self, PlanError> {
        if text.len() > MAX_PLAN_BYTES {
            return Err(PlanError::TooLarge(text.len()));
        }
        let plan: Self = toml::from_str(text)?;
        plan.validate()?;
        Ok(plan)
    }

    /// Checks what the types alone cannot say.
    ///
    /// # Errors
    /// [`OfferError`] names the first field that cannot be.
    pub fn validate(&self) -> Result<(), OfferError> {
        let (up, down) = (self.premium.increase_permille, self.reassure.decrease_permille);
        bound("premium.increase_permille", up, MOST_INCREASE_PERMILLE)?;
        bound("reassure.decrease_permille", down, MOST_DECREASE_PERMILLE)?;
        let everything = Offer {
            bundle: [&self.offer.bundle[..], &self.premium.bundle].concat(),
            delivery: [&self.offer.delivery[..], &self.premium.delivery, &self.reassure.delivery]
                .concat(),
            ..self.offer.clone()
        };
        everything.validate()
    }
}

fn bound(what: &'static str, permille: u32, most: u32) -> Result<(), OfferError> {
    if permille > most { Err(OfferError::Bound { what, permille, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_error(extra: &str, expected: &str) {
        let text = format!(
            "[offer]\nsku = \"a\"\ntitle = \"A\"\nprice = {{ minor = 100, currency = \"EUR\" }}\n{extra}"
        );
        let error = OfferPlan::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_cannot_be_is_named() {
        check_error("[premium]\nincrease_permille = 101", "premium.increase_permille is 101");
        check_error("[reassure]\ndecrease_permille = 301", "reassure.decrease_permille is 301");
        check_error("[premium]\nincrease = 5", "unknown field `increase`");
        check_error(
            "[[premium.bundle]]\nsku = \"g\"\ntitle = \"Grinder\"\nprice_minor = -1",
            "Grinder has the price -1",
        );
        let negative = "[offer]\nsku=\"a\"\ntitle=\"A\"\nprice={minor=-5,currency=\"EUR\"}";
        let error = OfferPlan::from_toml(negative).unwrap_err().to_string();
        assert!(error.contains("prices cannot be negative"), "{error}");
        let currency = "[offer]\nsku=\"a\"\ntitle=\"A\"\nprice={minor=5,currency=\"euro\"}";
        assert!(OfferPlan::from_toml(currency).unwrap_err().to_string().contains("ISO 4217"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = OfferPlan::from_toml(&text);
        }
    }
}
