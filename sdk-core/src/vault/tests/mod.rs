//! What the vault promises, by the numbers of the requirements.

mod damage;
mod disk;
#[cfg(unix)]
mod kill;
mod logs;
#[cfg(target_os = "linux")]
mod memory;
mod model;
mod sealing;
mod shredding;

use super::*;
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

/// A folder, and the keys beside it.
struct Device {
    folder: tempfile::TempDir,
    keys: Arc<Keys>,
}

/// A key store in memory that can be made to fail.
#[derive(Default)]
struct Keys {
    memory: MemoryKeyStore,
    silent: AtomicBool,
    keeps_nothing: AtomicBool,
}

impl Keys {
    fn answer(&self) -> Result<(), KeyStoreError> {
        if self.silent.load(Ordering::SeqCst) {
            let (doing, detail) = ("answer".to_owned(), "locked".to_owned());
            return Err(KeyStoreError::Unavailable { doing, detail });
        }
        Ok(())
    }
}

impl KeyStore for Keys {
    fn load(&self, name: &str) -> Result<Option<Secret>, KeyStoreError> {
        self.answer()?;
        self.memory.load(name)
    }

    fn store(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.answer()?;
        if self.keeps_nothing.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.memory.store(name, secret)
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        self.answer()?;
        self.memory.delete(name)
    }
}

impl Device {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), keys: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    fn try_open(&self) -> Result<Vault, VaultError> {
        Vault::open(&self.path(), Arc::clone(&self.keys) as _)
    }

    fn open(&self) -> Vault {
        self.try_open().unwrap()
    }

    /// The log that most tests use, in a vault of its own.
    fn log(&self) -> (Log, Opened) {
        self.open().log("outbox", Lifetime::Data).unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        segments(&self.path())
    }

    /// The one segment of a log with these frames.
    fn one_segment(&self, frames: &[&[u8]]) -> (PathBuf, Vec<u8>) {
        self.log().0.append(frames).unwrap();
        let [path] = self.segments().try_into().unwrap();
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    }
}

fn segments(vault: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(vault.join("data")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn texts(opened: &Opened) -> Vec<String> {
    opened.frames.iter().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
}

/// What every key store must do; each implementation's tests call it.
pub(super) fn check_key_store(keys: &dyn KeyStore) {
    assert!(keys.load("data").unwrap().is_none());
    keys.delete("data").unwrap();
    keys.store("data", &[7; 32]).unwrap();
    keys.store("identity", b"not UTF-8: \xff\x00").unwrap();
    assert_eq!(&*keys.load("data").unwrap().unwrap(), [7; 32]);
    keys.store("data", &[8; 32]).unwrap();
    assert_eq!(&*keys.load("data").unwrap().unwrap(), [8; 32]);
    keys.delete("data").unwrap();
    keys.delete("data").unwrap();
    assert!(keys.load("data").unwrap().is_none());
    assert_eq!(&*keys.load("identity").unwrap().unwrap(), b"not UTF-8: \xff\x00");
    keys.delete("identity").unwrap();
}

/// Every file of a folder, deep.
fn files_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_of(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
