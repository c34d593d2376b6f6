//! Derived keys, and how they are made to disappear.
//!
//! A segment key is HKDF-SHA256 (RFC 5869) of a root key with the segment's own random salt; it
//! seals with AES-256-GCM (NIST SP 800-38D). ring does not overwrite its keys when they are
//! dropped, so that this module does: a [`Live`] key sits in a box and is overwritten in place
//! with a key made of zeros. What the derivation leaves on the stack is overwritten by running the
//! same derivation once more, with zeros, at the same depth of the stack.

use super::{VaultError, keystore::Secret};
use ring::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    hkdf,
};
use std::{
    fmt,
    hint::black_box,
    sync::{Mutex, PoisonError},
};
use zeroize::Zeroizing;

/// Bytes of a root key, of a salt and of a derived key.
pub(super) const KEY_BYTES: usize = 32;

/// HKDF-SHA256 of `root`, [`KEY_BYTES`] long.
pub(super) fn derive(root: &[u8], salt: &[u8], info: &[&[u8]]) -> Result<Secret, VaultError> {
    let mut derived = vec![0; KEY_BYTES];
    let result = fill(root, salt, info, &mut derived);
    let derived = Secret::new(derived);
    let mut decoy = [0; KEY_BYTES];
    black_box(fill(&[0; KEY_BYTES], salt, info, &mut decoy)).and(result)?;
    black_box(decoy);
    Ok(derived)
}

#[inline(never)]
fn fill(root: &[u8], salt: &[u8], info: &[&[u8]], to: &mut [u8]) -> Result<(), VaultError> {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            KEY_BYTES
        }
    }
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(root)
        .expand(info, Length)
        .and_then(|okm| okm.fill(to))
        .map_err(|_| VaultError::Crypto("deriving a key"))
}

/// A key in use, and the plaintext that waits beside it: what a shred must wipe.
pub(super) struct Live {
    pub(super) key: Box<LessSafeKey>,
    pub(super) buffer: Zeroizing<Vec<u8>>,
}

impl Drop for Live {
    fn drop(&mut self) {
        overwrite(&mut self.key);
    }
}

#[inline(never)]
fn overwrite(key: &mut LessSafeKey) {
    if let Ok(zeros) = UnboundKey::new(&AES_256_GCM, &[0; KEY_BYTES]) {
        *key = LessSafeKey::new(zeros);
    }
    black_box(key);
}

#[inline(never)]
fn schedule(bytes: &[u8]) -> Result<Box<LessSafeKey>, VaultError> {
    let key = UnboundKey::new(&AES_256_GCM, bytes);
    Ok(Box::new(LessSafeKey::new(key.map_err(|_| VaultError::Crypto("setting up a key"))?)))
}

/// A key that can be taken away from whoever holds it.
pub(super) struct KeySlot(Mutex<Option<Live>>);

impl KeySlot {
    /// Derives the key for one salt.
    pub(super) fn derive(root: &[u8], salt: &[u8], info: &[&[u8]]) -> Result<Self, VaultError> {
        let bytes = derive(root, salt, info)?;
        let key = schedule(&bytes);
        black_box(schedule(&[0; KEY_BYTES])?);
        let live = Live { key: key?, buffer: Zeroizing::default() };
        Ok(Self(Mutex::new(Some(live))))
    }

    /// Uses the key, which cannot be taken away meanwhile.
    pub(super) fn with<T, E: From<VaultError>>(
        &self,
        use_it: impl FnOnce(&mut Live) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(live.as_mut().ok_or(VaultError::Shredded)?)
    }

    /// Overwrites key and buffer; every later use is refused.
    pub(super) fn wipe(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for KeySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySlot")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869, A.1, whose output is longer; its first 32 bytes.
    #[test]
    fn c10_keys_are_derived_as_the_standard_says() {
        let salt: Vec<u8> = (0x00..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let key = derive(&[0x0b; 22], &salt, &[&info]).unwrap();
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    }

    #[test]
    fn c4_a_wiped_slot_refuses() {
        let slot = KeySlot::derive(&[1; KEY_BYTES], b"salt", &[]).unwrap();
        slot.with(|_| Ok::<_, VaultError>(())).unwrap();
        slot.wipe();
        slot.wipe();
        let refused = slot.with(|_| Ok::<_, VaultError>(()));
        assert!(matches!(refused, Err(VaultError::Shredded)));
    }
}
