//! A single sealed file, for recordings: written and read as a stream.
//!
//! The last frame is marked, so that a file that was cut, even between two frames, is known to be.

use super::{
    Lifetime, Vault, VaultError,
    files::{self, failed},
    key::KeySlot,
    segment::{
        BadHeader, HEADER_BYTES, Header, Kind, MAGIC, OpenError, Opener, Sealer, Step, read_up_to,
    },
};
use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// Plaintext gathered for one frame, bytes; this much at most is lost by a crash since the last
/// flush.
const FRAME_BYTES: usize = 64 << 10;

/// Writes a sealed file. What is written is sealed and handed to the file once 64 KiB have gathered
/// or at [`flush`](Write::flush).
///
/// [`finish`](Self::finish) ends the file. Dropping the writer does the same where nobody can call
/// it (a boxed writer), but tells no errors; a panic leaves the file torn, as a crash does.
#[derive(Debug)]
pub struct SealedWriter {
    path: PathBuf,
    file: File,
    key: Arc<KeySlot>,
    sealer: Sealer,
    /// Nothing more can be written: finished, or a write failed.
    over: bool,
}

impl SealedWriter {
    pub(super) fn create(vault: &Vault, path: &Path) -> Result<Self, VaultError> {
        let root = vault.root(Lifetime::Data);
        let mut state = root.lock_ready()?;
        let header = Header::fresh(Kind::File, Lifetime::Data, 0, 0)?;
        let key = root.key_to_write(&mut state, &header, "")?;
        let file = files::create(path)?;
        drop(state);
        let reserved = key.with(|live| {
            // Never grows beyond this: growing would leave plaintext in memory that was given back.
            live.buffer.reserve_exact(FRAME_BYTES);
            Ok::<_, VaultError>(())
        });
        let header = header.encode();
        let mut writer =
            Self { path: path.to_owned(), file, key, sealer: Sealer::new(header), over: false };
        if let Err(error) = reserved.and_then(|()| writer.put(&header)) {
            writer.over = true;
            let _ = files::remove(path);
            return Err(error);
        }
        Ok(writer)
    }

    /// Seals what has gathered, marks the end, and waits until all is on disk.
    ///
    /// # Errors
    /// [`VaultError::Shredded`], [`VaultError::Abandoned`], [`VaultError::File`].
    pub fn finish(mut self) -> Result<(), VaultError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), VaultError> {
        self.seal(true)?;
        self.over = true;
        self.file.sync_all().map_err(failed("written through", &self.path))?;
        match self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => Ok(files::sync_folder(folder)?),
            None => Ok(files::sync_folder(Path::new("."))?),
        }
    }

    /// Seals what has gathered into one frame.
    fn seal(&mut self, last: bool) -> Result<(), VaultError> {
        self.usable()?;
        let mut sealed = Vec::new();
        let sealer = &mut self.sealer;
        self.key.with(|live| {
            let plaintext = std::mem::take(&mut live.buffer);
            let sealing = sealer.seal(live, &plaintext, last, &mut sealed);
            live.buffer = plaintext;
            live.buffer.clear();
            sealing
        })?;
        self.put(&sealed)
    }

    /// A write that fails ends the file: an index whose frame may be on disk in part is not used
    /// again.
    fn put(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        let put = self.file.write_all(bytes);
        self.over = put.is_err();
        Ok(put.map_err(failed("written", &self.path))?)
    }

    fn usable(&self) -> Result<(), VaultError> {
        if self.over {
            return Err(VaultError::Abandoned { path: self.path.clone() });
        }
        Ok(())
    }
}

impl Write for SealedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.usable()?;
        let (took, full) = self.key.with(|live| {
            let room = FRAME_BYTES.saturating_sub(live.buffer.len());
            let took = &bytes[..room.min(bytes.len())];
            live.buffer.extend_from_slice(took);
            Ok::<_, VaultError>((took.len(), live.buffer.len() >= FRAME_BYTES))
        })?;
        if full {
            self.seal(false)?;
        }
        Ok(took)
    }

    /// Seals a short frame and hands it to the operating system. An empty one is not written.
    fn flush(&mut self) -> io::Result<()> {
        self.usable()?;
        if self.key.with(|live| Ok::<_, VaultError>(!live.buffer.is_empty()))? {
            self.seal(false)?;
        }
        self.file.flush()
    }
}

impl Drop for SealedWriter {
    fn drop(&mut self) {
        if !self.over && !thread::panicking() {
            // The errors are told by `finish`; a file that could not be ended reads as torn.
            let _ = self.end();
        }
        self.key.wipe();
    }
}

/// How a sealed file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With its last frame: everything that was written was read.
    Whole,
    /// Without: the writer was stopped by a crash, or the file was cut. What was read is genuine.
    Torn {
        /// Bytes at the end of the file that make no whole frame.
        bytes: u64,
    },
}

/// Reads a sealed file. At a tear, reading ends as at the end of any file;
/// [`ending`](Self::ending) tells which it was. Damage is an error of kind
/// [`InvalidData`](io::ErrorKind::InvalidData), after everything before it was given.
#[derive(Debug)]
pub struct SealedReader {
    path: PathBuf,
    opener: Opener<BufReader<File>>,
    key: Arc<KeySlot>,
    /// Bytes given of the frame in the key's buffer.
    given: usize,
    /// The frame in the key's buffer is the last.
    last: bool,
    /// Where damage was found: nothing behind it is given.
    damaged_at: Option<u64>,
    ending: Option<Ending>,
}

impl SealedReader {
    pub(super) fn open(vault: &Vault, path: &Path) -> Result<Self, VaultError> {
        let file = File::open(path).map_err(failed("read", path))?;
        let mut file = BufReader::new(file);
        let mut raw = [0; HEADER_BYTES];
        let got = read_up_to(&mut file, &mut raw).map_err(failed("read", path))?;
        let path = path.to_owned();
        if got < MAGIC.len() || !raw.starts_with(MAGIC) {
            return Err(VaultError::NotSealed { path });
        }
        let header = match Header::decode(&raw) {
            Ok(header) if header.kind == Kind::File && got == HEADER_BYTES => header,
            Err(BadHeader::Version(found)) => return Err(VaultError::Version { path, found }),
            _ => return Err(VaultError::Damaged { path, offset: 0 }),
        };
        let root = vault.root(header.lifetime);
        let key = root.key_to_read(&mut *root.lock_ready()?, &header, "")?;
        let key = key.ok_or(VaultError::Shredded)?;
        let opener = Opener::new(file, raw);
        Ok(Self { path, opener, key, given: 0, last: false, damaged_at: None, ending: None })
    }

    /// How the file ended; `None` until it was read to the end.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Opens the next frame into the key's buffer; at the end there is none.
    fn advance(&mut self) -> Result<(), VaultError> {
        let offset = self.opener.offset();
        let step = self.opener.next(&self.key).map_err(|error| match error {
            OpenError::Disk(error) => failed("read", &self.path)(error).into(),
            OpenError::Vault(error) => error,
        })?;
        match step {
            Step::End if self.last => self.ending = Some(Ending::Whole),
            // Nothing may follow the last frame.
            _ if self.last => self.damaged_at = Some(offset),
            Step::Frame { plaintext, last } => {
                self.last = last;
                self.given = 0;
                self.key.with(|live| {
                    live.buffer = plaintext.into_inner();
                    Ok::<_, VaultError>(())
                })?;
            }
            Step::End => self.ending = Some(Ending::Torn { bytes: 0 }),
            Step::Torn { bytes } => self.ending = Some(Ending::Torn { bytes }),
            Step::Unreadable { .. } | Step::Lost { .. } => self.damaged_at = Some(offset),
        }
        Ok(())
    }
}

impl Read for SealedReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = self.key.with(|live| {
                let rest = live.buffer.get(self.given..).unwrap_or_default();
                let now = rest.len().min(to.len());
                to[..now].copy_from_slice(&rest[..now]);
                Ok::<_, io::Error>(now)
            })?;
            self.given += got;
            if got > 0 || to.is_empty() || self.ending.is_some() {
                return Ok(got);
            }
            if let Some(offset) = self.damaged_at {
                return Err(VaultError::Damaged { path: self.path.clone(), offset }.into());
            }
            self.advance()?;
        }
    }
}

impl Drop for SealedReader {
    fn drop(&mut self) {
        self.key.wipe();
    }
}

/// Whether a file was sealed by a vault, by its first bytes.
///
/// # Errors
/// [`FileError`](super::FileError) when it cannot be read.
pub fn is_sealed(path: &Path) -> Result<bool, VaultError> {
    let mut magic = [0; MAGIC.len()];
    let mut file = File::open(path).map_err(failed("read", path))?;
    let got = read_up_to(&mut file, &mut magic).map_err(failed("read", path))?;
    Ok(got == MAGIC.len() && magic == *MAGIC)
}
