//! The heart side of a strap: one notification a beat.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use protocol::heart_rate::{HeartRateMeasurement, RR_TICKS_PER_SECOND};

use super::{clock::DeviceClock, nanos};
use crate::{
    fault::Injected,
    physiology::{Beat, Heart},
    source::{Source, Tape},
};

#[derive(Debug)]
pub(super) struct BeatStream {
    heart: Beats,
    next: Option<Beat>,
    /// The strap notices that it hears nothing, at this time.
    silence_ns: Option<u64>,
    recent_rr_s: VecDeque<f64>,
    last: Option<Beat>,
    withholding: bool,
    /// True time, in nanoseconds, during which the electrodes touch nothing.
    pub(super) off_skin: Range<u64>,
    /// Beats to come whose interval is absurd.
    pub(super) absurd: u64,
}

#[derive(Debug)]
enum Beats {
    /// The strap times intervals by its own clock.
    Body(Box<Heart>, DeviceClock),
    /// The recording's intervals were timed by its own device.
    Tape(Arc<Tape>, usize),
}

/// The heart rate field is a mean over this many beats; straps smooth over some seconds.
const SMOOTHED_BEATS: usize = 5;
/// A beat this share of its interval later than its interval explains has lost one before it.
const GAP_SHARE: f64 = 0.5;

impl BeatStream {
    pub(super) fn new(clock: DeviceClock, source: &Source) -> Self {
        let mut heart = match source {
            Source::Simulated { seed, script } => {
                Beats::Body(Box::new(Heart::new(*seed, script)), clock)
            }
            Source::Tape(tape) => Beats::Tape(Arc::clone(tape), 0),
        };
        Self {
            next: heart.next(),
            heart,
            silence_ns: None,
            recent_rr_s: VecDeque::with_capacity(SMOOTHED_BEATS),
            last: None,
            withholding: false,
            off_skin: 0..0,
            absurd: 0,
        }
    }

    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.silence_ns.or_else(|| Some(nanos(self.next?.at_s)))
    }

    /// The payload that is due, and on to the next; `None` when the strap keeps silent.
    pub(super) fn take(&mut self, counts: &mut Injected) -> Option<Vec<u8>> {
        if self.silence_ns.take().is_some() {
            return Some(lost_contact());
        }
        let beat = self.next?;
        self.last = Some(beat);
        self.next = self.heart.next();
        self.silence_ns = self.silence_before_next();
        if self.hidden(beat) {
            counts.withheld_beats += 1;
            let first = !std::mem::replace(&mut self.withholding, true);
            return first.then(lost_contact);
        }
        self.withholding = false;
        Some(self.report(beat, counts))
    }

    fn report(&mut self, beat: Beat, counts: &mut Injected) -> Vec<u8> {
        if self.recent_rr_s.len() == SMOOTHED_BEATS {
            self.recent_rr_s.pop_front();
        }
        self.recent_rr_s.push_back(beat.rr_s);
        let mean_s = self.recent_rr_s.iter().sum::<f64>() / self.recent_rr_s.len() as f64;
        let mut rr = (beat.rr_s * f64::from(RR_TICKS_PER_SECOND)).round() as u16;
        if self.absurd > 0 {
            rr = if self.absurd.is_multiple_of(2) { 0 } else { u16::MAX };
            self.absurd -= 1;
            counts.absurd_rr += 1;
        }
        HeartRateMeasurement {
            heart_rate_bpm: (60.0 / mean_s).round() as u16,
            contact: Some(true),
            energy_kj: None,
            rr_1024ths: vec![rr],
        }
        .encode()
    }

    /// No part of the beat's interval may fall into a lost contact.
    fn hidden(&self, beat: Beat) -> bool {
        let (begin_ns, end_ns) = (nanos(beat.at_s - beat.rr_s), nanos(beat.at_s));
        begin_ns < self.off_skin.end && end_ns >= self.off_skin.start
    }

    /// When the strap notices that the beat after the last one does not come, if a gap follows.
    fn silence_before_next(&self) -> Option<u64> {
        let (last, next) = (self.last?, self.next?);
        let gap_s = next.at_s - last.at_s - next.rr_s;
        let expected_s = (last.at_s + last.rr_s).min(next.at_s);
        (gap_s > GAP_SHARE * next.rr_s).then(|| nanos(expected_s))
    }
}

impl Beats {
    fn next(&mut self) -> Option<Beat> {
        match self {
            Self::Body(heart, clock) => {
                let beat = heart.next()?;
                Some(Beat { rr_s: beat.rr_s * clock.rate(), ..beat })
            }
            Self::Tape(tape, index) => {
                *index += 1;
                tape.beats.get(*index - 1).copied()
            }
        }
    }
}

/// What a strap says when it loses the skin: contact supported, not detected, no rate.
fn lost_contact() -> Vec<u8> {
    HeartRateMeasurement { contact: Some(false), ..HeartRateMeasurement::default() }.encode()
}
