//! A row that was checked: everything in it is what it should be.

use protocol::{
    digest::Digest,
    intake::{Consent, Scope},
    offer::Money,
};
use uuid::Uuid;

/// What kind of identifier recognises a person. In the order in which they are trusted to be one
/// person's: a fact goes to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The operator's own number of the person.
    User,
    /// A loyalty programme's number.
    Loyalty,
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A click on an advertisement.
    Click,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::User, Self::Loyalty, Self::Email, Self::Phone, Self::Click];

    /// The name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Loyalty => "loyalty",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Click => "click",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// By what a person is recognised: never the thing itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// What it is.
    pub kind: Kind,
    /// SHA-256 of it.
    pub hash: Digest,
}

impl Identifier {
    /// Of an operator's own number: the server hashes it, together with its kind.
    pub(crate) fn of_number(kind: Kind, number: &str) -> Self {
        let mut bytes = Vec::with_capacity(number.len() + 16);
        bytes.extend_from_slice(kind.name().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(number.trim().as_bytes());
        Self { kind, hash: Digest::of(&bytes) }
    }

    /// Under which an erased identifier is remembered.
    pub(crate) fn tombstone(&self) -> Digest {
        let mut bytes = b"identifier\0".to_vec();
        bytes.extend_from_slice(self.kind.name().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&self.hash.0);
        Digest::of(&bytes)
    }
}

/// The person of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// In the order of [`Kind`], without repetitions.
    pub identifiers: Vec<Identifier>,
    /// The pseudonym under which their device reports.
    pub device: Option<Uuid>,
}

/// What somebody said, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who.
    pub who: Who,
    /// What, scope by scope.
    pub consent: Consent,
    /// When, Unix milliseconds.
    pub at_unix_ms: i64,
}

/// An item of a cart.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The operator's code.
    pub item: String,
    /// The operator's code of the category.
    pub category: Option<String>,
    /// How many or how much.
    pub quantity: f64,
}

/// A row, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was said with it, by whom and when: the time is the row's.
    pub said: Said,
    /// What it is about.
    pub scope: Scope,
    /// What it was.
    pub name: String,
    /// Since when it counts as known, Unix milliseconds.
    pub known_unix_ms: i64,
    /// What it was worth.
    pub value: Option<Money>,
    /// How many or how much.
    pub number: Option<f64>,
    /// Of what.
    pub item: Option<String>,
    /// Of which category.
    pub category: Option<String>,
    /// The cart, where it has several items.
    pub cart: Vec<Item>,
    /// By what a repetition is recognised.
    pub key: Digest,
    /// Of the row as sent.
    pub digest: Digest,
}

/// A row that is not taken, and what still counts of it: a No is never turned away on a formality.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// What is wrong.
    pub fault: super::Fault,
    /// What was said with it, if anything was denied.
    pub denial: Option<Said>,
}

/// The name under which the server remembers a transaction.
#[must_use]
pub fn transaction_key(scope: Scope, destination: &str, transaction: &str) -> Digest {
    keyed(&[scope.name().as_bytes(), destination.as_bytes(), transaction.as_bytes()])
}

/// Of what was done to a transaction.
#[must_use]
pub fn adjustment_key(transaction: &Digest) -> Digest {
    keyed(&[b"adjustment", &transaction.0])
}

/// Each part behind its length: no two lists of parts have the same bytes.
fn keyed(parts: &[&[u8]]) -> Digest {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Digest::of(&bytes)
}
