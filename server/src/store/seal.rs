//! Bodies at rest: AES-256-GCM under a key of the person's own, so that destroying one key makes
//! every copy of the person's bodies unreadable, the backups' included.
//!
//! Nonces are random: 96 bits allow 2^32 bodies a person (NIST SP 800-38D, section 8.3).

use super::StoreError;
use protocol::digest::Digest;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use uuid::Uuid;

/// The length of a person's key.
pub(super) const KEY_BYTES: usize = 32;

/// Names a person where the pseudonym itself must not stand.
#[must_use]
pub fn person_hash(person: Uuid) -> Digest {
    Digest::of(person.as_bytes())
}

/// Seals and opens the bodies of one person. Prints nothing of itself.
#[derive(Clone)]
pub struct PersonKey(LessSafeKey);

/// A sealed body.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) bytes: Vec<u8>,
}

/// Random bytes of the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| StoreError::Random)?;
    Ok(bytes)
}

impl PersonKey {
    pub(super) fn new(bytes: &[u8]) -> Result<Self, StoreError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| StoreError::Sealed)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a body for one row: it opens under no other id.
    pub(super) fn seal(&self, row: &[u8], json: &[u8]) -> Result<Sealed, StoreError> {
        let nonce = random()?;
        let mut bytes = json.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let sealed = self.0.seal_in_place_append_tag(unique, Aad::from(row), &mut bytes);
        sealed.map_err(|_| StoreError::Sealed)?;
        Ok(Sealed { nonce, bytes })
    }

    pub(super) fn open<T: DeserializeOwned>(
        &self,
        row: &[u8],
        nonce: &[u8],
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| StoreError::Sealed)?;
        let mut bytes = sealed.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(row), &mut bytes);
        Ok(serde_json::from_slice(opened.map_err(|_| StoreError::Sealed)?)?)
    }
}

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonKey")
    }
}

/// The JSON of a body, and what it is recognised by.
pub(super) fn json_of(body: &impl Serialize) -> Result<(Vec<u8>, Digest), StoreError> {
    let json = serde_json::to_vec(body)?;
    let digest = Digest::of(&json);
    Ok((json, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c15_a_body_opens_only_in_its_row_and_under_its_key() {
        let key = PersonKey::new(&[1; KEY_BYTES]).unwrap();
        let Sealed { nonce, bytes } = key.seal(b"row 1", br#""body""#).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"body"));
        let open = |key: &PersonKey, row: &[u8], bytes: &[u8]| -> Option<String> {
            key.open(row, &nonce, bytes).ok()
        };
        assert_eq!(open(&key, b"row 1", &bytes).as_deref(), Some("body"));
        assert_eq!(open(&key, b"row 2", &bytes), None);
        assert_eq!(open(&PersonKey::new(&[2; KEY_BYTES]).unwrap(), b"row 1", &bytes), None);
        let mut changed = bytes.clone();
        changed[0] ^= 1;
        assert_eq!(open(&key, b"row 1", &changed), None);
        assert_ne!(key.seal(b"row 1", b"x").unwrap().nonce, nonce);
        assert_eq!(format!("{key:?}"), "PersonKey");
    }
}
