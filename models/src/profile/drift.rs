//! How far the present population is from the one that a model learned from: the population
//! stability index (PSI).
//!
//! PSI = sum over bins of (a - e) ln(a / e), with e and a the shares of the reference and of the
//! present (N. Siddiqi, *Credit Risk Scorecards*, Wiley 2006, chapter 8; it is the symmetrised
//! Kullback-Leibler divergence, as B. Yurdakul and J. Naranjo show in *Statistical properties of
//! the population stability index*, Journal of Risk Model Validation 14(4), 2020). Bins are the
//! tenths of the reference, and one for what is missing.

use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Bins of the reference, the one of missing values not counted: tenths, as is usual.
const BINS: usize = 10;
/// What an empty bin counts as, a share, so that the logarithm stays finite: one in ten thousand.
const LEAST_SHARE: f64 = 1e-4;
/// Most rows that bins are told from, evenly chosen.
const MOST_ROWS: usize = 100_000;
/// Siddiqi's rule of thumb: below, nothing has changed.
const SMALL: f64 = 0.1;
/// And above, much has.
const LARGE: f64 = 0.25;

/// What the index says, by Siddiqi's rule of thumb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// Below 0.1: as it was.
    Stable,
    /// Up to 0.25: worth a look.
    Moderate,
    /// Above: the model learned from others.
    Large,
}

impl Drift {
    /// What an index says.
    #[must_use]
    pub fn of(psi: f64) -> Self {
        match psi {
            psi if psi < SMALL => Self::Stable,
            psi if psi <= LARGE => Self::Moderate,
            _ => Self::Large,
        }
    }
}

/// The stability index between two sets of counts over the same bins, at least 0; 0 where one of
/// them is empty.
///
/// # Examples
/// ```
/// use models::profile::psi;
/// // (.2-.3) ln(.2/.3) + (.8-.7) ln(.8/.7) = .0405 + .0134
/// assert!((psi(&[30, 70], &[20, 80]) - 0.0539).abs() < 1e-4);
/// ```
#[must_use]
pub fn psi(expected: &[u64], actual: &[u64]) -> f64 {
    let total = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
    let (all_expected, all_actual) = (total(expected), total(actual));
    if all_expected == 0.0 || all_actual == 0.0 {
        return 0.0;
    }
    let terms = expected.iter().zip(actual).map(|(expected, actual)| {
        if (*expected, *actual) == (0, 0) {
            return 0.0;
        }
        let e = (*expected as f64 / all_expected).max(LEAST_SHARE);
        let a = (*actual as f64 / all_actual).max(LEAST_SHARE);
        (a - e) * (a / e).ln()
    });
    terms.sum()
}

/// How one number was spread when a model learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// What it is: a feature's name, or the score.
    pub name: String,
    /// Upper ends of all bins but the last, ascending; a value belongs to the first bin whose end
    /// it does not exceed.
    edges: Vec<f32>,
    /// Of the reference: by bin, the missing ones last.
    counts: Vec<u64>,
}

impl Spread {
    /// Of values; NaN: missing.
    #[must_use]
    pub fn of(name: &str, values: impl IntoIterator<Item = f32>) -> Self {
        let mut sorted = Vec::new();
        let mut missing = 0;
        for value in values {
            if value.is_nan() { missing += 1 } else { sorted.push(value) }
        }
        sorted.sort_unstable_by(f32::total_cmp);
        let tenth = |k: usize| sorted.get((sorted.len() * k).div_ceil(BINS).saturating_sub(1));
        let mut edges: Vec<f32> = (1..BINS).filter_map(tenth).copied().collect();
        edges.dedup();
        // An end at the greatest value leaves the bin above it empty.
        if edges.last() == sorted.last() {
            edges.pop();
        }
        let mut spread = Self { name: name.to_owned(), counts: vec![0; edges.len() + 2], edges };
        for value in sorted {
            let bin = spread.bin(value);
            spread.counts[bin] += 1;
        }
        if let Some(last) = spread.counts.last_mut() {
            *last = missing;
        }
        spread
    }

    fn bin(&self, value: f32) -> usize {
        if value.is_nan() {
            return self.counts.len().saturating_sub(1);
        }
        self.edges.partition_point(|end| *end < value)
    }
}

/// How everything was spread when a model learned; kept with the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Feature by feature, then whatever else is watched.
    pub spreads: Vec<Spread>,
}

impl Reference {
    /// Of rows of features, row after row, as wide as there are names.
    #[must_use]
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>, matrix: &[f32]) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let width = names.len().max(1);
        let step = (matrix.len() / width).div_ceil(MOST_ROWS).max(1);
        let column = |(column, name): (usize, &&str)| {
            let rows = matrix.chunks_exact(width).step_by(step);
            Spread::of(name, rows.filter_map(|row| row.get(column).copied()))
        };
        Self { spreads: names.iter().enumerate().map(column).collect() }
    }

    /// The same, and how the scores of the rows were spread.
    #[must_use]
    pub fn with_scores(mut self, scores: impl IntoIterator<Item = f32>) -> Self {
        self.spreads.push(Spread::of(SCORE, scores));
        self
    }

    /// Whether what was read from outside can be used.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut names = HashSet::new();
        self.spreads.iter().all(|spread| {
            let ascending = spread.edges.is_sorted_by(|a, b| a < b);
            ascending && spread.counts.len() == spread.edges.len() + 2 && names.insert(&spread.name)
        })
    }
}

/// The name of what a model says, among the spreads.
pub const SCORE: &str = "score";

/// One number's drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drifted {
    /// The feature, or [`SCORE`].
    pub name: String,
    /// The index.
    pub psi: f64,
    /// What it says.
    pub drift: Drift,
    /// Share of missing values in the reference.
    pub missing_then: f64,
    /// Share of missing values now.
    pub missing_now: f64,
}

/// Counts of the present population over a reference's bins.
#[derive(Debug, Clone)]
pub struct Present<'a> {
    reference: &'a Reference,
    counts: Vec<Vec<u64>>,
}

impl<'a> Present<'a> {
    /// Of nobody yet. The reference is sound.
    #[must_use]
    pub fn new(reference: &'a Reference) -> Self {
        let counts = reference.spreads.iter().map(|spread| vec![0; spread.counts.len()]).collect();
        Self { reference, counts }
    }

    /// Counts a person: values in the order of the reference's spreads.
    pub fn add(&mut self, values: impl IntoIterator<Item = f32>) {
        let bins = self.reference.spreads.iter().zip(&mut self.counts);
        for ((spread, counts), value) in bins.zip(values) {
            if let Some(count) = counts.get_mut(spread.bin(value)) {
                *count += 1;
            }
        }
    }

    /// How many people were counted.
    #[must_use]
    pub fn people(&self) -> u64 {
        self.counts.first().map_or(0, |counts| counts.iter().sum())
    }

    /// The drift of each, the greatest first.
    #[must_use]
    pub fn drift(&self) -> Vec<Drifted> {
        let missing = |counts: &[u64]| {
            let all: u64 = counts.iter().sum();
            counts.last().map_or(0.0, |last| *last as f64 / all.max(1) as f64)
        };
        let spreads = self.reference.spreads.iter().zip(&self.counts);
        let mut all: Vec<Drifted> = spreads
            .map(|(spread, counts)| {
                let psi = psi(&spread.counts, counts);
                Drifted {
                    name: spread.name.clone(),
                    psi,
                    drift: Drift::of(psi),
                    missing_then: missing(&spread.counts),
                    missing_now: missing(counts),
                }
            })
            .collect();
        all.sort_by(|a, b| b.psi.total_cmp(&a.psi));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(expected: &[u64], actual: &[u64], by_hand: f64) {
        let found = psi(expected, actual);
        assert!((found - by_hand).abs() < 5e-5, "{found}, by hand {by_hand}");
    }

    #[test]
    fn it_is_what_is_computed_by_hand() {
        check(&[25, 25, 25, 25], &[25, 25, 25, 25], 0.0);
        check(&[250, 250, 500], &[1, 1, 2], 0.0);
        // (.2-.25)ln(.8) + (.3-.25)ln(1.2) + 0 + 0 = .01116 + .00912
        check(&[25, 25, 25, 25], &[20, 30, 25, 25], 0.02027);
        // (.6-.4)ln(1.5) + (.4-.6)ln(2/3) = 2 * .08109
        check(&[40, 60], &[60, 40], 0.16219);
        // (.9999 is not needed: 1-.5)ln(2) + (.0001-.5)ln(.0001/.5) = .34657 + 4.25774
        check(&[50, 50], &[100, 0], 4.60431);
        check(&[0, 50, 50], &[0, 50, 50], 0.0);
        check(&[0, 0], &[1, 2], 0.0);
        assert_eq!(
            [0.05, 0.1, 0.25, 0.3, f64::NAN].map(Drift::of),
            [Drift::Stable, Drift::Moderate, Drift::Moderate, Drift::Large, Drift::Large,]
        );
    }

    #[test]
    fn bins_are_tenths_and_few_values_make_few() {
        let even = Spread::of("even", (1..=100).map(|n| n as f32));
        assert_eq!(even.edges, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
        assert_eq!(even.counts, [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0]);
        let values = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 5.0, f32::NAN];
        let few = Spread::of("few", values);
        assert_eq!(
            (few.edges.as_slice(), few.counts.as_slice()),
            (&[0.0, 1.0][..], &[7, 1, 1, 1][..])
        );
        let same = Spread::of("same", [3.0; 5]);
        assert_eq!((same.edges.len(), same.counts.as_slice()), (0, &[5, 0][..]));
        assert_eq!(Spread::of("none", []).counts, [0, 0]);
    }

    #[test]
    fn who_moved_is_named_first() {
        let matrix: Vec<f32> = (0..1000).flat_map(|n| [(n % 10) as f32, (n % 7) as f32]).collect();
        let scores = (0..1000).map(|n| n as f32 / 1000.0);
        let reference = Reference::of(["moves", "stays"], &matrix).with_scores(scores);
        let json = serde_json::to_string(&reference).unwrap();
        let reference: Reference = serde_json::from_str(&json).unwrap();
        assert!(reference.is_sound());
        let mut present = Present::new(&reference);
        for n in 0..700 {
            let moved = if n % 2 == 0 { f32::NAN } else { 9.0 };
            present.add([moved, (n % 7) as f32, n as f32 / 700.0]);
        }
        assert_eq!(present.people(), 700);
        let drift = present.drift();
        assert_eq!(drift[0].name, "moves");
        assert_eq!(
            (drift[0].drift, drift[0].missing_then, drift[0].missing_now),
            (Drift::Large, 0.0, 0.5)
        );
        assert!(drift[1..].iter().all(|d| d.drift == Drift::Stable && d.psi < 0.01), "{drift:?}");
    }

    proptest! {
        #[test]
        fn it_is_never_negative_and_never_panics(
            values in prop::collection::vec(any::<f32>(), 0..50),
            now in prop::collection::vec(any::<f32>(), 0..50),
        ) {
            let reference = Reference { spreads: vec![Spread::of("any", values)] };
            prop_assert!(reference.is_sound());
            let mut present = Present::new(&reference);
            for value in now {
                present.add([value]);
            }
            prop_assert!(present.drift().iter().all(|d| d.psi >= 0.0 && d.psi.is_finite()));
        }
    }
}
