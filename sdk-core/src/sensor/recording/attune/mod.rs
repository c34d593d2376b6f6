//! Attune's own recording: what came in, not what was computed from it.
//!
//! A recording holds the notifications as the radio gave them, with their arrival times, and what
//! else a driver was told. Played back through the same drivers it gives the same samples to the
//! bit. The layout is in the book, *Recording format*; [`Recorder`] writes it, [`Reader`] reads it,
//! [`Playback`] turns it into samples.

mod playback;
mod reader;
mod recorder;
mod tap;

pub use playback::{Playback, play};
pub use reader::{Damage, Reader};
pub use recorder::{RecordError, Recorder, Writer};
pub use tap::Tap;

use super::bytes::Bytes;
use crate::clock::Nanos;
use thiserror::Error;
use uuid::Uuid;

/// Name of the file in the folder of a recording.
pub const FILE_NAME: &str = "recording.attune";
/// Version of the layout that is written, and the newest that is read.
pub const VERSION: u16 = 1;

/// First bytes of a file. The line end shows a transfer that was not binary.
const MAGIC: [u8; 8] = *b"ATTUNE\r\n";
/// Magic, version, two zero bytes, CRC-32 of those twelve.
const FILE_HEADER_BYTES: usize = 16;
/// Begins a frame, so that the next whole one is found after a damaged one.
const SYNC: [u8; 4] = *b"\xA7ATN";
/// Sync, payload length (u16), frame number (u32), CRC-32 of length, number and payload.
const FRAME_HEADER_BYTES: usize = 14;
/// Longest payload: far more than a notification can have (512 bytes, Bluetooth Core
/// Specification 5.4, vol. 3, part F, section 3.2.9).
const MAX_PAYLOAD_BYTES: usize = 4096;
/// Longest text: a label, the name of a profile.
const MAX_TEXT_BYTES: usize = 1024;

/// Something that happened, at a session time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it arrived or happened.
    pub at: Nanos,
    /// What it was.
    pub event: Event<'a>,
}

/// What a recording keeps. Devices are numbered in the order of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The session began; wall time in Unix milliseconds, for people.
    Started {
        /// Unix milliseconds.
        unix_ms: i64,
    },
    /// A device takes part. Comes before anything else of it.
    Device {
        /// Its number.
        device: u16,
        /// Its profile, see [`crate::sensor::DeviceProfile::id`].
        profile: &'a str,
    },
    /// The device pushed a value.
    Notification {
        /// Its number.
        device: u16,
        /// The characteristic.
        characteristic: Uuid,
        /// The value, as it came.
        bytes: &'a [u8],
    },
    /// The link came up (again) or went down.
    Link {
        /// Its number.
        device: u16,
        /// Up, or down.
        up: bool,
    },
    /// The battery characteristic was read.
    Battery {
        /// Its number.
        device: u16,
        /// Percent.
        percent: u8,
    },
    /// The stream was left on purpose, for want of consent.
    Interrupted {
        /// Its number.
        device: u16,
    },
    /// Notifications that a full queue dropped.
    Overflowed {
        /// How many.
        count: u64,
    },
    /// The app marked a moment.
    Marker {
        /// What it was.
        label: &'a str,
    },
    /// Consent changed.
    Consent {
        /// The new epoch.
        epoch: u64,
    },
}

/// Why bytes are no recording of Attune.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// They begin otherwise.
    #[error("offset 0: the first 16 bytes are not those of an Attune recording; check the path")]
    NotARecording,
    /// Written by a later Attune.
    #[error(
        "offset 8: version {0} is newer than {VERSION}, the newest this build reads: update it"
    )]
    Version(u16),
}

const STARTED: u8 = 1;
const DEVICE: u8 = 2;
const NOTIFICATION: u8 = 3;
const LINK: u8 = 4;
const BATTERY: u8 = 5;
const INTERRUPTED: u8 = 6;
const OVERFLOWED: u8 = 7;
const MARKER: u8 = 8;
const CONSENT: u8 = 9;

impl<'a> Record<'a> {
    fn encode(&self) -> Vec<u8> {
        let (kind, body): (u8, Vec<u8>) = match self.event {
            Event::Started { unix_ms } => (STARTED, unix_ms.to_le_bytes().into()),
            Event::Device { device, profile } => {
                (DEVICE, [&device.to_le_bytes(), profile.as_bytes()].concat())
            }
            Event::Notification { device, characteristic, bytes } => {
                let parts = [&device.to_le_bytes(), &characteristic.as_bytes()[..], bytes];
                (NOTIFICATION, parts.concat())
            }
            Event::Link { device, up } => {
                (LINK, [&device.to_le_bytes()[..], &[u8::from(up)]].concat())
            }
            Event::Battery { device, percent } => {
                (BATTERY, [&device.to_le_bytes()[..], &[percent]].concat())
            }
            Event::Interrupted { device } => (INTERRUPTED, device.to_le_bytes().into()),
            Event::Overflowed { count } => (OVERFLOWED, count.to_le_bytes().into()),
            Event::Marker { label } => (MARKER, label.as_bytes().into()),
            Event::Consent { epoch } => (CONSENT, epoch.to_le_bytes().into()),
        };
        [&[kind], &self.at.0.to_le_bytes()[..], &body].concat()
    }

    /// `None` for a kind that a later Attune added, or a body that does not fit its kind.
    fn decode(payload: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes(payload);
        let kind = bytes.u8()?;
        let at = Nanos(bytes.u64()?);
        let event = match kind {
            STARTED => Event::Started { unix_ms: bytes.u64()?.cast_signed() },
            DEVICE => {
                let device = bytes.u16()?;
                Event::Device { device, profile: text(&mut bytes)? }
            }
            NOTIFICATION => Event::Notification {
                device: bytes.u16()?,
                characteristic: Uuid::from_bytes(bytes.array()?),
                bytes: std::mem::take(&mut bytes.0),
            },
            LINK => Event::Link { device: bytes.u16()?, up: bytes.u8()? != 0 },
            BATTERY => Event::Battery { device: bytes.u16()?, percent: bytes.u8()? },
            INTERRUPTED => Event::Interrupted { device: bytes.u16()? },
            OVERFLOWED => Event::Overflowed { count: bytes.u64()? },
            MARKER => Event::Marker { label: text(&mut bytes)? },
            CONSENT => Event::Consent { epoch: bytes.u64()? },
            _ => return None,
        };
        bytes.0.is_empty().then_some(Self { at, event })
    }
}

fn text<'a>(bytes: &mut Bytes<'a>) -> Option<&'a str> {
    str::from_utf8(std::mem::take(&mut bytes.0)).ok().filter(|text| text.len() <= MAX_TEXT_BYTES)
}

fn checksum(length: u16, number: u32, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length.to_le_bytes());
    crc.update(&number.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

#[cfg(test)]
mod tests;
