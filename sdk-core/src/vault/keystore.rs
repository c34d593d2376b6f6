//! Where root keys live: the seam to the platform.
//!
//! The vault never decides how a root key is kept; it asks a [`KeyStore`]. On a phone that is the
//! Keychain or the Android Keystore (implemented in Swift and Kotlin, hence the plain types), on a
//! desk the keyring of the operating system, and in tests memory or a file with a passphrase.

use super::files::FileError;
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    collections::HashMap,
    fmt,
    ops::Deref,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes that must not outlive their use: overwritten when dropped, never printed.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over, without a copy.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Bytes of the operating system's generator; nothing when it fails.
    pub(super) fn random(bytes: usize) -> Option<Self> {
        let mut secret = Self::new(vec![0; bytes]);
        SystemRandom::new().fill(&mut secret.0).ok()?;
        Some(secret)
    }

    pub(super) fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Keeps small secrets under names, outside of the vault's folder.
///
/// An implementation must have stored a secret durably when [`store`](Self::store) returns, and
/// must have destroyed it, as far as the platform can, when [`delete`](Self::delete) returns:
/// crypto-shredding rests on that (C4). It must not call back into the vault.
pub trait KeyStore: Send + Sync {
    /// The secret of that name; `None` only when the store was reached and has none.
    ///
    /// # Errors
    /// [`KeyStoreError`] when the store cannot be asked: never taken for "there is none".
    fn load(&self, name: &str) -> Result<Option<Secret>, KeyStoreError>;

    /// Keeps a secret, in place of the one of that name.
    ///
    /// # Errors
    /// [`KeyStoreError`]; the earlier secret stands then.
    fn store(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError>;

    /// Destroys the secret of that name; no error when there is none.
    ///
    /// # Errors
    /// [`KeyStoreError`]; the secret may still exist then.
    fn delete(&self, name: &str) -> Result<(), KeyStoreError>;
}

/// Why a key store did not do what it was asked.
#[derive(Debug, Error)]
pub enum KeyStoreError {
    /// The platform's store is absent, locked, or refused.
    #[error(
        "the platform's key store did not {doing}: {detail}; unlock it or allow this app to use \
         it, then try again"
    )]
    Unavailable {
        /// What was asked of it.
        doing: String,
        /// What it answered.
        detail: String,
    },
    /// The passphrase does not fit the file, or the file was changed.
    #[error(
        "the key file {} does not open: wrong passphrase, or the file is damaged; try the \
         passphrase again or bring back a copy of the file", .path.display()
    )]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// The file is not one of ours.
    #[error(
        "the key file {} is not readable: {why}; bring back a copy of the file", .path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A parameter that would make the file weak or unusable.
    #[error("{given} iterations are out of range: choose {least} to {most}")]
    Iterations {
        /// What was asked for.
        given: u32,
        /// Fewest allowed.
        least: u32,
        /// Most allowed.
        most: u32,
    },
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system's random generator, or the AEAD, refused.
    #[error("the system's cryptography failed while {0}: try again, then restart the device")]
    Crypto(&'static str),
}

/// Keeps secrets until the process ends: for tests and demonstrations.
#[derive(Debug, Default)]
pub struct MemoryKeyStore(Mutex<HashMap<String, Secret>>);

impl KeyStore for MemoryKeyStore {
    fn load(&self, name: &str) -> Result<Option<Secret>, KeyStoreError> {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(secrets.get(name).map(|secret| Secret::new(secret.to_vec())))
    }

    fn store(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(name.to_owned(), Secret::new(secret.to_vec()));
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c10_memory_keeps_and_destroys() {
        crate::vault::tests::check_key_store(&MemoryKeyStore::default());
    }

    #[test]
    fn c12_a_secret_is_not_printed() {
        let said = format!("{:?}", Secret::new(b"hush".to_vec()));
        assert_eq!(said, "Secret");
    }
}
