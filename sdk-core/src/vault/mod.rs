//! Everything at rest on the device, sealed.
//!
//! A [`Vault`] is a folder and two root keys that a [`KeyStore`] of the platform keeps:
//!
//! | key | seals | ends |
//! |---|---|---|
//! | `identity` | what outlives a withdrawal: consent ledger, device signing key | with the device |
//! | `data` | what was measured and derived: outbox, recordings | with [`Vault::shred`] |
//!
//! [`Log`] is an append-only log of frames, [`SealedWriter`] and [`SealedReader`] are a file. Both
//! seal with AES-256-GCM.
//!
//! # No nonce is used twice, whatever happens
//!
//! A nonce is the index of a frame in its file, and a key belongs to one file: it is derived from
//! the root key with 32 random bytes that are drawn when the file is made. So a pair of key and
//! nonce could come back only in three ways, and none exists:
//!
//! 1. *Two files with one key.* Needs two equal draws of 256 random bits.
//! 2. *One process writes an index twice.* The index is counted up before a frame is sealed and
//!    never down. When a write fails, the file is abandoned with its key; the next frame starts a
//!    new file.
//! 3. *Two processes write to one file*: after a crash, or because a backup of the folder was
//!    restored. A file is made with `create_new` by the process that drew its salt, and no process
//!    opens an existing file to append to it. What was on disk before is only ever read (or cut
//!    and deleted, which seals nothing).
//!
//! # What withdrawal destroys
//!
//! [`Vault::shred`] destroys the `data` root key in the key store, overwrites it and every key
//! derived from it in memory, also those that open logs and files hold, and deletes the segments.
//! A mark on disk, made before and removed after, lets the next start finish what a crash cut
//! short. Sealed files elsewhere stay where they are and can never be opened again.
//!
//! **Invariants.** No clock, no async. Plaintext is never written. A key store that cannot be
//! asked is an error, never an empty one.

mod files;
mod key;
#[cfg(feature = "os-keyring")]
mod keyring;
mod keystore;
mod log;
mod passphrase;
mod recover;
mod root;
mod sealed;
mod segment;
#[cfg(test)]
mod tests;

pub use files::FileError;
#[cfg(feature = "os-keyring")]
pub use keyring::OsKeyring;
pub use keystore::{KeyStore, KeyStoreError, MemoryKeyStore, Secret};
pub use log::{DamagedSegment, Log, Opened};
pub use passphrase::PassphraseFile;
pub use sealed::{Ending, SealedReader, SealedWriter, is_sealed};
pub use segment::MAX_FRAME_BYTES;

use root::Root;
use std::{
    fmt,
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;

/// How long what is sealed can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// Until the device is given away: survives withdrawal.
    Identity = 0,
    /// Until the next withdrawal.
    Data = 1,
}

impl Lifetime {
    /// Its name: of the root key in the key store, and of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Data => "data",
        }
    }
}

/// Why the vault did not do what it was asked.
#[derive(Debug, Error)]
pub enum VaultError {
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key store.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// Sealed files without their key.
    #[error(
        "the {} key of what is sealed in {} is not in the key store: bring the key store back, or \
         delete the folder to start anew without what is in it", .lifetime.name(), .path.display()
    )]
    KeyGone {
        /// Which root key.
        lifetime: Lifetime,
        /// The folder.
        path: PathBuf,
    },
    /// The key store gave something that is not a key of ours.
    #[error(
        "the key store gave {bytes} bytes for the {} key instead of 32: bring back the key store of \
         this device", .lifetime.name()
    )]
    KeyMalformed {
        /// Which root key.
        lifetime: Lifetime,
        /// Bytes it gave.
        bytes: usize,
    },
    /// The key store took a key and does not give it back.
    #[error(
        "the key store did not keep the {} key: nothing was written; repair the key store",
        .lifetime.name()
    )]
    KeyNotKept {
        /// Which root key.
        lifetime: Lifetime,
    },
    /// Consent was withdrawn since this log or file was opened.
    #[error("what was sealed here has been shredded: open it again to start anew")]
    Shredded,
    /// Another process, or another `Vault` of this one, has the folder.
    #[error("the vault {} is in use: close the other app that has it open", .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The log is open.
    #[error("the log {name} is open already: use that one, or drop it first")]
    LogInUse {
        /// Its name.
        name: String,
    },
    /// Not a name for a log.
    #[error("{name:?} cannot name a log: use 1 to 64 of a-z, 0-9, '-' and '_'")]
    Name {
        /// What was given.
        name: String,
    },
    /// More than [`MAX_FRAME_BYTES`].
    #[error("a frame of {bytes} bytes is too large: split it into frames of at most 1 MiB")]
    FrameTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Changed since it was sealed, or sealed with a key this device does not have (any more).
    #[error(
        "{} does not open from byte {offset} on: it was damaged, or sealed with another key; bring \
         back a copy, or delete it", .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins, bytes.
        offset: u64,
    },
    /// Not a sealed file.
    #[error("{} is not a sealed file: read it as what it is", .path.display())]
    NotSealed {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version of this code.
    #[error(
        "{} was sealed in format {found}, this app knows format 1: update the app", .path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u16,
    },
    /// A write to a sealed file failed before.
    #[error(
        "{} could not be written before: what came until then can be read; start a new file",
        .path.display()
    )]
    Abandoned {
        /// The file.
        path: PathBuf,
    },
    /// The operating system's random generator, or the AEAD, refused.
    #[error("the system's cryptography failed while {0}: try again, then restart the device")]
    Crypto(&'static str),
}

impl From<VaultError> for io::Error {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::File(error) => Self::new(error.source.kind(), error),
            error @ VaultError::Damaged { .. } => Self::new(io::ErrorKind::InvalidData, error),
            error => Self::other(error),
        }
    }
}

/// A folder whose content only this device can read. Cheap to clone; all clones are one vault.
///
/// # Examples
/// ```
/// use sdk_core::vault::{Lifetime, MemoryKeyStore, Vault};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let vault = Vault::open(folder.path(), Arc::new(MemoryKeyStore::default()))?;
/// let (mut log, _) = vault.log("outbox", Lifetime::Data)?;
/// log.append(&[b"first", b"second"])?;
/// drop(log);
///
/// let (_, opened) = vault.log("outbox", Lifetime::Data)?;
/// assert_eq!(&*opened.frames[1], b"second");
///
/// vault.shred()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    identity: Root,
    data: Root,
    /// Held as long as the vault lives: one process at a time.
    lock: File,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Closing would leave the lock to a process that is just being spawned, until it starts.
        let _ = self.lock.unlock();
    }
}

/// In the vault's folder: who holds it locked has the vault.
const LOCK: &str = "lock";
/// What the device's signing key is derived for.
const SIGNING: &[u8] = b"attune device key v1";

impl Vault {
    /// Opens the vault in `folder`, which is made, for its owner only, if it is absent. Finishes a
    /// shredding that a crash cut short.
    ///
    /// # Errors
    /// Fails closed: [`VaultError::Keys`] when the key store cannot be asked,
    /// [`VaultError::KeyGone`] when there are sealed files but no identity, [`VaultError::InUse`],
    /// [`VaultError::File`].
    pub fn open(folder: &Path, keys: Arc<dyn KeyStore>) -> Result<Self, VaultError> {
        files::private_folder(folder)?;
        let lock = lock(folder)?;
        let identity = Root::new(Lifetime::Identity, folder, Arc::clone(&keys))?;
        let data = Root::new(Lifetime::Data, folder, keys)?;
        let sealed_without_identity = data.holds_sealed_files()?;
        identity.require(sealed_without_identity)?;
        data.finish_shred()?;
        Ok(Self(Arc::new(Inner { folder: folder.to_owned(), identity, data, lock })))
    }

    /// The 32 bytes from which the device's Ed25519 signing key is made; the same until the
    /// identity is lost.
    ///
    /// # Errors
    /// [`VaultError::Crypto`].
    pub fn signing_seed(&self) -> Result<Secret, VaultError> {
        self.0.identity.with_key(|root| key::derive(root, b"", &[SIGNING]))
    }

    /// Opens the log of that name, and gives what it holds.
    ///
    /// # Errors
    /// [`VaultError::Name`], [`VaultError::LogInUse`], [`VaultError::KeyGone`],
    /// [`VaultError::Version`], [`VaultError::File`], [`VaultError::Keys`]. Damage is no error: it
    /// is told in [`Opened`].
    pub fn log(&self, name: &str, lifetime: Lifetime) -> Result<(Log, Opened), VaultError> {
        Log::open(self.clone(), name, lifetime)
    }

    /// Makes a sealed file of [`Lifetime::Data`], anywhere; never replaces one that is there.
    ///
    /// # Errors
    /// [`VaultError::File`], [`VaultError::KeyGone`], [`VaultError::Keys`].
    pub fn create_sealed(&self, path: &Path) -> Result<SealedWriter, VaultError> {
        SealedWriter::create(self, path)
    }

    /// Opens a sealed file.
    ///
    /// # Errors
    /// [`VaultError::NotSealed`], [`VaultError::Version`], [`VaultError::Damaged`] (header),
    /// [`VaultError::Shredded`] when the data key no longer exists, [`VaultError::File`],
    /// [`VaultError::Keys`].
    pub fn open_sealed(&self, path: &Path) -> Result<SealedReader, VaultError> {
        SealedReader::open(self, path)
    }

    /// Withdrawal: makes everything of [`Lifetime::Data`] unreadable for good, then deletes the
    /// logs. When it returns, no key and no buffer of it is left in memory, and open logs and files
    /// refuse with [`VaultError::Shredded`]. Doing it twice does no harm.
    ///
    /// # Errors
    /// What could not be done; everything else was done all the same, and nothing new is sealed
    /// until a later call, the next use or the next start has done the rest.
    pub fn shred(&self) -> Result<(), VaultError> {
        self.0.data.shred()
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    fn root(&self, lifetime: Lifetime) -> &Root {
        match lifetime {
            Lifetime::Identity => &self.0.identity,
            Lifetime::Data => &self.0.data,
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

fn lock(folder: &Path) -> Result<File, VaultError> {
    let path = folder.join(LOCK);
    let opened = File::options().create(true).append(true).open(&path);
    let file = opened.map_err(files::failed("opened", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(VaultError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(files::failed("locked", &path)(error).into()),
    }
}
