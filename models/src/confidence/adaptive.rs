//! Adaptive conformal inference, when labels come late.

use super::{Judged, Realised, Wanted, ladder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far one period moves the share that is aimed at. With it, over `n` periods, the mean wrong
/// share stays within about 1 / (0.1 n) of the wanted one, whatever comes (Gibbs and Candès 2021,
/// proposition 4.1), later by as many periods as labels are late.
const RATE: f64 = 0.1;
/// The share that is aimed at is kept within this of zero.
const FARTHEST: f64 = 1.0;
/// Periods that may wait for their labels: a year of days. The oldest give way.
const MAX_WAITING: usize = 366;

/// What came of the proposals of one day or week.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// The day from which all of it is known, since 1970-01-01: the day of the proposals and the
    /// horizon.
    pub known_on: i32,
    /// What came.
    pub realised: Realised,
}

/// The wrong share that is aimed at, moved by what proposals came to: `a <- a + r (wanted - wrong)`
/// (Gibbs and Candès, "Adaptive conformal inference under distribution shift", NeurIPS 2021,
/// equation 2), each period when its labels are complete and not before. Where too much was wrong,
/// less is aimed at; at zero and below nothing is proposed, until periods without wrong proposals
/// have made up for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adaptive {
    wanted_share: f64,
    aim: f64,
    /// By the day from which they are known.
    waiting: BTreeMap<i32, Realised>,
}

impl Adaptive {
    /// Aims at what is wanted.
    #[must_use]
    pub fn new(wanted: &Wanted) -> Self {
        let wanted_share = wanted.wrong_share;
        Self { wanted_share, aim: wanted_share, waiting: BTreeMap::new() }
    }

    /// Takes what came of a period; it moves nothing before it is known. Periods known on the same
    /// day count as one.
    pub fn record(&mut self, period: &Period) {
        self.waiting.entry(period.known_on).or_default().add(&period.realised);
        if self.waiting.len() > MAX_WAITING {
            self.waiting.pop_first();
        }
    }

    /// Learns from all periods that are known at the end of `day`, in their order.
    pub fn advance(&mut self, day: i32) {
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= day) {
            // Who proposes nothing proposes nothing wrong.
            let wrong = first.remove().wrong_share().unwrap_or(0.0);
            let aim = self.aim + RATE * (self.wanted_share - wrong);
            self.aim = aim.clamp(-FARTHEST, FARTHEST);
        }
    }

    /// The wrong share that is aimed at now; at zero and below nothing is proposed.
    #[must_use]
    pub fn aim(&self) -> f64 {
        self.aim
    }

    /// The loosest threshold at which a completed cut had no larger wrong share than is aimed at,
    /// among at least [`Wanted::least_rows`] predictions; `None` where there is none.
    #[must_use]
    pub fn threshold(&self, rows: &[Judged], wanted: &Wanted) -> Option<f64> {
        let enough = |seen: &Realised| {
            let holds = seen.wrong_share().is_some_and(|share| share <= self.aim);
            holds && seen.proposals >= wanted.least_rows && self.aim > 0.0
        };
        ladder(rows).filter(|(_, seen)| enough(seen)).map(|(threshold, _)| threshold).last()
    }
}
