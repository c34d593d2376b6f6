//! Bytes to events. A damaged frame loses only itself.

use super::{
    FILE_HEADER_BYTES, FRAME_HEADER_BYTES, HeaderError, MAGIC, MAX_PAYLOAD_BYTES, Record, SYNC,
    VERSION, checksum,
};
use crate::sensor::recording::bytes::Bytes;
use std::fmt;

/// A stretch of the file that holds no whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins, bytes from the start of the file.
    pub offset: usize,
    /// How long it is.
    pub bytes: usize,
    /// Frames that are missing there, by their numbers; at the end of a file at least the torn one.
    pub frames: u32,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, bytes, frames } = self;
        write!(f, "offset {offset}: {bytes} bytes are damaged, {frames} records are lost")
    }
}

/// Gives the records of a file in order, and keeps account of what could not be read.
///
/// Allocates nothing but one [`Damage`] for each damaged stretch.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    file: &'a [u8],
    offset: usize,
    expected: u32,
    damage: Vec<Damage>,
    unknown: u64,
}

impl<'a> Reader<'a> {
    /// Begins at the start of a file.
    ///
    /// # Errors
    /// [`HeaderError`] when it is not a recording of Attune, or of a later one.
    pub fn new(file: &'a [u8]) -> Result<Self, HeaderError> {
        let mut bytes = Bytes(file);
        let (Some(magic), Some(version), Some(_), Some(crc)) =
            (bytes.array(), bytes.u16(), bytes.u16(), bytes.u32())
        else {
            return Err(HeaderError::NotARecording);
        };
        let whole = magic == MAGIC && crc == crc32fast::hash(&file[..FILE_HEADER_BYTES - 4]);
        if whole && version > VERSION {
            return Err(HeaderError::Version(version));
        }
        let offset = FILE_HEADER_BYTES;
        let mut reader = Self { file, offset, expected: 0, damage: Vec::new(), unknown: 0 };
        if !whole {
            // A damaged header too loses only itself, where a frame follows it.
            reader.frame(offset).ok_or(HeaderError::NotARecording)?;
            reader.damage.push(Damage { offset: 0, bytes: offset, frames: 0 });
        }
        Ok(reader)
    }

    /// The damaged stretches so far.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Whole frames so far that this build does not know: a later Attune wrote them.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Number, payload and end of the frame at `offset`, if there is a whole one.
    fn frame(&self, offset: usize) -> Option<(u32, &'a [u8], usize)> {
        let mut bytes = Bytes(self.file.get(offset..)?);
        bytes.array().filter(|sync| *sync == SYNC)?;
        let length = bytes.u16().filter(|&length| usize::from(length) <= MAX_PAYLOAD_BYTES)?;
        let (number, crc) = (bytes.u32()?, bytes.u32()?);
        let payload = bytes.take(length.into())?;
        let end = offset + FRAME_HEADER_BYTES + payload.len();
        (crc == checksum(length, number, payload)).then_some((number, payload, end))
    }
}

/// Frames between; none where a file was appended to another.
fn gap(number: u32, expected: u32) -> u32 {
    number.wrapping_sub(expected).cast_signed().max(0).unsigned_abs()
}

impl<'a> Iterator for Reader<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        while self.offset < self.file.len() {
            let begin = self.offset;
            let found = (begin..self.file.len()).find_map(|at| Some((at, self.frame(at)?)));
            let (at, number) = match found {
                Some((at, (number, ..))) => (at, Some(number)),
                None => (self.file.len(), None),
            };
            let missing = number.map_or(1, |number| gap(number, self.expected));
            if at > begin || missing > 0 {
                let damage = Damage { offset: begin, bytes: at - begin, frames: missing };
                self.damage.push(damage);
            }
            self.offset = at;
            let (_, (number, payload, end)) = found?;
            self.offset = end;
            self.expected = number.wrapping_add(1);
            match Record::decode(payload) {
                Some(record) => return Some(record),
                None => self.unknown += 1,
            }
        }
        None
    }
}
