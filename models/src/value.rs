//! What a conversion is worth: nothing with some probability, else an amount that is spread on the
//! logarithmic scale.
//!
//! The two-part model of expenditures (Duan et al. 1983, *J. of Business & Economic Statistics*
//! 1:115), in the zero-inflated lognormal form of Wang, Liu & Miao (2019, arXiv:1912.07753) or with
//! a gamma distribution. Both are placed by the same number, the expectation of ln(amount), so that
//! one regression serves either.

use serde::{Deserialize, Serialize};
use statrs::function::{
    erf::erfc_inv,
    gamma::{checked_gamma_lr, digamma, ln_gamma},
};
use thiserror::Error;

/// How amounts of one expectation of ln(amount) are spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Spread {
    /// ln(amount) is normal with this standard deviation, 0.001 to 5.
    Lognormal {
        /// The deviation.
        sigma: f64,
    },
    /// Amounts are Gamma with this shape, 0.01 to 10000.
    Gamma {
        /// The shape.
        shape: f64,
    },
}

/// Why a spread cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("the spread of values has the parameter {0}, must be {1} to {2}: fit the model again")]
pub struct SpreadError(f64, f64, f64);

/// What a conversion is worth, in the unit the model was fitted in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Probability that it is worth anything.
    pub positive: f64,
    /// Expectation of ln(amount) where it is.
    pub ln_amount: f64,
    /// Of the amount.
    pub spread: Spread,
}

/// Bounds of ln(amount): from nothing worth mentioning to more than there is.
const LN_AMOUNT: (f64, f64) = (-30.0, 50.0);

impl Spread {
    /// Range of [`Spread::Lognormal::sigma`].
    pub const SIGMA: (f64, f64) = (1e-3, 5.0);
    /// Range of [`Spread::Gamma::shape`].
    pub const SHAPE: (f64, f64) = (1e-2, 1e4);

    /// The spread, if its parameter is in range.
    ///
    /// # Errors
    /// [`SpreadError`] says which range.
    pub fn checked(self) -> Result<Self, SpreadError> {
        let (value, (least, most)) = match self {
            Self::Lognormal { sigma } => (sigma, Self::SIGMA),
            Self::Gamma { shape } => (shape, Self::SHAPE),
        };
        let good = (least..=most).contains(&value);
        if good { Ok(self) } else { Err(SpreadError(value, least, most)) }
    }

    /// ln of the density of an amount's logarithm, where `ln_amount` is expected.
    #[must_use]
    pub fn ln_density(self, ln_expected: f64, ln_amount: f64) -> f64 {
        match self {
            Self::Lognormal { sigma } => {
                let z = (ln_amount - ln_expected) / sigma;
                -0.5 * z * z - sigma.ln() - 0.5 * std::f64::consts::TAU.ln()
            }
            Self::Gamma { shape } => {
                let scaled = ln_amount - gamma_ln_scale(shape, ln_expected);
                shape * scaled - scaled.exp() - ln_gamma(shape)
            }
        }
    }

    fn mean(self, ln_expected: f64) -> f64 {
        match self {
            // Of a lognormal: exp(mu + sigma^2 / 2).
            Self::Lognormal { sigma } => (ln_expected + 0.5 * sigma * sigma).exp(),
            Self::Gamma { shape } => shape * gamma_ln_scale(shape, ln_expected).exp(),
        }
    }

    fn quantile(self, ln_expected: f64, share: f64) -> f64 {
        match self {
            Self::Lognormal { sigma } => {
                let z = -std::f64::consts::SQRT_2 * erfc_inv(2.0 * share);
                (ln_expected + sigma * z).exp()
            }
            Self::Gamma { shape } => {
                let below = |ln: f64| checked_gamma_lr(shape, ln.exp()).unwrap_or(1.0) < share;
                (gamma_ln_scale(shape, ln_expected) + bisect(below)).exp()
            }
        }
    }
}

/// ln of the scale at which ln of a gamma variable has this expectation: E ln X = psi(k) + ln theta.
fn gamma_ln_scale(shape: f64, ln_expected: f64) -> f64 {
    ln_expected - digamma(shape)
}

/// Where a condition on ln(x) that holds below stops to hold.
fn bisect(holds_below: impl Fn(f64) -> bool) -> f64 {
    /// Quantiles of the shapes allowed lie between, down to shares of 1e-3.
    const RANGE: (f64, f64) = (-700.0, 12.0);
    /// Halvings until what is left is rounding.
    const STEPS: u32 = 60;
    let (mut low, mut high) = RANGE;
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if holds_below(middle) { low = middle } else { high = middle }
    }
    high
}

impl Worth {
    /// The expected worth: the share that is worth anything times the mean of its amounts.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.share() * self.spread.mean(self.ln_expected())
    }

    /// The worth that a share of conversions, above 0 and below 1, stay below or at.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        /// Nearer to certainty no model knows anything.
        const EDGE: f64 = 1e-3;
        let share = if share.is_nan() { 0.5 } else { share.clamp(EDGE, 1.0 - EDGE) };
        let nothing = 1.0 - self.share();
        if share <= nothing {
            return 0.0;
        }
        let among = ((share - nothing) / self.share()).clamp(EDGE, 1.0 - EDGE);
        self.spread.quantile(self.ln_expected(), among)
    }

    /// What one in ten stays below, and one in ten goes beyond.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        const TAIL: f64 = 0.1;
        (self.quantile(TAIL), self.quantile(1.0 - TAIL))
    }

    fn share(&self) -> f64 {
        if self.positive.is_nan() { 0.0 } else { self.positive.clamp(0.0, 1.0) }
    }

    fn ln_expected(&self) -> f64 {
        if self.ln_amount.is_nan() {
            LN_AMOUNT.0
        } else {
            self.ln_amount.clamp(LN_AMOUNT.0, LN_AMOUNT.1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-8, "{found} instead of {expected}");
    }

    #[test]
    fn as_tables_say() {
        // Of a lognormal with mu = 3, sigma = 0.8: exp(3.32), and quantiles at z = 1.2815515655.
        let lognormal =
            Worth { positive: 1.0, ln_amount: 3.0, spread: Spread::Lognormal { sigma: 0.8 } };
        close(lognormal.mean(), 3.32f64.exp());
        close(lognormal.quantile(0.5), 3f64.exp());
        close(lognormal.quantile(0.9), (3.0f64 + 0.8 * 1.281_551_565_544_600_4).exp());
        // Of an exponential with mean 10, where E ln X = ln 10 - Euler's constant.
        let euler = 0.577_215_664_901_532_9;
        let exponential = Worth {
            positive: 1.0,
            ln_amount: 10f64.ln() - euler,
            spread: Spread::Gamma { shape: 1.0 },
        };
        close(exponential.mean(), 10.0);
        close(exponential.quantile(0.5), 10.0 * 2f64.ln());
    }

    #[test]
    fn who_pays_nothing_counts() {
        let half =
            Worth { positive: 0.5, ln_amount: 0.0, spread: Spread::Lognormal { sigma: 1.0 } };
        close(half.mean(), 0.5 * 0.5f64.exp());
        assert_eq!(half.quantile(0.4), 0.0);
        close(half.quantile(0.75), 1.0);
    }

    #[test]
    fn densities_integrate_to_one() {
        for spread in [Spread::Lognormal { sigma: 0.7 }, Spread::Gamma { shape: 2.5 }] {
            let step = 1e-3;
            let points = (-20_000..20_000).map(|i| f64::from(i) * step);
            close(points.map(|ln| spread.ln_density(1.0, ln).exp() * step).sum(), 1.0);
        }
    }

    #[test]
    fn absurd_spreads_are_refused() {
        assert!(Spread::Lognormal { sigma: 0.0 }.checked().is_err());
        assert!(Spread::Gamma { shape: f64::NAN }.checked().is_err());
        assert!(Spread::Gamma { shape: 2.0 }.checked().is_ok());
    }

    proptest! {
        #[test]
        fn worths_are_numbers_in_order(
            positive in any::<f64>(), ln_amount in any::<f64>(), at in 0.0..1.0f64, gamma: bool,
        ) {
            let spread = if gamma {
                Spread::Gamma { shape: Spread::SHAPE.0 * 1e6f64.powf(at) }
            } else {
                Spread::Lognormal { sigma: Spread::SIGMA.0 * 5e3f64.powf(at) }
            };
            let worth = Worth { positive, ln_amount, spread };
            let numbers = [worth.quantile(0.1), worth.quantile(0.5), worth.quantile(0.9)];
            prop_assert!(numbers.is_sorted(), "{:?}", numbers);
            prop_assert!(worth.mean() >= 0.0 && worth.mean().is_finite());
            prop_assert!(numbers.iter().all(|n| n.is_finite() && *n >= 0.0));
        }
    }
}
