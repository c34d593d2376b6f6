//! Heart rate as a strap gives it: one notification a beat.

use std::{collections::VecDeque, ops::Range};

use protocol::heart_rate::{HeartRateMeasurement, RR_TICKS_PER_SECOND};

use super::{channel::Piece, clock::DeviceClock, conditions::Conditions, nanos};
use crate::{
    fault::Injected,
    physiology::Beat,
    source::{Beats, Source},
};

#[derive(Debug)]
pub(super) struct BeatStream {
    heart: Beats,
    /// Device seconds in a second of the source.
    rate: f64,
    next: Option<Beat>,
    /// The strap notices that it hears nothing, at this time.
    silence_ns: Option<u64>,
    recent_rr_s: VecDeque<f64>,
    last: Option<Beat>,
    withholding: bool,
    /// Beats reported so far.
    reported: u64,
}

/// The heart rate field is a mean over this many beats; straps smooth over some seconds.
const SMOOTHED_BEATS: usize = 5;
/// A beat this share of its interval later than its interval explains has lost one before it.
const GAP_SHARE: f64 = 0.5;

impl BeatStream {
    pub(super) fn new(clock: DeviceClock, source: &Source) -> Self {
        let mut heart = source.beats();
        Self {
            next: heart.next(),
            rate: heart.timed_by(clock.rate()),
            heart,
            silence_ns: None,
            recent_rr_s: VecDeque::with_capacity(SMOOTHED_BEATS),
            last: None,
            withholding: false,
            reported: 0,
        }
    }

    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.silence_ns.or_else(|| Some(nanos(self.next?.at_s)))
    }

    /// What is due, and on to the next; `None` when the strap keeps silent.
    pub(super) fn take(&mut self, now: &mut Conditions, counts: &mut Injected) -> Option<Piece> {
        let none = self.reported..self.reported;
        if self.silence_ns.take().is_some() {
            return Some(Piece::whole(lost_contact(), none));
        }
        let beat = self.next?;
        self.last = Some(beat);
        self.next = self.heart.next();
        self.silence_ns = self.silence_before_next();
        if hidden(beat, &now.off_skin) {
            counts.withheld_beats += 1;
            let first = !std::mem::replace(&mut self.withholding, true);
            return first.then(|| Piece::whole(lost_contact(), none));
        }
        self.withholding = false;
        let beat = Beat { rr_s: beat.rr_s * self.rate, ..beat };
        self.reported += 1;
        Some(Piece::whole(self.report(beat, now, counts), none.start..self.reported))
    }

    fn report(&mut self, beat: Beat, now: &mut Conditions, counts: &mut Injected) -> Vec<u8> {
        if self.recent_rr_s.len() == SMOOTHED_BEATS {
            self.recent_rr_s.pop_front();
        }
        self.recent_rr_s.push_back(beat.rr_s);
        let mean_s = self.recent_rr_s.iter().sum::<f64>() / self.recent_rr_s.len() as f64;
        let rr = (beat.rr_s * f64::from(RR_TICKS_PER_SECOND)).round() as u16;
        let rr = now.absurd_interval(counts).unwrap_or(rr);
        HeartRateMeasurement {
            heart_rate_bpm: (60.0 / mean_s).round() as u16,
            contact: Some(true),
            energy_kj: None,
            rr_1024ths: vec![rr],
        }
        .encode()
    }

    /// When the strap notices that the beat after the last one does not come, if a gap follows.
    fn silence_before_next(&self) -> Option<u64> {
        let (last, next) = (self.last?, self.next?);
        let gap_s = next.at_s - last.at_s - next.rr_s;
        let expected_s = (last.at_s + last.rr_s).min(next.at_s);
        (gap_s > GAP_SHARE * next.rr_s).then(|| nanos(expected_s))
    }
}

/// No part of the beat's interval may fall into a lost contact.
pub(super) fn hidden(beat: Beat, off_skin: &Range<u64>) -> bool {
    let (begin_ns, end_ns) = (nanos(beat.at_s - beat.rr_s), nanos(beat.at_s));
    begin_ns < off_skin.end && end_ns >= off_skin.start
}

/// What a strap says when it loses the skin: contact supported, not detected, no rate.
fn lost_contact() -> Vec<u8> {
    HeartRateMeasurement { contact: Some(false), ..HeartRateMeasurement::default() }.encode()
}
