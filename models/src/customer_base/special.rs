//! The few special functions the formulas need, in forms that stay finite.

pub(super) use statrs::function::gamma::ln_gamma;

/// ln B(a, b), a and b positive.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// ln(e^x + e^y).
pub(super) fn ln_sum(x: f64, y: f64) -> f64 {
    let (least, most) = if x < y { (x, y) } else { (y, x) };
    if most == f64::NEG_INFINITY { most } else { most + (least - most).exp().ln_1p() }
}

/// ln(e^x - e^y) for y <= x; minus infinity where they are equal.
pub(super) fn ln_difference(x: f64, y: f64) -> f64 {
    if y < x { x + (-(y - x).exp_m1()).ln() } else { f64::NEG_INFINITY }
}

/// (1 - e^(-z)) / z, which is 1 at z = 0.
pub(super) fn decay(z: f64) -> f64 {
    if z == 0.0 { 1.0 } else { -(-z).exp_m1() / z }
}

/// 1 / (1 + e^(-x)).
pub(super) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Most steps of the continued fraction: enough for full precision up to z = 1 - 1e-7.
const MOST_STEPS: u32 = 20_000;

/// 2F1(1, d; c; z) for 0 < d < c and 0 <= z < 1, by Gauss's continued fraction (DLMF 15.7.1 with
/// a = 0), evaluated from the front (Steed's algorithm: Press et al., *Numerical Recipes*, 5.2).
/// All its terms have one sign, so nothing cancels.
pub(super) fn hypergeometric_1(d: f64, c: f64, z: f64) -> f64 {
    let n = c - 1.0;
    let coefficient = |step: u32| {
        let j = f64::from(step / 2);
        if step % 2 == 1 {
            (n + j) * (d + j) / ((n + 2.0 * j) * (n + 2.0 * j + 1.0))
        } else {
            j * (n - d + j) / ((n + 2.0 * j - 1.0) * (n + 2.0 * j))
        }
    };
    // 1 / (1 - k1 z / (1 - k2 z / (1 - ...)))
    let (mut value, mut ratio, mut change) = (1.0, 1.0, 1.0);
    for step in 1..=MOST_STEPS {
        ratio = 1.0 / (1.0 - coefficient(step) * z * ratio);
        change *= ratio - 1.0;
        value += change;
        if change.abs() <= f64::EPSILON * value {
            break;
        }
    }
    value
}

/// The mean of `f(p)` over p ~ Beta(a, b): the trapezoidal rule on the logit of p after a sinh, so
/// that both tails die double-exponentially (Takahasi & Mori 1974) and the poles of the density at
/// 0 and 1 do no harm. Beta(1, 1) is the unit interval.
pub(super) fn beta_mean(a: f64, b: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    const NODES: u32 = 128;
    /// What is beyond e^-40 of the peak does not count.
    const DEPTH: f64 = 40.0;
    // Where the density of the logit peaks, or its plateau ends, and how wide the nodes lie there.
    let centre = (a.max(1.0) / b.max(1.0)).ln();
    let spread = (1.0 / a + 1.0 / b).sqrt().min(2.0);
    // The density dies as e^(a logit) below and e^(-b logit) above, as a normal one near its peak.
    let reach = |rate: f64| ((DEPTH / rate) / spread).max((2.0 * DEPTH).sqrt()).asinh();
    let (from, to) = (-reach(a), reach(b));
    let step = (to - from) / f64::from(NODES);
    let ln_norm = ln_beta(a, b);
    let (mut sum, mut mass) = (0.0, 0.0);
    for node in 0..=NODES {
        let x = from + f64::from(node) * step;
        let logit = centre + spread * x.sinh();
        let (ln_p, ln_q) = (-ln_sum(0.0, -logit), -ln_sum(0.0, logit));
        let weight = (a * ln_p + b * ln_q - ln_norm).exp() * x.cosh();
        if weight > 0.0 {
            sum += weight * f(ln_p.exp());
            mass += weight;
        }
    }
    if mass > 0.0 { sum / mass } else { f(a / (a + b)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found / expected - 1.0).abs() < tolerance, "{found} instead of {expected}");
    }

    #[test]
    fn hypergeometric_in_closed_form() {
        // DLMF 15.4.1 (d = 1, c = 2) and 15.4.6 (d = c) in the limit.
        for z in [1e-9, 0.1, 0.5, 0.9, 0.999, 0.999_999] {
            close(hypergeometric_1(1.0, 2.0, z), -f64::ln_1p(-z) / z, 1e-12);
        }
        assert_eq!(hypergeometric_1(0.3, 7.0, 0.0), 1.0);
    }

    #[test]
    fn hypergeometric_by_its_series() {
        for (d, c, z) in [(0.6, 1.2, 0.7), (1.6, 31.2, 0.4), (30.6, 31.2, 0.9), (5e-3, 0.02, 0.5)] {
            let mut term = 1.0;
            let mut series = 1.0;
            for k in 0..4000 {
                term *= z * (d + f64::from(k)) / (c + f64::from(k));
                series += term;
            }
            close(hypergeometric_1(d, c, z), series, 1e-12);
        }
    }

    #[test]
    fn moments_of_beta() {
        for (a, b) in
            [(1.0, 1.0), (0.79, 2.43), (1e-3, 5.0), (0.5, 400.0), (1e4, 3.0), (50.0, 60.0)]
        {
            close(beta_mean(a, b, |p| p), a / (a + b), 1e-9);
            close(beta_mean(a, b, |p| p * p), a * (a + 1.0) / ((a + b) * (a + b + 1.0)), 1e-9);
        }
    }

    #[test]
    fn sums_and_differences_of_logarithms() {
        close(ln_sum(2f64.ln(), 3f64.ln()), 5f64.ln(), 1e-15);
        close(ln_difference(5f64.ln(), 3f64.ln()), 2f64.ln(), 1e-15);
        assert_eq!(ln_sum(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(ln_difference(1.0, 1.0), f64::NEG_INFINITY);
        assert_eq!((decay(0.0), logistic(0.0)), (1.0, 0.5));
    }
}
