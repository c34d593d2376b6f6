//! Whether a record's variability may be believed.

use super::{
    correction::{BeatClass, Correction},
    refusal::{Refusal, check_intervals, seconds},
};

/// Least length, seconds: the Task Force 1996 (*Circulation* 93:1043, "Duration of recordings")
/// wants about one minute for the high-frequency band, ten of its longest waves. Low frequencies
/// want two: see [`LEAST_LOW_FREQUENCY_S`].
pub(super) const LEAST_S: f64 = 60.0;
/// Least length for the low-frequency band, seconds (same source).
pub(super) const LEAST_LOW_FREQUENCY_S: f64 = 120.0;
/// Highest share of artefacts. The usual limit of practice, as of the Kubios HRV user's guide:
/// results are reliable while at most 5 % of beats are corrected.
pub(super) const MOST_ARTEFACTS: f64 = 0.05;
/// An interval longer than the one before by more than the first share, or shorter by more than the
/// second, does not follow it in sinus rhythm (Kamath & Fallen 1995, in *Heart Rate Variability*,
/// eds. Malik & Camm, pp. 75-87). The Lipponen-Tarvainen thresholds scale with the local spread,
/// so that a rhythm that is ectopic throughout looks normal to them: this bound does not scale.
const HIGHEST_RISE: f64 = 0.325;
const HIGHEST_FALL: f64 = 0.245;
/// An interval longer than this that is not one missed beat is a gap: 30 beats a minute.
const LONGEST_INTERVAL_MS: f64 = 2_000.0;

/// Whether a record's numbers may be used, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usability {
    /// Whether they may.
    pub usable: bool,
    /// Why they may not.
    pub reason: Option<Refusal>,
}

impl From<Result<(), Refusal>> for Usability {
    fn from(judged: Result<(), Refusal>) -> Self {
        Self { usable: judged.is_ok(), reason: judged.err() }
    }
}

impl Usability {
    /// Judges a record from its RR intervals (ms) and their correction. Whether the corrected
    /// series is the one analysed makes no difference: an artefact that stays in does more harm,
    /// not less.
    #[must_use]
    pub fn of(rr_ms: &[f64], correction: &Correction) -> Self {
        judge(rr_ms, correction).into()
    }
}

fn judge(rr_ms: &[f64], correction: &Correction) -> Result<(), Refusal> {
    check_intervals(rr_ms)?;
    let (beats, length_s) = (rr_ms.len(), seconds(rr_ms));
    if length_s < LEAST_S {
        return Err(Refusal::TooShort { beats, seconds: length_s, needed_s: LEAST_S });
    }
    let most = MOST_ARTEFACTS * beats as f64;
    let artefacts = correction.counts.artefacts();
    let jumps = jumps(&correction.nn_ms);
    if jumps as f64 > most {
        return Err(Refusal::Irregular { jumps, artefacts, beats });
    }
    if let Some(index) = gap(rr_ms, &correction.classes) {
        return Err(Refusal::Gap { index, at_s: seconds(&rr_ms[..=index]) });
    }
    if artefacts as f64 > most {
        return Err(Refusal::TooManyArtefacts { artefacts, beats });
    }
    Ok(())
}

fn jumps(nn_ms: &[f64]) -> usize {
    let sinus = -HIGHEST_FALL..=HIGHEST_RISE;
    nn_ms.windows(2).filter(|pair| !sinus.contains(&(pair[1] / pair[0] - 1.0))).count()
}

fn gap(rr_ms: &[f64], classes: &[BeatClass]) -> Option<usize> {
    let is_gap =
        |(rr, class): (&f64, &BeatClass)| *rr > LONGEST_INTERVAL_MS && *class != BeatClass::Missed;
    rr_ms.iter().zip(classes).position(is_gap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::hrv::correct;

    fn check(rr_ms: &[f64], expected: impl Fn(Option<Refusal>) -> bool) {
        let judged = Usability::of(rr_ms, &correct(rr_ms).unwrap_or_default());
        assert!(expected(judged.reason), "{judged:?}");
        assert_eq!(judged.usable, judged.reason.is_none());
    }

    fn breathing(n: usize) -> Vec<f64> {
        (0..n).map(|i| 800.0 + 40.0 * (i as f64 * 1.3).sin()).collect()
    }

    #[test]
    fn a_quiet_minute_is_usable_and_less_is_not() {
        check(&breathing(80), |r| r.is_none());
        check(&breathing(70), |r| matches!(r, Some(Refusal::TooShort { beats: 70, .. })));
        check(&[], |r| matches!(r, Some(Refusal::TooShort { beats: 0, .. })));
    }

    #[test]
    fn a_gap_is_refused_and_one_missed_beat_is_not() {
        let mut rr = breathing(200);
        rr[100] = 5_000.0;
        check(&rr, |r| matches!(r, Some(Refusal::Gap { index: 100, .. })));
        // 1.1 s a beat: two make 2.2 s, beyond the longest interval, but are put right.
        let mut slow: Vec<f64> = breathing(200).iter().map(|rr| rr + 300.0).collect();
        slow[100] += slow[101];
        check(&slow, |r| r.is_none());
    }

    #[test]
    fn a_beat_in_two_premature_is_an_irregular_rhythm() {
        let rr: Vec<f64> = breathing(200)
            .iter()
            .enumerate()
            .map(|(i, rr)| rr + if i % 2 == 0 { -300.0 } else { 300.0 })
            .collect();
        check(&rr, |r| matches!(r, Some(Refusal::Irregular { .. })));
    }

    #[test]
    fn an_artefact_in_twelve_beats_is_too_many() {
        let mut rr = breathing(300);
        for i in (12..288).step_by(24) {
            (rr[i], rr[i + 1]) = (rr[i] - 350.0, rr[i + 1] + 350.0);
        }
        check(&rr, |r| matches!(r, Some(Refusal::TooManyArtefacts { .. })));
    }

    #[test]
    fn seconds_instead_of_milliseconds_are_refused_by_name() {
        check(&[0.8; 400], |r| matches!(r, Some(Refusal::NotAnInterval { index: 0, .. })));
        check(&[f64::NAN], |r| matches!(r, Some(Refusal::NotAnInterval { .. })));
    }
}
