//! An append-only log of frames, in segment files `name.NNNNNNNN.seg`.
//!
//! Every opening of a log writes to a segment of its own, made at the first append; what earlier
//! ones wrote is only read. A segment also ends when a write failed, or when it is large.

use super::{
    Lifetime, Secret, Vault, VaultError,
    files::{self, failed},
    key::KeySlot,
    recover::{path, read},
    segment::{HEADER_BYTES, Header, Kind, MAX_FRAME_BYTES, Sealer},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::Arc,
};

/// A segment that has grown to this many bytes gets no more frames: bounds what one damaged header
/// can take along, and keeps a key far below the 2^32 frames that GCM allows one (NIST SP 800-38D,
/// 8.3).
const SEGMENT_BYTES: u64 = 16 << 20;
/// Sealed bytes gathered before a write, so that a rewrite does not hold everything twice.
const WRITE_BYTES: usize = 4 << 20;
const MAX_NUMBER: u32 = 99_999_999;

/// A log. One at a time is open for each name; dropping it lets it be opened again.
#[derive(Debug)]
pub struct Log {
    vault: Vault,
    lifetime: Lifetime,
    name: String,
    generation: u64,
    /// The segment this log made and may append to.
    current: Option<Segment>,
    next: u32,
    /// Bytes of the segments on disk, by number.
    sizes: BTreeMap<u32, u64>,
}

/// What a log held when it was opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// What was appended, in order; overwritten in memory when dropped.
    pub frames: Vec<Secret>,
    /// Bytes of frames that were not whole at the end of a segment, left by a crash or a full
    /// disk. They were never acknowledged, and are cut off.
    pub torn_bytes: u64,
    /// Segments of which something could not be opened. The frames around it were.
    pub damaged_segments: Vec<DamagedSegment>,
}

/// What could not be opened of a segment. The file is left as it is until the log is rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSegment {
    /// The file.
    pub path: PathBuf,
    /// Where the first damage begins, bytes.
    pub offset: u64,
    /// Bytes that could not be opened.
    pub bytes: u64,
}

impl DamagedSegment {
    /// As an error, for whom damage is one.
    #[must_use]
    pub fn into_error(self) -> VaultError {
        VaultError::Damaged { path: self.path, offset: self.offset }
    }
}

impl Log {
    pub(super) fn open(
        vault: Vault,
        name: &str,
        lifetime: Lifetime,
    ) -> Result<(Self, Opened), VaultError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(VaultError::Name { name: name.to_owned() });
        }
        let root = vault.root(lifetime);
        let mut state = root.lock_ready()?;
        if !state.claim(name) {
            return Err(VaultError::LogInUse { name: name.to_owned() });
        }
        let generation = state.generation();
        let read = read(root, &mut state, name, lifetime);
        if read.is_err() {
            state.release(generation, name);
        }
        drop(state);
        let (opened, sizes, last) = read?;
        let name = name.to_owned();
        let next = last.saturating_add(1);
        Ok((Self { vault, lifetime, name, generation, current: None, next, sizes }, opened))
    }

    /// Appends frames, each of at most [`MAX_FRAME_BYTES`], and waits until all are on disk: one
    /// write and one sync for all of them.
    ///
    /// # Errors
    /// [`VaultError`]: the frames are not known to be stored then (some may be found at the next
    /// opening, if the disk refused to cut them off again). The log can be used on; the next append
    /// begins a new segment.
    pub fn append(&mut self, frames: &[&[u8]]) -> Result<(), VaultError> {
        check_sizes(frames)?;
        if frames.is_empty() {
            return Ok(());
        }
        // Taken out, so that a failure anywhere below leaves it abandoned.
        let current = self.current.take().filter(|segment| segment.bytes < SEGMENT_BYTES);
        let mut segment = match current {
            Some(segment) => segment,
            None => self.begin(0, "seg")?,
        };
        let before = segment.bytes;
        if let Err(error) = segment.append(frames) {
            match segment.cut(before) {
                Some(left) => self.sizes.insert(segment.number, left),
                None => self.sizes.remove(&segment.number),
            };
            return Err(error);
        }
        self.sizes.insert(segment.number, segment.bytes);
        self.current = Some(segment);
        Ok(())
    }

    /// Replaces everything the log holds, whole or not at all.
    ///
    /// # Errors
    /// [`VaultError`]: the old content stands, unless the disk failed at the very moment of the
    /// exchange, in which case the next opening finds either the old or the new.
    pub fn rewrite(&mut self, frames: &[&[u8]]) -> Result<(), VaultError> {
        check_sizes(frames)?;
        let mut fresh = self.begin(self.next, "new")?;
        let committed = fresh.append(frames).and_then(|()| self.commit(&mut fresh));
        if committed.is_err() {
            // Best effort: what is not committed is ignored, and deleted at the next opening.
            let _ = files::remove(&fresh.path);
            // If the exchange did reach the disk, what is appended must come after it.
            self.current = None;
        }
        committed?;
        // From here on the old segments are superseded, whether or not they can be deleted.
        let old: Vec<u32> = self.sizes.range(..fresh.number).map(|(number, _)| *number).collect();
        for number in old {
            if files::remove(&self.path(number, "seg")).is_ok() {
                self.sizes.remove(&number);
            }
        }
        self.sizes.insert(fresh.number, fresh.bytes);
        self.current = Some(fresh);
        Ok(())
    }

    /// Bytes of the log's segments.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.sizes.values().sum()
    }

    /// Number of the log's segment files.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.sizes.len()
    }

    #[cfg(test)]
    pub(super) fn vault(&self) -> Vault {
        self.vault.clone()
    }

    /// Makes the next segment, with its key.
    fn begin(&mut self, supersedes: u32, extension: &str) -> Result<Segment, VaultError> {
        let path = self.path(self.next, extension);
        let root = self.vault.root(self.lifetime);
        let mut state = root.lock();
        if state.generation() != self.generation {
            return Err(VaultError::Shredded);
        }
        if self.next > MAX_NUMBER {
            return Err(VaultError::Damaged { path, offset: 0 });
        }
        let header = Header::fresh(Kind::Segment, self.lifetime, self.next, supersedes)?;
        let key = root.key_to_write(&mut state, &header, &self.name)?;
        let file = files::create(&path)?;
        let header = header.encode();
        let number = self.next;
        self.next += 1;
        let sealer = Sealer::new(header);
        let mut segment = Segment { path, file, number, key, sealer, bytes: 0 };
        let begun = segment.write(&header).and_then(|()| Ok(files::sync_folder(root.folder())?));
        if begun.is_err() {
            let _ = files::remove(&segment.path);
        }
        begun.map(|()| segment)
    }

    /// The moment from which a rewritten segment counts.
    fn commit(&self, segment: &mut Segment) -> Result<(), VaultError> {
        segment.sync()?;
        let root = self.vault.root(self.lifetime);
        let state = root.lock();
        if state.generation() != self.generation {
            return Err(VaultError::Shredded);
        }
        let path = self.path(segment.number, "seg");
        fs::rename(&segment.path, &path).map_err(failed("renamed", &segment.path))?;
        segment.path = path;
        files::sync_folder(root.folder())?;
        drop(state);
        Ok(())
    }

    fn path(&self, number: u32, extension: &str) -> PathBuf {
        path(self.vault.root(self.lifetime).folder(), &self.name, number, extension)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.vault.root(self.lifetime).lock().release(self.generation, &self.name);
    }
}

/// A segment that this process made.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    number: u32,
    key: Arc<KeySlot>,
    sealer: Sealer,
    bytes: u64,
}

impl Segment {
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), VaultError> {
        let mut rest = frames;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|frame| {
                bytes += Sealer::bytes_on_disk(frame.len());
                bytes <= WRITE_BYTES
            });
            let (now, later) = rest.split_at(fits.count());
            let total = now.iter().map(|frame| Sealer::bytes_on_disk(frame.len())).sum();
            let mut sealed = Vec::with_capacity(total);
            let Self { key, sealer, .. } = self;
            key.with(|live| now.iter().try_for_each(|f| sealer.seal(live, f, false, &mut sealed)))?;
            self.write(&sealed)?;
            rest = later;
        }
        self.sync()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.file.write_all(bytes).map_err(failed("written", &self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&self) -> Result<(), VaultError> {
        Ok(self.file.sync_data().map_err(failed("written through", &self.path))?)
    }

    /// Takes back what a failed write left, as far as the disk lets it; gives the bytes left of the
    /// file, if there is one.
    fn cut(&mut self, to: u64) -> Option<u64> {
        if to == HEADER_BYTES as u64 && files::remove(&self.path).is_ok() {
            return None;
        }
        match self.file.set_len(to).and_then(|()| self.file.sync_data()) {
            Ok(()) => Some(to),
            Err(_) => Some(self.file.metadata().map_or(to, |about| about.len())),
        }
    }
}

fn check_sizes(frames: &[&[u8]]) -> Result<(), VaultError> {
    match frames.iter().map(|frame| frame.len()).find(|bytes| *bytes > MAX_FRAME_BYTES) {
        Some(bytes) => Err(VaultError::FrameTooLarge { bytes }),
        None => Ok(()),
    }
}
