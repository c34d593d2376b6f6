//! A request on its way to the server and back, under every rule that must hold at any moment.

use super::{
    simulation::{Happening, Simulation},
    weather::Meddled,
};
use protocol::{
    event::{BatchReply, EventBatch, Verdict},
    problem::{ErrorCode, Problem},
};
use sdk_core::{
    clock::Nanos,
    sync::{Answer, Outgoing},
};
use std::rc::Rc;
use uuid::Uuid;

/// A copy of a request on its way.
#[derive(Clone)]
pub struct Parcel {
    pub device: usize,
    pub life: u32,
    pub request: u64,
    pub number: u64,
    pub outgoing: Rc<Outgoing>,
    pub sent: Nanos,
    pub offset_ms: i64,
}

/// How an event came to be stored.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub sent: Nanos,
    pub arrived: Nanos,
    pub session: Uuid,
    pub offset_ms: i64,
}

impl Simulation {
    /// It comes to where the server is.
    pub async fn arrives(&mut self, parcel: Parcel) {
        let (device, request) = (parcel.device, parcel.request);
        self.journal.counts.reordered += u64::from(parcel.number < self.arrived[device]);
        self.arrived[device] = self.arrived[device].max(parcel.number);
        if self.cuts[device].requests {
            self.journal.counts.lost_requests += 1;
            self.journal.note(self.now, format_args!("#{request} does not get through"));
            return;
        }
        let before = self.said[device].as_ref();
        if let Some(Meddled { by, answer }) =
            self.weather.intercepts(&parcel.outgoing, before, &mut self.dice)
        {
            self.journal.counts.meddled += 1;
            self.journal.note(self.now, format_args!("#{request} {by}"));
            self.send_back(&parcel, answer);
            return;
        }
        if !self.cloud.is_up() {
            self.journal.note(self.now, format_args!("#{request} finds no server"));
            self.send_back(&parcel, None);
            return;
        }
        let answer = self.deliver(&parcel).await;
        if let Some(Meddled { by, answer }) = self.weather.spoils(&answer, &mut self.dice) {
            self.journal.counts.meddled += 1;
            self.journal.note(self.now, format_args!("#{request} {by}"));
            self.send_back(&parcel, answer);
        } else {
            self.send_back(&parcel, Some(answer));
        }
    }

    fn send_back(&mut self, parcel: &Parcel, answer: Option<Answer>) {
        let Parcel { device, request, .. } = *parcel;
        let delay = self.weather.delay(&mut self.dice);
        if self.cuts[device].answers || self.weather.loses(&mut self.dice) {
            self.journal.counts.lost_answers += 1;
        } else if self.devices[device].lives == parcel.life {
            self.ahead(delay, Happening::Answered { device, request, answer });
        }
    }

    /// The server takes a request, under every rule that must hold at any moment.
    async fn deliver(&mut self, parcel: &Parcel) -> Answer {
        let Parcel { device: number, request, .. } = *parcel;
        let device = self.devices[number].id;
        self.journal.counts.deliveries += 1;
        let again = !self.delivered.insert(request);
        let old = parcel.number <= self.accepted[number];
        let before = if again || old { Some(self.cloud.rows().await) } else { None };
        let state = self.cloud.state(device).await;
        let answer = self.cloud.ask(&parcel.outgoing).await.unwrap();
        let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
        let code = problem.map(|problem| problem.code);
        if let Some(before) = before {
            assert_eq!(self.cloud.rows().await, before, "S5: #{request} came again: {answer:?}");
        }
        if old {
            assert_eq!(code, Some(ErrorCode::Replayed), "#{request} is old and was taken");
            self.journal.counts.replays_refused += 1;
        }
        let mut stored = 0;
        if answer.status == 200 {
            assert!(!old, "request numbers only grow");
            self.accepted[number] = parcel.number;
            self.said[number] = Some(answer.clone());
            stored = self.note_arrivals(parcel, &answer);
        }
        assert!(
            stored == 0 || state.as_deref() == Some("given"),
            "C5, C14: stored while {state:?}"
        );
        let left = self.cloud.withdrawn_rows(device).await;
        assert_eq!(left, 0, "C14, S8: #{request} brought back what was withdrawn");
        self.journal.note(
            self.now,
            format_args!("#{request} is taken: {} {code:?}, {stored} stored", answer.status),
        );
        answer
    }

    /// Remembers when events came; gives how many are new.
    fn note_arrivals(&mut self, parcel: &Parcel, answer: &Answer) -> usize {
        if parcel.outgoing.path != "/v1/events" {
            return 0;
        }
        let reply: BatchReply = serde_json::from_slice(&answer.body).unwrap();
        let batch: EventBatch = serde_json::from_slice(&parcel.outgoing.body).unwrap();
        let Parcel { device, life, sent, offset_ms, .. } = *parcel;
        if self.devices[device].lives == life {
            self.devices[device].told_drops = batch.dropped;
        }
        let session = batch.sent_at.session;
        let arrival = Arrival { sent, arrived: self.now, session, offset_ms };
        let stored = reply.verdicts.iter().filter(|item| item.verdict == Verdict::Stored);
        let mut count = 0;
        for item in stored {
            let before = self.arrivals.insert(item.id, arrival);
            assert!(before.is_none(), "S5: stored twice");
            count += 1;
        }
        count
    }
}
