//! The format of everything sealed: a header, then frames.
//!
//! ```text
//! header  magic 8 | version u16 | kind u8 | lifetime u8 | number u32 | supersedes u32
//!         salt 32 | CRC-32 u32
//! frame   head: length and last-bit u32 | CRC-32 of that u32      body: ciphertext | tag 16
//! ```
//!
//! All numbers are little endian. The nonce of a frame is its index in the file, from 0; its
//! associated data is the whole header and its own head. So a frame opens only in its own file, at
//! its own place, with its own length. The checksums find accidents where no key is needed: they
//! tell a torn tail (what a crash or a full disk leaves) from damage.

use super::{
    Lifetime, VaultError,
    key::{KEY_BYTES, KeySlot, Live},
    keystore::Secret,
};
use ring::{
    aead::{Aad, NONCE_LEN, Nonce},
    rand::{SecureRandom, SystemRandom},
};
use std::io::{self, ErrorKind, Read};
use zeroize::{Zeroize, Zeroizing};

/// Most plaintext in one frame, bytes. Also bounds what a damaged length can make a reader reserve.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// The first bytes of whatever the vault sealed.
pub(super) const MAGIC: &[u8; 8] = b"ATTNSEAL";
pub(super) const HEADER_BYTES: usize = 56;
const VERSION: u16 = 1;
const HEAD_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
/// In the length of a frame: it is the file's last.
const LAST: u32 = 1 << 31;

/// What a sealed file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A segment of a log: ends where it ends.
    Segment = 0,
    /// A file: whole only with its last frame.
    File = 1,
}

/// The public beginning of a sealed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) lifetime: Lifetime,
    /// Place among the segments of a log; 0 for a file.
    pub(super) number: u32,
    /// Segments below this number are replaced by this one; 0 replaces none.
    pub(super) supersedes: u32,
    pub(super) salt: [u8; KEY_BYTES],
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// Not ours, or damaged.
    Damaged,
    /// Whole, and of a version this code does not know.
    Version(u16),
}

impl Header {
    /// A header with a salt of its own, so that its key was never used before.
    pub(super) fn fresh(
        kind: Kind,
        lifetime: Lifetime,
        number: u32,
        supersedes: u32,
    ) -> Result<Self, VaultError> {
        let mut salt = [0; KEY_BYTES];
        let filled = SystemRandom::new().fill(&mut salt);
        filled.map_err(|_| VaultError::Crypto("drawing a salt"))?;
        Ok(Self { kind, lifetime, number, supersedes, salt })
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = self.kind as u8;
        bytes[11] = self.lifetime as u8;
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.supersedes.to_le_bytes());
        bytes[20..52].copy_from_slice(&self.salt);
        let sum = crc32fast::hash(&bytes[..52]);
        bytes[52..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, BadHeader> {
        let (content, sum) = bytes.split_at(HEADER_BYTES - 4);
        if &content[..8] != MAGIC || crc32fast::hash(content).to_le_bytes() != sum {
            return Err(BadHeader::Damaged);
        }
        let u32_at = |at: usize| {
            u32::from_le_bytes([content[at], content[at + 1], content[at + 2], content[at + 3]])
        };
        let version = u16::from_le_bytes([content[8], content[9]]);
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        let kind = match content[10] {
            0 => Kind::Segment,
            1 => Kind::File,
            _ => return Err(BadHeader::Damaged),
        };
        let lifetime = match content[11] {
            0 => Lifetime::Identity,
            1 => Lifetime::Data,
            _ => return Err(BadHeader::Damaged),
        };
        let mut salt = [0; KEY_BYTES];
        salt.copy_from_slice(&content[20..52]);
        Ok(Self { kind, lifetime, number: u32_at(12), supersedes: u32_at(16), salt })
    }

    /// The key of this file. `name` is the log's, empty for a file.
    pub(super) fn key(&self, root: &[u8], name: &str) -> Result<KeySlot, VaultError> {
        let place = self.number.to_le_bytes();
        let kind = [self.kind as u8, self.lifetime as u8];
        let info = [b"attune segment v1".as_slice(), &kind, name.as_bytes(), &place];
        KeySlot::derive(root, &self.salt, &info)
    }
}

/// Seals frames one after the other; each index is used once.
#[derive(Debug)]
pub(super) struct Sealer {
    header: [u8; HEADER_BYTES],
    index: u64,
}

impl Sealer {
    pub(super) fn new(header: [u8; HEADER_BYTES]) -> Self {
        Self { header, index: 0 }
    }

    /// Bytes that a plaintext takes up on disk.
    pub(super) fn bytes_on_disk(plaintext: usize) -> usize {
        HEAD_BYTES + plaintext + TAG_BYTES
    }

    /// Appends a sealed frame to `out`. `plaintext` is at most [`MAX_FRAME_BYTES`].
    pub(super) fn seal(
        &mut self,
        live: &Live,
        plaintext: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), VaultError> {
        let too_large = VaultError::FrameTooLarge { bytes: plaintext.len() };
        let length = u32::try_from(plaintext.len() + TAG_BYTES).map_err(|_| too_large)?;
        let head = head(length, last);
        let nonce = nonce(self.index);
        // Counted first: whatever fails from here on, the index is never used again.
        self.index += 1;
        // Reserved first: growing would leave a copy of plaintext in memory that was given back.
        out.reserve(Self::bytes_on_disk(plaintext.len()));
        out.extend_from_slice(&head);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let aad = Aad::from(associated(&self.header, &head));
        match live.key.seal_in_place_separate_tag(nonce, aad, &mut out[start..]) {
            Ok(tag) => out.extend_from_slice(tag.as_ref()),
            Err(_) => {
                out[start..].zeroize();
                return Err(VaultError::Crypto("sealing a frame"));
            }
        }
        Ok(())
    }
}

/// What comes next in a sealed file.
#[derive(Debug)]
pub(super) enum Step {
    /// A whole frame.
    Frame {
        /// What was sealed.
        plaintext: Secret,
        /// Whether the writer marked it as the last.
        last: bool,
    },
    /// Nothing: the file ends at the border of a frame.
    End,
    /// The file ends within a frame, or in zeros that a file system left.
    Torn {
        /// Bytes after the last whole frame.
        bytes: u64,
    },
    /// A frame whose tag does not fit. The next frame may be read.
    Unreadable {
        /// Bytes of the frame.
        bytes: u64,
    },
    /// A damaged head: where the next frame would begin is not known.
    Lost {
        /// Bytes to the end of the file.
        bytes: u64,
    },
}

/// Opens the frames of a file, whose header was read from `from` before.
#[derive(Debug)]
pub(super) struct Opener<R> {
    from: R,
    header: [u8; HEADER_BYTES],
    index: u64,
    offset: u64,
}

impl<R: Read> Opener<R> {
    pub(super) fn new(from: R, header: [u8; HEADER_BYTES]) -> Self {
        Self { from, header, index: 0, offset: HEADER_BYTES as u64 }
    }

    /// Where the next frame begins, bytes from the beginning of the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads on. After [`Step::End`], [`Step::Torn`] and [`Step::Lost`] there is nothing more.
    pub(super) fn next(&mut self, key: &KeySlot) -> Result<Step, OpenError> {
        let mut head_read = [0; HEAD_BYTES];
        let got = read_up_to(&mut self.from, &mut head_read)?;
        if got == 0 {
            return Ok(Step::End);
        }
        if got < HEAD_BYTES {
            return Ok(Step::Torn { bytes: got as u64 });
        }
        let Some((length, last)) = parse_head(head_read) else {
            return self.rest(&head_read);
        };
        let mut body = Zeroizing::new(vec![0; length]);
        let got = read_up_to(&mut self.from, &mut body)?;
        let bytes = (HEAD_BYTES + got) as u64;
        if got < length {
            return Ok(Step::Torn { bytes });
        }
        let (nonce, aad) = (nonce(self.index), Aad::from(associated(&self.header, &head_read)));
        self.index += 1;
        self.offset += bytes;
        key.with(|live| {
            Ok(match live.key.open_in_place(nonce, aad, &mut body) {
                Ok(plaintext) => Step::Frame { plaintext: Secret::new(plaintext.to_vec()), last },
                Err(_) => Step::Unreadable { bytes },
            })
        })
    }

    /// What is left when a head makes no sense.
    fn rest(&mut self, head: &[u8]) -> Result<Step, OpenError> {
        let (zeros, more) = zeros_to_end(&mut self.from)?;
        let bytes = head.len() as u64 + more;
        let torn = zeros && head.iter().all(|byte| *byte == 0);
        Ok(if torn { Step::Torn { bytes } } else { Step::Lost { bytes } })
    }
}

/// Why reading on failed.
#[derive(Debug)]
pub(super) enum OpenError {
    Disk(io::Error),
    Vault(VaultError),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<VaultError> for OpenError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

/// Fills `to` as far as the source goes; gives how many bytes there were.
pub(super) fn read_up_to(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < to.len() {
        match from.read(&mut to[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Whether there is nothing but zeros to the end, and how many bytes that is.
pub(super) fn zeros_to_end(from: &mut impl Read) -> io::Result<(bool, u64)> {
    let (mut zeros, mut bytes, mut chunk) = (true, 0, [0; 4096]);
    loop {
        let got = read_up_to(from, &mut chunk)?;
        zeros &= chunk[..got].iter().all(|byte| *byte == 0);
        bytes += got as u64;
        if got < chunk.len() {
            return Ok((zeros, bytes));
        }
    }
}

fn head(length: u32, last: bool) -> [u8; HEAD_BYTES] {
    let field = (length | if last { LAST } else { 0 }).to_le_bytes();
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&field);
    head[4..].copy_from_slice(&crc32fast::hash(&field).to_le_bytes());
    head
}

fn parse_head([l0, l1, l2, l3, sum @ ..]: [u8; HEAD_BYTES]) -> Option<(usize, bool)> {
    let field = [l0, l1, l2, l3];
    if crc32fast::hash(&field).to_le_bytes() != sum {
        return None;
    }
    let field = u32::from_le_bytes(field);
    let length = (field & !LAST) as usize;
    let believed = (TAG_BYTES..=MAX_FRAME_BYTES + TAG_BYTES).contains(&length);
    believed.then_some((length, field & LAST != 0))
}

fn nonce(index: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&index.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn associated(
    header: &[u8; HEADER_BYTES],
    head: &[u8; HEAD_BYTES],
) -> [u8; HEADER_BYTES + HEAD_BYTES] {
    let mut bytes = [0; HEADER_BYTES + HEAD_BYTES];
    bytes[..HEADER_BYTES].copy_from_slice(header);
    bytes[HEADER_BYTES..].copy_from_slice(head);
    bytes
}
