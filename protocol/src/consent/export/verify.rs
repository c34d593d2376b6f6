//! Checks an exported record by itself: no ledger, no server, no network.

use super::{ConsentExport, ExportError, Proof, SCHEMA_VERSION, consent_record, time::rfc3339};
use crate::{
    consent::{ChainError, ConsentState, Head, verify_chain},
    key::PublicKey,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use std::{collections::BTreeSet, fmt};
use thiserror::Error;
use uuid::Uuid;

/// What was found to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many receipts.
    pub receipts: u64,
    /// Whose, under their pseudonym.
    pub person: Uuid,
    /// The device that signed all of them.
    pub device: Uuid,
    /// Its key.
    pub key: PublicKey,
    /// When the first change was made, RFC 3339 by the device's clock.
    pub first: String,
    /// When the last change was made, RFC 3339 by the device's clock.
    pub last: String,
    /// Where consent stands since.
    pub state: ConsentState,
    /// What a server signed for; `None` = that nothing was cut off at the end cannot be told.
    pub confirmed: Option<Confirmed>,
}

/// What a server signed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmed {
    /// So many receipts from the first.
    pub receipts: u64,
    /// These are all of them.
    pub to_the_end: bool,
    /// When it received the newest of them, RFC 3339 by the server's clock.
    pub received: String,
    /// The server's key.
    pub key: PublicKey,
}

/// Why an exported record does not hold.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// Not an exported record.
    #[error("this is not an exported consent record: {0}")]
    NotAnExport(String),
    /// Another version wrote it.
    #[error(
        "the record has schema \"{0}\", this program reads \"{SCHEMA_VERSION}\": use the one that wrote it"
    )]
    Schema(String),
    /// The chain does not hold.
    #[error("the receipts do not hold: {0}")]
    Chain(#[from] ChainError),
    /// A server signed for another chain.
    #[error("the server's signature under receipt {epoch} does not hold: {source}")]
    Head {
        /// The receipt that it names.
        epoch: u64,
        /// Why.
        source: ChainError,
    },
    /// Signatures of several servers.
    #[error("the record is signed by more than one server: only one can have received it")]
    Servers,
    /// The proof is incomplete.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// What can be read is not what was signed.
    #[error("the field {0} does not say what the receipts say: the file was changed")]
    Differs(String),
}

/// Checks an exported record: the chain, each signature, that each notice is the one that was
/// named, and that every readable field says what the receipts say. Takes any bytes.
///
/// # Errors
/// The first [`VerifyError`].
pub fn verify_export(json: &[u8]) -> Result<Report, VerifyError> {
    let not_an_export = |error: serde_json::Error| VerifyError::NotAnExport(error.to_string());
    serde_json::from_slice::<NamedOnce>(json).map_err(not_an_export)?;
    let file: Value = serde_json::from_slice(json).map_err(not_an_export)?;
    match file.get("schema_version").and_then(Value::as_str) {
        Some(SCHEMA_VERSION) => {}
        Some(other) => return Err(VerifyError::Schema(other.into())),
        None => return Err(VerifyError::NotAnExport("schema_version is missing".into())),
    }
    let proof = file.get("proof").unwrap_or(&Value::Null);
    let proof = Proof::deserialize(proof).map_err(not_an_export)?;
    let newest = check(&proof)?;

    let told = consent_record(&proof.receipts, &proof.notices, proof.heads.iter())?;
    let told_value = serde_json::to_value(&told).map_err(not_an_export)?;
    if let Some(field) = difference(&told_value, &file) {
        return Err(VerifyError::Differs(field));
    }
    report(&told, newest).ok_or(VerifyError::Chain(ChainError::Empty))
}

/// JSON in which no object names a field twice: one reader would take the first, another the last.
struct NamedOnce;

impl<'de> Deserialize<'de> for NamedOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = NamedOnce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_str<E>(self, _: &str) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_unit<E>(self) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NamedOnce, A::Error> {
        while list.next_element::<NamedOnce>()?.is_some() {}
        Ok(NamedOnce)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<NamedOnce, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = object.next_key::<String>()? {
            object.next_value::<NamedOnce>()?;
            if let Some(twice) = names.replace(name) {
                return Err(de::Error::custom(format!("the field {twice} stands there twice")));
            }
        }
        Ok(NamedOnce)
    }
}

/// Checks chain and signatures; the newest of the server's.
fn check(proof: &Proof) -> Result<Option<&Head>, VerifyError> {
    verify_chain(&proof.receipts, None)?;
    for head in &proof.heads {
        let epoch = head.epoch;
        let under = usize::try_from(epoch).ok().filter(|count| *count <= proof.receipts.len());
        let under = &proof.receipts[..under.unwrap_or(proof.receipts.len())];
        verify_head(under, head).map_err(|source| VerifyError::Head { epoch, source })?;
    }
    if proof.heads.windows(2).any(|pair| pair[0].key != pair[1].key) {
        return Err(VerifyError::Servers);
    }
    Ok(proof.heads.iter().max_by_key(|head| head.epoch))
}

/// Whether a server signed for the last of these receipts.
fn verify_head(receipts: &[crate::consent::Receipt], head: &Head) -> Result<(), ChainError> {
    head.verify()?;
    let found = receipts.len() as u64;
    if head.epoch > found {
        return Err(ChainError::Truncated { seen: head.epoch, found });
    }
    let last = receipts.last().ok_or(ChainError::Head)?;
    if (head.person, head.device) != (last.record.person, last.record.device) {
        return Err(ChainError::Head);
    }
    let same = last.digest()? == head.receipt;
    if same { Ok(()) } else { Err(ChainError::Forked { epoch: head.epoch }) }
}

fn report(told: &ConsentExport, newest: Option<&Head>) -> Option<Report> {
    let receipts = &told.proof.receipts;
    let (first, last) = (receipts.first()?, receipts.last()?);
    let count = receipts.len() as u64;
    Some(Report {
        receipts: count,
        person: first.record.person,
        device: first.record.device,
        key: first.key,
        first: rfc3339(first.record.at_unix_ms),
        last: rfc3339(last.record.at_unix_ms),
        state: last.record.state,
        confirmed: newest.map(|head| Confirmed {
            receipts: head.epoch,
            to_the_end: head.epoch == count,
            received: rfc3339(head.received_unix_ms),
            key: head.key,
        }),
    })
}

/// The first field of an object that is not the same in both.
fn difference(told: &Value, file: &Value) -> Option<String> {
    let (Some(told), Some(file)) = (told.as_object(), file.as_object()) else {
        return (told != file).then(|| "(all)".into());
    };
    let differs = |key: &&String| told.get(*key) != file.get(*key);
    told.keys().chain(file.keys()).find(differs).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_a_field_that_stands_there_twice_is_refused() {
        let error = verify_export(br#"{"event": [], "a": {"x": [{"y": 1, "y": 2}]}}"#).unwrap_err();
        assert!(error.to_string().contains("the field y stands there twice"), "{error}");
        let error = verify_export(br#"{"event": [1.5, null, "x", -1, true]}"#).unwrap_err();
        assert!(error.to_string().contains("schema_version is missing"), "{error}");
    }
}
