//! Butterworth filters as second-order sections: causal, and forward-backward without phase.
//!
//! Design: analogue prototype, prewarped bilinear transform (Oppenheim & Schafer, *Discrete-Time
//! Signal Processing*, 3rd ed., section 7.2-7.3). The same response as SciPy's
//! `butter(order, .., output="sos")`; [`Cascade::zero_phase`] follows `sosfiltfilt` with its
//! default padding.

use realfft::num_complex::Complex;
use std::f64::consts::PI;

/// What a filter lets through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Band {
    /// Everything below this corner, Hz.
    Low(f64),
    /// Everything above this corner, Hz.
    High(f64),
    /// Everything between two corners, Hz.
    Between(f64, f64),
}

/// One second-order section with its state, in transposed direct form II.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Section {
    b: [f64; 3],
    a: [f64; 2],
    z: [f64; 2],
}

/// A filter that has a state: sections one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    sections: Vec<Section>,
}

/// An analogue section: numerator and denominator in falling powers of `s`, the denominator's
/// leading coefficient 1.
struct Analogue {
    numerator: [f64; 3],
    denominator: [f64; 2],
}

impl Section {
    /// Bilinear transform with `k = 2 * rate`.
    fn digital(analogue: &Analogue, k: f64) -> Self {
        let ([b2, b1, b0], [a1, a0]) = (analogue.numerator, analogue.denominator);
        let norm = k * k + a1 * k + a0;
        Self {
            b: [b2 * k * k + b1 * k + b0, 2.0 * (b0 - b2 * k * k), b2 * k * k - b1 * k + b0]
                .map(|b| b / norm),
            a: [2.0 * (a0 - k * k) / norm, (k * k - a1 * k + a0) / norm],
            z: [0.0; 2],
        }
    }

    /// Bilinear transform of `numerator / (s + pole)`, `k = 2 * rate`.
    fn digital_first_order([b1, b0]: [f64; 2], pole: f64, k: f64) -> Self {
        let norm = k + pole;
        Self {
            b: [(b1 * k + b0) / norm, (b0 - b1 * k) / norm, 0.0],
            a: [(pole - k) / norm, 0.0],
            z: [0.0; 2],
        }
    }

    fn step(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.z[0];
        self.z[0] = self.b[1] * x - self.a[0] * y + self.z[1];
        self.z[1] = self.b[2] * x - self.a[1] * y;
        y
    }

    /// The state after `x` for ever; gives the output.
    fn settle(&mut self, x: f64) -> f64 {
        let y = x * self.b.iter().sum::<f64>() / (1.0 + self.a[0] + self.a[1]);
        self.z[1] = self.b[2] * x - self.a[1] * y;
        self.z[0] = self.b[1] * x - self.a[0] * y + self.z[1];
        y
    }
}

impl Cascade {
    /// A Butterworth filter of `order` (a band filter has twice as many poles) for samples at
    /// `rate_hz`; `None` unless the corners lie in order between 0 and half the rate.
    #[must_use]
    pub fn butterworth(order: usize, band: Band, rate_hz: f64) -> Option<Self> {
        let fits = |hz: f64| hz > 0.0 && hz < rate_hz / 2.0;
        let ok = match band {
            Band::Low(hz) | Band::High(hz) => fits(hz),
            Band::Between(low, high) => fits(low) && fits(high) && low < high,
        };
        if !ok || order == 0 || !rate_hz.is_finite() {
            return None;
        }
        let k = 2.0 * rate_hz;
        let warped = |hz: f64| k * (PI * hz / rate_hz).tan();
        let mut sections: Vec<Section> = (0..order / 2)
            .map(|i| {
                // Poles of the prototype lie on the left half of the unit circle.
                let angle = PI * (2 * i + 1) as f64 / (2 * order) as f64;
                Complex::new(-angle.sin(), angle.cos())
            })
            .flat_map(|pole| pair(pole, band, warped))
            .map(|analogue| Section::digital(&analogue, k))
            .collect();
        if order % 2 == 1 {
            sections.push(match band {
                Band::Low(hz) => Section::digital_first_order([0.0, warped(hz)], warped(hz), k),
                Band::High(hz) => Section::digital_first_order([1.0, 0.0], warped(hz), k),
                Band::Between(low, high) => {
                    let (width, centre2) = (warped(high) - warped(low), warped(high) * warped(low));
                    let numerator = [0.0, width, 0.0];
                    Section::digital(&Analogue { numerator, denominator: [width, centre2] }, k)
                }
            });
        }
        Some(Self { sections })
    }

    /// The next output.
    pub fn step(&mut self, x: f64) -> f64 {
        self.sections.iter_mut().fold(x, |x, section| section.step(x))
    }

    /// Puts the filter in the state it has after `x` for ever: no transient follows.
    pub fn settle(&mut self, x: f64) {
        self.sections.iter_mut().fold(x, |x, section| section.settle(x));
    }

    /// The samples filtered forward and backward: twice the order, no phase. The ends are
    /// continued by their own point reflection, as far as SciPy's `sosfiltfilt` does by default,
    /// less where the series is too short for that.
    #[must_use]
    pub fn zero_phase(&self, samples: &[f64]) -> Vec<f64> {
        let (Some(&first), Some(&last)) = (samples.first(), samples.last()) else {
            return Vec::new();
        };
        let reflected = self.reflection().min(samples.len() - 1);
        let mut padded = Vec::with_capacity(samples.len() + 2 * reflected);
        padded.extend((1..=reflected).rev().map(|i| 2.0 * first - samples[i]));
        padded.extend_from_slice(samples);
        padded.extend((1..=reflected).map(|i| 2.0 * last - samples[samples.len() - 1 - i]));
        for _ in 0..2 {
            let mut filter = self.clone();
            filter.settle(padded.first().copied().unwrap_or_default());
            for x in &mut padded {
                *x = filter.step(*x);
            }
            padded.reverse();
        }
        padded.drain(..reflected);
        padded.truncate(samples.len());
        padded
    }

    /// How many samples `sosfiltfilt` reflects by default: three times the filter's taps.
    fn reflection(&self) -> usize {
        let first_order = |coefficient: fn(&Section) -> f64| {
            self.sections.iter().filter(|s| coefficient(s) == 0.0).count()
        };
        let reduced = first_order(|s| s.b[2]).min(first_order(|s| s.a[1]));
        3 * (2 * self.sections.len() + 1 - reduced)
    }
}

/// The analogue sections of a conjugate pair of prototype poles.
fn pair(pole: Complex<f64>, band: Band, warped: impl Fn(f64) -> f64) -> Vec<Analogue> {
    let section = |numerator, pole: Complex<f64>| Analogue {
        numerator,
        denominator: [-2.0 * pole.re, pole.norm_sqr()],
    };
    match band {
        Band::Low(hz) => {
            vec![section([0.0, 0.0, warped(hz).powi(2)], pole * warped(hz))]
        }
        Band::High(hz) => vec![section([1.0, 0.0, 0.0], pole * warped(hz))],
        Band::Between(low, high) => {
            let (width, centre2) = (warped(high) - warped(low), warped(high) * warped(low));
            let half = pole * width / 2.0;
            let root = (half * half - centre2).sqrt();
            let numerator = [0.0, width, 0.0];
            vec![section(numerator, half + root), section(numerator, half - root)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gain at a frequency, from the impulse response.
    fn gain(filter: &Cascade, hz: f64, rate_hz: f64) -> f64 {
        let mut filter = filter.clone();
        let sum: Complex<f64> = (0..200_000)
            .map(|n| {
                let x = if n == 0 { 1.0 } else { 0.0 };
                let turn = -2.0 * PI * hz * f64::from(n) / rate_hz;
                Complex::from_polar(filter.step(x), turn)
            })
            .sum();
        sum.norm()
    }

    fn check(order: usize, band: Band, rate_hz: f64, gains: &[(f64, f64)]) {
        let filter = Cascade::butterworth(order, band, rate_hz).unwrap();
        for (hz, expected) in gains {
            let found = gain(&filter, *hz, rate_hz);
            assert!((found - expected).abs() < 1e-6, "{band:?} at {hz} Hz: {found}");
        }
    }

    #[test]
    fn corners_are_at_half_power_and_bands_are_flat() {
        let corner = 0.5f64.sqrt();
        for order in 1..=5 {
            check(order, Band::Low(1.0), 20.0, &[(1e-6, 1.0), (1.0, corner)]);
            check(order, Band::High(0.05), 4.0, &[(0.05, corner), (1.999_999, 1.0)]);
            let middle = {
                let w = |hz: f64| (PI * hz / 64.0).tan();
                (w(0.5) * w(8.0)).sqrt().atan() * 64.0 / PI
            };
            check(
                order,
                Band::Between(0.5, 8.0),
                64.0,
                &[(0.5, corner), (8.0, corner), (middle, 1.0)],
            );
        }
    }

    #[test]
    fn impossible_corners_give_no_filter() {
        for band in [Band::Low(0.0), Band::High(2.0), Band::Between(1.0, 0.5), Band::Low(f64::NAN)]
        {
            assert_eq!(Cascade::butterworth(2, band, 4.0), None, "{band:?}");
        }
        assert_eq!(Cascade::butterworth(0, Band::Low(1.0), 4.0), None);
        assert_eq!(Cascade::butterworth(2, Band::Low(1.0), f64::INFINITY), None);
    }

    #[test]
    fn a_settled_filter_has_no_transient() {
        for (band, level) in [(Band::High(0.05), 0.0), (Band::Low(0.05), 7.5)] {
            let mut filter = Cascade::butterworth(3, band, 4.0).unwrap();
            filter.settle(7.5);
            for _ in 0..100 {
                assert!((filter.step(7.5) - level).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn zero_phase_keeps_the_length_and_the_place() {
        let filter = Cascade::butterworth(2, Band::Low(0.5), 4.0).unwrap();
        let bump: Vec<f64> =
            (0..200).map(|i| (-(f64::from(i) - 90.0).powi(2) / 200.0).exp()).collect();
        let smooth = filter.zero_phase(&bump);
        let peak = (0..200).max_by(|&a, &b| smooth[a].total_cmp(&smooth[b]));
        assert_eq!((smooth.len(), peak), (200, Some(90)));
        assert_eq!(filter.zero_phase(&[]), Vec::<f64>::new());
        assert_eq!(filter.zero_phase(&[3.0]).len(), 1);
    }
}
