//! A spectrum of heart-rate variability and the power in its bands.

use std::ops::RangeInclusive;

/// Bands, Hz, both edges included (Task Force 1996). Power between them is integrated by
/// trapezoids over the ordinates inside: neighbours share an edge but no area.
const VLF_HZ: RangeInclusive<f64> = 0.0033..=0.04;
const LF_HZ: RangeInclusive<f64> = 0.04..=0.15;
const HF_HZ: RangeInclusive<f64> = 0.15..=0.40;
const TOTAL_HZ: RangeInclusive<f64> = 0.0033..=0.40;
/// An ordinate this near to an edge lies on it: `k * step` is rounded.
const EDGE_SLACK_HZ: f64 = 1e-9;

/// A one-sided power spectral density.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spectrum {
    /// Frequencies, Hz, rising.
    pub hz: Vec<f64>,
    /// Density at each, ms^2/Hz.
    pub psd_ms2_per_hz: Vec<f64>,
}

/// Power in the bands of heart-rate variability, ms^2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bands {
    /// Very low frequency, 0.0033 to 0.04 Hz. Of five minutes it tells little (Task Force 1996).
    pub vlf_ms2: f64,
    /// Low frequency, 0.04 to 0.15 Hz.
    pub lf_ms2: f64,
    /// High frequency, 0.15 to 0.40 Hz.
    pub hf_ms2: f64,
    /// 0.0033 to 0.40 Hz. The gaps between the bands' ordinates count here and in no band.
    pub total_ms2: f64,
}

impl Bands {
    /// Nothing known.
    pub(super) const UNKNOWN: Self =
        Self { vlf_ms2: f64::NAN, lf_ms2: f64::NAN, hf_ms2: f64::NAN, total_ms2: f64::NAN };

    /// Low over high frequency power; NaN if there is none of either.
    #[must_use]
    pub fn lf_hf(&self) -> f64 {
        if self.hf_ms2 > 0.0 { self.lf_ms2 / self.hf_ms2 } else { f64::NAN }
    }
}

impl Spectrum {
    /// Power between two frequencies, both included, ms^2: by trapezoids over the ordinates that
    /// lie there; 0 with fewer than two.
    #[must_use]
    pub fn power_ms2(&self, hz: RangeInclusive<f64>) -> f64 {
        let from = self.hz.partition_point(|&f| f < hz.start() - EDGE_SLACK_HZ);
        let to = self.hz.partition_point(|&f| f <= hz.end() + EDGE_SLACK_HZ).max(from);
        let (f, psd) = (&self.hz[from..to], &self.psd_ms2_per_hz[from..to]);
        f.windows(2).zip(psd.windows(2)).map(|(f, p)| (f[1] - f[0]) * (p[0] + p[1]) / 2.0).sum()
    }

    /// Power in the bands.
    #[must_use]
    pub fn bands(&self) -> Bands {
        Bands {
            vlf_ms2: self.power_ms2(VLF_HZ),
            lf_ms2: self.power_ms2(LF_HZ),
            hf_ms2: self.power_ms2(HF_HZ),
            total_ms2: self.power_ms2(TOTAL_HZ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_spectrum_fills_the_bands_edge_to_edge() {
        let hz: Vec<f64> = (1..=500).map(|k| f64::from(k) * 0.001).collect();
        let psd_ms2_per_hz = vec![100.0; hz.len()];
        let bands = Spectrum { hz, psd_ms2_per_hz }.bands();
        assert!((bands.lf_ms2 - 11.0).abs() < 1e-9, "{}", bands.lf_ms2);
        assert!((bands.hf_ms2 - 25.0).abs() < 1e-9, "{}", bands.hf_ms2);
        assert!((bands.lf_hf() - 0.44).abs() < 1e-9);
        assert_eq!(Spectrum::default().bands().lf_ms2, 0.0);
    }
}
