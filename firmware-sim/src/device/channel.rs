//! One stream of a device: when it is on, what it measures, and what became of its samples.

use std::ops::Range;

use uuid::Uuid;

use super::{
    beats::BeatStream, conditions::Conditions, eda::EdaStream, frames::FrameStream, ppi::PpiStream,
    shimmer::ShimmerStream,
};
use crate::fault::{Injected, Signal};

/// One stream.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) signal: Signal,
    /// What its notifications are of.
    pub(super) characteristic: Uuid,
    pub(super) sensor: Sensor,
    pub(super) told: Told,
    /// Notifications so far.
    pub(super) sequence: u64,
    /// The worst that has happened to the parts of a sample that is not complete.
    open: Option<Fate>,
}

/// Whether a stream is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nobody needs to tell it.
    Always,
    /// Nobody has told it to stream, or it was told to stop.
    Idle,
    /// It was told to stream.
    Running,
    /// It was streaming when the link was lost: what it would have measured is missing.
    Severed,
}

/// What measures.
#[derive(Debug)]
pub(super) enum Sensor {
    Eda(EdaStream),
    Beats(BeatStream),
    Frames(FrameStream),
    Ppi(Box<PpiStream>),
    Shimmer(Box<ShimmerStream>),
}

/// One notification's worth of measurements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// The samples it holds, or holds parts of, counted from 0 for each stream.
    pub(super) samples: Range<u64>,
    /// Its last sample ends with it.
    pub(super) whole: bool,
}

impl Piece {
    pub(super) fn whole(bytes: Vec<u8>, samples: Range<u64>) -> Self {
        Self { bytes, samples, whole: true }
    }
}

/// Samples of a signal that share a fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) signal: Signal,
    pub(super) samples: Range<u64>,
    pub(super) whole: bool,
}

/// What became of a sample, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Sent,
    Unsent,
    Lost,
    Spoiled,
}

impl Channel {
    pub(super) fn new(signal: Signal, characteristic: Uuid, sensor: Sensor, told: Told) -> Self {
        Self { signal, characteristic, sensor, told, sequence: 0, open: None }
    }

    /// When something is due; `None` when never, as things are.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        if self.told == Told::Idle {
            return None;
        }
        match &self.sensor {
            Sensor::Eda(eda) => eda.next_due_ns(),
            Sensor::Beats(beats) => beats.next_due_ns(),
            Sensor::Frames(frames) => frames.next_due_ns(),
            Sensor::Ppi(ppi) => ppi.next_due_ns(),
            Sensor::Shimmer(shimmer) => Some(shimmer.next_due_ns()),
        }
    }

    /// What is due, and on to the next; nothing when the sensor keeps silent.
    pub(super) fn take(
        &mut self,
        battery: u8,
        now: &mut Conditions,
        counts: &mut Injected,
    ) -> Vec<Piece> {
        let sequence = self.sequence as u16;
        match &mut self.sensor {
            Sensor::Eda(eda) => vec![eda.take(sequence, battery, now, counts)],
            Sensor::Beats(beats) => beats.take(now, counts).into_iter().collect(),
            Sensor::Frames(frames) => frames.take(now, counts).into_iter().collect(),
            Sensor::Ppi(ppi) => ppi.take(now, counts).into_iter().collect(),
            Sensor::Shimmer(shimmer) => shimmer.take(now, counts),
        }
    }

    /// Streams from `now_ns` on. Samples since the link was lost are missing.
    pub(super) fn start(&mut self, now_ns: u64, counts: &mut Injected) {
        let passed = match &mut self.sensor {
            Sensor::Frames(frames) => frames.begin(now_ns),
            Sensor::Ppi(ppi) => ppi.begin(now_ns),
            Sensor::Shimmer(shimmer) => shimmer.begin(now_ns),
            Sensor::Eda(_) | Sensor::Beats(_) => 0,
        };
        if self.told == Told::Severed {
            counts.samples.of_mut(self.signal).unsent += passed;
        }
        self.told = Told::Running;
    }

    /// The link is gone.
    pub(super) fn sever(&mut self, counts: &mut Injected) {
        if self.told == Told::Running {
            self.told = Told::Severed;
        }
        if let Sensor::Shimmer(shimmer) = &mut self.sensor
            && let Some(piece) = shimmer.forget()
        {
            self.settle(&piece.samples, piece.whole, Fate::Unsent, counts);
        }
    }

    /// Whether notifications are pieces of one stream of bytes.
    pub(super) fn is_byte_stream(&self) -> bool {
        matches!(self.sensor, Sensor::Shimmer(_))
    }

    /// Counts samples whose fate is known. A sample in parts fares as its worst part.
    pub(super) fn settle(
        &mut self,
        samples: &Range<u64>,
        whole: bool,
        fate: Fate,
        counts: &mut Injected,
    ) {
        let counts = counts.samples.of_mut(self.signal);
        for sample in samples.clone() {
            let fate = self.open.take().map_or(fate, |before| before.max(fate));
            if sample + 1 == samples.end && !whole {
                self.open = Some(fate);
                return;
            }
            *match fate {
                Fate::Sent => &mut counts.sent,
                Fate::Unsent => &mut counts.unsent,
                Fate::Lost => &mut counts.lost,
                Fate::Spoiled => &mut counts.spoiled,
            } += 1;
        }
    }
}
