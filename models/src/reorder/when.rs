//! When: one person's probabilities for every horizon.

use super::ReorderError;

/// Farthest day that anything is said of: two years.
pub const MAX_DAYS: u32 = 730;
/// A probability is never surer than this: what is certain has no odds.
const SUREST: f64 = 1.0 - 1e-9;
/// Days of a week, over which hazards repeat beyond the last that was learned.
const WEEK: usize = 7;

/// The probability that a category is needed within any number of days.
///
/// Two models speak here. The classifier's, calibrated, is trusted for *how likely* within the
/// horizon `H` it was fitted for; the hazards `h(1) .. h(H)` are trusted for *how that spreads* over
/// the days. With `L(k) = -sum over j <= k of ln(1 - h(j))`, the cumulative hazard,
///
/// `P(within k) = 1 - exp(-a L(k))`, `a = -ln(1 - p) / L(H)`:
///
/// proportional hazards (Cox 1972) with the factor that makes `P(within H)` the calibrated `p`.
/// `L` does not fall, so neither does `P`. Beyond `H` the hazards of the last week repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// `a L(k)` for k = 1 ..= H, not falling.
    cumulative: Vec<f64>,
}

impl When {
    /// From the probability within as many days as there are hazards, and the hazards of these
    /// days: each the probability that it is the day, if none before was.
    ///
    /// What is no number, or outside 0 to 1, is brought within. Hazards that are all zero count as
    /// all the same.
    ///
    /// # Errors
    /// [`ReorderError::Horizon`] unless there is a hazard, and at most [`MAX_DAYS`].
    pub fn new(probability: f64, hazards: &[f64]) -> Result<Self, ReorderError> {
        if hazards.is_empty() || hazards.len() > MAX_DAYS as usize {
            return Err(ReorderError::Horizon(hazards.len()));
        }
        Ok(Self::spread(probability, hazards))
    }

    /// As [`When::new`], for what is known to be 1 to [`MAX_DAYS`] hazards.
    pub(super) fn spread(probability: f64, hazards: &[f64]) -> Self {
        let within = |p: f64| if p.is_nan() { 0.0 } else { p.clamp(0.0, SUREST) };
        let total = -(-within(probability)).ln_1p();
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = hazards
            .iter()
            .map(|hazard| {
                sum -= (-within(*hazard)).ln_1p();
                sum
            })
            .collect();
        if sum <= 0.0 {
            cumulative = (1..=hazards.len()).map(|day| day as f64).collect();
            sum = hazards.len() as f64;
        }
        cumulative.iter_mut().for_each(|at| *at = (*at / sum).min(1.0) * total);
        Self { cumulative }
    }

    /// The same, beginning so many days later: until then it is not needed.
    #[must_use]
    pub(super) fn later(mut self, days: u32) -> Self {
        if days > 0 {
            let until = vec![0.0; days.min(MAX_DAYS) as usize];
            self.cumulative.splice(0..0, until);
            self.cumulative.truncate(MAX_DAYS as usize);
        }
        self
    }

    /// The days that hazards were given for.
    #[must_use]
    pub fn horizon_days(&self) -> u32 {
        // At most MAX_DAYS.
        self.cumulative.len() as u32
    }

    /// The probability that it is needed within so many days: 0 for none, never falling. Beyond
    /// [`MAX_DAYS`] it is that of [`MAX_DAYS`].
    #[must_use]
    pub fn within(&self, days: u32) -> f64 {
        -(-self.cumulative_at(days.min(MAX_DAYS) as usize)).exp_m1()
    }

    /// The first day by which it is needed with at least this probability; `None` if that is beyond
    /// [`MAX_DAYS`], or no probability.
    #[must_use]
    pub fn quantile(&self, probability: f64) -> Option<u32> {
        if !(0.0..1.0).contains(&probability) || self.within(MAX_DAYS) < probability {
            return None;
        }
        // It does not fall: the least such day by bisection.
        let (mut low, mut high) = (0, MAX_DAYS);
        while low < high {
            let middle = u32::midpoint(low, high);
            if self.within(middle) >= probability { high = middle } else { low = middle + 1 }
        }
        Some(low)
    }

    /// The day by which it is as likely needed as not.
    #[must_use]
    pub fn median_days(&self) -> Option<u32> {
        self.quantile(0.5)
    }

    /// The days by which it is needed with probability 0.1 and 0.9: show this, not a date.
    #[must_use]
    pub fn window_days(&self) -> (Option<u32>, Option<u32>) {
        (self.quantile(0.1), self.quantile(0.9))
    }

    /// The median day, given that it is needed within so many: what errs least among those that
    /// come. At least 1, at most `days`.
    #[must_use]
    pub fn median_within(&self, days: u32) -> u32 {
        let half = self.within(days) / 2.0;
        self.quantile(half).unwrap_or(days).clamp(1, days.clamp(1, MAX_DAYS))
    }

    fn cumulative_at(&self, days: usize) -> f64 {
        let horizon = self.cumulative.len();
        let at = |days: usize| days.checked_sub(1).map_or(0.0, |index| self.cumulative[index]);
        if days <= horizon {
            return at(days);
        }
        let week = WEEK.min(horizon);
        let (weeks, rest) = ((days - horizon) / week, (days - horizon) % week);
        let begin = horizon - week;
        let a_week = at(horizon) - at(begin);
        let after = |weeks: usize| at(horizon) + weeks as f64 * a_week;
        // A week is never more than the whole of it, whatever rounding says.
        (after(weeks) + (at(begin + rest) - at(begin))).min(after(weeks + 1))
    }
}
