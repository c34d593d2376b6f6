//! The person's copy of their consent, in the field names of ISO/IEC TS 27560:2023 (header, PII
//! processing, party identification, events), with what the GDPR asks beyond it: lawful basis,
//! special category, rights and supervisory authority.
//!
//! Beside these readable fields stands the proof: receipts, notices and the server's signatures as
//! they are. All readable fields are computed from the proof, so whoever has the file can check
//! both (`verify_export`, feature `crypto`).
//!
//! The standard's field names are those that W3C's "Consent Records and Receipts as per ISO/IEC TS
//! 27560:2023 using DPV" (Final Community Group Report, 2024-08-01) lists, in snake case.

#[cfg(test)]
#[cfg(feature = "crypto")]
mod tests;
mod time;
#[cfg(feature = "crypto")]
mod verify;

#[cfg(feature = "crypto")]
pub use verify::{Confirmed, Report, VerifyError, verify_export};

use crate::{
    consent::{
        ConsentState, Controller, Grant, Head, Modality, Notice, Purpose, Receipt, Recipient,
    },
    digest::Digest,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;
use time::{duration, rfc3339};
use uuid::Uuid;

/// Which form the file has.
pub const SCHEMA_VERSION: &str = "attune-consent-1 (ISO/IEC TS 27560:2023)";

/// GDPR: consent, and explicit consent to special categories.
const LAWFUL_BASIS: &str = "consent: GDPR art. 6(1)(a)";
const LAWFUL_BASIS_SPECIAL: &str = "explicit consent: GDPR art. 6(1)(a) and art. 9(2)(a)";

const ON_DEVICE: &str = "the person's own device";

/// Why there is nothing to export.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError {
    /// Nothing was ever agreed to.
    #[error("there is no receipt yet: nothing was ever agreed to on this device")]
    Empty,
    /// A notice that a receipt names is not there.
    #[error("the notice \"{version}\" ({sha256}) that a receipt names is missing")]
    NoticeMissing {
        /// Its version.
        version: String,
        /// Its digest.
        sha256: Digest,
    },
}

/// A consent record by ISO/IEC TS 27560 of one person on one device, with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsentExport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// Identifies the record: that of the first receipt.
    pub record_id: Uuid,
    /// The person's pseudonym.
    pub pii_principal_id: Uuid,
    /// What was agreed to, notice by notice in the order in which they came into force.
    pub pii_processing: Vec<PiiProcessing>,
    /// Who is involved.
    pub party_identification: Vec<Party>,
    /// Every change, oldest first.
    pub event: Vec<Event>,
    /// What all of this is computed from.
    pub proof: Proof,
}

/// What was agreed to under one notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PiiProcessing {
    /// The notice that was shown.
    pub privacy_notice: PrivacyNotice,
    /// BCP 47.
    pub language: String,
    /// Purpose by purpose: those that were ever granted under this notice.
    pub purposes: Vec<PurposeOfUse>,
}

/// Which notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrivacyNotice {
    /// As its author counts.
    pub version: String,
    /// Of its canonical bytes.
    pub sha256: Digest,
    /// As shown.
    pub text: String,
}

/// One purpose, and all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PurposeOfUse {
    /// In plain words.
    pub purpose: String,
    /// Its name in receipts.
    pub purpose_type: Purpose,
    /// The article of law.
    pub lawful_basis: String,
    /// What data.
    pub pii_information: Vec<PiiInformation>,
    /// Who decides: ids of [`Party`].
    pub pii_controllers: Vec<String>,
    /// How the data comes about.
    pub collection_method: String,
    /// What is done with it.
    pub processing_method: String,
    /// Where it is stored.
    pub storage_locations: Vec<String>,
    /// For how long.
    pub retention_period: String,
    /// Where it is processed.
    pub processing_locations: Vec<String>,
    /// Whose law applies, ISO 3166.
    pub jurisdiction: String,
    /// Who receives it: ids of [`Party`]; empty = nobody.
    pub recipient_third_parties: Vec<String>,
    /// How consent is taken back.
    pub withdrawal_method: String,
    /// The person's rights.
    pub privacy_rights: Vec<String>,
    /// Where to complain: id of a [`Party`].
    pub authority_party: String,
}

/// One kind of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PiiInformation {
    /// In plain words.
    pub pii_type: String,
    /// Its name in receipts.
    pub pii_attribute_id: Modality,
    /// The rest works without it.
    pub pii_optional: bool,
    /// It deserves particular care.
    pub sensitive_pii_category: bool,
    /// A special category by GDPR, article 9(1).
    pub special_pii_category: bool,
}

/// Somebody involved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Party {
    /// What other fields name it by.
    pub party_id: String,
    /// Its name.
    pub party_name: String,
    /// What it is here.
    pub party_role: PartyRole,
    /// Postal address, where the notice says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party_address: Option<String>,
    /// Where to write to, where the notice says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party_contact: Option<String>,
}

/// What a party is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyRole {
    /// The person.
    PiiPrincipal,
    /// Decides what the data is used for.
    PiiController,
    /// Receives what is shared.
    Recipient,
    /// Supervises.
    Authority,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The place in the chain, from 1.
    pub event_id: u64,
    /// RFC 3339.
    pub event_time: String,
    /// From then on, ISO 8601: until the last grant ends by itself.
    pub validity_duration: String,
    /// Who made the change: the person.
    pub entity_id: Uuid,
    /// How consent was expressed.
    pub event_type: String,
    /// Where consent stands since.
    pub event_state: String,
    /// The notice in force, by its digest.
    pub privacy_notice: Digest,
    /// When the person acknowledged it, RFC 3339; `None` = not yet.
    pub notice_acknowledged: Option<String>,
    /// What is granted since.
    pub granted: Vec<Granted>,
}

/// One permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// What is measured.
    pub pii_attribute_id: Modality,
    /// What for.
    pub purpose_type: Purpose,
    /// Who receives it.
    pub recipient: Recipient,
    /// RFC 3339; `None` = until it is withdrawn.
    pub valid_until: Option<String>,
}

/// What the record is computed from and can be checked by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The whole chain.
    pub receipts: Vec<Receipt>,
    /// Every notice that a receipt names.
    pub notices: Vec<Notice>,
    /// The server's signatures under the chain.
    pub heads: Vec<Head>,
}

/// The record of a chain. `notices` may hold more than the receipts name.
///
/// # Errors
/// [`ExportError`].
pub fn consent_record<'a>(
    receipts: &[Receipt],
    notices: &[Notice],
    heads: impl Iterator<Item = &'a Head>,
) -> Result<ConsentExport, ExportError> {
    let first = &receipts.first().ok_or(ExportError::Empty)?.record;
    let shown = shown(receipts, notices)?;
    let used = |(sha256, notice): &(Digest, &Notice)| processing(*sha256, notice, receipts);
    Ok(ConsentExport {
        schema_version: SCHEMA_VERSION.into(),
        record_id: first.id,
        pii_principal_id: first.person,
        pii_processing: shown.iter().map(used).collect(),
        party_identification: parties(first.person, &shown),
        event: receipts.iter().map(event).collect(),
        proof: Proof {
            receipts: receipts.to_vec(),
            notices: shown.iter().map(|(_, notice)| Notice::clone(notice)).collect(),
            heads: heads.cloned().collect(),
        },
    })
}

/// The notices that receipts name, each once, in the order of first use.
fn shown<'a>(
    receipts: &[Receipt],
    notices: &'a [Notice],
) -> Result<Vec<(Digest, &'a Notice)>, ExportError> {
    let known: Vec<(Digest, &Notice)> =
        notices.iter().filter_map(|n| Some((n.checked().ok()?.sha256, n))).collect();
    let mut shown: Vec<(Digest, &Notice)> = Vec::new();
    for named in receipts.iter().map(|receipt| &receipt.record.notice) {
        if shown.iter().any(|(sha256, _)| *sha256 == named.sha256) {
            continue;
        }
        let found = known.iter().find(|(sha256, _)| *sha256 == named.sha256);
        shown.push(*found.ok_or_else(|| ExportError::NoticeMissing {
            version: named.version.clone(),
            sha256: named.sha256,
        })?);
    }
    Ok(shown)
}

fn processing(sha256: Digest, notice: &Notice, receipts: &[Receipt]) -> PiiProcessing {
    let under = receipts.iter().filter(|receipt| receipt.record.notice.sha256 == sha256);
    let granted: BTreeSet<(Purpose, Modality)> =
        under.flat_map(|r| &r.record.grants).map(|g| (g.purpose, g.modality)).collect();
    let purposes = Purpose::ALL.into_iter().filter_map(|purpose| {
        let of_this = granted.iter().filter(|(each, _)| *each == purpose);
        let modalities: Vec<Modality> = of_this.map(|(_, modality)| *modality).collect();
        (!modalities.is_empty()).then(|| purpose_of_use(sha256, notice, purpose, &modalities))
    });
    PiiProcessing {
        privacy_notice: PrivacyNotice {
            version: notice.version.clone(),
            sha256,
            text: notice.text.clone(),
        },
        language: notice.language.clone(),
        purposes: purposes.collect(),
    }
}

fn purpose_of_use(
    sha256: Digest,
    notice: &Notice,
    purpose: Purpose,
    modalities: &[Modality],
) -> PurposeOfUse {
    let special = modalities.iter().any(|modality| is_special(*modality));
    let shared = purpose == Purpose::Share;
    let retention = notice.retention.iter().find(|each| each.purpose == purpose);
    // What is not shared does not leave the device.
    let places = if shared { notice.storage_locations.clone() } else { vec![ON_DEVICE.into()] };
    let operators = || recipients(sha256, notice).into_iter().map(|party| party.party_id).collect();
    PurposeOfUse {
        purpose: in_words(purpose).into(),
        purpose_type: purpose,
        lawful_basis: if special { LAWFUL_BASIS_SPECIAL } else { LAWFUL_BASIS }.into(),
        pii_information: modalities.iter().map(|modality| information(*modality)).collect(),
        pii_controllers: controllers(sha256, notice).map(|party| party.party_id).collect(),
        collection_method: modalities.iter().map(|m| collected(*m)).collect::<Vec<_>>().join("; "),
        processing_method: processed(purpose).into(),
        storage_locations: places.clone(),
        retention_period: retention
            .map_or("the notice states none".into(), |r| format!("P{}D", r.days)),
        processing_locations: places,
        jurisdiction: notice.jurisdiction.clone(),
        recipient_third_parties: if shared { operators() } else { Vec::new() },
        withdrawal_method: notice.withdrawal_method.clone(),
        privacy_rights: notice.privacy_rights.clone(),
        authority_party: party_id(sha256, PartyRole::Authority, 1),
    }
}

/// The purposes, as a person would say them.
const fn in_words(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Collect => "read the sensor, on the person's own device",
        Purpose::Infer => "work out interest, hesitation or stress, on the person's own device",
        Purpose::AdaptOffer => "adapt the offer: its content, and its price downward",
        Purpose::RaisePrice => "let a price rise above its list price",
        Purpose::Share => "tell the operator derived values; never raw signals",
    }
}

const fn processed(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Collect => {
            "cleaning of the signal in memory; a recording only where the person asks for one"
        }
        Purpose::Infer => "a statistical model on the device, which may abstain",
        Purpose::AdaptOffer => "fixed rules on the device, each with its reason",
        Purpose::RaisePrice => "fixed rules on the device, within the notice's bounds",
        Purpose::Share => {
            "an encrypted queue on the device, sent over HTTPS, stored by the operator"
        }
    }
}

const fn measured(modality: Modality) -> &'static str {
    match modality {
        Modality::Eda => "skin conductance (electrodermal activity)",
        Modality::Hrv => "time between heartbeats (heart-rate variability)",
        Modality::Face => "facial expression",
        Modality::Gaze => "gaze",
        Modality::Behaviour => "what was shown in the app and what was done there",
    }
}

const fn collected(modality: Modality) -> &'static str {
    match modality {
        Modality::Eda => "a wearable on the skin, by Bluetooth",
        Modality::Hrv => "a heart-rate strap or wristband, by Bluetooth",
        Modality::Face => "the device's camera",
        Modality::Gaze => "an eye tracker or the device's camera",
        Modality::Behaviour => "the app",
    }
}

/// Data about the body is data concerning health, or biometric data: GDPR, articles 4(14), 4(15)
/// and 9(1).
const fn is_special(modality: Modality) -> bool {
    !matches!(modality, Modality::Behaviour)
}

fn information(modality: Modality) -> PiiInformation {
    PiiInformation {
        pii_type: measured(modality).into(),
        pii_attribute_id: modality,
        pii_optional: true,
        sensitive_pii_category: true,
        special_pii_category: is_special(modality),
    }
}

fn event(receipt: &Receipt) -> Event {
    let record = &receipt.record;
    Event {
        event_id: record.epoch,
        event_time: rfc3339(record.at_unix_ms),
        validity_duration: validity(&record.grants, record.at_unix_ms),
        entity_id: record.person,
        event_type: "explicit_consent".into(),
        event_state: match record.state {
            ConsentState::Given => "consent_given",
            ConsentState::Paused => "consent_paused",
            ConsentState::Withdrawn => "consent_withdrawn",
        }
        .into(),
        privacy_notice: record.notice.sha256,
        notice_acknowledged: record.acknowledged_unix_ms.map(rfc3339),
        granted: record.grants.iter().map(granted).collect(),
    }
}

fn granted(grant: &Grant) -> Granted {
    Granted {
        pii_attribute_id: grant.modality,
        purpose_type: grant.purpose,
        recipient: grant.recipient,
        valid_until: grant.expires_unix_ms.map(rfc3339),
    }
}

/// Until the last grant ends; words where none does, or there is none.
fn validity(grants: &[Grant], from_unix_ms: i64) -> String {
    if grants.is_empty() {
        return duration(0);
    }
    let ends: Option<Vec<i64>> = grants.iter().map(|grant| grant.expires_unix_ms).collect();
    match ends.and_then(|ends| ends.into_iter().max()) {
        Some(end) => duration(end.saturating_sub(from_unix_ms)),
        None => "until withdrawn".into(),
    }
}

fn parties(person: Uuid, shown: &[(Digest, &Notice)]) -> Vec<Party> {
    let mut parties = vec![Party {
        party_id: person.to_string(),
        party_name: "known to the person's own device only".into(),
        party_role: PartyRole::PiiPrincipal,
        party_address: None,
        party_contact: None,
    }];
    for &(sha256, notice) in shown {
        parties.extend(controllers(sha256, notice));
        parties.extend(recipients(sha256, notice));
        parties.push(party(sha256, PartyRole::Authority, 1, &notice.authority));
    }
    parties
}

fn controllers(sha256: Digest, notice: &Notice) -> impl Iterator<Item = Party> + '_ {
    let of = move |(number, Controller { name, address, contact }): (usize, &Controller)| Party {
        party_address: Some(address.clone()),
        party_contact: Some(contact.clone()),
        ..party(sha256, PartyRole::PiiController, number, name)
    };
    (1..).zip(&notice.controllers).map(of)
}

fn recipients(sha256: Digest, notice: &Notice) -> Vec<Party> {
    let names = std::iter::once(&notice.recipients.operator);
    let names = (1..).zip(names.chain(&notice.recipients.third_parties));
    names.map(|(number, name)| party(sha256, PartyRole::Recipient, number, name)).collect()
}

fn party(sha256: Digest, role: PartyRole, number: usize, name: &str) -> Party {
    Party {
        party_id: party_id(sha256, role, number),
        party_name: name.into(),
        party_role: role,
        party_address: None,
        party_contact: None,
    }
}

/// A party is known by its notice: which one, what it is there, and its place.
fn party_id(sha256: Digest, role: PartyRole, number: usize) -> String {
    let role = match role {
        PartyRole::PiiPrincipal => "principal",
        PartyRole::PiiController => "controller",
        PartyRole::Recipient => "recipient",
        PartyRole::Authority => "authority",
    };
    // Eight digits tell the few notices of one file apart.
    format!("{:.8}-{role}-{number}", sha256.to_string())
}
