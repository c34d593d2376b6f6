//! A root key: made at first use, taken away by shredding.

use super::{
    Lifetime, VaultError,
    files::{self, failed},
    key::{KEY_BYTES, KeySlot},
    keystore::{KeyStore, Secret},
    segment::Header,
};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// In the vault's folder while a shredding is not complete.
const MARK: &str = "shredding";

/// One root key, and everything that depends on it.
pub(super) struct Root {
    lifetime: Lifetime,
    /// Where the logs of this lifetime are.
    folder: PathBuf,
    mark: PathBuf,
    keys: Arc<dyn KeyStore>,
    state: Mutex<State>,
}

/// Locked while a file is made, so that shredding comes before or after, never between.
#[derive(Default)]
pub(super) struct State {
    key: Option<Secret>,
    derived: Vec<Weak<KeySlot>>,
    /// Shreddings of this process: what was opened before one is not used after it.
    generation: u64,
    open_logs: HashSet<(u64, String)>,
    /// A shredding was begun and is not complete.
    shredding: bool,
}

/// What [`Root::shred`] does, in order. The mark comes first, so that a crash at any point leaves
/// either everything as it was, or a shredding that the next start completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShredStep {
    Mark,
    DestroyRootKey,
    ForgetKeys,
    DeleteSegments,
    Unmark,
}

pub(super) const SHRED: [ShredStep; 5] = [
    ShredStep::Mark,
    ShredStep::DestroyRootKey,
    ShredStep::ForgetKeys,
    ShredStep::DeleteSegments,
    ShredStep::Unmark,
];

impl Root {
    pub(super) fn new(
        lifetime: Lifetime,
        vault: &Path,
        keys: Arc<dyn KeyStore>,
    ) -> Result<Self, VaultError> {
        let (folder, mark) = (vault.join(lifetime.name()), vault.join(MARK));
        files::private_folder(&folder)?;
        let state = Mutex::default();
        Ok(Self { lifetime, folder, mark, keys, state })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For whoever opens or makes something: completes a shredding that failed before.
    pub(super) fn lock_ready(&self) -> Result<MutexGuard<'_, State>, VaultError> {
        let mut state = self.lock();
        if state.shredding {
            self.run(&mut state, &SHRED)?;
        }
        Ok(state)
    }

    /// Whether anything was sealed in the folder of this lifetime.
    pub(super) fn holds_sealed_files(&self) -> Result<bool, VaultError> {
        let mut entries = fs::read_dir(&self.folder).map_err(failed("read", &self.folder))?;
        Ok(entries.next().is_some())
    }

    /// Makes sure that the key exists. `sealed_elsewhere` says that there must have been one.
    pub(super) fn require(&self, sealed_elsewhere: bool) -> Result<(), VaultError> {
        let mut state = self.lock();
        if self.load(&mut state)?.is_none() && sealed_elsewhere {
            return Err(self.gone());
        }
        self.load_or_make(&mut state).map(|_| ())
    }

    /// Uses the key, made if there is none.
    pub(super) fn with_key<T>(
        &self,
        use_it: impl FnOnce(&[u8]) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        use_it(self.load_or_make(&mut self.lock())?)
    }

    /// The key of a file that is being made.
    pub(super) fn key_to_write(
        &self,
        state: &mut State,
        header: &Header,
        name: &str,
    ) -> Result<Arc<KeySlot>, VaultError> {
        let slot = Arc::new(header.key(self.load_or_make(state)?, name)?);
        state.lend(&slot);
        Ok(slot)
    }

    /// The key of a file that exists; `None` when the root key does not.
    pub(super) fn key_to_read(
        &self,
        state: &mut State,
        header: &Header,
        name: &str,
    ) -> Result<Option<Arc<KeySlot>>, VaultError> {
        let Some(root) = self.load(state)? else { return Ok(None) };
        let slot = Arc::new(header.key(root, name)?);
        state.lend(&slot);
        Ok(Some(slot))
    }

    pub(super) fn gone(&self) -> VaultError {
        VaultError::KeyGone { lifetime: self.lifetime, path: self.folder.clone() }
    }

    fn load<'a>(&self, state: &'a mut State) -> Result<Option<&'a [u8]>, VaultError> {
        if state.key.is_none() {
            let found = self.keys.load(self.lifetime.name())?;
            if let Some(bytes) = found.as_ref().map(|key| key.len()).filter(|n| *n != KEY_BYTES) {
                return Err(VaultError::KeyMalformed { lifetime: self.lifetime, bytes });
            }
            state.key = found;
        }
        Ok(state.key.as_deref())
    }

    fn load_or_make<'a>(&self, state: &'a mut State) -> Result<&'a [u8], VaultError> {
        if self.load(state)?.is_none() {
            if self.holds_sealed_files()? {
                return Err(self.gone());
            }
            let fresh = Secret::random(KEY_BYTES).ok_or(VaultError::Crypto("drawing a key"))?;
            self.keys.store(self.lifetime.name(), &fresh)?;
            // Read back: what is sealed with a key that was not kept would be lost.
            let kept = self.keys.load(self.lifetime.name())?;
            state.key = kept.filter(|kept| **kept == *fresh);
        }
        state.key.as_deref().ok_or(VaultError::KeyNotKept { lifetime: self.lifetime })
    }

    /// Completes what a crash cut short.
    pub(super) fn finish_shred(&self) -> Result<(), VaultError> {
        let marked = fs::exists(&self.mark).map_err(failed("looked for", &self.mark))?;
        if marked { self.shred() } else { Ok(()) }
    }

    /// See [`Vault::shred`](super::Vault::shred).
    pub(super) fn shred(&self) -> Result<(), VaultError> {
        self.run(&mut self.lock(), &SHRED)
    }

    /// Does some of the steps. A step that fails keeps none but the last from being done: what
    /// matters most is that as much as possible is gone. The first error is told.
    pub(super) fn run(&self, state: &mut State, steps: &[ShredStep]) -> Result<(), VaultError> {
        let mut outcome = Ok(());
        state.shredding = true;
        for step in steps {
            let done = match step {
                // Without a mark, only a crash right now would be left unfinished; a disk too full
                // for it must not keep the key alive.
                ShredStep::Mark => {
                    let _ = self.make_mark();
                    Ok(())
                }
                ShredStep::DestroyRootKey => {
                    self.keys.delete(self.lifetime.name()).map_err(VaultError::from)
                }
                ShredStep::ForgetKeys => {
                    state.forget();
                    Ok(())
                }
                ShredStep::DeleteSegments => self.delete_segments(),
                ShredStep::Unmark if outcome.is_ok() => {
                    let unmarked = files::remove(&self.mark).map_err(VaultError::from);
                    state.shredding = unmarked.is_err();
                    unmarked
                }
                ShredStep::Unmark => Ok(()),
            };
            outcome = outcome.and(done);
        }
        outcome
    }

    fn make_mark(&self) -> Result<(), VaultError> {
        if !fs::exists(&self.mark).unwrap_or(false) {
            files::create(&self.mark)?;
            self.mark.parent().map_or(Ok(()), files::sync_folder)?;
        }
        Ok(())
    }

    fn delete_segments(&self) -> Result<(), VaultError> {
        let mut outcome = Ok(());
        for entry in fs::read_dir(&self.folder).map_err(failed("read", &self.folder))? {
            let path = entry.map_err(failed("read", &self.folder))?.path();
            outcome = outcome.and(files::remove(&path));
        }
        outcome.and_then(|()| files::sync_folder(&self.folder))?;
        Ok(())
    }
}

impl State {
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes the name of a log, unless it is taken.
    pub(super) fn claim(&mut self, name: &str) -> bool {
        self.open_logs.insert((self.generation, name.to_owned()))
    }

    pub(super) fn release(&mut self, generation: u64, name: &str) {
        self.open_logs.remove(&(generation, name.to_owned()));
    }

    fn lend(&mut self, slot: &Arc<KeySlot>) {
        self.derived.retain(|slot| slot.strong_count() > 0);
        self.derived.push(Arc::downgrade(slot));
    }

    fn forget(&mut self) {
        self.key = None;
        self.derived.drain(..).filter_map(|slot| slot.upgrade()).for_each(|slot| slot.wipe());
        self.generation += 1;
    }
}
