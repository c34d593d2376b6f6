//! A device's day: what its person, its app and bad luck do with it.

use super::device::{Change, Device, Kind, uses};
use fastrand::Rng;
use protocol::{
    consent::{ConsentState, Modality},
    event::{EventBody, Outcome, OutcomeKind},
};
use sdk_core::{
    clock::Nanos,
    consent::{Epoch, Gate},
    sync::Draft,
};
use std::{collections::BTreeMap, fmt, time::Duration};

/// A device's wall clock is this wrong at most.
const WORST_CLOCK_MS: i64 = 5 * 24 * 60 * 60 * 1_000;
/// The server goes by the real clock: no grant ends this close to it, for the outcome not to
/// depend on how fast the machine is.
const AROUND_NOW_MS: i64 = 120_000;

/// What a step came to.
pub struct Step {
    pub what: String,
    /// The gate has changed, and the client is still to be told.
    pub told: Option<Change>,
}

impl Device {
    /// Does something a person, an app or a bad day does.
    pub fn act(&mut self, now: Nanos, dice: &mut Rng) -> Step {
        let wall = self.wall(now);
        let Some(life) = self.life.as_ref() else { return Step::of("is off") };
        let gate = life.gate.clone();
        let seen = gate.seen(wall);
        if self.has_died() {
            return Step::of("dies looking at the clock");
        }
        assert!(seen.is_ok());
        self.seen_unix_ms = self.seen_unix_ms.max(wall);
        let state = gate.record().state;
        let step = match dice.u8(..100) {
            0..56 => Step::of(self.queue(now, dice)),
            56..60 => Step::of(self.queue_stale(now)),
            60..63 if self.kind != Kind::Steady => {
                self.change(gate.withdraw(wall).map(drop), Change::Withdrawn, "withdraws")
            }
            60..76 => self.grant(&gate, wall, dice),
            76..79 => self.change(gate.acknowledge(wall).map(drop), Change::Other, "acknowledges"),
            79..85 if state == ConsentState::Given => {
                self.change(gate.pause(wall).map(drop), Change::Other, "pauses")
            }
            79..85 => self.change(gate.unpause(wall).map(drop), Change::Other, "unpauses"),
            85..91 => {
                self.offset_ms = dice.i64(-WORST_CLOCK_MS..WORST_CLOCK_MS);
                Step::of(format!("sets its clock {} s off", self.offset_ms / 1_000))
            }
            91..94 => {
                self.die();
                Step::of("is killed")
            }
            94..98 => {
                let (writes, share) = (dice.u32(..6), dice.f64());
                self.power.cut_after(writes, share);
                Step::of(format!("will die {writes} writes from now"))
            }
            _ => Step::of(self.lose(dice)),
        };
        self.has_died();
        step
    }

    fn queue(&mut self, now: Nanos, dice: &mut Rng) -> String {
        let count = if dice.u8(..12) == 0 { dice.usize(30..90) } else { dice.usize(1..12) };
        let drafts = (0..count).map(|_| {
            let modality = [Modality::Behaviour, Modality::Eda, Modality::Hrv][dice.usize(..3)];
            self.draft(now, modality, dice)
        });
        let drafts = drafts.collect();
        let queued = self.queue_drafts(now, drafts);
        format!("queues {queued} of {count}")
    }

    /// What was made under an older consent is not taken under a newer one.
    fn queue_stale(&mut self, now: Nanos) -> String {
        let (mut draft, _) = self.draft(now, Modality::Behaviour, &mut Rng::with_seed(0));
        if draft.epoch.0 == 0 {
            return "has nothing old".into();
        }
        draft.epoch = Epoch(draft.epoch.0 - 1);
        assert_eq!(self.queue_drafts(now, vec![(draft, false)]), 0, "C2");
        "queues something old in vain".into()
    }

    /// A draft, and whether the server has to refuse it: it holds a feature of a modality that it
    /// does not name.
    pub fn draft(&mut self, now: Nanos, modality: Modality, dice: &mut Rng) -> (Draft, bool) {
        let life = self.life.as_ref().unwrap();
        let before = Duration::from_millis(dice.u64(..400));
        let at = life.at(now) - before;
        let made = life.born + Duration::from_nanos(at.0);
        let poison = modality == Modality::Behaviour && dice.u8(..25) == 0;
        let features = |name: &str| EventBody::Features {
            values: BTreeMap::from([(name.to_owned(), 30.0 + dice_of(now))]),
            coverage: 1.0,
        };
        let body = match modality {
            _ if poison => features("eda_scl_mean_5s"),
            Modality::Eda => features("eda_scl_mean_5s"),
            Modality::Hrv => features("hrv_rmssd_30s"),
            _ => EventBody::Outcome(Outcome {
                kind: OutcomeKind::Declined,
                sku: "ESP-1".into(),
                revision: 0,
                paid: None,
            }),
        };
        let named = modality != Modality::Behaviour || dice.bool();
        let (session, epoch) = (life.session, life.gate.epoch());
        let modalities = if named { vec![modality] } else { Vec::new() };
        let at_unix_ms = self.wall(made);
        (Draft { session, epoch, modalities, at, at_unix_ms, body }, poison)
    }

    fn grant(&mut self, gate: &Gate, wall: i64, dice: &mut Rng) -> Step {
        let mut shared = vec![Modality::Behaviour, Modality::Eda, Modality::Hrv];
        let mut end = None;
        if self.kind == Kind::Fickle {
            shared.retain(|_| dice.u8(..4) > 0);
            if dice.u8(..3) == 0 {
                let at = wall + dice.i64(60_000..1_200_000);
                let near = (at - self.base_unix_ms).abs() < AROUND_NOW_MS;
                end = Some(if near { at + 2 * AROUND_NOW_MS } else { at });
            }
        }
        let what = match end {
            Some(end) => format!("grants {} for {} s", shared.len(), (end - wall) / 1_000),
            None => format!("grants {}", shared.len()),
        };
        self.change(gate.grant(&uses(&shared), end, wall).map(drop), Change::Other, &what)
    }

    fn change<E: fmt::Display>(&self, changed: Result<(), E>, told: Change, what: &str) -> Step {
        match changed {
            Ok(()) => Step { what: what.into(), told: Some(told) },
            Err(error) if self.power.is_out() => Step::of(format!("dies as it {what}: {error}")),
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// The app reads its dead letters, or is faster than the disk.
    fn lose(&mut self, dice: &mut Rng) -> String {
        let Some(life) = self.life.as_mut() else { return "is off".into() };
        if self.kind != Kind::Fickle || dice.bool() {
            let cleared = life.client.clear_dead_letters();
            assert!(cleared.is_ok() || self.power.is_out());
            return "clears its dead letters".into();
        }
        let count = dice.u64(1..5);
        life.client.overrun(count);
        life.overrun += count;
        self.overrun += count;
        format!("is overrun by {count}")
    }
}

impl Step {
    fn of(what: impl Into<String>) -> Self {
        Self { what: what.into(), told: None }
    }
}

/// Some value that differs from event to event.
fn dice_of(now: Nanos) -> f64 {
    (now.0 % 1_000) as f64 / 100.0
}
