//! A disk in memory, which outlives whoever writes to it and fails when told.

use sdk_core::frames::{Frames, FramesError};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

#[derive(Debug, Clone, Default)]
pub struct Disk {
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    fails: Arc<AtomicBool>,
}

impl Disk {
    pub fn holding(frames: Vec<Vec<u8>>) -> Self {
        Self { frames: Arc::new(Mutex::new(frames)), ..Self::default() }
    }

    pub fn frames(&self) -> Vec<Vec<u8>> {
        self.frames.lock().expect("frames").clone()
    }

    #[allow(dead_code, reason = "not every target has a failing disk")]
    pub fn toggle(&self) {
        self.fails.fetch_xor(true, Ordering::Relaxed);
    }

    fn operation(&self) -> Result<(), FramesError> {
        let fails = self.fails.load(Ordering::Relaxed);
        if fails { Err(FramesError::new("the disk is full")) } else { Ok(()) }
    }
}

impl Frames for Disk {
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        self.operation()?;
        let frames = frames.iter().map(|frame| frame.to_vec());
        self.frames.lock().expect("frames").extend(frames);
        Ok(())
    }

    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        self.operation()?;
        *self.frames.lock().expect("frames") = frames.iter().map(|frame| frame.to_vec()).collect();
        Ok(())
    }
}
