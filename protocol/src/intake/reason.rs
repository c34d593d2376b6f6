//! Why a row was not taken. The codes are for programs and never change their meaning.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a row was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Not a row of this endpoint: a field of the wrong type, or no object.
    Malformed,
    /// A field that the endpoint does not have.
    UnknownField,
    /// A field that must be there is not, or is empty.
    MissingField,
    /// A text that is too long, or holds control characters.
    BadText,
    /// Bytes that are not UTF-8.
    BadEncoding,
    /// The file ends in the middle of the row.
    HalfWritten,
    /// More or fewer fields than the header names.
    FieldCount,
    /// A hash that is not 32 bytes in the encoding of the request.
    WrongHash,
    /// A contact detail in plain text where its hash belongs.
    NotHashed,
    /// A device pseudonym that is no UUID.
    BadPseudonym,
    /// A time without a zone.
    MissingZone,
    /// A local time that its zone has twice, or not at all.
    AmbiguousTime,
    /// A text that is no time.
    BadTime,
    /// Longer ago than the server keeps anything.
    TooOld,
    /// Ahead of the server's clock by more than clocks go wrong.
    InFuture,
    /// Not a number, or infinite.
    NotANumber,
    /// Below zero where that cannot be.
    NegativeValue,
    /// So large that it can only be a mistake.
    AbsurdValue,
    /// More digits after the point than the currency has.
    TooPrecise,
    /// A value without its currency.
    MissingCurrency,
    /// Not a code of ISO 4217.
    UnknownCurrency,
    /// The adjustment is in another currency than the conversion.
    OtherCurrency,
    /// An attribute that is not banded, or not known.
    NotBanded,
    /// A source that this endpoint does not take.
    WrongSource,
    /// Nothing by which the person could be recognised.
    NoIdentifier,
    /// More identifiers than one person has.
    TooManyIdentifiers,
    /// More items than a cart holds.
    TooManyItems,
    /// An identifier that would make one person of too many.
    SharedIdentifier,
    /// No statement of the person allows it, or a newer one forbids it.
    NoConsent,
    /// The person was erased after this happened.
    Erased,
    /// The transaction id was used before for another row.
    Conflict,
    /// No transaction is known under this id.
    UnknownTransaction,
    /// The transaction was retracted before.
    Retracted,
    /// A newer adjustment is in effect.
    Superseded,
}

impl Reason {
    /// The code on the wire, in the database and in tables.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownField => "unknown_field",
            Self::MissingField => "missing_field",
            Self::BadText => "bad_text",
            Self::BadEncoding => "bad_encoding",
            Self::HalfWritten => "half_written",
            Self::FieldCount => "field_count",
            Self::WrongHash => "wrong_hash",
            Self::NotHashed => "not_hashed",
            Self::BadPseudonym => "bad_pseudonym",
            Self::MissingZone => "missing_zone",
            Self::AmbiguousTime => "ambiguous_time",
            Self::BadTime => "bad_time",
            Self::TooOld => "too_old",
            Self::InFuture => "in_future",
            Self::NotANumber => "not_a_number",
            Self::NegativeValue => "negative_value",
            Self::AbsurdValue => "absurd_value",
            Self::TooPrecise => "too_precise",
            Self::MissingCurrency => "missing_currency",
            Self::UnknownCurrency => "unknown_currency",
            Self::OtherCurrency => "other_currency",
            Self::NotBanded => "not_banded",
            Self::WrongSource => "wrong_source",
            Self::NoIdentifier => "no_identifier",
            Self::TooManyIdentifiers => "too_many_identifiers",
            Self::TooManyItems => "too_many_items",
            Self::SharedIdentifier => "shared_identifier",
            Self::NoConsent => "no_consent",
            Self::Erased => "erased",
            Self::Conflict => "conflict",
            Self::UnknownTransaction => "unknown_transaction",
            Self::Retracted => "retracted",
            Self::Superseded => "superseded",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_name_on_the_wire() {
        for reason in [Reason::NotANumber, Reason::Superseded, Reason::TooManyIdentifiers] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        }
    }
}
