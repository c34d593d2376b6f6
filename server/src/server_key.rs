//! The server's own secrets, each 32 random bytes in a file of the data folder: the key that it signs
//! chain heads with, and the one that its links to people's pages are made with.

use protocol::key::SigningKey;
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The name of the key file inside the data folder.
pub const SERVER_KEY_FILE_NAME: &str = "server-key";
/// The name of the file of the links' secret.
const LINKS_FILE_NAME: &str = "links-key";
/// What a name ends with while its file is being written.
const UNFINISHED: &str = "unfinished";
/// An Ed25519 seed (RFC 8032).
const SEED_BYTES: usize = 32;

/// Why there is no server key.
#[derive(Debug, Error)]
pub enum ServerKeyError {
    /// The file cannot be read or written.
    #[error("cannot use the server's key {path}: {source}; it must be readable by the server only")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a key.
    #[error(
        "the server's key {path} has {found} bytes, not {SEED_BYTES}: restore it from a backup; \
         without it, devices see a server that they do not know"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: usize,
    },
    /// The operating system gave no random numbers, or its key was refused.
    #[error("no key could be made: the operating system gave no random numbers")]
    Random,
}

/// Reads the key, making it first if there is none.
///
/// # Errors
/// [`ServerKeyError`]. A file that is there is never replaced.
pub fn load_or_make(folder: &Path) -> Result<SigningKey, ServerKeyError> {
    let seed = secret(folder, SERVER_KEY_FILE_NAME)?;
    SigningKey::from_seed(&seed).ok_or(ServerKeyError::Random)
}

/// The secret of links to people's pages, made first if there is none. Without the file links that
/// are out already stop working, and nothing else does.
///
/// # Errors
/// [`ServerKeyError`]. A file that is there is never replaced.
pub fn links_secret(folder: &Path) -> Result<[u8; SEED_BYTES], ServerKeyError> {
    secret(folder, LINKS_FILE_NAME)
}

fn secret(folder: &Path, name: &str) -> Result<[u8; SEED_BYTES], ServerKeyError> {
    let path = folder.join(name);
    let failed = |source| ServerKeyError::File { path: path.clone(), source };
    let seed = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(folder, &path)?;
            fs::read(&path).map_err(failed)?
        }
        read => read.map_err(failed)?,
    };
    let found = seed.len();
    let seed = <[u8; SEED_BYTES]>::try_from(seed);
    seed.map_err(|_| ServerKeyError::Length { path: path.clone(), found })
}

/// Whole or not at all: written beside, synced, then renamed.
fn make(folder: &Path, path: &Path) -> Result<(), ServerKeyError> {
    let mut seed = [0; SEED_BYTES];
    SystemRandom::new().fill(&mut seed).map_err(|_| ServerKeyError::Random)?;
    let unfinished = path.with_extension(UNFINISHED);
    let write = || {
        let mut file = private_file(&unfinished)?;
        file.write_all(&seed)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| ServerKeyError::File { path: path.to_owned(), source })
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::TempDir::new().unwrap();
        let first = load_or_make(folder.path()).unwrap().public();
        assert_eq!(load_or_make(folder.path()).unwrap().public(), first);
        let path = folder.path().join(SERVER_KEY_FILE_NAME);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // What a crash left unfinished is no key.
        fs::remove_file(&path).unwrap();
        fs::write(path.with_extension(UNFINISHED), b"half").unwrap();
        assert_ne!(load_or_make(folder.path()).unwrap().public(), first);
    }

    #[test]
    fn what_is_not_a_key_is_named_and_kept() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join(SERVER_KEY_FILE_NAME);
        fs::write(&path, b"short").unwrap();
        let error = load_or_make(folder.path()).unwrap_err();
        assert!(error.to_string().contains("has 5 bytes, not 32"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"short");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(load_or_make(folder.path()), Err(ServerKeyError::File { .. })));
    }
}
