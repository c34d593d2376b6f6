//! The address of a person's page: whoever has it may see and answer that person's orders, so it is
//! given to nobody else, works for some weeks, and is signed.
//!
//! ```text
//!  base64url( person (16) | expires, Unix milliseconds (8) | HMAC-SHA-256 (32) )
//! ```

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// Signed before the body: a signature made for something else is none here.
const CONTEXT: &[u8] = b"attune page 1\0";
const BODY_BYTES: usize = 16 + 8;
const MAC_BYTES: usize = 32;
/// Characters of a pass.
const CHARS: usize = ((BODY_BYTES + MAC_BYTES) * 4).div_ceil(3);

/// Why a text is no pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PassFault {
    /// It was not made here, or was changed on its way.
    #[error("this address is not whole: open the link from the message again")]
    Forged,
    /// Its time is over.
    #[error("this address is too old: ask for a new link in the app, or open a newer message")]
    Expired,
}

/// Makes passes and knows its own again.
pub struct Passes(hmac::Key);

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passes")
    }
}

impl Passes {
    /// With the secret of links.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The pass of a person, safe in a URL.
    #[must_use]
    pub fn make(&self, person: Uuid, expires_unix_ms: i64) -> String {
        let mut bytes = [&person.as_bytes()[..], &expires_unix_ms.to_be_bytes()].concat();
        let mac = hmac::sign(&self.0, &[CONTEXT, &bytes].concat());
        bytes.extend_from_slice(mac.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whose pass a text is. The signature is compared in constant time, before anything else.
    ///
    /// # Errors
    /// [`PassFault`] says what to tell the person.
    pub fn verify(&self, text: &str, now_unix_ms: i64) -> Result<Uuid, PassFault> {
        if text.len() != CHARS {
            return Err(PassFault::Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| PassFault::Forged)?;
        let (body, mac) = bytes.split_at_checked(BODY_BYTES).ok_or(PassFault::Forged)?;
        hmac::verify(&self.0, &[CONTEXT, body].concat(), mac).map_err(|_| PassFault::Forged)?;
        let (person, rest) = body.split_first_chunk::<16>().ok_or(PassFault::Forged)?;
        let (expires, _) = rest.split_first_chunk::<8>().ok_or(PassFault::Forged)?;
        if now_unix_ms < i64::from_be_bytes(*expires) {
            Ok(Uuid::from_bytes(*person))
        } else {
            Err(PassFault::Expired)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pass_is_known_again_until_its_time(person: u128, expires: i64, now: i64) {
            let (passes, person) = (Passes::new(&[7; 32]), Uuid::from_u128(person));
            let text = passes.make(person, expires);
            prop_assert_eq!(text.len(), CHARS);
            let expected = if now < expires { Ok(person) } else { Err(PassFault::Expired) };
            prop_assert_eq!(passes.verify(&text, now), expected);
            prop_assert_eq!(Passes::new(&[8; 32]).verify(&text, now), Err(PassFault::Forged));
        }

        #[test]
        fn any_other_text_is_none(text in "\\PC*", at in 0..CHARS, letter in "[-_A-Za-z0-9]") {
            let passes = Passes::new(&[7; 32]);
            prop_assert_eq!(passes.verify(&text, 0), Err(PassFault::Forged));
            let whole = passes.make(Uuid::from_u128(1), i64::MAX);
            let mut changed = whole.clone();
            changed.replace_range(at..=at, &letter);
            if changed != whole {
                prop_assert_eq!(passes.verify(&changed, 0), Err(PassFault::Forged));
            }
        }
    }
}
