//! Where a running session leaves what it takes in.

use super::{Event, RecordError, Writer};
use crate::clock::Nanos;
use std::{io, time::Duration};

/// A crash costs at most so much of a recording.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// A writer that never stops a session: its first failure ends the recording, and is kept for the
/// session's summary.
#[derive(Debug)]
pub struct Tap<W> {
    writer: Writer<W>,
    failed: Option<RecordError>,
    left_out: u64,
    flushed: Nanos,
}

impl<W: io::Write> Tap<W> {
    /// A tap on a recording that has begun.
    #[must_use]
    pub fn new(writer: Writer<W>) -> Self {
        Self { writer, failed: None, left_out: 0, flushed: Nanos::ZERO }
    }

    /// Takes one event. Call it before the driver sees the same, and only with consent.
    pub fn take(&mut self, at: Nanos, event: &Event<'_>) {
        if matches!(self.failed, Some(RecordError::Write(_))) {
            self.left_out += 1;
            return;
        }
        if let Err(error) = self.writer.record(at, event) {
            self.left_out += 1;
            self.failed = Some(error);
        }
        if at.since(self.flushed) >= FLUSH_EVERY {
            self.flushed = at;
            self.flush();
        }
    }

    /// Hands everything on to the system.
    pub fn flush(&mut self) {
        if let Err(error) = self.writer.flush() {
            self.failed = Some(error);
        }
    }

    /// The last failure, and how many events are not in the recording for it.
    #[must_use]
    pub fn failed(&self) -> Option<(&RecordError, u64)> {
        self.failed.as_ref().map(|error| (error, self.left_out))
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// [`RecordError::Write`] when the rest cannot be written.
    pub fn finish(mut self) -> Result<W, RecordError> {
        self.writer.flush()?;
        Ok(self.writer.into_inner())
    }
}
