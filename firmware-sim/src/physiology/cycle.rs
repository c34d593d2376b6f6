//! Where in the cycle of the heart an instant lies: what ECG and PPG have in common.

use std::f64::consts::TAU;

use super::heart::Beat;

/// Angles of one instant to the two beats around it, one interval being a full turn (McSharry et
/// al. 2003, IEEE Trans. Biomed. Eng. 50:289, section II).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Phase {
    /// Since the beat before, in radians.
    pub(super) since: f64,
    /// Since the beat to come, in radians: negative.
    pub(super) until: f64,
    /// The interval that the beat to come ends, in seconds.
    pub(super) interval_s: f64,
}

/// A bell in the cycle: what one event of a beat adds to a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bell {
    /// Its middle, in radians after the beat.
    pub(super) at: f64,
    /// Its standard deviation, in radians.
    pub(super) width: f64,
    /// Its height.
    pub(super) height: f64,
}

impl Bell {
    /// Its value at an angle to the beat.
    pub(super) fn value(self, angle: f64) -> f64 {
        let off = (angle - self.at) / self.width;
        self.height * (-0.5 * off * off).exp()
    }
}

/// Beats under a moving instant.
#[derive(Debug, Clone)]
pub(super) struct Cycle<B> {
    beats: B,
    last_s: f64,
    next: Option<Beat>,
}

impl<B: Iterator<Item = Beat>> Cycle<B> {
    /// The first interval begins with a beat at time 0, which `beats` does not hold.
    pub(super) fn new(mut beats: B) -> Self {
        Self { next: beats.next(), beats, last_s: 0.0 }
    }

    /// The phase at `at_s`, which must not go back; `None` after the last beat. The time before
    /// the first beat is an interval as long as the first. Where beats are missing, both angles
    /// pass a full turn.
    pub(super) fn at(&mut self, at_s: f64) -> Option<Phase> {
        while let Some(beat) = self.next.filter(|beat| beat.at_s <= at_s) {
            self.last_s = beat.at_s;
            self.next = self.beats.next();
        }
        let Beat { at_s: next_s, rr_s } = self.next?;
        Some(Phase {
            since: TAU * (at_s - self.last_s) / rr_s,
            until: TAU * (at_s - next_s) / rr_s,
            interval_s: rr_s,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_an_interval() {
        let beats = [(1.0, 1.0), (1.8, 0.8), (5.0, 1.0)].map(|(at_s, rr_s)| Beat { at_s, rr_s });
        let mut cycle = Cycle::new(beats.into_iter());
        let mut turns = |at_s| cycle.at(at_s).map(|p| (p.since / TAU, p.until / TAU));
        let check = |found: Option<(f64, f64)>, since: f64, until: f64| {
            let (a, b) = found.unwrap();
            assert!((a - since).abs() < 1e-9 && (b - until).abs() < 1e-9, "{a} {b}");
        };
        check(turns(-0.25), -0.25, -1.25);
        check(turns(0.5), 0.5, -0.5);
        check(turns(1.2), 0.25, -0.75);
        check(turns(3.3), 1.5, -1.7);
        assert_eq!(turns(5.0), None);
    }
}
