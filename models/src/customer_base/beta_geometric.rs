//! BG/NBD and MBG/NBD: purchases at a personal rate, and after each a personal chance to leave.
//!
//! BG/NBD (Fader, Hardie & Lee 2005, *Marketing Science* 24:275) lets nobody leave before the first
//! repeat; MBG/NBD (Batislam, Denizel & Filiztekin 2007, *Int. J. of Research in Marketing* 24:201)
//! also after the first purchase. Rates are Gamma(r, alpha), chances Beta(a, b).

use super::{
    RepeatHistory,
    process::Process,
    special::{beta_mean, ln_beta, ln_gamma},
};

/// Parameters, per week.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BetaGeometric {
    pub r: f64,
    pub alpha: f64,
    pub a: f64,
    pub b: f64,
    /// Whether one may leave after the first purchase: the modification of 2007.
    pub leaves_at_once: bool,
}

impl BetaGeometric {
    /// Logarithms of the likelihood's two parts, still there and gone: equation 3 of the paper of
    /// 2005 with its sum taken apart, and likewise of that of 2007.
    pub fn ln_parts(&self, h: &RepeatHistory) -> (f64, f64) {
        let x = f64::from(h.repeats);
        let shape = self.r + x;
        let common =
            ln_gamma(shape) - ln_gamma(self.r) + self.r * self.alpha.ln() - ln_beta(self.a, self.b);
        let stays = x + f64::from(u8::from(self.leaves_at_once));
        let there = ln_beta(self.a, self.b + stays) - shape * (self.alpha + h.age_weeks).ln();
        let gone = if stays > 0.0 {
            ln_beta(self.a + 1.0, self.b + stays - 1.0)
                - shape * (self.alpha + h.recency_weeks).ln()
        } else {
            f64::NEG_INFINITY
        };
        (common + there, common + gone)
    }

    /// How it goes on for someone who is still there.
    pub fn process(&self, h: &RepeatHistory) -> BetaGeometricProcess {
        let x = f64::from(h.repeats);
        BetaGeometricProcess {
            r: self.r + x,
            alpha: self.alpha + h.age_weeks,
            a: self.a,
            b: self.b + x + f64::from(u8::from(self.leaves_at_once)),
        }
    }
}

/// A customer who is there now, with what their history tells of rate and chance.
#[derive(Debug, Clone, Copy)]
pub(super) struct BetaGeometricProcess {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

impl Process for BetaGeometricProcess {
    /// Numerically: the mean over p of (1 - (1 + p t / alpha)^-r) / p, equation 9 of the paper of
    /// 2005 before p is integrated out. The closed form is 0/0 at a = 1 and overflows for
    /// frequent buyers; this is neither.
    fn expected(&self, weeks: f64) -> f64 {
        let relative = weeks / self.alpha;
        beta_mean(self.a, self.b, |p| {
            if p > 0.0 {
                -(-self.r * (p * relative).ln_1p()).exp_m1() / p
            } else {
                self.r * relative
            }
        })
    }

    /// In closed form: nobody leaves before the next purchase.
    fn none(&self, weeks: f64) -> f64 {
        (-self.r * (weeks / self.alpha).ln_1p()).exp()
    }

    /// In closed form: equation 8 of the paper of 2005.
    fn counts(&self, weeks: f64, each: &mut dyn FnMut(f64) -> bool) {
        let ln_stay = -(weeks / self.alpha).ln_1p();
        let ln_buy = (weeks / (self.alpha + weeks)).ln();
        let ln_norm = ln_beta(self.a, self.b);
        // Of the negative binomial: the logarithm of its term k, and the sum of those before.
        let (mut ln_term, mut below, mut k) = (self.r * ln_stay, 0.0, 0.0);
        loop {
            let there = (ln_beta(self.a, self.b + k) - ln_norm + ln_term).exp();
            let left = if k > 0.0 {
                (ln_beta(self.a + 1.0, self.b + k - 1.0) - ln_norm).exp()
                    * f64::max(1.0 - below, 0.0)
            } else {
                0.0
            };
            if !each(there + left) {
                return;
            }
            below += ln_term.exp();
            ln_term += ((self.r + k) / (k + 1.0)).ln() + ln_buy;
            k += 1.0;
        }
    }
}
