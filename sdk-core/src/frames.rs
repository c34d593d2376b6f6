//! What is kept on disk, as its owners see it: an ordered list of byte strings.
//!
//! Ledger and outbox are state machines; where their entries end up is the business of whoever
//! hands them a [`Frames`]: a sealed log of the vault, or memory in tests and demos.

use std::fmt;
use thiserror::Error;

/// A list of byte strings that survives a crash.
pub trait Frames: Send + fmt::Debug {
    /// Adds frames at the end. When this returns they are on disk, all of them.
    ///
    /// # Errors
    /// [`FramesError`]; none of them may be taken as kept then.
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError>;

    /// Replaces everything, whole or not at all.
    ///
    /// # Errors
    /// [`FramesError`]; what was there before stands then.
    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError>;
}

/// Why frames could not be kept: what, where and what to do.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct FramesError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl FramesError {
    /// Wraps what the storage says.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// Frames that live as long as the process.
#[derive(Debug, Default)]
pub struct MemoryFrames(Vec<Vec<u8>>);

impl Frames for MemoryFrames {
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        self.0.extend(frames.iter().map(|frame| frame.to_vec()));
        Ok(())
    }

    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        self.0.clear();
        self.append(frames)
    }
}
