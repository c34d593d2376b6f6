//! Pareto/NBD: purchases at a personal rate until a personal, unseen end.
//!
//! Schmittlein, Morrison & Colombo (1987, *Management Science* 33:1), in the notation of Fader &
//! Hardie (2005, "A note on deriving the Pareto/NBD model and related expressions"). Rates are
//! Gamma(r, alpha), rates of ending Gamma(s, beta).

use super::{
    RepeatHistory,
    process::Process,
    special::{beta_mean, decay, hypergeometric_1, ln_difference, ln_gamma, ln_sum},
};

/// Parameters, per week.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pareto {
    pub r: f64,
    pub alpha: f64,
    pub s: f64,
    pub beta: f64,
}

impl Pareto {
    /// Logarithms of the likelihood's two parts, still there and gone (equations 7 and 22 of the
    /// note, in the form of 22 that fits the order of alpha and beta).
    pub fn ln_parts(&self, h: &RepeatHistory) -> (f64, f64) {
        let shape = self.r + f64::from(h.repeats);
        let common =
            ln_gamma(shape) - ln_gamma(self.r) + self.r * self.alpha.ln() + self.s * self.beta.ln();
        let there =
            -shape * (self.alpha + h.age_weeks).ln() - self.s * (self.beta + h.age_weeks).ln();
        let gone = (self.s / (shape + self.s)).ln()
            + ln_difference(self.ln_tail(shape, h.recency_weeks), self.ln_tail(shape, h.age_weeks));
        (common + there, common + gone)
    }

    /// ln of (r+s+x) times the integral of (alpha+y)^-(r+x) (beta+y)^-(s+1) over y > t: 2F1 of the
    /// note, by Euler's transformation (DLMF 15.8.1) with a first parameter of 1.
    fn ln_tail(&self, shape: f64, t: f64) -> f64 {
        let n = shape + self.s;
        let (most, least, second) = if self.alpha >= self.beta {
            (self.alpha + t, self.beta + t, self.s + 1.0)
        } else {
            (self.beta + t, self.alpha + t, shape)
        };
        let z = (most - least) / most;
        let series = hypergeometric_1(n + 1.0 - second, n + 1.0, z);
        -n * most.ln() + (1.0 - second) * (least / most).ln() + series.ln()
    }

    /// How it goes on for someone who is still there.
    pub fn process(&self, h: &RepeatHistory) -> ParetoProcess {
        ParetoProcess(Self {
            r: self.r + f64::from(h.repeats),
            alpha: self.alpha + h.age_weeks,
            s: self.s,
            beta: self.beta + h.age_weeks,
        })
    }
}

/// A customer who is there now, with what their history tells of both rates.
#[derive(Debug, Clone, Copy)]
pub(super) struct ParetoProcess(Pareto);

impl Process for ParetoProcess {
    /// In closed form: equation 41 of the note, written so that s = 1 is no exception.
    fn expected(&self, weeks: f64) -> f64 {
        let Pareto { r, alpha, s, beta } = self.0;
        let growth = (weeks / beta).ln_1p();
        r / alpha * beta * growth * decay((s - 1.0) * growth)
    }

    /// In closed form: what the likelihood says of a history without a purchase.
    fn none(&self, weeks: f64) -> f64 {
        let (there, gone) =
            self.0.ln_parts(&RepeatHistory { repeats: 0, recency_weeks: 0.0, age_weeks: weeks });
        ln_sum(there, gone).exp()
    }

    /// Numerically: negative binomials up to the end, whose time has the survival function
    /// (beta / (beta + t))^s; integrated over that function's values.
    fn counts(&self, weeks: f64, each: &mut dyn FnMut(f64) -> bool) {
        let Pareto { r, alpha, s, beta } = self.0;
        let lasts = (-s * (weeks / beta).ln_1p()).exp();
        let mut k = 0.0;
        loop {
            let ln_choose = ln_gamma(r + k) - ln_gamma(r) - ln_gamma(k + 1.0);
            let term = |weeks: f64| {
                let bought = if k > 0.0 { k * (weeks / (alpha + weeks)).ln() } else { 0.0 };
                (ln_choose - r * (weeks / alpha).ln_1p() + bought).exp()
            };
            let ended = beta_mean(1.0, 1.0, |u| {
                let survival = lasts + (1.0 - lasts) * u;
                let end = beta * (-survival.ln() / s).exp_m1();
                term(end.clamp(0.0, weeks))
            });
            if !each(lasts * term(weeks) + (1.0 - lasts) * ended) {
                return;
            }
            k += 1.0;
        }
    }
}
