//! Which rises are heartbeats: a threshold that follows the signal.
//!
//! After Pan & Tompkins 1985, "A Real-Time QRS Detection Algorithm", IEEE TBME 32(3):230: a
//! threshold at a share of the usual height, stricter soon after a beat, a refractory time, and a
//! search back where a beat is overdue. The usual height is not that of the beats accepted, as
//! there: a detector that has once taken dicrotic waves for beats would go on doing so. It is the
//! median of the highest rises of the last seconds, accepted or not, which a burst of movement
//! does not move. Constants without a source were chosen on the recordings of
//! `tests/beats_reference.rs`.

use super::{history::Recent, rise::Rise};

/// The highest rise is taken over blocks this long, seconds: most hold a beat at 40 a minute too.
const BLOCK_S: f64 = 1.0;
/// Soon after a beat (a T wave, a dicrotic wave) the threshold is higher by up to this share,
const SOON_EXTRA: f64 = 0.5;
/// falling to nothing at this share of the usual interval.
const SOON_SHARE: f64 = 0.6;
/// A beat is overdue after this many usual intervals (Pan & Tompkins: 1.66)
const OVERDUE: f64 = 1.5;
/// and this much time, seconds, which the beat that may be under way has to be confirmed.
const OVERDUE_GRACE_S: f64 = 0.3;
/// A rise this share of the threshold is then found by searching back (Pan & Tompkins: one half).
const SEARCH_BACK: f64 = 0.4;
/// The first beats are judged after this many seconds.
const LEARNING_S: f64 = 3.0;
/// Until intervals are known: 75 beats a minute, seconds.
const USUAL_S: f64 = 0.8;
/// How fast the usual interval follows, and the factors one interval can count as at most.
const USUAL_FOLLOW: f64 = 0.2;
const USUAL_RANGE: (f64, f64) = (0.7, 1.4);
/// A longer interval says nothing about the usual one, seconds.
const LONGEST_S: f64 = 2.0;

/// What is particular to a signal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// A rise this share of the usual height is a beat.
    pub(crate) threshold: f64,
    /// No two beats lie closer, seconds.
    pub(crate) refractory_s: f64,
}

/// Picks beats among rises.
#[derive(Debug, Clone)]
pub(crate) struct Picker {
    rules: Rules,
    rate_hz: f64,
    /// The first rises; `None` once the first beats are judged.
    learning: Option<Learning>,
    block: Block,
    /// The highest rises of the last blocks.
    highest: Recent,
    /// The usual interval, samples.
    usual: f64,
    last: Option<Rise>,
    /// The highest rise since the last beat that was none, and did not come soon after it.
    passed_over: Option<Rise>,
}

#[derive(Debug, Clone, Default)]
struct Learning {
    since: Option<usize>,
    rises: Vec<Rise>,
}

#[derive(Debug, Clone, Default)]
struct Block {
    since: usize,
    highest: f64,
}

impl Picker {
    pub(crate) fn new(rate_hz: f64, rules: Rules) -> Self {
        Self {
            rules,
            rate_hz,
            learning: Some(Learning::default()),
            block: Block::default(),
            highest: Recent::default(),
            usual: USUAL_S * rate_hz,
            last: None,
            passed_over: None,
        }
    }

    /// Takes the sample `number`, with the rise that ended there if one did; pushes what is now
    /// known to be beats, oldest first.
    pub(crate) fn step(&mut self, number: usize, rise: Option<Rise>, beats: &mut Vec<Rise>) {
        if let Some(rise) = rise {
            self.block.highest = self.block.highest.max(rise.height);
        }
        if samples_between(self.block.since, number) >= BLOCK_S * self.rate_hz {
            self.close_block(number);
        }
        if let Some(learning) = &mut self.learning {
            learning.rises.extend(rise);
            let since = *learning.since.get_or_insert(number);
            if samples_between(since, number) >= LEARNING_S * self.rate_hz {
                self.learn(beats);
            }
            return;
        }
        beats.extend(rise.filter(|rise| self.is_beat(*rise)));
        beats.extend(self.overdue(number));
    }

    /// The signal ends or breaks: what was held back is judged now. The usual height stays.
    pub(crate) fn finish(&mut self, number: usize, beats: &mut Vec<Rise>) {
        self.close_block(number);
        self.learn(beats);
        self.last = None;
        self.passed_over = None;
    }

    fn close_block(&mut self, number: usize) {
        let closed = std::mem::replace(&mut self.block, Block { since: number, highest: 0.0 });
        // A block without any rise is a flat line, and says nothing about beats.
        if closed.highest > 0.0 {
            self.highest.push(closed.highest);
        }
    }

    fn learn(&mut self, beats: &mut Vec<Rise>) {
        let Some(Learning { rises, .. }) = self.learning.take() else { return };
        if rises.is_empty() && self.highest.median().is_none() {
            self.learning = Some(Learning::default());
        }
        beats.extend(rises.into_iter().filter(|rise| self.is_beat(*rise)));
    }

    fn is_beat(&mut self, rise: Rise) -> bool {
        let since = self.last.map_or(f64::INFINITY, |last| samples_between(last.from, rise.from));
        if since < self.rules.refractory_s * self.rate_hz {
            return false;
        }
        let soon = (1.0 - since / (SOON_SHARE * self.usual)).max(0.0);
        let beat = rise.height > self.threshold() * (1.0 + SOON_EXTRA * soon);
        if beat {
            self.accept(rise);
        } else if soon == 0.0 && self.passed_over.is_none_or(|p| p.height < rise.height) {
            self.passed_over = Some(rise);
        }
        beat
    }

    fn overdue(&mut self, number: usize) -> Option<Rise> {
        let (last, candidate) = (self.last?, self.passed_over?);
        let due = OVERDUE * self.usual + OVERDUE_GRACE_S * self.rate_hz;
        let found = samples_between(last.from, number) > due
            && candidate.height > SEARCH_BACK * self.threshold();
        found.then(|| {
            self.accept(candidate);
            candidate
        })
    }

    fn accept(&mut self, rise: Rise) {
        if let Some(last) = self.last {
            let interval = samples_between(last.from, rise.from);
            if interval < LONGEST_S * self.rate_hz {
                let (least, most) = USUAL_RANGE;
                let counted = interval.clamp(least * self.usual, most * self.usual);
                self.usual += USUAL_FOLLOW * (counted - self.usual);
            }
        }
        self.last = Some(rise);
        self.passed_over = None;
    }

    fn threshold(&self) -> f64 {
        self.rules.threshold * self.highest.median().unwrap_or_default()
    }
}

fn samples_between(earlier: usize, later: usize) -> f64 {
    later.saturating_sub(earlier) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: f64 = 100.0;

    /// Beats, as seconds, among rises `(seconds, height)`.
    fn check(rises: &[(f64, f64)], seconds: f64, expected: &[f64]) {
        let rules = Rules { threshold: 0.5, refractory_s: 0.25 };
        let mut picker = Picker::new(RATE_HZ, rules);
        let mut beats = Vec::new();
        let end = (seconds * RATE_HZ) as usize;
        for number in 0..end {
            let rise = rises
                .iter()
                .find(|(at_s, _)| (at_s * RATE_HZ).round() as usize == number)
                .map(|&(_, height)| Rise { from: number, to: number, height });
            picker.step(number, rise, &mut beats);
        }
        picker.finish(end, &mut beats);
        let found: Vec<f64> = beats.iter().map(|b| b.from as f64 / RATE_HZ).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn low_second_waves_are_no_beats() {
        let beats: Vec<f64> = (1..10).map(f64::from).collect();
        let rises: Vec<(f64, f64)> =
            beats.iter().flat_map(|&t| [(t, 10.0), (t + 0.35, 5.5)]).collect();
        check(&rises, 11.0, &beats);
    }

    #[test]
    fn a_weak_beat_is_found_by_searching_back() {
        let rises: Vec<(f64, f64)> =
            (1..10).map(|t| (f64::from(t), if t == 6 { 3.0 } else { 10.0 })).collect();
        check(&rises, 11.0, &(1..10).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_burst_does_not_deafen() {
        let mut rises: Vec<(f64, f64)> = (1..12).map(|t| (f64::from(t), 10.0)).collect();
        rises[5].1 = 5_000.0;
        check(&rises, 13.0, &(1..12).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_short_record_is_judged_at_its_end() {
        check(&[(0.5, 10.0), (1.3, 10.0), (1.7, 1.0)], 2.0, &[0.5, 1.3]);
        check(&[], 2.0, &[]);
    }
}
