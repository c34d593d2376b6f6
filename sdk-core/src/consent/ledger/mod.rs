//! The person's own record of what they agreed to: signed, chained, and kept through crashes.
//!
//! A [`Ledger`] writes down every change that a [`Gate`] makes, as a signed [`Receipt`]; after a
//! restart it hands out a gate that stands where the last one stood. It does no I/O of its own:
//! frames go to whoever implements [`Frames`]. What was granted is on disk before it takes effect;
//! what was stopped has taken effect before it is on disk.

mod contents;
mod error;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use error::LedgerError;

use super::{Gate, Witness};
use crate::frames::{Frames, FramesError};
use contents::Contents;
use protocol::{
    consent::{
        ChainError, ConsentRecord, ConsentState, Head, MAX_BATCH_RECEIPTS, Notice, Receipt,
        export::{ConsentExport, ExportError, consent_record},
        verify_chain,
    },
    digest::Digest,
    key::SigningKey,
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// How much time may pass before the latest wall time is written down again: what a clock set back
/// during a crash could give a grant at most, were its end not written down at once.
const SEEN_EVERY_MS: i64 = 60_000;

/// How many superseded frames (about three days of minutes) make the ledger write itself anew.
const MOST_SUPERSEDED: usize = 4096;

/// Destroys everything kept under consent. It is called again after a crash, so it does what is
/// left to do. It must not call the gate or the ledger.
pub type Forget = Box<dyn Fn() -> Result<(), FramesError> + Send + Sync>;

/// What a person agreed to on this device, receipt by receipt.
///
/// One process at a time may have a ledger open: whoever owns the disk holds a lock on it.
///
/// # Examples
/// ```
/// use protocol::{consent::{Modality, Notice, Purpose}, key::SigningKey};
/// use sdk_core::{consent::{Collect, Ledger}, frames::MemoryFrames};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let notice: Notice = serde_json::from_value(serde_json::json!({
/// #     "version": "1", "language": "en", "text": "We measure your skin.", "setting": "personal",
/// #     "controllers": [{"name": "You", "address": "Here", "contact": "yourself"}],
/// #     "recipients": {"operator": "nobody"}, "storage_locations": ["this device"],
/// #     "retention": [{"purpose": "collect", "days": 1}], "jurisdiction": "DE",
/// #     "withdrawal_method": "Press Stop.", "privacy_rights": ["access"], "authority": "Yours",
/// # }))?;
/// let signer = Arc::new(SigningKey::from_seed(&[7; 32]).ok_or("no key")?);
/// let frames = Box::new(MemoryFrames::default());
/// let ledger = Ledger::open(signer, &[], frames, Box::new(|| Ok(())))?.ledger;
/// let gate = ledger.gate(&notice)?;
/// gate.grant(&[(Modality::Eda, Purpose::Collect)], None, 0)?;
/// assert!(gate.permit::<Collect>(Modality::Eda).is_ok());
/// assert_eq!(ledger.receipts_after(0).len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Ledger {
    signer: Arc<SigningKey>,
    person: Uuid,
    forget: Forget,
    inner: Mutex<Inner>,
}

/// A ledger, and what its last session left behind.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// The last session ended while it was writing: a change that nobody was told is kept is lost.
    pub torn: bool,
    /// Consent is withdrawn, but something kept under it could not be destroyed now either.
    /// Nothing can be granted before it is.
    pub not_forgotten: Option<FramesError>,
}

struct Inner {
    contents: Contents,
    /// Signed, but the disk did not take them.
    unrecorded: Vec<Receipt>,
    /// The latest wall time told, Unix milliseconds.
    latest_unix_ms: i64,
    /// The latest wall time that the disk bears witness to, Unix milliseconds.
    written_unix_ms: i64,
    frames: Box<dyn Frames>,
    /// A write failed: what the disk holds at its end is not known.
    uncertain: bool,
    gate_taken: bool,
    owes_forgetting: bool,
}

impl Ledger {
    /// Opens a ledger: reads `stored` (as `frames` holds it), checks the whole chain, and, where
    /// consent is withdrawn, destroys what an interrupted withdrawal left.
    ///
    /// # Errors
    /// [`LedgerError`]: without a chain that holds there is no gate, so nothing runs. The way out
    /// is [`Ledger::begin_anew`].
    pub fn open(
        signer: Arc<SigningKey>,
        stored: &[Vec<u8>],
        frames: Box<dyn Frames>,
        forget: Forget,
    ) -> Result<Opened, LedgerError> {
        let (contents, torn) = Contents::read(stored)?;
        check(&contents, &signer)?;
        let known = contents.person;
        let person = known.unwrap_or_else(Uuid::new_v4);
        let newest = contents.receipts.last().map(|receipt| &receipt.record);
        let withdrawn = newest.filter(|record| record.state == ConsentState::Withdrawn);
        let owes_forgetting = withdrawn.is_some_and(|record| record.epoch > contents.forgotten);
        let mut inner = Inner {
            latest_unix_ms: contents.latest_unix_ms(),
            written_unix_ms: contents.latest_unix_ms(),
            contents,
            unrecorded: Vec::new(),
            frames,
            uncertain: torn,
            gate_taken: false,
            owes_forgetting,
        };
        if known.is_none() {
            inner.append(&[contents::person(person)?])?;
            inner.contents.person = Some(person);
        } else if inner.contents.superseded > MOST_SUPERSEDED {
            inner.tidy()?;
        }
        let owes = inner.owes_forgetting;
        let ledger = Arc::new(Self { signer, person, forget, inner: Mutex::new(inner) });
        let not_forgotten = if owes { Witness::forget(&*ledger).err() } else { None };
        Ok(Opened { ledger, torn, not_forgotten })
    }

    /// Begins a new ledger, of a new pseudonym, in place of one that does not hold. What consent
    /// stood is not known any more, so everything kept under it is destroyed first. The frames of
    /// the old ledger stay on disk as they are, as evidence.
    ///
    /// # Errors
    /// [`LedgerError::Frames`]; the old ledger stands then.
    pub fn begin_anew(
        signer: Arc<SigningKey>,
        stored: &[Vec<u8>],
        mut frames: Box<dyn Frames>,
        forget: Forget,
    ) -> Result<Opened, LedgerError> {
        forget()?;
        let kept: Vec<Vec<u8>> = stored.iter().map(|frame| contents::evidence(frame)).collect();
        frames.replace(&slices(&kept))?;
        Self::open(signer, &kept, frames, forget)
    }

    /// The gate of this ledger: stands where the newest receipt says, knows the latest wall time,
    /// and is witnessed. Only one, so that no two say different things; clone it.
    ///
    /// # Errors
    /// [`LedgerError::Notice`] if nobody may be measured under the notice;
    /// [`LedgerError::GateTaken`]; [`LedgerError::Frames`].
    pub fn gate(self: &Arc<Self>, notice: &Notice) -> Result<Gate, LedgerError> {
        let shown = notice.checked()?;
        let mut inner = self.lock();
        if inner.gate_taken {
            return Err(LedgerError::GateTaken);
        }
        if !inner.contents.notices.contains(notice) {
            inner.append(&[contents::notice(notice)?])?;
            inner.contents.notices.push(notice.clone());
        }
        let gate = Gate::new(self.person, self.device(), shown);
        gate.tick(inner.latest_unix_ms);
        if let Some(newest) = inner.contents.receipts.last() {
            gate.resume(newest.record.clone())?;
        }
        inner.gate_taken = true;
        Ok(gate.witnessed(Arc::clone(self) as Arc<dyn Witness>))
    }

    /// Keeps the server's signature under the chain, after checking that it is one. The key of the
    /// first is pinned.
    ///
    /// # Errors
    /// [`LedgerError::Head`] if it does not hold, or the server saw what is not here;
    /// [`LedgerError::OtherServer`]; [`LedgerError::Frames`].
    pub fn countersigned(&self, head: Head) -> Result<(), LedgerError> {
        head.verify().map_err(LedgerError::Head)?;
        if (head.person, head.device) != (self.person, self.device()) {
            return Err(LedgerError::Head(ChainError::Head));
        }
        let mut inner = self.lock();
        if let Some(known) = &inner.contents.head
            && known.key != head.key
        {
            return Err(LedgerError::OtherServer { pinned: known.key, found: head.key });
        }
        let found = inner.contents.receipts.len() as u64;
        if head.epoch > found {
            let missing = ChainError::Truncated { seen: head.epoch, found };
            return Err(LedgerError::Head(missing));
        }
        if at(&inner.contents.receipts, head.epoch)?.digest()? != head.receipt {
            return Err(LedgerError::Head(ChainError::Forked { epoch: head.epoch }));
        }
        if inner.contents.head.as_ref().is_some_and(|known| head.epoch <= known.epoch) {
            return Ok(());
        }
        inner.append(&[contents::head(&head)?])?;
        inner.contents.superseded += usize::from(inner.contents.head.is_some());
        inner.contents.head = Some(head);
        Ok(())
    }

    /// What a server that has `epoch` receipts does not have, oldest first, at most
    /// [`MAX_BATCH_RECEIPTS`].
    #[must_use]
    pub fn receipts_after(&self, epoch: u64) -> Vec<Receipt> {
        let inner = self.lock();
        let skip = usize::try_from(epoch).unwrap_or(usize::MAX);
        inner.contents.receipts.iter().skip(skip).take(MAX_BATCH_RECEIPTS).cloned().collect()
    }

    /// The whole chain.
    #[must_use]
    pub fn receipts(&self) -> Vec<Receipt> {
        self.lock().contents.receipts.clone()
    }

    /// The server's newest signature.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.lock().contents.head.clone()
    }

    /// The person's copy: see [`protocol::consent::export`].
    ///
    /// # Errors
    /// [`ExportError::Empty`] if there is no receipt yet.
    pub fn export(&self) -> Result<ConsentExport, ExportError> {
        let inner = self.lock();
        consent_record(
            &inner.contents.receipts,
            &inner.contents.notices,
            inner.contents.head.iter(),
        )
    }

    /// The person, under the pseudonym that only this ledger can resolve.
    #[must_use]
    pub fn person(&self) -> Uuid {
        self.person
    }

    /// The device: its key's id.
    #[must_use]
    pub fn device(&self) -> Uuid {
        self.signer.public().device_id()
    }

    /// The device's key.
    #[must_use]
    pub fn signer(&self) -> &Arc<SigningKey> {
        &self.signer
    }

    /// A poisoned lock is taken all the same: what the disk did not take is not in memory either.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Ledger {
    fn record(&self, record: &ConsentRecord) -> Result<(), FramesError> {
        if record.state == ConsentState::Given && self.lock().owes_forgetting {
            Witness::forget(self)?;
        }
        self.lock().record(record, &self.signer)
    }

    /// At most once a minute, and at once when a grant ends.
    fn seen(&self, unix_ms: i64) -> Result<(), FramesError> {
        let mut inner = self.lock();
        let now = inner.latest_unix_ms.max(unix_ms);
        inner.latest_unix_ms = now;
        let written = inner.written_unix_ms;
        let newest = inner.contents.receipts.last().map(|receipt| &receipt.record.grants[..]);
        let mut ends = newest.unwrap_or_default().iter().filter_map(|g| g.expires_unix_ms);
        let one_ended = ends.any(|end| written < end && end <= now);
        if !one_ended && now.saturating_sub(written) < SEEN_EVERY_MS {
            return Ok(());
        }
        inner.append(&[contents::seen(now)?])?;
        inner.contents.seen_unix_ms = now;
        inner.written_unix_ms = now;
        inner.contents.superseded += 1;
        if inner.contents.superseded > MOST_SUPERSEDED { inner.tidy() } else { Ok(()) }
    }

    fn forget(&self) -> Result<(), FramesError> {
        (self.forget)()?;
        let mut inner = self.lock();
        inner.owes_forgetting = false;
        // So that the next start does not destroy again what has begun since. If this cannot be
        // written, it does, which does no harm.
        let epoch = inner.contents.receipts.len() as u64;
        if epoch > inner.contents.forgotten && inner.append(&[contents::forgotten(epoch)?]).is_ok()
        {
            inner.contents.superseded += usize::from(inner.contents.forgotten > 0);
            inner.contents.forgotten = epoch;
        }
        Ok(())
    }
}

impl Inner {
    /// Signs a change and writes it down, with those before it that the disk did not take.
    fn record(&mut self, record: &ConsentRecord, signer: &SigningKey) -> Result<(), FramesError> {
        // A change that the gate did not go on from was a grant that failed: it never was.
        let receipts = &self.contents.receipts;
        let went_on = record.epoch.checked_sub(receipts.len() as u64 + 1);
        let went_on = went_on.and_then(|count| usize::try_from(count).ok());
        let Some(went_on) = went_on.filter(|count| *count <= self.unrecorded.len()) else {
            return Err(FramesError::new(format!(
                "change {} does not follow the {} in the consent ledger: open it again",
                record.epoch,
                receipts.len()
            )));
        };
        self.unrecorded.truncate(went_on);
        let before = self.unrecorded.last().or(receipts.last());
        let previous =
            before.map_or(Ok(Digest::NONE), Receipt::digest).map_err(FramesError::new)?;
        let withdrawn = record.state == ConsentState::Withdrawn
            && before.is_some_and(|receipt| receipt.record.state != ConsentState::Withdrawn);
        let receipt = Receipt::sign(record.clone(), previous, signer).map_err(FramesError::new)?;
        self.unrecorded.push(receipt);
        self.owes_forgetting |= withdrawn;
        let frames: Result<Vec<_>, _> = self.unrecorded.iter().map(contents::receipt).collect();
        self.append(&frames?)?;
        self.contents.receipts.append(&mut self.unrecorded);
        self.written_unix_ms = self.written_unix_ms.max(record.at_unix_ms);
        self.latest_unix_ms = self.latest_unix_ms.max(self.written_unix_ms);
        Ok(())
    }

    /// Adds frames; after a failed write, whose remains may be on disk, by writing everything anew.
    fn append(&mut self, frames: &[Vec<u8>]) -> Result<(), FramesError> {
        let written = if self.uncertain {
            let all = [self.contents.frames()?, frames.to_vec()].concat();
            self.frames.replace(&slices(&all))
        } else {
            self.frames.append(&slices(frames))
        };
        self.uncertain = written.is_err();
        written
    }

    /// Writes everything anew, each thing once.
    fn tidy(&mut self) -> Result<(), FramesError> {
        self.frames.replace(&slices(&self.contents.frames()?))?;
        self.contents.superseded = 0;
        self.uncertain = false;
        Ok(())
    }
}

/// No personal id, no content (C12).
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

fn check(contents: &Contents, signer: &SigningKey) -> Result<(), LedgerError> {
    let Some(first) = contents.receipts.first() else {
        return match &contents.head {
            Some(head) => {
                Err(LedgerError::Broken(ChainError::Truncated { seen: head.epoch, found: 0 }))
            }
            None => Ok(()),
        };
    };
    let here = signer.public().device_id();
    if first.record.device != here {
        return Err(LedgerError::OtherDevice { found: first.record.device, here });
    }
    if Some(first.record.person) != contents.person {
        return Err(LedgerError::Broken(ChainError::Foreign { epoch: first.record.epoch }));
    }
    verify_chain(&contents.receipts, contents.head.as_ref()).map_err(LedgerError::Broken)
}

fn at(receipts: &[Receipt], epoch: u64) -> Result<&Receipt, LedgerError> {
    let index = epoch.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    index.and_then(|index| receipts.get(index)).ok_or(LedgerError::Head(ChainError::Head))
}

fn slices(frames: &[Vec<u8>]) -> Vec<&[u8]> {
    frames.iter().map(Vec::as_slice).collect()
}
