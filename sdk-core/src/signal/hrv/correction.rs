//! Artefacts among RR intervals: which beats are, and what the heart would have done instead.
//!
//! Lipponen & Tarvainen 2019, "A robust algorithm for heart rate variability time series artefact
//! correction using novel beat classification", *J Med Eng Technol* 43:173-181: differences of
//! neighbours and deviations from the local median are measured in time-varying thresholds, so
//! that a lively heart is not taken for a broken one.

use super::{
    refusal::{Refusal, check_intervals},
    rolling::{centred, quantile},
};

/// Quartile deviations that make a threshold: covers 99.95 % of normally distributed beats.
const ALPHA: f64 = 5.2;
/// Beats a threshold looks at.
const THRESHOLD_BEATS: usize = 91;
/// Beats of the local median.
const MEDIAN_BEATS: usize = 11;
/// Slope and offset of the line that bounds ectopic beats among differences.
const ECTOPIC_SLOPE: f64 = 0.13;
const ECTOPIC_OFFSET: f64 = 0.17;
/// Deviations from the median beyond so many thresholds are long or short beats.
const FAR_FROM_MEDIAN: f64 = 3.0;
/// A shortening counts so many times: short beats deviate less than long ones.
const SHORTENING_WEIGHT: f64 = 2.0;
/// The threshold where quartiles coincide (more than half of the beats equal, as with coarse
/// clocks) as a share of the median: the 20 % filter of Malik et al. 1989 (*Eur Heart J* 10:1060).
/// The paper leaves this case open.
const FLAT_THRESHOLD_SHARE: f64 = 0.2;

/// What a beat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BeatClass {
    /// A beat of the sinus node, found where it was.
    #[default]
    Normal,
    /// A premature or late beat with its compensation.
    Ectopic,
    /// A beat before this one was not detected.
    Missed,
    /// Something was detected that is no beat.
    Extra,
    /// The interval is too long.
    Long,
    /// The interval is too short.
    Short,
}

/// How many beats are of which class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassCounts {
    /// See [`BeatClass::Ectopic`].
    pub ectopic: usize,
    /// See [`BeatClass::Missed`].
    pub missed: usize,
    /// See [`BeatClass::Extra`].
    pub extra: usize,
    /// See [`BeatClass::Long`].
    pub long: usize,
    /// See [`BeatClass::Short`].
    pub short: usize,
}

impl ClassCounts {
    fn of(classes: &[BeatClass]) -> Self {
        let count = |class| classes.iter().filter(|&&c| c == class).count();
        Self {
            ectopic: count(BeatClass::Ectopic),
            missed: count(BeatClass::Missed),
            extra: count(BeatClass::Extra),
            long: count(BeatClass::Long),
            short: count(BeatClass::Short),
        }
    }

    /// All that are not normal.
    #[must_use]
    pub const fn artefacts(&self) -> usize {
        self.ectopic + self.missed + self.extra + self.long + self.short
    }
}

/// Classified beats and the series without their artefacts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Correction {
    /// Of each RR interval, the class of the beat that ends it. The last cannot be judged, nor
    /// mostly the one before it, as that takes the beats after them: they count as normal.
    pub classes: Vec<BeatClass>,
    /// Normal-to-normal intervals, ms. Where nothing was corrected they are the RR intervals to
    /// the bit. They last as long as the RR intervals together.
    pub nn_ms: Vec<f64>,
    /// Beats per class.
    pub counts: ClassCounts,
}

/// Classifies the beats of `rr_ms` (RR intervals in order, ms) and corrects them, in one pass: an
/// extra beat is removed, a missed one put half way, an ectopic beat and then a long or short one
/// moved half way between its neighbours.
///
/// # Errors
/// [`Refusal::NotAnInterval`].
pub fn correct(rr_ms: &[f64]) -> Result<Correction, Refusal> {
    check_intervals(rr_ms)?;
    let classes = classify(rr_ms);
    let counts = ClassCounts::of(&classes);
    let mut beats = split_missed(&merge_extra(rr_ms, &classes));
    realign(&mut beats, |class| class == BeatClass::Ectopic);
    realign(&mut beats, |class| matches!(class, BeatClass::Long | BeatClass::Short));
    Ok(Correction { classes, nn_ms: beats.into_iter().map(|b| b.0).collect(), counts })
}

/// The series the paper's decisions are made on. Index 0 is the first beat: it has no interval of
/// its own and stands in with the mean, so that index `i` is the beat that ends interval `i - 1`.
struct Series {
    rr: Vec<f64>,
    /// Local medians of `rr`.
    median: Vec<f64>,
    /// Differences of neighbours, in thresholds.
    difference: Vec<f64>,
    /// Deviations from the median, in thresholds.
    deviation: Vec<f64>,
    /// The thresholds of `deviation`, ms.
    deviation_threshold: Vec<f64>,
}

impl Series {
    fn of(rr_ms: &[f64]) -> Self {
        let n = rr_ms.len() as f64;
        let mean = rr_ms.iter().sum::<f64>() / n;
        let rr: Vec<f64> = std::iter::once(mean).chain(rr_ms.iter().copied()).collect();
        let median = centred(&rr, MEDIAN_BEATS, |w| quantile(w, 0.5));

        let mean_step = (rr[rr.len() - 1] - rr[0]) / n;
        let steps = rr.windows(2).map(|pair| pair[1] - pair[0]);
        let mut difference: Vec<f64> = std::iter::once(mean_step).chain(steps).collect();
        normalise(&mut difference, &median);

        let weigh = |d: f64| if d < 0.0 { SHORTENING_WEIGHT * d } else { d };
        let mut deviation: Vec<f64> = rr.iter().zip(&median).map(|(r, m)| weigh(r - m)).collect();
        let deviation_threshold = normalise(&mut deviation, &median);
        Self { rr, median, difference, deviation, deviation_threshold }
    }

    /// A difference, mirrored at the last.
    fn mirrored(&self, i: usize) -> f64 {
        let last = self.difference.len() - 1;
        self.difference[if i > last { 2 * last - i } else { i }]
    }

    /// Whether the beat and a neighbour deviate in turn: subspace 1 of the paper.
    fn is_ectopic(&self, i: usize) -> bool {
        let d = self.difference[i];
        let after = self.difference[i + 1];
        let before = if i == 0 { after } else { self.difference[i - 1] };
        (d > 1.0 && before.max(after) < -ECTOPIC_SLOPE * d - ECTOPIC_OFFSET)
            || (d < -1.0 && before.min(after) > -ECTOPIC_SLOPE * d + ECTOPIC_OFFSET)
    }

    /// What a beat that jumps, but not as an ectopic one, is: subspace 2 of the paper.
    fn long_or_short(&self, i: usize) -> BeatClass {
        let d = self.difference[i];
        let (next, second) = (self.mirrored(i + 1), self.mirrored(i + 2));
        let long = d > 1.0 && next.min(second) < -1.0;
        let short = d < -1.0 && next.max(second) > 1.0;
        if !long && !short && self.deviation[i].abs() <= FAR_FROM_MEDIAN {
            return BeatClass::Normal;
        }
        let fits = |interval: f64| (interval - self.median[i]).abs() < self.deviation_threshold[i];
        if short && fits(self.rr[i] + self.rr[i + 1]) {
            BeatClass::Extra
        } else if long && fits(self.rr[i] / 2.0) {
            BeatClass::Missed
        } else if self.rr[i] > self.median[i] {
            BeatClass::Long
        } else {
            BeatClass::Short
        }
    }
}

/// Divides a series by its thresholds, which it returns.
fn normalise(series: &mut [f64], median: &[f64]) -> Vec<f64> {
    let magnitude: Vec<f64> = series.iter().map(|x| x.abs()).collect();
    let mut thresholds = centred(&magnitude, THRESHOLD_BEATS, |w| {
        ALPHA * (quantile(w, 0.75) - quantile(w, 0.25)) / 2.0
    });
    for ((x, threshold), median) in series.iter_mut().zip(&mut thresholds).zip(median) {
        if *threshold <= 0.0 {
            *threshold = FLAT_THRESHOLD_SHARE * median;
        }
        *x /= *threshold;
    }
    thresholds
}

/// The decision tree, figure 1 of the paper.
fn classify(rr_ms: &[f64]) -> Vec<BeatClass> {
    let mut classes = vec![BeatClass::Normal; rr_ms.len() + 1];
    if rr_ms.is_empty() {
        return Vec::new();
    }
    let series = Series::of(rr_ms);
    let mut i = 0;
    // Each decision looks at the two beats after.
    while i + 2 < classes.len() {
        if series.difference[i].abs() <= 1.0 {
            i += 1;
        } else if series.is_ectopic(i) {
            classes[i] = BeatClass::Ectopic;
            i += 1;
        } else {
            // The jump may belong to the beat after, which then moves more.
            let next_too = series.difference[i + 1].abs() < series.difference[i + 2].abs();
            for _ in 0..=usize::from(next_too) {
                classes[i] = series.long_or_short(i);
                i += 1;
            }
        }
    }
    classes.remove(0);
    classes
}

fn merge_extra(rr_ms: &[f64], classes: &[BeatClass]) -> Vec<(f64, BeatClass)> {
    let mut beats = Vec::with_capacity(rr_ms.len());
    let mut before = 0.0;
    for (&rr, &class) in rr_ms.iter().zip(classes) {
        if class == BeatClass::Extra {
            before += rr;
        } else {
            beats.push((before + rr, class));
            before = 0.0;
        }
    }
    beats
}

fn split_missed(beats: &[(f64, BeatClass)]) -> Vec<(f64, BeatClass)> {
    let mut split = Vec::with_capacity(beats.len());
    for &(rr, class) in beats {
        if class == BeatClass::Missed {
            split.extend([(rr / 2.0, BeatClass::Normal); 2]);
        } else {
            split.push((rr, class));
        }
    }
    split
}

/// Moves the chosen beats half way between their neighbours, all at once.
fn realign(beats: &mut [(f64, BeatClass)], chosen: impl Fn(BeatClass) -> bool) {
    let mut shift_before = 0.0;
    for i in 0..beats.len() {
        let (rr, class) = beats[i];
        let shift = match beats.get(i + 1) {
            Some((next, _)) if chosen(class) => (next - rr) / 2.0,
            _ => 0.0,
        };
        beats[i].0 = rr + shift - shift_before;
        shift_before = shift;
    }
}

#[cfg(test)]
mod tests;
