//! A disk that outlives its process, and a power that can go at any write.

use sdk_core::frames::{Frames, FramesError};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The power of one device. Once it is out, nothing is written until it is back.
#[derive(Debug, Clone, Default)]
pub struct Power(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    out: bool,
    /// Writes that still go through, and how much of the one after them does.
    ends: Option<(u32, f64)>,
}

/// How far a write gets.
enum Reach {
    Whole,
    Part(f64),
    Nothing,
}

impl Power {
    /// Goes out in the middle of a write: after `writes` more, with `share` of that one on disk.
    pub fn cut_after(&self, writes: u32, share: f64) {
        lock(&self.0).ends = Some((writes, share));
    }

    pub fn is_out(&self) -> bool {
        lock(&self.0).out
    }

    pub fn back(&self) {
        *lock(&self.0) = State::default();
    }

    fn write(&self) -> Reach {
        let mut state = lock(&self.0);
        if state.out {
            return Reach::Nothing;
        }
        match state.ends {
            None => Reach::Whole,
            Some((0, share)) => {
                state.out = true;
                Reach::Part(share)
            }
            Some((writes, share)) => {
                state.ends = Some((writes - 1, share));
                Reach::Whole
            }
        }
    }
}

/// A list of frames; clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    power: Power,
}

impl Disk {
    pub fn new(power: &Power) -> Self {
        Self { frames: Arc::default(), power: power.clone() }
    }

    pub fn frames(&self) -> Vec<Vec<u8>> {
        lock(&self.frames).clone()
    }

    /// Destroys everything, as the vault does with the key.
    pub fn shred(&self) -> Result<(), FramesError> {
        match self.power.write() {
            Reach::Whole => {
                lock(&self.frames).clear();
                Ok(())
            }
            Reach::Part(_) | Reach::Nothing => Err(gone()),
        }
    }

    /// Forgets the newest frame behind everybody's back.
    pub fn lie(&self) {
        lock(&self.frames).pop();
    }

    /// The drops that an outbox on this disk has counted.
    pub fn drops(&self) -> u64 {
        let counts = |frame: &Vec<u8>| {
            let entry: Value = serde_json::from_slice(frame).ok()?;
            let reasons = entry.get("dropped")?.as_object()?;
            Some(reasons.values().filter_map(Value::as_u64).sum())
        };
        lock(&self.frames).iter().filter_map(counts).next_back().unwrap_or(0)
    }
}

impl Frames for Disk {
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        let reach = self.power.write();
        let kept = match reach {
            Reach::Whole => frames.len(),
            Reach::Part(share) => (frames.len() as f64 * share).round() as usize,
            Reach::Nothing => 0,
        };
        lock(&self.frames).extend(frames.iter().take(kept).map(|frame| frame.to_vec()));
        if let Reach::Whole = reach { Ok(()) } else { Err(gone()) }
    }

    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        let reach = self.power.write();
        let replaced = match reach {
            Reach::Whole => true,
            Reach::Part(share) => share > 0.5,
            Reach::Nothing => false,
        };
        if replaced {
            *lock(&self.frames) = frames.iter().map(|frame| frame.to_vec()).collect();
        }
        if let Reach::Whole = reach { Ok(()) } else { Err(gone()) }
    }
}

fn gone() -> FramesError {
    FramesError::new("the power is out")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
