//! Ed25519 keys and signatures (RFC 8032).
//!
//! A device is its key: its id is computed from the public key, so that nobody can claim the id of
//! another device, and no registration is needed.

use crate::{digest::Digest, hex::hex_bytes};
use uuid::Uuid;

hex_bytes! {
    /// An Ed25519 public key.
    PublicKey, 32
}

hex_bytes! {
    /// An Ed25519 signature.
    Signature, 64
}

impl PublicKey {
    /// The id of the device that holds the key: the first 122 bits of the key's SHA-256, as a
    /// UUIDv8 (RFC 9562, section 5.8).
    #[must_use]
    pub fn device_id(&self) -> Uuid {
        let digest = Digest::of(&self.0);
        let mut id = [0; 16];
        id.copy_from_slice(&digest.0[..16]);
        uuid::Builder::from_custom_bytes(id).into_uuid()
    }
}

#[cfg(feature = "crypto")]
mod crypto {
    use super::{PublicKey, Signature};
    use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
    use std::fmt;
    use thiserror::Error;

    /// A signature that is not of this key over these bytes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
    #[error("the signature is not of this key over these bytes")]
    pub struct BadSignature;

    impl PublicKey {
        /// Checks a signature over a message.
        ///
        /// # Errors
        /// [`BadSignature`].
        pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
            let key = UnparsedPublicKey::new(&ED25519, self.0);
            key.verify(message, &signature.0).map_err(|_| BadSignature)
        }
    }

    /// The private half. Prints nothing of itself.
    pub struct SigningKey {
        pair: Ed25519KeyPair,
        public: PublicKey,
    }

    impl SigningKey {
        /// The key of a 32-byte seed (RFC 8032, section 5.1.5). `None` if the platform's
        /// implementation refuses it, which it does for no seed of 32 bytes.
        #[must_use]
        pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
            let public = PublicKey(pair.public_key().as_ref().try_into().ok()?);
            Some(Self { pair, public })
        }

        /// The public half.
        #[must_use]
        pub const fn public(&self) -> PublicKey {
            self.public
        }

        /// Signs a message.
        #[must_use]
        pub fn sign(&self, message: &[u8]) -> Signature {
            let mut bytes = [0; 64];
            bytes.copy_from_slice(self.pair.sign(message).as_ref());
            Signature(bytes)
        }
    }

    impl fmt::Debug for SigningKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
        }
    }
}

#[cfg(feature = "crypto")]
pub use crypto::{BadSignature, SigningKey};

#[cfg(all(test, feature = "crypto"))]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        // Section 7.1, TEST 1: an empty message.
        let seed: Digest =
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".parse().unwrap();
        let key = SigningKey::from_seed(&seed.0).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.public().to_string(), public);
        let signature = key.sign(b"");
        assert!(signature.to_string().starts_with("e5564300c360ac729086e2cc806e828a"));
        assert_eq!(key.public().verify(b"", &signature), Ok(()));
        assert_eq!(key.public().verify(b"x", &signature), Err(BadSignature));
        assert!(!format!("{key:?}").contains("9d61b19d"));
    }

    #[test]
    fn a_device_id_is_a_uuid_of_version_8() {
        let id = PublicKey([7; 32]).device_id();
        assert_eq!(id.get_version_num(), 8);
        assert_ne!(id, PublicKey([8; 32]).device_id());
    }
}
