//! What an answer comes to: progress, or a setback and what it takes to get over it.

use super::{Client, MAX_REPLAYS, UnderWay};
use crate::{
    clock::Nanos,
    frames::FramesError,
    sync::{
        outbox::Reply,
        trouble::{Effect, Trouble},
    },
};
use protocol::{
    consent::{ConsentReply, Head, MAX_BATCH_RECEIPTS},
    event::BatchReply,
    problem::{ErrorCode, Problem},
};
use std::time::Duration;

/// Why a request got nowhere.
#[derive(Debug, Default)]
pub(super) struct Setback {
    /// The wait that the server asks for, on top of our own.
    wait: Option<Duration>,
    /// Try again at once.
    at_once: bool,
    trouble: Option<Trouble>,
}

impl Setback {
    pub(super) fn wait(wait: Option<Duration>) -> Self {
        Self { wait, ..Self::default() }
    }

    fn at_once() -> Self {
        Self { at_once: true, ..Self::default() }
    }

    fn trouble(trouble: Trouble) -> Self {
        Self { trouble: Some(trouble), ..Self::default() }
    }

    fn disk(error: &FramesError) -> Self {
        Self::trouble(Trouble::Disk(error.to_string()))
    }
}

pub(super) type Taken = Result<Vec<Effect>, Setback>;

impl Client {
    /// The server's word on the receipts, checked against our own chain.
    pub(super) fn receipted(&mut self, body: &[u8], last: u64) -> Taken {
        // Not JSON of ours: a captive portal says 200 to everything.
        let reply: ConsentReply = serde_json::from_slice(body).map_err(|_| Setback::default())?;
        let head = reply.head;
        self.check_head(&head, last).map_err(Setback::trouble)?;
        self.server_key = Some(head.key);
        if head.epoch >= self.countersigned() {
            self.chain.countersigned(head.clone()).map_err(|error| Setback::disk(&error))?;
        }
        self.resent.0 = false;
        self.resend_after = self.resend_after.map(|_| last.max(head.epoch));
        self.receipts_batch = (self.receipts_batch * 2).min(MAX_BATCH_RECEIPTS);
        let after = self.resend_after.unwrap_or_else(|| self.countersigned());
        self.receipts_wait = !self.chain.receipts_after(after).is_empty();
        Ok(vec![Effect::Countersigned(head)])
    }

    fn check_head(&self, head: &Head, last: u64) -> Result<(), Trouble> {
        head.verify().map_err(|_| Trouble::BadHead)?;
        if self.server_key.is_some_and(|known| known != head.key) {
            return Err(Trouble::ServerKey);
        }
        let record = self.gate.record();
        let before = head.epoch.checked_sub(1).ok_or(Trouble::BadHead)?;
        if (head.person, head.device) != (record.person, record.device) || head.epoch < last {
            return Err(Trouble::BadHead);
        }
        let ours = self.chain.receipts_after(before);
        let ours = ours.first().ok_or(Trouble::Truncated)?;
        let same = ours.record.epoch == head.epoch && ours.digest() == Ok(head.receipt);
        if same { Ok(()) } else { Err(Trouble::Forked) }
    }

    pub(super) fn judged(&mut self, body: &[u8]) -> Taken {
        let reply: BatchReply = serde_json::from_slice(body).map_err(|_| Setback::default())?;
        let progress =
            self.outbox.reply(Reply::Verdicts(reply)).map_err(|error| Setback::disk(&error))?;
        if !progress {
            return Err(Setback::default());
        }
        self.resent.1 = false;
        Ok(Vec::new())
    }

    /// The server refused a request as a whole. No item goes without a verdict of its own: what
    /// may be one item's fault is narrowed down to it, anything else is sent again.
    pub(super) fn refused(&mut self, problem: Problem, sent: UnderWay) -> Taken {
        let Problem { code, detail, last_request, .. } = problem;
        match (code, sent) {
            (ErrorCode::Erased, _) => {
                // A disk that fails is counted, and tried again.
                let _ = self.outbox.purge();
                Err(Setback::trouble(Trouble::Erased))
            }
            (ErrorCode::Replayed, _) => {
                self.stats.replays += 1;
                self.replays += 1;
                let last = last_request.unwrap_or(0);
                self.request_number = self.request_number.max(last.saturating_add(1));
                if self.replays <= MAX_REPLAYS && last_request.is_some() {
                    return Err(Setback::at_once());
                }
                Err(Setback::trouble(Trouble::Refused { code, detail }))
            }
            (ErrorCode::TooLarge, UnderWay::Receipts { count, .. }) if count > 1 => {
                self.receipts_batch = count / 2;
                Err(Setback::at_once())
            }
            (ErrorCode::Conflict, UnderWay::Receipts { .. }) if self.resent.0 => {
                Err(Setback::trouble(Trouble::ChainRefused))
            }
            (ErrorCode::Conflict, UnderWay::Receipts { .. }) => {
                self.resent.0 = true;
                self.send_chain_again()
            }
            // It has lost the receipts that it once signed for.
            (ErrorCode::NoConsent, UnderWay::Events) if !self.resent.1 => {
                self.resent.1 = true;
                self.send_chain_again()
            }
            (
                ErrorCode::TooLarge
                | ErrorCode::Malformed
                | ErrorCode::Invalid
                | ErrorCode::Conflict,
                UnderWay::Events,
            ) => {
                let before = self.outbox.stats().rejected;
                let narrowed = self.outbox.reply(Reply::Bad(code, detail.clone()));
                narrowed.map_err(|error| Setback::disk(&error))?;
                let found = self.outbox.stats().rejected > before;
                if found && code != ErrorCode::TooLarge {
                    // Should the server refuse everything, then not everything is lost at once.
                    return Err(Setback::trouble(Trouble::Refused { code, detail }));
                }
                Ok(Vec::new())
            }
            _ => Err(Setback::trouble(Trouble::Refused { code, detail })),
        }
    }

    fn send_chain_again(&mut self) -> Taken {
        self.resend_after = Some(0);
        self.receipts_wait = true;
        Err(Setback::at_once())
    }

    pub(super) fn set_back(&mut self, now: Nanos, setback: Setback, dice: f64) -> Vec<Effect> {
        let Setback { wait, at_once, trouble } = setback;
        if !at_once {
            // Everybody who was told the same moment must not come back in it: jitter on top.
            self.not_before = now + wait.unwrap_or_default() + self.backoff.next(dice);
            self.stats.failures += 1;
        }
        let Some(trouble) = trouble else { return Vec::new() };
        if trouble.is_final() {
            self.halted = Some(trouble.clone());
        }
        vec![Effect::Trouble(trouble)]
    }
}
