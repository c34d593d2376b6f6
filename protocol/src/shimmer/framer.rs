//! Finds messages in a stream of bytes that has no checksums and no escapes.
//!
//! Packets of a running stream follow each other by exactly one sampling interval. A packet is
//! given once the next one begins where it ends, an interval later: when bytes are lost in the
//! middle of a packet, what closes up behind them is never taken for its values. The price is one
//! interval of waiting, and the last packet before a loss. After a loss, and at the beginning, the
//! framer searches for a place where [`CHAIN`] packets in a row keep the interval: their headers
//! and timestamps do not agree by chance.

use super::{
    ACK, BUFFER, DATA, INQUIRY_ANSWER, INQUIRY_HEADER_BYTES, Inquiry, MAX_CHANNELS, Packet,
    TIMESTAMP_BITS, ticks,
};

/// Packets that must agree before a place in the stream is believed.
pub const CHAIN: usize = 3;
/// How far a sampling instant may be off its interval, in ticks: 122 microseconds for the latency
/// of the device's interrupt.
const TOLERANCE_TICKS: u32 = 4;
/// Acknowledgements that may stand between two packets: more come from no device.
const MOST_ACKS: usize = 4;

/// A message, or the want of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A command was acknowledged.
    Ack,
    /// The device said how it is set up. Packets are read by it from here on.
    Inquiry(Inquiry),
    /// A sample.
    Packet(Packet),
    /// Bytes that belong to no message.
    Skipped {
        /// How many.
        bytes: usize,
    },
}

/// Cuts a stream into messages, however it was cut before. Keeps no more than [`CHAIN`]
/// packets between calls.
#[derive(Debug, Clone, Default)]
pub struct Framer {
    kept: Vec<u8>,
    set_up: Option<Inquiry>,
    place: Place,
}

/// What is known about where messages begin.
#[derive(Debug, Clone, Copy, Default)]
enum Place {
    /// At the beginning of one: nothing was lost, nothing streams yet.
    #[default]
    Idle,
    /// Behind a packet with this timestamp.
    Streaming { last: u32 },
    /// Nothing.
    Lost,
}

/// What the next bytes are.
enum Step {
    /// More bytes are needed to tell.
    Wait,
    /// A message of so many bytes.
    Take(Event, usize),
    /// Not the beginning of a message.
    Skip,
}

impl Framer {
    /// A framer at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything: the link was down.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The set-up that packets are read by.
    #[must_use]
    pub fn set_up(&self) -> Option<&Inquiry> {
        self.set_up.as_ref()
    }

    /// Takes the next bytes; gives the messages they complete, in order.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Event> {
        let mut bytes = std::mem::take(&mut self.kept);
        bytes.extend_from_slice(chunk);
        let mut events = Vec::new();
        let (mut at, mut skipped) = (0, 0);
        while at < bytes.len() {
            match self.step(&bytes[at..]) {
                Step::Wait => break,
                Step::Skip => {
                    at += 1;
                    skipped += 1;
                }
                Step::Take(event, length) => {
                    flush(&mut events, &mut skipped);
                    events.push(event);
                    at += length;
                }
            }
        }
        flush(&mut events, &mut skipped);
        bytes.drain(..at);
        self.kept = bytes;
        events
    }

    /// Looks at the bytes from a place on; there is at least one.
    fn step(&mut self, bytes: &[u8]) -> Step {
        let in_step = !matches!(self.place, Place::Lost);
        match bytes[0] {
            DATA => self.data(bytes),
            ACK if in_step => Step::Take(Event::Ack, 1),
            INQUIRY_ANSWER if in_step => self.inquiry(bytes),
            _ => {
                // What is left of an old stream before the set-up is known says nothing about
                // what follows.
                if matches!(self.place, Place::Streaming { .. }) {
                    self.place = Place::Lost;
                }
                Step::Skip
            }
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Step {
        let Some(set_up) = &self.set_up else { return Step::Skip };
        let length = set_up.packet_bytes();
        let Some(packet) = bytes.get(..length).and_then(|bytes| set_up.packet(bytes)) else {
            return Step::Wait;
        };
        let successors = match self.place {
            Place::Streaming { last } if follows(last, packet.ticks, set_up.sampling_ticks) => 1,
            Place::Idle | Place::Streaming { .. } | Place::Lost => CHAIN - 1,
        };
        match chain(bytes, set_up, packet.ticks, successors) {
            None => Step::Wait,
            Some(true) => {
                self.place = Place::Streaming { last: packet.ticks };
                Step::Take(Event::Packet(packet), length)
            }
            Some(false) => {
                self.place = Place::Lost;
                Step::Skip
            }
        }
    }

    fn inquiry(&mut self, bytes: &[u8]) -> Step {
        let Some(header) = bytes.first_chunk::<INQUIRY_HEADER_BYTES>() else { return Step::Wait };
        let [_, t0, t1, c0, c1, c2, c3, count, buffer] = *header;
        let count = usize::from(count);
        if buffer != BUFFER || count > MAX_CHANNELS {
            return Step::Skip;
        }
        let length = INQUIRY_HEADER_BYTES + count;
        let Some(channels) = bytes.get(INQUIRY_HEADER_BYTES..length) else { return Step::Wait };
        let sampling_ticks = u16::from_le_bytes([t0, t1]);
        let config = u32::from_le_bytes([c0, c1, c2, c3]);
        let Some(set_up) = Inquiry::new(sampling_ticks, config, channels) else {
            return Step::Skip;
        };
        self.set_up = Some(set_up.clone());
        self.place = Place::Idle;
        Step::Take(Event::Inquiry(set_up), length)
    }
}

/// Whether so many packets follow the one at the beginning, an interval apart each; `None` while
/// there are too few bytes to tell.
fn chain(bytes: &[u8], set_up: &Inquiry, first: u32, successors: usize) -> Option<bool> {
    let mut before = first;
    let mut start = 0;
    for _ in 0..successors {
        start += set_up.packet_bytes();
        let acks = bytes.get(start..)?.iter().take(MOST_ACKS).take_while(|b| **b == ACK).count();
        start += acks;
        if *bytes.get(start)? != DATA {
            return Some(false);
        }
        let now = ticks(&bytes[start..])?;
        if !follows(before, now, set_up.sampling_ticks) {
            return Some(false);
        }
        before = now;
    }
    Some(true)
}

/// Whether one timestamp comes an interval after another.
fn follows(before: u32, now: u32, interval: u16) -> bool {
    let step = now.wrapping_sub(before) & ((1 << TIMESTAMP_BITS) - 1);
    step.abs_diff(u32::from(interval)) <= TOLERANCE_TICKS
}

fn flush(events: &mut Vec<Event>, skipped: &mut usize) {
    if *skipped > 0 {
        events.push(Event::Skipped { bytes: std::mem::take(skipped) });
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Conductance, ack},
        *,
    };
    use proptest::prelude::*;

    const INTERVAL: u16 = 256;

    fn set_up() -> Inquiry {
        Inquiry::gsr_only(INTERVAL).unwrap()
    }

    fn packet(k: u32) -> Packet {
        let ticks = (16_000_000 + k * u32::from(INTERVAL)) & 0xFF_FFFF;
        Packet { ticks, gsr: Some(Conductance::to_raw(2.0 + f64::from(k % 7))) }
    }

    /// Acknowledgement and set-up, then packets.
    fn stream(packets: std::ops::Range<u32>) -> Vec<u8> {
        let mut bytes = ack();
        bytes.extend(set_up().encode());
        bytes.extend(ack());
        bytes.extend(packets.flat_map(|k| set_up().encode_packet(packet(k))));
        bytes
    }

    fn packets(events: &[Event]) -> Vec<Packet> {
        events
            .iter()
            .filter_map(|e| if let Event::Packet(p) = e { Some(*p) } else { None })
            .collect()
    }

    fn skipped(events: &[Event]) -> usize {
        events.iter().map(|e| if let Event::Skipped { bytes } = e { *bytes } else { 0 }).sum()
    }

    #[test]
    fn messages_in_order() {
        let events = Framer::new().push(&stream(0..4));
        assert_eq!(events[..3], [Event::Ack, Event::Inquiry(set_up()), Event::Ack]);
        assert_eq!(packets(&events), [packet(0), packet(1), packet(2)], "the last one waits");
        assert_eq!(skipped(&events), 0);
    }

    #[test]
    fn an_acknowledgement_in_the_stream_is_no_loss() {
        let mut framer = Framer::new();
        framer.push(&stream(0..10));
        assert_eq!(framer.push(&ack()), []);
        let next = framer.push(&set_up().encode_packet(packet(10)));
        assert_eq!(next, [Event::Packet(packet(9)), Event::Ack]);
        let next = framer.push(&set_up().encode_packet(packet(11)));
        assert_eq!(next, [Event::Packet(packet(10))]);
    }

    #[test]
    fn the_clock_wraps() {
        let events = Framer::new().push(&stream(0..4_000)); // it does after 3,036
        assert_eq!(packets(&events).len(), 3_999);
    }

    #[test]
    fn half_an_old_stream_is_skipped() {
        let mut framer = Framer::new();
        let mut bytes = vec![9, 7, 0x23];
        bytes.extend(stream(0..5));
        let events = framer.push(&bytes);
        assert_eq!((skipped(&events), packets(&events).len()), (3, 4));
    }

    #[test]
    fn a_cut_stream_is_found_again() {
        // Bytes lost from anywhere in the middle: never a wrong sample.
        let bytes = stream(0..60);
        for (cut, lost) in (150..170).flat_map(|cut| [(cut, 20), (cut, 18), (cut, 1), (cut, 61)]) {
            let mut framer = Framer::new();
            let mut events = framer.push(&bytes[..cut]);
            events.extend(framer.push(&bytes[cut + lost..]));
            let found = packets(&events);
            assert!(found.iter().all(|p| (0..60).any(|k| packet(k) == *p)), "{lost} at {cut}");
            // Those hit, the one before them, and the last, which waits.
            let hit = lost.div_ceil(6) + 1;
            assert!(found.len() >= 60 - hit - 2, "{lost} at {cut}: {}", found.len());
            assert_eq!(found.last(), Some(&packet(58)), "{lost} at {cut}");
        }
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_messages_are_the_same(
            cuts in prop::collection::vec(1usize..30, 1..80),
        ) {
            let bytes = stream(0..50);
            let whole = Framer::new().push(&bytes);
            let mut framer = Framer::new();
            let mut events = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                events.extend(framer.push(chunk));
                rest = after;
            }
            prop_assert_eq!(events, whole);
        }

        #[test]
        fn any_bytes_are_bounded(
            chunks in prop::collection::vec(
                prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 28, 255]), 0..60), 0..30),
        ) {
            let mut framer = Framer::new();
            framer.push(&stream(0..3));
            for chunk in &chunks {
                framer.push(chunk);
                let length = framer.set_up().map_or(0, Inquiry::packet_bytes);
                let most = (CHAIN * length + CHAIN * MOST_ACKS).max(INQUIRY_HEADER_BYTES + MAX_CHANNELS);
                prop_assert!(framer.kept.len() <= most);
            }
        }
    }
}
