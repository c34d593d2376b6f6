//! Links that answer an order in one tap: what they allow is in them, and nobody else can make one.
//!
//! A link says which order, which quote, what to do, until when, and has a nonce, all under
//! HMAC-SHA-256 (RFC 2104, FIPS 198-1). Its nonce is the id of the command that it makes, and an
//! order hears each command once: so a link is used once, however often it is opened.
//!
//! Programs that look through mail open links too. Opening one must only show what it would do; it
//! is done by the button on that page.

use crate::orders::life::{Act, Actor, Command};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// What is signed begins with this, so that a signature made for something else is none here.
const CONTEXT: &[u8] = b"attune order link v1\0";
/// Order, quote and nonce of 16 bytes each, a byte for the action, 8 each for its value and the
/// time.
const BODY_BYTES: usize = 3 * 16 + 1 + 2 * 8;
/// HMAC-SHA-256.
const MAC_BYTES: usize = 32;
/// A link's text in base64, without padding.
pub const LINK_CHARS: usize = ((BODY_BYTES + MAC_BYTES) * 4).div_ceil(3);

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Approves the quote at this total, minor units.
    Approve {
        /// The total that the message showed.
        total_minor: i64,
    },
    /// Cancels. It asks for no login: saying no must never be harder than saying yes.
    Cancel,
    /// Puts it off until then, Unix milliseconds.
    Delay {
        /// When it asks again.
        until_unix_ms: i64,
    },
    /// Shows the order, to be changed there.
    Modify,
}

impl Action {
    /// Whether the person may be asked to log in first.
    #[must_use]
    pub const fn may_need_login(self) -> bool {
        !matches!(self, Self::Cancel)
    }

    const fn code(self) -> (u8, i64) {
        match self {
            Self::Approve { total_minor } => (1, total_minor),
            Self::Cancel => (2, 0),
            Self::Delay { until_unix_ms } => (3, until_unix_ms),
            Self::Modify => (4, 0),
        }
    }

    const fn of(code: u8, value: i64) -> Option<Self> {
        match (code, value) {
            (1, total_minor) => Some(Self::Approve { total_minor }),
            (2, 0) => Some(Self::Cancel),
            (3, until_unix_ms) => Some(Self::Delay { until_unix_ms }),
            (4, 0) => Some(Self::Modify),
            _ => None,
        }
    }
}

/// What a link allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Which order.
    pub order: Uuid,
    /// The quote that the message showed.
    pub quote: Uuid,
    /// What it does.
    pub action: Action,
    /// Until when, Unix milliseconds; at that time it is over.
    pub expires_unix_ms: i64,
    /// Made anew for each link, at random: the id of the command it makes.
    pub nonce: Uuid,
}

impl Link {
    /// What it asks of its order; `None` if the person has to say more on the page first.
    #[must_use]
    pub fn command(&self, channel: &str) -> Option<Command> {
        let act = match self.action {
            Action::Approve { total_minor } => Act::Approve { seen: self.quote, total_minor },
            Action::Cancel => Act::Cancel,
            Action::Delay { until_unix_ms } => Act::Delay { until_unix_ms },
            Action::Modify => return None,
        };
        Some(Command { id: self.nonce, by: Actor::Person { channel: channel.to_owned() }, act })
    }

    fn body(&self) -> Vec<u8> {
        let (code, value) = self.action.code();
        [
            &self.order.as_bytes()[..],
            self.quote.as_bytes(),
            self.nonce.as_bytes(),
            &[code],
            &value.to_be_bytes(),
            &self.expires_unix_ms.to_be_bytes(),
        ]
        .concat()
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (order, rest) = body.split_first_chunk::<16>()?;
        let (quote, rest) = rest.split_first_chunk::<16>()?;
        let (nonce, rest) = rest.split_first_chunk::<16>()?;
        let ([code], rest) = rest.split_first_chunk::<1>()?;
        let (value, rest) = rest.split_first_chunk::<8>()?;
        let (expires, rest) = rest.split_first_chunk::<8>()?;
        let action = Action::of(*code, i64::from_be_bytes(*value))?;
        rest.is_empty().then(|| Self {
            order: Uuid::from_bytes(*order),
            quote: Uuid::from_bytes(*quote),
            action,
            expires_unix_ms: i64::from_be_bytes(*expires),
            nonce: Uuid::from_bytes(*nonce),
        })
    }
}

/// Why a text is no link, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LinkFault {
    /// It was not made here, or was changed on its way.
    #[error("this link is not whole: open it from the message again, or open your orders")]
    Forged,
    /// Its time is over.
    #[error("this link is too old: open your orders to see where it stands")]
    Expired {
        /// Which order it was for.
        order: Uuid,
    },
}

/// Makes links and knows its own again.
pub struct Signer(hmac::Key);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// With a secret of 32 random bytes that is used for nothing else.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The text of a link, safe in a URL: [`LINK_CHARS`] letters, digits, `-` and `_`.
    #[must_use]
    pub fn sign(&self, link: &Link) -> String {
        let mut bytes = link.body();
        let mac = hmac::sign(&self.0, &[CONTEXT, &bytes].concat());
        bytes.extend_from_slice(mac.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The link behind a text. The signature is compared in constant time, before anything in it is
    /// looked at.
    ///
    /// # Errors
    /// [`LinkFault`] says what to tell the person.
    pub fn verify(&self, text: &str, now_unix_ms: i64) -> Result<Link, LinkFault> {
        if text.len() != LINK_CHARS {
            return Err(LinkFault::Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| LinkFault::Forged)?;
        let (body, mac) = bytes.split_at_checked(BODY_BYTES).ok_or(LinkFault::Forged)?;
        hmac::verify(&self.0, &[CONTEXT, body].concat(), mac).map_err(|_| LinkFault::Forged)?;
        let link = Link::read(body).ok_or(LinkFault::Forged)?;
        if now_unix_ms < link.expires_unix_ms {
            Ok(link)
        } else {
            Err(LinkFault::Expired { order: link.order })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: i64 = 1_795_190_645_000;

    fn signer() -> Signer {
        Signer::new(&[7; 32])
    }

    fn link(action: Action) -> Link {
        let [order, quote, nonce] = [1, 2, 3].map(Uuid::from_u128);
        Link { order, quote, action, expires_unix_ms: NOW_MS + 1, nonce }
    }

    #[test]
    fn a_link_is_known_again_until_its_time() {
        for action in [
            Action::Approve { total_minor: 2_970 },
            Action::Cancel,
            Action::Delay { until_unix_ms: NOW_MS + 86_400_000 },
            Action::Modify,
        ] {
            let link = link(action);
            let text = signer().sign(&link);
            assert_eq!(text.len(), LINK_CHARS);
            assert_eq!(signer().verify(&text, NOW_MS), Ok(link));
            let expired = Err(LinkFault::Expired { order: link.order });
            assert_eq!(signer().verify(&text, NOW_MS + 1), expired);
            assert_eq!(Signer::new(&[8; 32]).verify(&text, NOW_MS), Err(LinkFault::Forged));
        }
    }

    #[test]
    fn only_a_cancel_never_needs_a_login() {
        assert!(!Action::Cancel.may_need_login());
        assert!(Action::Approve { total_minor: 1 }.may_need_login());
    }

    #[test]
    fn a_link_makes_one_command() {
        let link = link(Action::Approve { total_minor: 5 });
        let command = link.command("email").unwrap();
        assert_eq!(command.id, link.nonce);
        assert_eq!(command.act, Act::Approve { seen: link.quote, total_minor: 5 });
        assert_eq!(link.command("email"), Some(command));
        assert_eq!(Link { action: Action::Modify, ..link }.command("email"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_link_or_is_not(text in "\\PC*", url in "[-_A-Za-z0-9]{129,130}") {
            prop_assert_eq!(signer().verify(&text, 0), Err(LinkFault::Forged));
            prop_assert_eq!(signer().verify(&url, 0), Err(LinkFault::Forged));
        }

        #[test]
        fn one_changed_letter_breaks_it(at in 0..LINK_CHARS, letter in "[-_A-Za-z0-9]") {
            let text = signer().sign(&link(Action::Cancel));
            let mut changed = text.clone();
            changed.replace_range(at..=at, &letter);
            if changed != text {
                prop_assert_eq!(signer().verify(&changed, NOW_MS), Err(LinkFault::Forged));
            }
        }

        #[test]
        fn whatever_is_in_it_comes_back(
            [order, quote, nonce] in any::<[u128; 3]>(), value in any::<i64>(), code in 1..=4u8,
            expires_unix_ms in any::<i64>(), now in any::<i64>(),
        ) {
            let value = if code % 2 == 1 { value } else { 0 };
            let action = Action::of(code, value).unwrap();
            let [order, quote, nonce] = [order, quote, nonce].map(Uuid::from_u128);
            let link = Link { order, quote, action, expires_unix_ms, nonce };
            let found = signer().verify(&signer().sign(&link), now);
            if now < expires_unix_ms {
                prop_assert_eq!(found, Ok(link));
            } else {
                prop_assert_eq!(found, Err(LinkFault::Expired { order: link.order }));
            }
        }
    }
}
