//! Where a person can be reached.

use super::ChannelKind;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;
use uuid::Uuid;

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// No e-mail address.
    #[error("this is no e-mail address: write name@example.com")]
    Email,
    /// No phone number.
    #[error("this is no phone number: write + and 7 to 15 digits, the country's code first")]
    Phone,
}

/// An e-mail address, as RFC 5321 allows it in an envelope.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(lettre::Address);

/// A phone number, E.164: `+` and 7 to 15 digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

/// Where a message goes.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// By e-mail.
    Email(Email),
    /// By SMS.
    Phone(Phone),
    /// To whoever looks at this person's page or app.
    Person(Uuid),
}

impl Address {
    /// By which channel it is reached.
    #[must_use]
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Email(_) => ChannelKind::Email,
            Self::Phone(_) => ChannelKind::Sms,
            Self::Person(_) => ChannelKind::InApp,
        }
    }
}

impl Email {
    pub(super) const fn envelope(&self) -> &lettre::Address {
        &self.0
    }
}

impl Phone {
    /// `+` and digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last two digits: enough to be recognised by whose it is.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("…{}", &self.0[self.0.len() - 2..])
    }
}

/// RFC 5321, 4.5.3.1.3: a path has 256 octets, its brackets included.
const MOST_EMAIL_BYTES: usize = 254;

impl FromStr for Email {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.len() > MOST_EMAIL_BYTES {
            return Err(AddressError::Email);
        }
        text.parse().map(Self).map_err(|_| AddressError::Email)
    }
}

impl FromStr for Phone {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let plain = |c: char| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '/');
        // More could not be a number, however it is written.
        let text: String = text.trim().chars().take(64).filter(|c| plain(*c)).collect();
        let digits = text.strip_prefix('+').ok_or(AddressError::Phone)?;
        let whole = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        whole.then_some(Self(text)).ok_or(AddressError::Phone)
    }
}

impl TryFrom<String> for Email {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<String> for Phone {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0.to_string()
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

// Addresses are never printed.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Email(_) => "Address::Email",
            Self::Phone(_) => "Address::Phone",
            Self::Person(_) => "Address::Person",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_understood_and_nothing_else() {
        for text in ["ada@example.com", " Ada.L+tea@mail.example.co.uk ", "ö@example.com"] {
            assert!(text.parse::<Email>().is_ok(), "{text}");
        }
        for text in ["", "ada", "ada@", "@example.com", "a b@c.de", "a@b\nBcc: c@d", "<a@b.c>"] {
            assert!(text.parse::<Email>().is_err(), "{text}");
        }
        let phone: Phone = "+49 (170) 123-45.67".parse().unwrap();
        assert_eq!((phone.as_str(), phone.hint().as_str()), ("+491701234567", "…67"));
        for text in ["", "+", "0170 1234567", "+0170123456", "+49", "+49x1701234", "++4917012345"] {
            assert!(text.parse::<Phone>().is_err(), "{text}");
        }
        assert!("1".repeat(1_000).parse::<Phone>().is_err());
        assert_eq!(format!("{:?}", Address::Phone(phone)), "Address::Phone");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in ".{0,300}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(String::from(email.clone()).parse::<Email>(), Ok(email));
            }
            if let Ok(phone) = text.parse::<Phone>() {
                prop_assert!(phone.hint().len() > 2);
            }
        }
    }
}
