//! Events to bytes. Append-only: a crash can only tear the last frame.

use super::{
    Event, FRAME_HEADER_BYTES, MAGIC, MAX_PAYLOAD_BYTES, MAX_TEXT_BYTES, Record, SYNC, VERSION,
    checksum,
};
use crate::clock::Nanos;
use std::io;
use thiserror::Error;

/// Turns events into the bytes to append. Knows no file and no clock.
///
/// # Examples
/// ```
/// use sdk_core::clock::Nanos;
/// use sdk_core::sensor::recording::attune::{Event, Reader, Recorder};
///
/// let mut recorder = Recorder::default();
/// let mut file = recorder.header(1_700_000_000_000);
/// let marker = Event::Marker { label: "offer shown" };
/// file.extend(recorder.frame(Nanos::from_millis(1_500), &marker)?);
/// let last = Reader::new(&file)?.last();
/// assert_eq!(last.map(|record| record.event), Some(marker));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Recorder {
    number: u32,
}

/// Why an event was not recorded.
#[derive(Debug, Error)]
pub enum RecordError {
    /// It does not fit a frame.
    #[error("a record of {bytes} bytes does not fit: notifications and labels have at most {most}")]
    TooLong {
        /// What it has.
        bytes: usize,
        /// What it may have.
        most: usize,
    },
    /// It could not be written.
    #[error("the recording cannot be written: {0}. Is the disk full?")]
    Write(#[from] io::Error),
}

impl Recorder {
    /// The beginning of a file: header and the session's start in wall time.
    #[must_use]
    pub fn header(&mut self, unix_ms: i64) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend(VERSION.to_le_bytes());
        file.extend([0; 2]);
        file.extend(crc32fast::hash(&file).to_le_bytes());
        let started = Record { at: Nanos::ZERO, event: Event::Started { unix_ms } };
        file.extend(self.envelope(&started.encode()));
        file
    }

    /// The frame of one event.
    ///
    /// # Errors
    /// [`RecordError::TooLong`].
    pub fn frame(&mut self, at: Nanos, event: &Event<'_>) -> Result<Vec<u8>, RecordError> {
        let payload = Record { at, event: *event }.encode();
        let (bytes, most) = match event {
            Event::Marker { label: text } | Event::Device { profile: text, .. } => {
                (text.len(), MAX_TEXT_BYTES)
            }
            _ => (payload.len(), MAX_PAYLOAD_BYTES),
        };
        if bytes > most {
            return Err(RecordError::TooLong { bytes, most });
        }
        Ok(self.envelope(&payload))
    }

    /// `payload` is at most [`MAX_PAYLOAD_BYTES`] long.
    fn envelope(&mut self, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u16;
        let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + payload.len());
        frame.extend(SYNC);
        frame.extend(length.to_le_bytes());
        frame.extend(self.number.to_le_bytes());
        frame.extend(checksum(length, self.number, payload).to_le_bytes());
        frame.extend(payload);
        self.number = self.number.wrapping_add(1);
        frame
    }
}

/// A recorder that appends to anything that takes bytes: a file, or an encrypting writer.
#[derive(Debug)]
pub struct Writer<W> {
    recorder: Recorder,
    sink: W,
}

impl<W: io::Write> Writer<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn new(mut sink: W, unix_ms: i64) -> Result<Self, RecordError> {
        let mut recorder = Recorder::default();
        sink.write_all(&recorder.header(unix_ms))?;
        Ok(Self { recorder, sink })
    }

    /// Appends one event, in one write.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn record(&mut self, at: Nanos, event: &Event<'_>) -> Result<(), RecordError> {
        Ok(self.sink.write_all(&self.recorder.frame(at, event)?)?)
    }

    /// Hands everything on to the system.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn flush(&mut self) -> Result<(), RecordError> {
        Ok(self.sink.flush()?)
    }

    /// Gives the sink back.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.sink
    }
}
