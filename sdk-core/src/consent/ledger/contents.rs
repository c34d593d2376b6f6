//! What stands in a ledger, and its form on disk: a frame is a letter that says what follows, and
//! JSON.

use super::LedgerError;
use crate::frames::FramesError;
use protocol::consent::{Head, Notice, Receipt};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The first byte of each frame.
mod tag {
    pub const PERSON: u8 = b'P';
    pub const NOTICE: u8 = b'N';
    pub const RECEIPT: u8 = b'R';
    pub const HEAD: u8 = b'H';
    pub const SEEN: u8 = b'S';
    pub const FORGOTTEN: u8 = b'F';
    pub const EVIDENCE: u8 = b'X';
}

/// A ledger as read.
#[derive(Default)]
pub(super) struct Contents {
    /// The person's pseudonym; `None` = nothing was ever written.
    pub person: Option<Uuid>,
    /// The notices that were in force, each once.
    pub notices: Vec<Notice>,
    /// In the order of the chain.
    pub receipts: Vec<Receipt>,
    /// The newest signature of the server.
    pub head: Option<Head>,
    /// The latest wall time written down, Unix milliseconds.
    pub seen_unix_ms: i64,
    /// Up to this epoch, what was withdrawn is destroyed.
    pub forgotten: u64,
    /// Frames of a ledger that was broken, as they were.
    pub evidence: Vec<Vec<u8>>,
    /// How many frames on disk say what later ones say better.
    pub superseded: usize,
}

impl Contents {
    /// Reads stored frames. The last one may be torn: the process ended while it was written, so
    /// nobody was told that it is kept. `true` = it was, and is left out.
    pub fn read(stored: &[Vec<u8>]) -> Result<(Self, bool), LedgerError> {
        let mut contents = Self::default();
        for (index, frame) in stored.iter().enumerate() {
            if contents.take(frame).is_none() {
                if index + 1 == stored.len() {
                    return Ok((contents, true));
                }
                return Err(LedgerError::Damaged { entry: index + 1, of: stored.len() });
            }
        }
        Ok((contents, false))
    }

    fn take(&mut self, frame: &[u8]) -> Option<()> {
        let (&tag, body) = frame.split_first()?;
        match tag {
            tag::PERSON if self.person.is_none() => self.person = Some(parse(body)?),
            tag::NOTICE => self.notices.push(parse(body)?),
            tag::RECEIPT => self.receipts.push(parse(body)?),
            tag::HEAD => {
                let head: Head = parse(body)?;
                self.superseded += usize::from(self.head.is_some());
                self.head = Some(head);
            }
            tag::SEEN => {
                let seen: i64 = parse(body)?;
                self.superseded += 1;
                self.seen_unix_ms = self.seen_unix_ms.max(seen);
            }
            tag::FORGOTTEN => {
                self.superseded += usize::from(self.forgotten > 0);
                self.forgotten = self.forgotten.max(parse(body)?);
            }
            tag::EVIDENCE => self.evidence.push(body.to_vec()),
            _ => return None,
        }
        Some(())
    }

    /// Everything, each thing once: what a tidy disk holds.
    pub fn frames(&self) -> Result<Vec<Vec<u8>>, FramesError> {
        let mut frames: Vec<Vec<u8>> = self.evidence.iter().map(|bytes| evidence(bytes)).collect();
        if let Some(person) = self.person {
            frames.push(self::person(person)?);
        }
        for each in &self.notices {
            frames.push(notice(each)?);
        }
        for each in &self.receipts {
            frames.push(receipt(each)?);
        }
        if let Some(newest) = &self.head {
            frames.push(head(newest)?);
        }
        if self.forgotten > 0 {
            frames.push(forgotten(self.forgotten)?);
        }
        frames.push(seen(self.seen_unix_ms)?);
        Ok(frames)
    }

    /// The latest wall time that anything here bears witness to, Unix milliseconds.
    pub fn latest_unix_ms(&self) -> i64 {
        let changes = self.receipts.iter().map(|receipt| receipt.record.at_unix_ms);
        changes.fold(self.seen_unix_ms, i64::max)
    }
}

pub(super) fn person(person: Uuid) -> Result<Vec<u8>, FramesError> {
    frame(tag::PERSON, &person)
}

pub(super) fn notice(notice: &Notice) -> Result<Vec<u8>, FramesError> {
    frame(tag::NOTICE, notice)
}

pub(super) fn receipt(receipt: &Receipt) -> Result<Vec<u8>, FramesError> {
    frame(tag::RECEIPT, receipt)
}

pub(super) fn head(head: &Head) -> Result<Vec<u8>, FramesError> {
    frame(tag::HEAD, head)
}

pub(super) fn seen(unix_ms: i64) -> Result<Vec<u8>, FramesError> {
    frame(tag::SEEN, &unix_ms)
}

pub(super) fn forgotten(epoch: u64) -> Result<Vec<u8>, FramesError> {
    frame(tag::FORGOTTEN, &epoch)
}

/// A frame of a broken ledger, which nothing reads but a person.
pub(super) fn evidence(frame: &[u8]) -> Vec<u8> {
    [&[tag::EVIDENCE], frame].concat()
}

fn frame(tag: u8, value: &impl Serialize) -> Result<Vec<u8>, FramesError> {
    let mut frame = vec![tag];
    serde_json::to_writer(&mut frame, value).map_err(FramesError::new)?;
    Ok(frame)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}
