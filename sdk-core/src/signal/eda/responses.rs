//! Skin conductance responses in a phasic series that is known whole.
//!
//! A response is a local maximum that stands out: its prominence (how far one must come down from
//! it before one can climb higher) reaches a threshold. It begins at the last trough before it.
//! These are the definitions of Makowski et al. 2021 (*Behavior Research Methods* 53:1689,
//! `eda_peaks`), here in time linear in the samples.

/// A rise takes 0.5 to 5 s (Boucsein 2012, section 2.3.1.3.2). A longer one is drift, or the
/// high-pass swinging back after a large response, seconds.
pub(super) const LONGEST_RISE_S: f64 = 5.0;

/// What makes a maximum a response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// Prominence as a share of the greatest of the series, and nothing else: with 0.1 this is
    /// neurokit2's default. The count depends on the largest response.
    Relative(f64),
    /// Prominence in microsiemens, after a rise of at most 5 s. 0.01 and 0.05 are in use
    /// (Boucsein 2012, section 2.3.1.2.3).
    Absolute(f64),
}

/// One skin conductance response.
///
/// A response whose rise began before the series has no onset, amplitude, rise time or recovery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scr {
    /// The last trough before the peak, seconds from the beginning of the recording.
    pub onset_s: Option<f64>,
    /// The maximum, seconds from the beginning of the recording.
    pub peak_s: f64,
    /// Onset to peak, microsiemens.
    pub amplitude_microsiemens: Option<f64>,
    /// Onset to peak, seconds.
    pub rise_time_s: Option<f64>,
    /// From the peak until half of the amplitude is lost, seconds; none where the next response
    /// begins before that.
    pub recovery_s: Option<f64>,
    /// How far it stands out, microsiemens: what the threshold looks at.
    pub prominence_microsiemens: f64,
}

/// A local maximum, as indices into the series.
struct Maximum {
    at: usize,
    onset: Option<usize>,
    prominence: f64,
}

/// Finds the responses of a phasic series in microsiemens, `rate_hz` samples a second, that
/// begins `start_s` seconds into the recording. Values that are not finite end a climb and a
/// fall; they are never a peak.
#[must_use]
pub fn responses(phasic_us: &[f64], rate_hz: f64, start_s: f64, threshold: Threshold) -> Vec<Scr> {
    let mut found = maxima(phasic_us);
    let greatest = found.iter().map(|m| m.prominence).fold(0.0, f64::max);
    match threshold {
        // As in the reference, the quotient is compared: the product rounds differently.
        Threshold::Relative(share) => found.retain(|m| m.prominence / greatest >= share),
        Threshold::Absolute(least_us) => found.retain(|m| {
            let swift = |onset| (m.at - onset) as f64 <= LONGEST_RISE_S * rate_hz;
            m.prominence >= least_us && m.onset.is_none_or(swift)
        }),
    }
    let ends = found.iter().skip(1).map(|next| next.at).chain([phasic_us.len()]);
    let at_s = |i: usize| start_s + i as f64 / rate_hz;
    found
        .iter()
        .zip(ends)
        .map(|(maximum, end)| {
            let height = phasic_us[maximum.at];
            let amplitude = maximum.onset.map(|onset| height - phasic_us[onset]);
            let half = amplitude.map(|a| height - 0.5 * a);
            Scr {
                onset_s: maximum.onset.map(at_s),
                peak_s: at_s(maximum.at),
                amplitude_microsiemens: amplitude,
                rise_time_s: maximum.onset.map(|onset| (maximum.at - onset) as f64 / rate_hz),
                recovery_s: half
                    .and_then(|level| fall(&phasic_us[maximum.at..end], level))
                    .map(|samples| samples as f64 / rate_hz),
                prominence_microsiemens: maximum.prominence,
            }
        })
        .collect()
}

/// The first index at or below `level`, if it comes before the lowest value.
fn fall(values: &[f64], level: f64) -> Option<usize> {
    let first = values.iter().position(|v| *v <= level)?;
    values[first + 1..].iter().any(|v| *v < values[first]).then_some(first)
}

/// Every local maximum with its onset and prominence. The middle of a plateau stands for it.
fn maxima(values: &[f64]) -> Vec<Maximum> {
    let peaks = turns(values, |a, b| a < b);
    let troughs = turns(values, |a, b| a > b);
    let left = bases(values.iter().copied());
    let mut right = bases(values.iter().rev().copied());
    right.reverse();
    let mut onsets = troughs.into_iter().peekable();
    let mut onset = None;
    peaks
        .into_iter()
        .map(|at| {
            while let Some(trough) = onsets.next_if(|trough| *trough < at) {
                onset = Some(trough);
            }
            Maximum { at, onset, prominence: values[at] - left[at].max(right[at]) }
        })
        .collect()
}

/// Indices where the series goes up (`rises(before, after)`) and then down, or the reverse.
fn turns(values: &[f64], rises: impl Fn(f64, f64) -> bool) -> Vec<usize> {
    let mut found = Vec::new();
    let mut start = 0;
    for plateau in values.chunk_by(|a, b| a == b) {
        let (end, value) = (start + plateau.len(), plateau[0]);
        if start > 0
            && end < values.len()
            && rises(values[start - 1], value)
            && rises(values[end], value)
        {
            found.push(usize::midpoint(start, end - 1));
        }
        start = end;
    }
    found
}

/// For each value the lowest of those before it, back to the first that is higher than it.
fn bases(values: impl Iterator<Item = f64>) -> Vec<f64> {
    // Values that descend, each with the lowest since the one under it.
    let mut higher: Vec<(f64, f64)> = Vec::new();
    values
        .map(|value| {
            let mut lowest = value;
            while let Some(&(top, low)) = higher.last()
                && top <= value
            {
                lowest = lowest.min(low);
                higher.pop();
            }
            higher.push((value, lowest));
            lowest
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `(peak, onset, prominence)` of each response at 1 Hz.
    fn check(values: &[f64], threshold: Threshold, expected: &[(f64, Option<f64>, f64)]) {
        let found: Vec<_> = responses(values, 1.0, 0.0, threshold)
            .iter()
            .map(|r| (r.peak_s, r.onset_s, r.prominence_microsiemens))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn prominence_looks_to_the_next_higher_peak() {
        let values = [0.0, 1.0, 4.0, 3.0, 3.5, 2.0, 6.0, 1.0];
        let all = [(2.0, None, 2.0), (4.0, Some(3.0), 0.5), (6.0, Some(5.0), 5.0)];
        check(&values, Threshold::Absolute(0.1), &all);
        check(&values, Threshold::Absolute(1.0), &[all[0], all[2]]);
        check(&values, Threshold::Relative(0.1), &all);
        check(&values, Threshold::Relative(0.5), &[all[2]]);
    }

    #[test]
    fn a_plateau_has_one_peak_and_edges_none() {
        check(
            &[9.0, 1.0, 3.0, 3.0, 3.0, 2.0, 9.0],
            Threshold::Absolute(0.1),
            &[(3.0, Some(1.0), 1.0)],
        );
        check(&[], Threshold::Relative(0.1), &[]);
        check(&[1.0, 2.0], Threshold::Relative(0.1), &[]);
    }

    #[test]
    fn half_recovery_is_before_the_next_rise() {
        let one = responses(
            &[1.0, 0.0, 4.0, 3.0, 2.0, 1.0, 0.5, 2.0],
            2.0,
            10.0,
            Threshold::Absolute(1.0),
        );
        assert_eq!((one[0].onset_s, one[0].peak_s), (Some(10.5), 11.0));
        assert_eq!((one[0].rise_time_s, one[0].recovery_s), (Some(0.5), Some(1.0)));
        assert_eq!(one[0].amplitude_microsiemens, Some(4.0));
        let cut = responses(&[1.0, 0.0, 4.0, 3.0, 5.0, 0.0], 2.0, 0.0, Threshold::Absolute(0.5));
        assert_eq!(cut[0].recovery_s, None);
    }

    /// The definition word for word, quadratic.
    fn slow_prominence(values: &[f64], at: usize) -> f64 {
        let base = |side: &mut dyn Iterator<Item = &f64>| {
            side.take_while(|v| **v <= values[at]).fold(values[at], |a, b| a.min(*b))
        };
        let left = base(&mut values[..at].iter().rev());
        values[at] - left.max(base(&mut values[at..].iter()))
    }

    proptest! {
        #[test]
        fn prominence_is_as_defined(values in prop::collection::vec(-3i8..4, 0..60)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            for m in maxima(&values) {
                prop_assert_eq!(m.prominence, slow_prominence(&values, m.at));
            }
        }

        #[test]
        fn any_values_never_panic(
            values in prop::collection::vec(any::<f64>(), 0..100),
            rate in any::<f64>(),
            share in any::<f64>(),
        ) {
            for threshold in [Threshold::Relative(share), Threshold::Absolute(share)] {
                prop_assert!(responses(&values, rate, 0.0, threshold).len() <= values.len());
            }
        }
    }
}
