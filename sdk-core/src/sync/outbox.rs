//! The queue's state machine: no clock, no socket; its disk is whatever [`Frames`] it was given.

use super::{
    draft::{Draft, QueueError, Sharing},
    entry::{DeadLetter, DropReason, Drops, Entry},
    held::{Held, Waiting},
    limits::{Limits, MAX_BATCH, MAX_BATCH_BYTES},
    log::Log,
};
use crate::{
    consent::Epoch,
    frames::{Frames, FramesError},
};
use protocol::{
    consent::{ConsentRecord, ConsentState, Modality, Purpose, Recipient},
    event::{BatchReply, Event, EventBatch, SentAt, Verdict},
    problem::ErrorCode,
};
use serde::Serialize;
use std::{collections::HashMap, ops::RangeInclusive, sync::Arc};
use uuid::Uuid;

/// Counters of the queue. Those without a word on it count since the outbox was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OutboxStats {
    /// Items found on opening.
    pub restored: u64,
    /// Frames found on opening that could not be read.
    pub unreadable: u64,
    /// Items queued.
    pub queued: u64,
    /// Items the server has.
    pub acknowledged: u64,
    /// Items the server refused.
    pub rejected: u64,
    /// Items dropped, ever.
    pub dropped: u64,
    /// The same by reason.
    pub drops: Drops,
    /// Items purged because consent to share them is gone.
    pub purged: u64,
    /// Items waiting now.
    pub pending: u64,
    /// Their bytes, as JSON.
    pub pending_bytes: u64,
    /// Dead letters now.
    pub dead: u64,
    /// Writes that the disk did not take.
    pub disk_failures: u64,
}

/// What came back for a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A verdict an item.
    Verdicts(BatchReply),
    /// The server cannot take this batch: too large, or something in it is not right.
    Bad(ErrorCode, String),
}

/// The queue: in order, on disk, and emptied by verdicts alone.
#[derive(Debug)]
pub struct Outbox {
    held: Held,
    log: Log,
    limits: Limits,
    /// Most items of the next batch.
    batch: usize,
    /// Items under way: the first that are held.
    in_flight: usize,
    /// What the last review let stay.
    reviewed: Option<Review>,
    stats: OutboxStats,
}

/// What decides over every item alike.
#[derive(Debug, PartialEq, Eq)]
struct Review {
    epochs: RangeInclusive<u64>,
    shared: Vec<Modality>,
}

impl Outbox {
    /// Takes up what is kept: `kept` are the frames that `frames` holds, oldest first. What cannot
    /// be read is skipped and counted.
    #[must_use]
    pub fn restore(
        frames: Box<dyn Frames>,
        kept: impl IntoIterator<Item: AsRef<[u8]>>,
        limits: Limits,
    ) -> Self {
        let (held, read) = Held::read(kept, &limits);
        let stats = OutboxStats {
            restored: held.pending.len() as u64,
            unreadable: read.unreadable,
            ..OutboxStats::default()
        };
        let log = Log::new(frames, read.frames);
        let mut outbox =
            Self { held, log, limits, batch: MAX_BATCH, in_flight: 0, reviewed: None, stats };
        outbox.keep_caps();
        outbox
    }

    /// Numbers events and writes them through to disk, all with one write. One result a draft: the
    /// id of what is queued, in the order of the drafts.
    pub fn enqueue(
        &mut self,
        drafts: Vec<Draft>,
        sharing: &Sharing,
        wall_unix_ms: i64,
    ) -> Vec<Result<Uuid, QueueError>> {
        self.held.observe(wall_unix_ms);
        let made: Vec<Result<Waiting, QueueError>> =
            drafts.into_iter().map(|draft| self.number(draft, sharing)).collect();
        let entries: Vec<Entry> = made.iter().flatten().map(Waiting::entry).collect();
        let written = if entries.is_empty() { Ok(()) } else { self.write(&entries) };
        if let Err(error) = written {
            // Some may be on disk all the same; they must not come back to life.
            let ids = made.iter().flatten().map(|waiting| waiting.event.id);
            self.log.owe(ids.map(|id| Entry::Done { id }));
            let disk = QueueError::Disk(Arc::new(error));
            return made.into_iter().map(|made| made.and_then(|_| Err(disk.clone()))).collect();
        }
        let mut queue = |waiting: Waiting| {
            let id = waiting.event.id;
            self.stats.queued += 1;
            self.held.push(waiting);
            id
        };
        let ids = made.into_iter().map(|made| made.map(&mut queue)).collect();
        self.keep_caps();
        ids
    }

    /// Counts events that were lost before they could be queued.
    pub fn overrun(&mut self, count: u64) {
        if count > 0 {
            self.held.drops.count(DropReason::Overrun, count);
            self.log.owe([Entry::Dropped { ids: Vec::new(), dropped: self.held.drops }]);
        }
    }

    /// Looks at every item again in the light of the record in force (C2): purges those of which
    /// it no longer permits sharing, and those older than the withdrawal of epoch `withdrawn`. A
    /// pause purges nothing.
    ///
    /// # Errors
    /// [`FramesError`]: purged here, and on disk as soon as it works.
    pub fn review(
        &mut self,
        record: &ConsentRecord,
        withdrawn: Epoch,
        wall_unix_ms: i64,
    ) -> Result<(), FramesError> {
        self.held.observe(wall_unix_ms);
        let now = self.held.latest_unix_ms;
        let granted = match record.state {
            ConsentState::Paused => ConsentRecord { state: ConsentState::Given, ..record.clone() },
            ConsentState::Given | ConsentState::Withdrawn => record.clone(),
        };
        let shared: Vec<Modality> = Modality::ALL
            .into_iter()
            .filter(|m| granted.permits(*m, Purpose::Share, Recipient::Operator, now))
            .collect();
        let review = Review { epochs: withdrawn.0..=record.epoch, shared };
        if self.reviewed.as_ref() == Some(&review) {
            return Ok(());
        }
        let stays = |event: &Event| {
            (event.person, event.device) == (record.person, record.device)
                && review.epochs.contains(&event.consent_epoch)
                && !event.modalities.is_empty()
                && event.modalities.iter().all(|modality| review.shared.contains(modality))
        };
        let (mut place, under_way) = (0, self.in_flight);
        let purged = self.held.retain(|event| {
            let stays = stays(event);
            self.in_flight -= usize::from(!stays && place < under_way);
            place += 1;
            stays
        });
        self.stats.purged += purged as u64;
        let all_letters_stay = self.held.dead.retain(|letter| stays(&letter.event));
        self.reviewed = Some(review);
        if purged > 0 || !all_letters_stay {
            self.rewrite()?;
        }
        Ok(())
    }

    /// The next batch, unless one is under way or nothing waits.
    pub fn next(&mut self, sent_at: SentAt) -> Option<EventBatch> {
        if self.in_flight > 0 {
            return None;
        }
        self.held.observe(sent_at.unix_ms);
        let aged = self.held.aged(&self.limits);
        self.dropped(&aged);
        // The server is told of drops that will still be known after a crash. Where the disk
        // fails, sending goes on all the same.
        let _ = self.settle();
        let mut bytes = 0;
        let fitting = self.held.pending.iter().take(self.batch).take_while(|waiting| {
            let first = bytes == 0;
            bytes += waiting.bytes + 1;
            first || bytes <= MAX_BATCH_BYTES
        });
        let events: Vec<Event> = fitting.map(|waiting| waiting.event.as_ref().clone()).collect();
        self.in_flight = events.len();
        let dropped = self.held.drops.total();
        (!events.is_empty()).then_some(EventBatch { sent_at, dropped, events })
    }

    /// The request under way was given up: its events wait again.
    pub fn abandon(&mut self) {
        self.in_flight = 0;
        self.keep_caps();
    }

    /// Takes the answer to what is under way; says whether it got anywhere.
    ///
    /// # Errors
    /// [`FramesError`]: it holds, and is written as soon as the disk works. Until then a crash
    /// would have items sent twice, which the server notices.
    pub fn reply(&mut self, reply: Reply) -> Result<bool, FramesError> {
        let sent = std::mem::take(&mut self.in_flight).min(self.held.pending.len());
        let entries = match reply {
            _ if sent == 0 => return Ok(false),
            Reply::Bad(..) if sent > 1 => {
                self.batch = sent / 2;
                self.keep_caps();
                return Ok(true);
            }
            Reply::Bad(code, detail) => {
                self.finish(sent, |_| Verdict::Rejected { code, detail: detail.clone() })
            }
            Reply::Verdicts(reply) => {
                self.batch = (self.batch + self.batch / 8 + 1).min(MAX_BATCH);
                let mut verdicts: HashMap<Uuid, Verdict> =
                    reply.verdicts.into_iter().map(|v| (v.id, v.verdict)).collect();
                // What the server did not mention is sent again.
                self.finish(sent, |id| verdicts.remove(&id).unwrap_or(Verdict::Retry))
            }
        };
        let progress = !entries.is_empty();
        self.log.owe(entries);
        self.keep_caps();
        self.settle()?;
        self.log.compact(self.held.pending.len() + self.held.dead.len(), || self.held.snapshot());
        Ok(progress)
    }

    /// Forgets everything: consent was withdrawn. What stays on disk is the sequence number.
    ///
    /// # Errors
    /// [`FramesError`]: forgotten here, and on disk as soon as it works.
    pub fn purge(&mut self) -> Result<(), FramesError> {
        self.stats.purged += self.held.retain(|_| false) as u64;
        self.held.dead.clear();
        self.in_flight = 0;
        self.rewrite()
    }

    /// What the server refused, oldest first.
    pub fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.held.dead.iter()
    }

    /// Forgets the dead letters: the app has read them.
    ///
    /// # Errors
    /// [`FramesError`]: forgotten here, and on disk as soon as it works.
    pub fn clear_dead_letters(&mut self) -> Result<(), FramesError> {
        self.held.dead.clear();
        self.rewrite()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.pending.is_empty()
    }

    /// Whether what waits fills a request.
    #[must_use]
    pub fn fills_batch(&self) -> bool {
        self.held.pending.len() >= self.batch || self.held.bytes >= MAX_BATCH_BYTES
    }

    /// The oldest consent under which something is kept.
    #[must_use]
    pub fn oldest_epoch(&self) -> Option<Epoch> {
        let waiting = self.held.pending.iter().map(|waiting| waiting.event.as_ref());
        let dead = self.held.dead.iter().map(|letter| &letter.event);
        waiting.chain(dead).map(|event| Epoch(event.consent_epoch)).min()
    }

    /// Whether something is still to be written.
    #[must_use]
    pub const fn owes(&self) -> bool {
        self.log.owes()
    }

    /// Writes what could not be written before.
    ///
    /// # Errors
    /// [`FramesError`]: the disk still does not take it.
    pub fn mend(&mut self) -> Result<(), FramesError> {
        if self.owes() { self.settle() } else { Ok(()) }
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> OutboxStats {
        OutboxStats {
            dropped: self.held.drops.total(),
            drops: self.held.drops,
            pending: self.held.pending.len() as u64,
            pending_bytes: self.held.bytes as u64,
            dead: self.held.dead.len() as u64,
            ..self.stats
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> Vec<&Event> {
        self.held.pending.iter().map(|waiting| waiting.event.as_ref()).collect()
    }

    /// Makes the event of a draft, unless it may not be queued.
    fn number(&mut self, draft: Draft, sharing: &Sharing) -> Result<Waiting, QueueError> {
        let draft = sharing.check(draft)?;
        let sequence = self.held.last_sequence.saturating_add(1);
        let event = Box::new(Event {
            id: Uuid::now_v7(),
            sequence,
            device: sharing.record.device,
            person: sharing.record.person,
            session: draft.session,
            consent_record: sharing.record.id,
            consent_epoch: sharing.record.epoch,
            modalities: draft.modalities,
            at_unix_ms: draft.at_unix_ms,
            at_session_ms: draft.at.as_millis(),
            body: draft.body,
        });
        let json = serde_json::to_vec(&event).map_err(|_| QueueError::NotJson)?;
        if json.len() > MAX_BATCH_BYTES {
            return Err(QueueError::TooLarge { bytes: json.len(), most: MAX_BATCH_BYTES });
        }
        // JSON writes a number that is not finite as null, which nobody could read back.
        serde_json::from_slice::<Event>(&json).map_err(|_| QueueError::NotJson)?;
        self.held.last_sequence = sequence;
        Ok(Waiting { event, bytes: json.len(), kept_unix_ms: self.held.latest_unix_ms })
    }

    /// Takes the first `sent` items apart by their verdicts; gives the entries to write.
    fn finish(&mut self, sent: usize, mut verdict: impl FnMut(Uuid) -> Verdict) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut place = 0;
        for _ in 0..sent {
            let Some(id) = self.held.pending.get(place).map(|waiting| waiting.event.id) else {
                break;
            };
            match verdict(id) {
                Verdict::Retry => place += 1,
                Verdict::Stored | Verdict::Duplicate => {
                    self.stats.acknowledged += 1;
                    self.held.remove(place);
                    entries.push(Entry::Done { id });
                }
                Verdict::Rejected { code, detail } => {
                    let Some(waiting) = self.held.remove(place) else { break };
                    self.stats.rejected += 1;
                    let letter = DeadLetter { event: *waiting.event, code, detail };
                    self.held.dead.push(letter.clone(), &self.limits);
                    entries.push(Entry::Rejected { letter: Box::new(letter) });
                }
            }
        }
        entries
    }

    fn keep_caps(&mut self) {
        let excess = self.held.excess(self.in_flight, &self.limits);
        self.dropped(&excess);
    }

    /// Counts what was taken out. The disk learns of it with the next write: until then a crash
    /// brings back both the items and the count.
    fn dropped(&mut self, items: &[(DropReason, Uuid)]) {
        if items.is_empty() {
            return;
        }
        for (reason, _) in items {
            self.held.drops.count(*reason, 1);
        }
        let ids = items.iter().map(|(_, id)| *id).collect();
        self.log.owe([Entry::Dropped { ids, dropped: self.held.drops }]);
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), FramesError> {
        let written = self.log.append(entries, || self.held.snapshot());
        written.inspect_err(|_| self.stats.disk_failures += 1)
    }

    fn settle(&mut self) -> Result<(), FramesError> {
        self.write(&[])
    }

    fn rewrite(&mut self) -> Result<(), FramesError> {
        let written = self.log.replace(&self.held.snapshot());
        written.inspect_err(|_| self.stats.disk_failures += 1)
    }
}
