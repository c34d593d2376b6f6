//! What the outbox holds: the same in memory and, entry by entry, on disk.

use super::{
    dead::DeadLetters,
    entry::{DropReason, Drops, Entry},
    limits::Limits,
};
use protocol::event::Event;
use std::collections::{HashSet, VecDeque};
use uuid::Uuid;

/// An item that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) event: Box<Event>,
    /// As JSON.
    pub(super) bytes: usize,
    pub(super) kept_unix_ms: i64,
}

impl Waiting {
    pub(super) fn entry(&self) -> Entry {
        Entry::Queued { event: self.event.clone(), kept_unix_ms: self.kept_unix_ms }
    }
}

#[derive(Debug, Default)]
pub(super) struct Held {
    /// In order of sequence.
    pub(super) pending: VecDeque<Waiting>,
    /// Of `pending`.
    pub(super) bytes: usize,
    pub(super) dead: DeadLetters,
    pub(super) last_sequence: u64,
    pub(super) drops: Drops,
    /// The latest wall time seen, Unix milliseconds: it never moves back.
    pub(super) latest_unix_ms: i64,
}

/// What came of reading the frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) frames: usize,
    pub(super) unreadable: u64,
}

impl Held {
    /// Reads frames, oldest first.
    pub(super) fn read(
        frames: impl IntoIterator<Item: AsRef<[u8]>>,
        limits: &Limits,
    ) -> (Self, Read) {
        let (mut held, mut read) = (Self::default(), Read { frames: 0, unreadable: 0 });
        let (mut known, mut gone) = (HashSet::new(), HashSet::new());
        for frame in frames {
            read.frames += 1;
            match Entry::decode(frame.as_ref()) {
                Some(entry) => held.replay(entry, &mut known, &mut gone, limits),
                None => read.unreadable += 1,
            }
        }
        // Each frame that was lost may have held a number.
        held.last_sequence = held.last_sequence.saturating_add(read.unreadable);
        held.retain(|event| !gone.contains(&event.id));
        (held, read)
    }

    /// Takes up an entry. A write that failed may have left some behind, which were then written
    /// again: read twice, each counts once.
    fn replay(
        &mut self,
        entry: Entry,
        known: &mut HashSet<Uuid>,
        gone: &mut HashSet<Uuid>,
        limits: &Limits,
    ) {
        match entry {
            Entry::Queued { event, kept_unix_ms } => {
                self.last_sequence = self.last_sequence.max(event.sequence);
                self.observe(kept_unix_ms);
                if known.insert(event.id) {
                    let bytes = serde_json::to_vec(&event).map_or(0, |json| json.len());
                    self.pending.push_back(Waiting { event, bytes, kept_unix_ms });
                }
            }
            Entry::Done { id } => drop(gone.insert(id)),
            Entry::Rejected { letter } => {
                if gone.insert(letter.event.id) {
                    self.dead.push(*letter, limits);
                }
            }
            Entry::Dropped { ids, dropped } => {
                self.drops = dropped;
                gone.extend(ids);
            }
            Entry::Sequence { last, dropped, latest_unix_ms } => {
                self.last_sequence = self.last_sequence.max(last);
                self.drops = dropped;
                self.observe(latest_unix_ms);
            }
        }
    }

    /// Everything the frames must hold.
    pub(super) fn snapshot(&self) -> Vec<Entry> {
        let sequence = Entry::Sequence {
            last: self.last_sequence,
            dropped: self.drops,
            latest_unix_ms: self.latest_unix_ms,
        };
        let dead = self.dead.iter().cloned().map(|d| Entry::Rejected { letter: Box::new(d) });
        std::iter::once(sequence)
            .chain(dead)
            .chain(self.pending.iter().map(Waiting::entry))
            .collect()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.pending.push_back(waiting);
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Waiting> {
        let waiting = self.pending.remove(place)?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// Keeps what is wanted; gives how many were not.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&Event) -> bool) -> usize {
        let before = self.pending.len();
        self.pending.retain(|waiting| wanted(&waiting.event));
        self.bytes = self.pending.iter().map(|waiting| waiting.bytes).sum();
        before - self.pending.len()
    }

    /// What is over the caps, the oldest first: takes it out and says why each had to go. The
    /// first `spared` are under way, and the newest always stays.
    pub(super) fn excess(&mut self, spared: usize, limits: &Limits) -> Vec<(DropReason, Uuid)> {
        let mut over = Vec::new();
        while self.pending.len() > spared + 1 {
            let reason = match () {
                () if self.pending.len() > limits.items => DropReason::Items,
                () if self.bytes > limits.bytes => DropReason::Bytes,
                () => break,
            };
            over.extend(self.remove(spared).map(|waiting| (reason, waiting.event.id)));
        }
        over
    }

    /// What has waited too long: takes it out.
    pub(super) fn aged(&mut self, limits: &Limits) -> Vec<(DropReason, Uuid)> {
        let age_ms = i64::try_from(limits.age.as_millis()).unwrap_or(i64::MAX);
        let mut aged = Vec::new();
        while let Some(oldest) = self.pending.front()
            && self.latest_unix_ms.saturating_sub(oldest.kept_unix_ms) > age_ms
        {
            aged.extend(self.remove(0).map(|waiting| (DropReason::Age, waiting.event.id)));
        }
        aged
    }

    pub(super) fn observe(&mut self, wall_unix_ms: i64) {
        self.latest_unix_ms = self.latest_unix_ms.max(wall_unix_ms);
    }
}
