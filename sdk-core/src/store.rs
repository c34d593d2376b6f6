//! What a device keeps: one folder, one key store, one person.
//!
//! [`LocalStore`] puts the pieces together: the vault seals, the ledger remembers what was agreed
//! to, the gate decides, and a withdrawal destroys what was kept under it.

#[cfg(feature = "http")]
use crate::{
    clock::Nanos,
    sensor::SessionClock,
    sync::{Chain, Limits, Outbox, SyncConfig, SyncError, SyncHandle},
};
use crate::{
    consent::{Forget, Gate, Ledger, LedgerError},
    frames::{Frames, FramesError, MemoryFrames},
    vault::{KeyStore, Lifetime, Log, Opened, Vault, VaultError},
};
#[cfg(feature = "http")]
use protocol::consent::{Head, Receipt};
use protocol::{consent::Notice, key::SigningKey};
use std::{path::Path, sync::Arc};
use thiserror::Error;
#[cfg(feature = "http")]
use uuid::Uuid;

const LEDGER: &str = "consent";
const OUTBOX: &str = "outbox";

/// Everything a device keeps of a person. Dropping it lets another process open the folder.
#[derive(Debug)]
pub struct LocalStore {
    vault: Option<Vault>,
    ledger: Arc<Ledger>,
    gate: Gate,
    /// What an earlier session left behind.
    remarks: Vec<Remark>,
}

/// Frames, and what they held when they were opened.
#[derive(Debug)]
pub struct Sealed {
    /// Where more goes.
    pub frames: Box<dyn Frames>,
    /// What was kept, oldest first.
    pub stored: Vec<Vec<u8>>,
    /// What was wrong with it.
    pub remark: Option<Remark>,
}

/// Something that is worth telling, though the store can be used.
#[derive(Debug, Error)]
pub enum Remark {
    /// The last session ended in the middle of writing its newest change of consent.
    #[error("the last session ended while it wrote down a change of consent: see what is granted")]
    Torn,
    /// Consent is withdrawn, and what was kept under it is still there.
    #[error("what was stored before consent was withdrawn is not destroyed yet: {0}")]
    NotForgotten(FramesError),
    /// Part of the outbox could not be opened.
    #[error("part of what waited to be sent cannot be opened: {0}")]
    Outbox(VaultError),
}

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder or the key store.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What was agreed to.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The platform's cryptography refused the device's key.
    #[error("the device's key cannot be used: restart the device, then bring back its key store")]
    Key,
}

/// [`Ledger::open`] or [`Ledger::begin_anew`].
type OpenLedger = fn(
    Arc<SigningKey>,
    &[Vec<u8>],
    Box<dyn Frames>,
    Forget,
) -> Result<crate::consent::Opened, LedgerError>;

impl LocalStore {
    /// Opens the store in `folder`, or begins one: a new person, who agreed to nothing.
    ///
    /// # Errors
    /// [`StoreError`]: nothing can be measured then. Where the ledger does not hold, see
    /// [`LocalStore::begin_anew`].
    pub fn open(
        folder: &Path,
        keys: Arc<dyn KeyStore>,
        notice: &Notice,
    ) -> Result<Self, StoreError> {
        Self::open_as(folder, keys, notice, true, Ledger::open)
    }

    /// Begins a new ledger, of a new pseudonym, in place of one that does not hold; what was kept
    /// under the old one is destroyed, the old one stays as evidence.
    ///
    /// # Errors
    /// [`StoreError`]; the old ledger stands then.
    pub fn begin_anew(
        folder: &Path,
        keys: Arc<dyn KeyStore>,
        notice: &Notice,
    ) -> Result<Self, StoreError> {
        Self::open_as(folder, keys, notice, false, Ledger::begin_anew)
    }

    fn open_as(
        folder: &Path,
        keys: Arc<dyn KeyStore>,
        notice: &Notice,
        whole: bool,
        how: OpenLedger,
    ) -> Result<Self, StoreError> {
        let vault = Vault::open(folder, keys)?;
        let (log, opened) = vault.log(LEDGER, Lifetime::Identity)?;
        if whole {
            damage(&opened)?;
        }
        let (signer, stored) = (signer(&vault)?, frames(&opened));
        // The vault cuts off what is torn before the ledger sees it.
        let torn = opened.torn_bytes > 0;
        let mut opened = how(signer, &stored, Box::new(log), forget(&vault))?;
        opened.torn |= torn;
        Self::with(Some(vault), opened, notice)
    }

    /// A store that lives as long as the process, for simulations: a new person each time.
    ///
    /// # Errors
    /// [`StoreError`] when nobody may be measured under the notice.
    pub fn in_memory(notice: &Notice) -> Result<Self, StoreError> {
        let mut seed = [0; 32];
        let (first, second) = seed.split_at_mut(16);
        first.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        second.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        let signer = Arc::new(SigningKey::from_seed(&seed).ok_or(StoreError::Key)?);
        let frames = Box::new(MemoryFrames::default());
        let opened = Ledger::open(signer, &[], frames, Box::new(|| Ok(())))?;
        Self::with(None, opened, notice)
    }

    fn with(
        vault: Option<Vault>,
        opened: crate::consent::Opened,
        notice: &Notice,
    ) -> Result<Self, StoreError> {
        let mut remarks = Vec::new();
        remarks.extend(opened.torn.then_some(Remark::Torn));
        remarks.extend(opened.not_forgotten.map(Remark::NotForgotten));
        let gate = opened.ledger.gate(notice)?;
        Ok(Self { vault, ledger: opened.ledger, gate, remarks })
    }

    /// The gate. All clones are one.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What was agreed to, receipt by receipt.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Seals recordings. `None` where everything stays in memory.
    #[must_use]
    pub fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    /// What an earlier session left behind; to be shown once.
    pub fn remarks(&self) -> impl Iterator<Item = &Remark> {
        self.remarks.iter()
    }

    /// The sealed outbox, and what waits in it. One at a time.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn outbox(&self) -> Result<Sealed, VaultError> {
        let Some(vault) = &self.vault else {
            let frames = Box::new(MemoryFrames::default());
            return Ok(Sealed { frames, stored: Vec::new(), remark: None });
        };
        let (log, opened) = vault.log(OUTBOX, Lifetime::Data)?;
        let stored = frames(&opened);
        let damaged = opened.damaged_segments.into_iter().next();
        let remark = damaged.map(|damaged| Remark::Outbox(damaged.into_error()));
        let frames = Box::new(SealedFrames { vault: vault.clone(), log: Some(log) });
        Ok(Sealed { frames, stored, remark })
    }
}

/// All that delivery takes: where to, whose, and what waits.
#[cfg(feature = "http")]
#[derive(Debug)]
pub struct Delivery {
    config: SyncConfig,
    ledger: Arc<Ledger>,
    outbox: Outbox,
}

#[cfg(feature = "http")]
impl LocalStore {
    /// Prepares delivery to a server. One at a time.
    ///
    /// # Errors
    /// [`VaultError`] when the outbox cannot be opened.
    pub fn sync(&self, config: SyncConfig) -> Result<Delivery, VaultError> {
        let Sealed { frames, stored, .. } = self.outbox()?;
        let outbox = Outbox::restore(frames, stored, Limits::default());
        Ok(Delivery { config, ledger: Arc::clone(&self.ledger), outbox })
    }
}

#[cfg(feature = "http")]
impl Delivery {
    /// Begins to deliver, for a session with this clock.
    ///
    /// # Errors
    /// [`SyncError`] when the server's address cannot be used.
    pub fn begin(
        self,
        session: Uuid,
        clock: SessionClock,
        gate: Gate,
    ) -> Result<SyncHandle, SyncError> {
        let config = SyncConfig { session, origin: clock.instant(Nanos::ZERO), ..self.config };
        SyncHandle::spawn(&config, gate, self.ledger, self.outbox)
    }
}

#[cfg(feature = "http")]
impl Chain for Ledger {
    fn receipts_after(&self, epoch: u64) -> Vec<Receipt> {
        Self::receipts_after(self, epoch)
    }

    fn head(&self) -> Option<Head> {
        Self::head(self)
    }

    fn countersigned(&self, head: Head) -> Result<(), FramesError> {
        Self::countersigned(self, head).map_err(FramesError::new)
    }

    fn signer(&self) -> Arc<SigningKey> {
        Arc::clone(Self::signer(self))
    }
}

/// A log that is opened anew after its key was destroyed.
#[derive(Debug)]
struct SealedFrames {
    vault: Vault,
    log: Option<Log>,
}

impl Frames for Log {
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        Log::append(self, frames).map_err(FramesError::new)
    }

    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        Log::rewrite(self, frames).map_err(FramesError::new)
    }
}

impl SealedFrames {
    fn with(
        &mut self,
        write: impl Fn(&mut Log) -> Result<(), VaultError>,
    ) -> Result<(), FramesError> {
        if let Some(log) = &mut self.log {
            match write(log) {
                Err(VaultError::Shredded) => self.log = None,
                done => return done.map_err(FramesError::new),
            }
        }
        let (log, _) = self.vault.log(OUTBOX, Lifetime::Data).map_err(FramesError::new)?;
        write(self.log.insert(log)).map_err(FramesError::new)
    }
}

impl Frames for SealedFrames {
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        self.with(|log| log.append(frames))
    }

    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        self.with(|log| log.rewrite(frames))
    }
}

fn signer(vault: &Vault) -> Result<Arc<SigningKey>, StoreError> {
    let seed = vault.signing_seed()?;
    let seed = seed.first_chunk().ok_or(StoreError::Key)?;
    Ok(Arc::new(SigningKey::from_seed(seed).ok_or(StoreError::Key)?))
}

fn forget(vault: &Vault) -> Forget {
    let vault = vault.clone();
    Box::new(move || vault.shred().map_err(FramesError::new))
}

fn frames(opened: &Opened) -> Vec<Vec<u8>> {
    opened.frames.iter().map(|frame| frame.to_vec()).collect()
}

/// A damaged consent ledger grants nothing.
fn damage(opened: &Opened) -> Result<(), VaultError> {
    match opened.damaged_segments.first() {
        None => Ok(()),
        Some(damaged) => Err(damaged.clone().into_error()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
mod tests {
    use super::*;
    use crate::{
        consent::{Collect, Infer, Refused},
        vault::MemoryKeyStore,
    };
    use protocol::consent::{Modality, Purpose};
    use std::fs;

    const USES: [(Modality, Purpose); 2] =
        [(Modality::Eda, Purpose::Collect), (Modality::Eda, Purpose::Infer)];
    const CANARY: &[u8] = b"31.415926 microsiemens";

    fn notice() -> Notice {
        serde_json::from_value(serde_json::json!({
            "version": "1", "language": "en", "text": "We measure your skin.",
            "setting": "personal", "jurisdiction": "DE", "authority": "Yours",
            "controllers": [{"name": "You", "address": "Here", "contact": "yourself"}],
            "recipients": {"operator": "nobody"}, "storage_locations": ["this device"],
            "retention": [{"purpose": "collect", "days": 1}],
            "withdrawal_method": "Press Stop.", "privacy_rights": ["access"],
        }))
        .unwrap()
    }

    fn keys() -> Arc<dyn KeyStore> {
        Arc::new(MemoryKeyStore::default())
    }

    fn open(folder: &Path, keys: &Arc<dyn KeyStore>) -> LocalStore {
        LocalStore::open(folder, Arc::clone(keys), &notice()).unwrap()
    }

    #[test]
    fn c5_what_was_agreed_to_and_what_waits_survive_a_restart() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), keys());
        let store = open(folder.path(), &keys);
        assert_eq!(store.gate().record().epoch, 0);
        store.gate().grant(&USES, None, 1).unwrap();
        store.gate().acknowledge(2).unwrap();
        store.outbox().unwrap().frames.append(&[CANARY]).unwrap();
        let record = store.gate().record();
        store.gate().pause(3).unwrap();
        drop(store);

        let again = open(folder.path(), &keys);
        let (person, device) = (again.gate().record().person, again.gate().record().device);
        assert_eq!((person, device), (record.person, record.device));
        let refused = again.gate().permit::<Collect>(Modality::Eda).map(drop);
        assert_eq!(refused, Err(Refused::Paused));
        again.gate().unpause(4).unwrap();
        assert!(again.gate().permit::<Infer>(Modality::Eda).is_ok());
        assert_eq!(again.outbox().unwrap().stored, [CANARY]);
        assert_eq!(again.remarks().count(), 0);
    }

    #[test]
    fn c4_a_withdrawal_destroys_what_waits_and_the_store_goes_on() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), keys());
        let store = open(folder.path(), &keys);
        store.gate().grant(&USES, None, 1).unwrap();
        let mut frames = store.outbox().unwrap().frames;
        frames.append(&[CANARY]).unwrap();
        let old_key = keys.load("data").unwrap().map(|key| key.to_vec());
        store.gate().withdraw(2).unwrap();
        assert!(old_key.is_some() && keys.load("data").unwrap().is_none());
        frames.replace(&[b"sequence"]).unwrap();
        store.gate().grant(&USES, None, 3).unwrap();
        frames.append(&[b"new"]).unwrap();
        drop((frames, store));

        let again = open(folder.path(), &keys);
        assert_eq!(again.outbox().unwrap().stored, [&b"sequence"[..], b"new"]);
        assert_eq!(again.ledger().receipts().len(), 3, "what was agreed to stays on record");
    }

    #[test]
    fn c10_no_file_of_the_folder_holds_plaintext() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), keys());
        let store = open(folder.path(), &keys);
        store.gate().grant(&USES, None, 1).unwrap();
        store.gate().acknowledge(2).unwrap();
        store.outbox().unwrap().frames.append(&[CANARY]).unwrap();
        let person = store.gate().record().person;
        let words: [&[u8]; 6] = [
            CANARY,
            b"microsiemens",
            b"collect",
            b"signature",
            b"skin",
            &person.to_string().into_bytes(),
        ];
        let mut files = 0;
        let mut folders = vec![folder.path().to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = fs::read(&path).unwrap();
                files += usize::from(!bytes.is_empty());
                for word in words {
                    let found = bytes.windows(word.len()).any(|window| window == word);
                    assert!(!found, "{path:?} holds {}", String::from_utf8_lossy(word));
                }
            }
        }
        assert!(files >= 2, "ledger and outbox are on disk");
    }

    #[test]
    fn c10_without_the_platforms_key_nothing_opens() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), &keys());
        store.gate().grant(&USES, None, 1).unwrap();
        drop(store);
        let error = LocalStore::open(folder.path(), keys(), &notice()).unwrap_err();
        assert!(matches!(error, StoreError::Vault(VaultError::KeyGone { .. })), "{error}");
    }
}
