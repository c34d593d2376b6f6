//! SHA-256 digests, as 64 hexadecimal digits on the wire.

use crate::hex::hex_bytes;
use sha2::{Digest as _, Sha256};

hex_bytes! {
    /// A SHA-256 digest (FIPS 180-4).
    Digest, 32
}

impl Digest {
    /// What the first receipt of a chain names as its predecessor.
    pub const NONE: Self = Self([0; 32]);

    /// The digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256() {
        // FIPS 180-4, the example "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(abc.parse(), Ok(Digest::of(b"abc")));
    }
}
