//! A Shimmer3's serial stream: commands in, one stream of bytes out, cut anywhere.

use std::collections::VecDeque;

use protocol::{
    eda_profile::TICKS_PER_SECOND,
    shimmer::{AUTO_RANGE, Command, Conductance, GSR_SENSOR, Inquiry, Packet, TIMESTAMP_BITS, ack},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    channel::Piece, clock::DeviceClock, conditions::Conditions, frames::seconds, grid::Grid,
};
use crate::{fault::Injected, source};

#[derive(Debug)]
pub(super) struct ShimmerStream {
    clock: DeviceClock,
    grid: Grid,
    skin: source::Conductance,
    sampling_ticks: u16,
    /// Bytes on their way to the radio, and of which sample each is.
    buffer: VecDeque<(u8, Option<u64>)>,
    /// The radio sends when it has this many bytes.
    cut: usize,
    rng: ChaCha8Rng,
}

/// What a command does beside its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Start,
    Stop,
}

/// The radio sends pieces of these lengths, in bytes: what came in before its timer ran out.
const CUT_BYTES: std::ops::RangeInclusive<usize> = 1..=60;
/// No skin conducts less: the converter is at its lower end.
const OPEN_MICROSIEMENS: f64 = -1.0;

impl ShimmerStream {
    pub(super) fn new(
        clock: DeviceClock,
        seed: u64,
        skin: source::Conductance,
        sampling_ticks: u16,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            clock,
            grid: grid(clock, sampling_ticks),
            skin,
            sampling_ticks,
            buffer: VecDeque::new(),
            cut: rng.random_range(CUT_BYTES),
            rng,
        }
    }

    pub(super) fn next_due_ns(&self) -> u64 {
        self.grid.due_ns()
    }

    /// Streams from the first sample from `now_ns` on; gives how many are passed over.
    pub(super) fn begin(&mut self, now_ns: u64) -> u64 {
        self.grid.begin(now_ns)
    }

    /// What a sample gives the radio to send: often nothing yet.
    pub(super) fn take(&mut self, now: &Conditions, counts: &mut Injected) -> Vec<Piece> {
        let sample = self.grid.sample;
        self.grid.sample += 1;
        let at_ns = self.grid.true_ns(sample);
        let microsiemens = self.skin.microsiemens_at(seconds(at_ns));
        let microsiemens = if now.off_skin.contains(&at_ns) {
            OPEN_MICROSIEMENS
        } else if now.saturated.contains(&at_ns) {
            counts.saturated_samples += 1;
            f64::INFINITY
        } else {
            let reading = microsiemens.filter(|_| !now.no_reading.contains(&at_ns));
            counts.missing_samples += u64::from(reading.is_none());
            reading.unwrap_or(OPEN_MICROSIEMENS)
        };
        let shown_ns = u128::from(now.shown_ns(self.grid.device_ns(sample)));
        let ticks = (shown_ns * u128::from(TICKS_PER_SECOND) + HALF_SECOND_NS) / SECOND_NS;
        let ticks = ticks as u32 & ((1 << TIMESTAMP_BITS) - 1);
        let packet = Packet { ticks, gsr: Some(Conductance::to_raw(microsiemens)) };
        if let Some(set_up) = Inquiry::gsr_only(self.sampling_ticks) {
            self.push(&set_up.encode_packet(packet), Some(sample));
        }
        let mut pieces = Vec::new();
        while self.buffer.len() >= self.cut {
            pieces.extend(self.piece(self.cut));
            self.cut = self.rng.random_range(CUT_BYTES);
        }
        pieces
    }

    /// Obeys what was written. Firmware says nothing to what it does not know, and nothing but to
    /// stop while it streams.
    pub(super) fn command(&mut self, bytes: &[u8], streaming: bool) -> (Effect, Vec<Piece>) {
        let Ok(command) = Command::parse(bytes) else { return (Effect::None, Vec::new()) };
        let effect = match command {
            Command::Stop => Effect::Stop,
            _ if streaming => return (Effect::None, Vec::new()),
            Command::Start => Effect::Start,
            Command::SetSamplingTicks(0) => return (Effect::None, Vec::new()),
            Command::SetSamplingTicks(ticks) => {
                if ticks != self.sampling_ticks {
                    self.sampling_ticks = ticks;
                    self.grid = grid(self.clock, ticks);
                }
                Effect::None
            }
            Command::SetSensors(sensors) if sensors != GSR_SENSOR => {
                return (Effect::None, Vec::new());
            }
            Command::SetGsrRange(range) if range != AUTO_RANGE => {
                return (Effect::None, Vec::new());
            }
            Command::SetSensors(_) | Command::SetGsrRange(_) | Command::Inquiry => Effect::None,
        };
        self.push(&ack(), None);
        if command == Command::Inquiry
            && let Some(set_up) = Inquiry::gsr_only(self.sampling_ticks)
        {
            self.push(&set_up.encode(), None);
        }
        let mut pieces = Vec::new();
        while !self.buffer.is_empty() {
            let length = self.rng.random_range(CUT_BYTES);
            pieces.extend(self.piece(length));
        }
        (effect, pieces)
    }

    /// What the radio has not sent is gone with the link.
    pub(super) fn forget(&mut self) -> Option<Piece> {
        self.piece(self.buffer.len())
    }

    fn push(&mut self, bytes: &[u8], sample: Option<u64>) {
        self.buffer.extend(bytes.iter().map(|byte| (*byte, sample)));
    }

    /// The next bytes for the radio, at most `length`.
    fn piece(&mut self, length: usize) -> Option<Piece> {
        let taken: Vec<_> = self.buffer.drain(..length.min(self.buffer.len())).collect();
        let mut samples = taken.iter().filter_map(|(_, sample)| *sample);
        let first = samples.next();
        let end = samples.next_back().or(first).map_or(0, |last| last + 1);
        let last = taken.last()?.1;
        let whole = last.is_none() || self.buffer.front().is_none_or(|(_, next)| *next != last);
        let bytes = taken.into_iter().map(|(byte, _)| byte).collect();
        Some(Piece { bytes, samples: first.unwrap_or(end)..end, whole })
    }
}

const SECOND_NS: u128 = 1_000_000_000;
const HALF_SECOND_NS: u128 = SECOND_NS / 2;

fn grid(clock: DeviceClock, sampling_ticks: u16) -> Grid {
    Grid::new(clock, u64::from(sampling_ticks), u64::from(TICKS_PER_SECOND), 1)
}
