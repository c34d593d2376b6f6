//! The phasic part of skin conductance, causally and at any sampling rate.

use super::CORNER_HZ;

/// Damping of a Butterworth response of order 2: `2 * zeta = sqrt(2)`.
const DAMPING: f64 = std::f64::consts::SQRT_2;

/// A Butterworth high-pass of order 2 at 0.05 Hz.
///
/// It is the bilinear transform, prewarped at the corner, of the analogue prototype
/// `s^2 / (s^2 + sqrt(2) s + 1)`, realised as two trapezoidal integrators (Zavalishin, *The Art of
/// VA Filter Design*, chapter 4, "topology-preserving transform"). At a constant interval it equals
/// the textbook biquad; because its states are integrators and not old samples, it stays right
/// when an interval differs from the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct HighPass {
    band: f64,
    low: f64,
}

/// What one interval does to the integrators and the output, worked out once: the filter then
/// costs little more than it must, and the backward run takes each interval again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    /// Output: weights of value, band, low.
    output: [f64; 3],
    /// Next band: weights of value, band, low.
    band: [f64; 3],
    /// Next low: weights of value, band, low.
    low: [f64; 3],
}

impl Interval {
    /// An interval of `dt_s` seconds.
    pub(super) fn new(dt_s: f64) -> Self {
        let g = (std::f64::consts::PI * CORNER_HZ * dt_s).tan();
        // high = norm * (value - (DAMPING + g) * band - low); each trapezoid adds 2 g of its input.
        let norm = 1.0 / (1.0 + g * (DAMPING + g));
        let output = [norm, -norm * (DAMPING + g), -norm];
        let plus = |high: f64, band: f64, low: f64| {
            [high * output[0], high * output[1] + band, high * output[2] + low]
        };
        Self { output, band: plus(2.0 * g, 1.0, 0.0), low: plus(2.0 * g * g, 2.0 * g, 1.0) }
    }
}

impl HighPass {
    /// A filter that has seen `value` for ever: its output begins at 0, without a transient.
    pub(super) const fn settled_at(value: f64) -> Self {
        Self { band: 0.0, low: value }
    }

    /// The high-passed `value`, measured one interval after the one before.
    pub(super) fn step(&mut self, value: f64, interval: &Interval) -> f64 {
        let mix = |[v, b, l]: [f64; 3]| v * value + l * self.low + b * self.band;
        let (output, band, low) = (mix(interval.output), mix(interval.band), mix(interval.low));
        *self = Self { band, low };
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The biquad of SciPy's `butter(2, 0.05, "high", fs=4)`, direct form, from the closed form of
    /// the bilinear transform: an independent way to the same response.
    fn biquad(xs: &[f64], fs: f64) -> Vec<f64> {
        let k = (std::f64::consts::PI * CORNER_HZ / fs).tan();
        let norm = 1.0 / (1.0 + DAMPING * k + k * k);
        let (a1, a2) = (2.0 * (k * k - 1.0) * norm, (1.0 - DAMPING * k + k * k) * norm);
        let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
        xs.iter()
            .map(|&x| {
                let y = norm * (x - 2.0 * x1 + x2) - a1 * y1 - a2 * y2;
                (x2, x1, y2, y1) = (x1, x, y1, y);
                y
            })
            .collect()
    }

    #[test]
    fn equals_the_biquad_at_4_and_50_hz() {
        for fs in [4.0, 50.0] {
            let xs: Vec<f64> = (0..4000).map(|i| (f64::from(i) * 0.37).sin() + 0.2).collect();
            let mut filter = HighPass::settled_at(0.0);
            for (x, expected) in xs.iter().zip(biquad(&xs, fs)) {
                assert!((filter.step(*x, &Interval::new(1.0 / fs)) - expected).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn settled_filter_gives_nothing_for_a_constant() {
        let mut filter = HighPass::settled_at(7.5);
        for _ in 0..1000 {
            assert!(filter.step(7.5, &Interval::new(0.25)).abs() < 1e-9);
        }
    }
}
