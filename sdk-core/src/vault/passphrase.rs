//! A key store in a file, opened with a passphrase: for tests, and for machines without a keyring.
//!
//! ```text
//! header  magic 8 | version u16 | iterations u32 | salt 16 | fresh 32
//! body    AES-256-GCM of the entries | tag 16
//! entry   name length u32 | name | secret length u32 | secret
//! ```
//!
//! The passphrase is stretched with PBKDF2-HMAC-SHA256 and `salt`; from that, each writing of the
//! file derives a key of its own with `fresh` random bytes, as the segments of the vault do.
//!
//! A file is weaker than a keyring: [`delete`](KeyStore::delete) replaces the file, and what the
//! disk keeps of the old one, or a backup, still opens with the passphrase.

use super::{
    VaultError,
    files::{self, failed},
    key::{KEY_BYTES, KeySlot, Live},
    keystore::{KeyStore, KeyStoreError, Secret},
};
use ring::{
    aead::{Aad, NONCE_LEN, Nonce},
    pbkdf2,
    rand::{SecureRandom, SystemRandom},
};
use std::{
    collections::BTreeMap,
    fmt, fs,
    io::ErrorKind,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use zeroize::Zeroizing;

/// PBKDF2-HMAC-SHA256 iterations (OWASP Password Storage Cheat Sheet, 2023).
const ITERATIONS: u32 = 600_000;
/// Fewest that are accepted: NIST SP 800-132, 5.2, asks for 1,000 at the very least.
const LEAST_ITERATIONS: u32 = 1_000;
/// Most that are accepted, so that a changed file cannot keep a device busy for long: some seconds.
const MOST_ITERATIONS: u32 = 10_000_000;

const MAGIC: &[u8; 8] = b"ATTNKEYS";
const VERSION: u16 = 1;
const SALT_BYTES: usize = 16;
const HEADER_BYTES: usize = 8 + 2 + 4 + SALT_BYTES + KEY_BYTES;
/// Most that the entries may take up, bytes: the vault keeps two keys of 32 bytes.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// Largest file that is read, bytes.
const MAX_FILE_BYTES: u64 = MAX_BODY_BYTES + 256;

/// Keeps secrets in one file, sealed with a passphrase. One process at a time.
pub struct PassphraseFile {
    path: PathBuf,
    passphrase: Secret,
    iterations: u32,
    /// What the passphrase gave for the salt and iterations of the file: stretching takes long.
    stretched: Mutex<Option<Stretched>>,
}

struct Stretched {
    salt: [u8; SALT_BYTES],
    iterations: u32,
    key: Secret,
}

type Entries = BTreeMap<String, Secret>;

impl PassphraseFile {
    /// A store in `path`, which is made at the first [`store`](KeyStore::store).
    #[must_use]
    pub fn new(path: &Path, passphrase: Secret) -> Self {
        let stretched = Mutex::default();
        Self { path: path.to_owned(), passphrase, iterations: ITERATIONS, stretched }
    }

    /// With another number of PBKDF2 iterations for a file that is made: more on a fast machine,
    /// fewer in tests. A file that exists keeps its own.
    ///
    /// # Errors
    /// [`KeyStoreError::Iterations`] outside of 1,000 to 10,000,000.
    pub fn with_iterations(mut self, iterations: u32) -> Result<Self, KeyStoreError> {
        if !(LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) {
            let (least, most) = (LEAST_ITERATIONS, MOST_ITERATIONS);
            return Err(KeyStoreError::Iterations { given: iterations, least, most });
        }
        self.iterations = iterations;
        Ok(self)
    }

    fn read(&self, stretched: &mut Option<Stretched>) -> Result<Entries, KeyStoreError> {
        let malformed = |why| KeyStoreError::Malformed { path: self.path.clone(), why };
        let bytes = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Entries::new()),
            Err(error) => return Err(failed("read", &self.path)(error).into()),
            Ok(about) if about.len() > MAX_FILE_BYTES => return Err(malformed("it is too large")),
            Ok(_) => fs::read(&self.path).map_err(failed("read", &self.path))?,
        };
        let (header, sealed) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .filter(|(header, _)| header.starts_with(MAGIC))
            .ok_or_else(|| malformed("it is no key file of this app"))?;
        let (version, rest) = (&header[8..10], &header[10..]);
        if version != VERSION.to_le_bytes() {
            return Err(malformed("it is of a version this app does not know"));
        }
        let iterations = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
        if !(LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) {
            return Err(malformed("its number of iterations is out of range"));
        }
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&rest[4..4 + SALT_BYTES]);
        let key = self.key(stretched, salt, iterations, &rest[4 + SALT_BYTES..])?;
        let mut body = Zeroizing::new(sealed.to_vec());
        let opened = key.with(|live: &mut Live| {
            let opened = live.key.open_in_place(nonce(), Aad::from(header), &mut body);
            Ok::<_, KeyStoreError>(opened.ok().and_then(|plaintext| decode(plaintext)))
        })?;
        opened.ok_or_else(|| KeyStoreError::Passphrase { path: self.path.clone() })
    }

    fn write(
        &self,
        stretched: &mut Option<Stretched>,
        entries: &Entries,
    ) -> Result<(), KeyStoreError> {
        let mut random = [0; SALT_BYTES + KEY_BYTES];
        let drawn = SystemRandom::new().fill(&mut random);
        drawn.map_err(|_| KeyStoreError::Crypto("drawing a salt"))?;
        let (fresh_salt, fresh) = random.split_at(SALT_BYTES);
        let (mut salt, mut iterations) = ([0; SALT_BYTES], self.iterations);
        salt.copy_from_slice(fresh_salt);
        if let Some(earlier) = stretched {
            (salt, iterations) = (earlier.salt, earlier.iterations);
        }
        let key = self.key(stretched, salt, iterations, fresh)?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&iterations.to_le_bytes());
        header.extend_from_slice(&salt);
        header.extend_from_slice(fresh);
        let mut body = encode(entries);
        let tag = key.with(|live: &mut Live| {
            live.key
                .seal_in_place_separate_tag(nonce(), Aad::from(&header), &mut body)
                .map_err(|_| KeyStoreError::Crypto("sealing the key file"))
        })?;
        if body.len() as u64 > MAX_BODY_BYTES {
            let why = "what it should hold is too large";
            return Err(KeyStoreError::Malformed { path: self.path.clone(), why });
        }
        let content = [&header, body.as_slice(), tag.as_ref()].concat();
        Ok(files::replace(&self.path, &content)?)
    }

    fn key(
        &self,
        stretched: &mut Option<Stretched>,
        salt: [u8; SALT_BYTES],
        iterations: u32,
        fresh: &[u8],
    ) -> Result<KeySlot, KeyStoreError> {
        let known = stretched.take().filter(|s| (s.salt, s.iterations) == (salt, iterations));
        let known = known.map_or_else(|| self.stretch(salt, iterations), Ok)?;
        let derived = KeySlot::derive(&known.key, fresh, &[b"attune passphrase file v1"]);
        *stretched = Some(known);
        Ok(derived?)
    }

    fn stretch(&self, salt: [u8; SALT_BYTES], iterations: u32) -> Result<Stretched, KeyStoreError> {
        let rounds = NonZeroU32::new(iterations).ok_or(KeyStoreError::Crypto("stretching"))?;
        let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, &self.passphrase, &mut key);
        Ok(Stretched { salt, iterations, key: Secret::from(key) })
    }

    fn change(&self, change: impl FnOnce(&mut Entries)) -> Result<(), KeyStoreError> {
        let mut stretched = self.stretched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.read(&mut stretched)?;
        change(&mut entries);
        self.write(&mut stretched, &entries)
    }
}

impl KeyStore for PassphraseFile {
    fn load(&self, name: &str) -> Result<Option<Secret>, KeyStoreError> {
        let mut stretched = self.stretched.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.read(&mut stretched)?.remove(name))
    }

    fn store(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.change(|entries| {
            entries.insert(name.to_owned(), Secret::new(secret.to_vec()));
        })
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        if self.load(name)?.is_none() {
            return Ok(());
        }
        self.change(|entries| {
            entries.remove(name);
        })
    }
}

impl fmt::Debug for PassphraseFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassphraseFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl From<VaultError> for KeyStoreError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Keys(error) => error,
            VaultError::Crypto(doing) => Self::Crypto(doing),
            _ => Self::Crypto("using a key"),
        }
    }
}

/// Each key seals one file content, so that one nonce is enough.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn encode(entries: &Entries) -> Zeroizing<Vec<u8>> {
    let bytes = entries.iter().map(|(name, secret)| 4 + name.len() + 4 + secret.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    for (name, secret) in entries {
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(secret.len() as u32).to_le_bytes());
        out.extend_from_slice(secret);
    }
    out
}

fn decode(mut bytes: &[u8]) -> Option<Entries> {
    let mut entries = Entries::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (length, rest) = rest.split_first_chunk()?;
        let (secret, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        entries.insert(String::from_utf8(name.to_vec()).ok()?, Secret::new(secret.to_vec()));
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::tests::check_key_store;
    use proptest::prelude::*;

    fn file(path: &Path, passphrase: &str) -> PassphraseFile {
        let secret = Secret::new(passphrase.as_bytes().to_vec());
        PassphraseFile::new(path, secret).with_iterations(LEAST_ITERATIONS).unwrap()
    }

    #[test]
    fn c10_a_file_keeps_and_destroys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        check_key_store(&file(&path, "open sesame"));
        file(&path, "open sesame").store("data", b"kept").unwrap();
        assert_eq!(&*file(&path, "open sesame").load("data").unwrap().unwrap(), b"kept");
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[cfg(unix)]
    #[test]
    fn c10_the_key_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        file(&path, "p").store("data", b"kept").unwrap();
        file(&path, "p").store("data", b"again").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn c10_a_wrong_passphrase_fails_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        file(&path, "right").store("data", b"kept").unwrap();
        for wrong in [file(&path, "wrong").load("data").map(drop), file(&path, "").delete("data")] {
            assert!(matches!(wrong, Err(KeyStoreError::Passphrase { .. })), "{wrong:?}");
        }
        assert!(file(&path, "wrong").store("data", b"overwritten").is_err());
        assert_eq!(&*file(&path, "right").load("data").unwrap().unwrap(), b"kept");
    }

    #[test]
    fn c10_every_flipped_bit_and_every_cut_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keys = file(&path, "p");
        keys.store("data", b"kept").unwrap();
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // More iterations than the file had only cost time.
            let iterations = u32::from_le_bytes(bytes[10..14].try_into().unwrap());
            if (100_000..=MOST_ITERATIONS).contains(&iterations) {
                continue;
            }
            fs::write(&path, bytes).unwrap();
            assert!(file(&path, "p").load("data").is_err(), "bit {bit}");
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(file(&path, "p").load("data").is_err(), "{length} bytes");
        }
        // What was stretched before is still checked against the file.
        assert!(keys.load("data").is_err());
    }

    #[test]
    fn c10_no_two_writings_share_a_key_or_show_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keys = file(&path, "p");
        let contents = [0; 3].map(|_| {
            keys.store("data", b"a secret of some length").unwrap();
            fs::read(&path).unwrap()
        });
        let fresh = |bytes: &[u8]| bytes[HEADER_BYTES - KEY_BYTES..HEADER_BYTES].to_vec();
        assert_ne!(fresh(&contents[0]), fresh(&contents[1]));
        assert_ne!(fresh(&contents[1]), fresh(&contents[2]));
        for content in contents {
            assert!(!content.windows(8).any(|window| window == b"a secret"));
            assert!(!content.windows(4).any(|window| window == b"data"));
        }
    }

    #[test]
    fn c10_a_file_that_cannot_be_is_named() {
        let error = file(Path::new("/dev/null/keys"), "p").store("data", b"x").unwrap_err();
        assert!(error.to_string().contains("/dev/null/keys"), "{error}");
        let given = PassphraseFile::new(Path::new("x"), Secret::new(vec![])).with_iterations(1);
        assert!(given.unwrap_err().to_string().contains("1000 to 10000000"));
    }

    #[test]
    fn c10_what_could_not_be_read_again_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let keys = file(&folder.path().join("keys"), "p");
        keys.store("data", b"kept").unwrap();
        assert!(keys.store("large", &vec![0; MAX_BODY_BYTES as usize]).is_err());
        assert_eq!(&*keys.load("data").unwrap().unwrap(), b"kept");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys");
            fs::write(&path, [MAGIC.as_slice(), &VERSION.to_le_bytes(), &bytes].concat()).unwrap();
            let iterations = bytes.first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
            if iterations < 100_000 {
                prop_assert!(file(&path, "p").load("data").is_err());
            }
        }
    }
}
