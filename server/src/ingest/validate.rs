//! What the types of the protocol alone cannot say about an item.

use protocol::{
    consent::{ConsentRecord, Modality},
    event::{Event, EventBody, Outcome, OutcomeKind},
    feature::FEATURES,
    intent::IntentEstimate,
    offer::{Money, OfferError, OfferRevision},
};
use std::{collections::BTreeMap, ops::RangeInclusive};
use thiserror::Error;

/// Largest whole number that the database holds.
const MOST_WHOLE: u64 = i64::MAX as u64;
/// How far the probabilities of an estimate may be from summing to 1 (single precision, softmax).
const PROBABILITY_SUM_TOLERANCE: f32 = 1e-3;
/// Most grants in a record: every modality for every purpose to either recipient, and then some
/// with different ends.
const MOST_GRANTS: usize = 200;
/// Most bytes in a name: a sku, a version.
const MOST_NAME_BYTES: usize = 200;

/// What cannot be. The messages name fields and the schema's own words, never a value of a person.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Invalid {
    /// A number outside its range.
    #[error("{field} must be within {least}..={most}")]
    Range {
        /// The field.
        field: &'static str,
        /// Its least value.
        least: f64,
        /// Its greatest value.
        most: f64,
    },
    /// A text that is empty or too long.
    #[error("{field} must have 1 to {MOST_NAME_BYTES} bytes")]
    Text {
        /// The field.
        field: &'static str,
    },
    /// A list that is too long.
    #[error("{field} has more than {most} entries")]
    TooMany {
        /// The field.
        field: &'static str,
        /// Its most entries.
        most: usize,
    },
    /// A feature that the schema does not define. Raw signals have no name in the schema.
    #[error("body.values holds a name that is not in the feature schema of this server")]
    UnknownFeature,
    /// A feature of a modality that the event does not list.
    #[error("body.values holds features of {}, which modalities does not list", .0.name())]
    Undeclared(Modality),
    /// An estimate out of nothing.
    #[error("an intent estimate that does not abstain must list the modalities it stands on")]
    NoModality,
    /// Probabilities that do not sum to 1.
    #[error("body.probabilities must sum to 1")]
    Sum,
    /// The offer cannot be.
    #[error("body.offer: {0}")]
    Offer(#[from] OfferError),
    /// Two currencies in one comparison.
    #[error("body.reference_price must be in the currency of body.offer.price")]
    Currency,
    /// A personalised price without the text the law asks for.
    #[error("a price that differs from body.reference_price needs body.disclosure beside it")]
    Undisclosed,
    /// A decision without a reason that a person can read and contest.
    #[error("body.reason is empty: say in plain words why the offer was changed")]
    NoReason,
    /// A price under zero.
    #[error("{0} cannot be negative")]
    Negative(&'static str),
    /// Paid without buying.
    #[error("body.paid is for kind purchased only")]
    PaidForNothing,
}

pub(super) fn consent(record: &ConsentRecord) -> Result<(), Invalid> {
    whole("epoch", record.epoch, 1)?;
    // A person's No is never turned away on a formality.
    if crate::consent::is_withdrawal(record) {
        return Ok(());
    }
    text("notice.version", &record.notice.version)?;
    text("notice.language", &record.notice.language)?;
    at_most("grants", record.grants.len(), MOST_GRANTS)
}

pub(super) fn event(event: &Event) -> Result<(), Invalid> {
    whole("sequence", event.sequence, 1)?;
    whole("consent_epoch", event.consent_epoch, 0)?;
    whole("at_session_ms", event.at_session_ms, 0)?;
    at_most("modalities", event.modalities.len(), Modality::ALL.len())?;
    match &event.body {
        EventBody::SessionStarted { sdk_version } => text("body.sdk_version", sdk_version),
        EventBody::Features { values, coverage } => {
            within("body.coverage", *coverage, 0.0..=1.0)?;
            features(values, &event.modalities)
        }
        EventBody::Intent(estimate) => intent(estimate, &event.modalities),
        EventBody::OfferRevised(revision) => offer(revision),
        EventBody::Outcome(end) => outcome(end),
        EventBody::SessionEnded { samples_lost } => whole("body.samples_lost", *samples_lost, 0),
    }
}

fn outcome(outcome: &Outcome) -> Result<(), Invalid> {
    text("body.sku", &outcome.sku)?;
    match outcome.paid {
        Some(_) if outcome.kind != OutcomeKind::Purchased => Err(Invalid::PaidForNothing),
        Some(Money { minor, .. }) if minor < 0 => Err(Invalid::Negative("body.paid")),
        _ => Ok(()),
    }
}

/// A feature belongs to the modality that the schema says, whatever the event claims: otherwise
/// leaving a modality out of the list would share it without a grant.
fn features(values: &BTreeMap<String, f64>, declared: &[Modality]) -> Result<(), Invalid> {
    for name in values.keys() {
        let spec = FEATURES.iter().find(|f| f.name == name).ok_or(Invalid::UnknownFeature)?;
        if !declared.contains(&spec.modality) {
            return Err(Invalid::Undeclared(spec.modality));
        }
    }
    Ok(())
}

fn intent(estimate: &IntentEstimate, declared: &[Modality]) -> Result<(), Invalid> {
    whole("body.at_ms", estimate.at_ms, 0)?;
    within("body.arousal", estimate.arousal.into(), 0.0..=1.0)?;
    for probability in estimate.probabilities {
        within("body.probabilities", probability.into(), 0.0..=1.0)?;
    }
    let sum: f32 = estimate.probabilities.iter().sum();
    if (sum - 1.0).abs() > PROBABILITY_SUM_TOLERANCE {
        return Err(Invalid::Sum);
    }
    if estimate.abstained.is_none() && declared.is_empty() {
        return Err(Invalid::NoModality);
    }
    Ok(())
}

/// Whether an event set a price above the list price it names. That it *is* the list price, and
/// that the law of the place allows an increase, is not known here.
pub(super) fn raises_price(event: &Event) -> bool {
    let EventBody::OfferRevised(revision) = &event.body else { return false };
    revision.offer.price.minor > revision.reference_price.minor
}

/// The rule id is part of the type and the grant is asked for with consent; the rest of C17, and
/// the reason of C18, are checked here.
fn offer(revision: &OfferRevision) -> Result<(), Invalid> {
    revision.offer.validate()?;
    within("body.propensity", revision.propensity.into(), 0.0..=1.0)?;
    let (price, reference) = (revision.offer.price, revision.reference_price);
    if price.currency != reference.currency {
        return Err(Invalid::Currency);
    }
    if reference.minor < 0 {
        return Err(Invalid::Negative("body.reference_price"));
    }
    if revision.reason.trim().is_empty() {
        return Err(Invalid::NoReason);
    }
    let disclosed = revision.disclosure.as_ref().is_some_and(|text| !text.trim().is_empty());
    if price != reference && !disclosed { Err(Invalid::Undisclosed) } else { Ok(()) }
}

fn whole(field: &'static str, value: u64, least: u64) -> Result<(), Invalid> {
    if (least..=MOST_WHOLE).contains(&value) {
        Ok(())
    } else {
        Err(Invalid::Range { field, least: least as f64, most: MOST_WHOLE as f64 })
    }
}

fn within(field: &'static str, value: f64, range: RangeInclusive<f64>) -> Result<(), Invalid> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(Invalid::Range { field, least: *range.start(), most: *range.end() })
    }
}

fn text(field: &'static str, value: &str) -> Result<(), Invalid> {
    let fits = !value.trim().is_empty() && value.len() <= MOST_NAME_BYTES;
    if fits { Ok(()) } else { Err(Invalid::Text { field }) }
}

fn at_most(field: &'static str, count: usize, most: usize) -> Result<(), Invalid> {
    if count <= most { Ok(()) } else { Err(Invalid::TooMany { field, most }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Modality::{Eda, Hrv};
    use protocol::{
        intent::Abstention,
        offer::{Currency, Offer, Rule},
    };

    fn check_features(name: &str, declared: &[Modality], expected: Result<(), Invalid>) {
        assert_eq!(features(&BTreeMap::from([(name.into(), 1.0)]), declared), expected, "{name}");
    }

    #[test]
    fn c9_features_are_the_schemas_and_of_the_modalities_declared() {
        check_features("eda_scl_mean_5s", &[Eda], Ok(()));
        check_features("eda_scl_mean_5s", &[Hrv], Err(Invalid::Undeclared(Eda)));
        check_features("eda_scl_mean_5s", &[], Err(Invalid::Undeclared(Eda)));
        check_features("eda_raw_000001", &[Eda], Err(Invalid::UnknownFeature));
    }

    #[test]
    fn an_estimate_stands_on_something_and_sums_to_one() {
        let says = |probabilities| IntentEstimate {
            at_ms: 0,
            probabilities,
            arousal: 0.5,
            abstained: None,
        };
        assert_eq!(intent(&says([0.1, 0.2, 0.3, 0.4]), &[Eda]), Ok(()));
        assert_eq!(intent(&says([0.1, 0.2, 0.3, 0.4]), &[]), Err(Invalid::NoModality));
        assert_eq!(intent(&says([0.9, 0.9, 0.0, 0.0]), &[Eda]), Err(Invalid::Sum));
        assert!(intent(&says([1.5, -0.5, 0.0, 0.0]), &[Eda]).is_err());
        assert!(intent(&says([f32::NAN; 4]), &[Eda]).is_err());
        assert_eq!(intent(&IntentEstimate::abstained(0, Abstention::NoData), &[]), Ok(()));
    }

    fn revision(price: i64, reference: i64, disclosure: Option<&str>) -> OfferRevision {
        let euro = |minor| Money { minor, currency: Currency::EUR };
        OfferRevision {
            revision: 1,
            at_ms: 0,
            rule: Rule::Reassure,
            offer: Offer {
                sku: "a".into(),
                title: "Espresso machine".into(),
                price: euro(price),
                features: vec![],
                bundle: vec![],
                delivery: vec![],
                guarantees: vec![],
                related: vec![],
            },
            changes: vec![],
            reason: "You seemed unsure.".into(),
            reference_price: euro(reference),
            disclosure: disclosure.map(Into::into),
            model_id: "m".into(),
            inputs_digest: "0".into(),
            propensity: 1.0,
        }
    }

    fn check_offer(price: i64, reference: i64, disclosure: Option<&str>, expected: bool) {
        let revision = revision(price, reference, disclosure);
        assert_eq!(offer(&revision).is_ok(), expected, "{price} {reference} {disclosure:?}");
    }

    #[test]
    fn c18_every_decision_carries_a_reason() {
        let mut silent = revision(100, 100, None);
        silent.reason = " ".into();
        assert_eq!(offer(&silent), Err(Invalid::NoReason));
    }

    #[test]
    fn c17_a_personalised_price_carries_its_disclosure() {
        check_offer(100, 100, None, true);
        check_offer(90, 100, None, false);
        check_offer(90, 100, Some(" "), false);
        check_offer(90, 100, Some("This price was set by an algorithm."), true);
        check_offer(-1, 100, Some("This price was set by an algorithm."), false);
    }
}
