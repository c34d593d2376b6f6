//! One simulated person: what differs from body to body.

use rand_chacha::ChaCha8Rng;

use super::rng::{Stream, normal, stream};

/// A body at rest and how strongly it responds. Drawn from a seed, so that training meets many
/// different people and a test always the same one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    /// Heart rate at rest, beats a minute. Mean NN 926 ms in short-term norms (Nunan et al. 2010).
    pub resting_heart_rate_bpm: f64,
    /// Depth of respiratory sinus arrhythmia, as a share of heart rate. The median gives an RMSSD
    /// near the 42 ms of Nunan et al. 2010.
    pub respiratory_arrhythmia: f64,
    /// Depth of the low-frequency (about 0.1 Hz) wave, as a share of heart rate (Task Force 1996:
    /// low and high frequency power are of one order at rest).
    pub low_frequency: f64,
    /// Frequency of the low-frequency wave, in Hz: 0.04 to 0.15 (Task Force 1996), usually 0.1.
    pub low_frequency_hz: f64,
    /// Respiration at rest, in Hz: 12 to 20 breaths a minute.
    pub respiration_hz: f64,
    /// Skin conductance level at rest, in microsiemens: 1 to 20 (Boucsein 2012),
    /// less at the wrist than at the palm.
    pub skin_level_microsiemens: f64,
    /// Typical response amplitude, in microsiemens: 0.1 to 1 (Boucsein 2012).
    pub scr_amplitude_microsiemens: f64,
    /// Factor on the rate of spontaneous responses ("labile" and "stabile" people,
    /// Boucsein 2012).
    pub lability: f64,
    /// Rise time constant of a response, in seconds; 0.75 in Benedek & Kaernbach 2010.
    pub scr_rise_s: f64,
    /// Decay time constant of a response, in seconds; 2 in Benedek & Kaernbach 2010.
    pub scr_decay_s: f64,
    /// How strongly states act on this body; 1 is average. Assumption.
    pub responsiveness: f64,
    /// Height of the R wave on the chest, in millivolts: 0.5 to 2 in healthy adults. Assumption.
    pub r_wave_millivolts: f64,
    /// From the R wave to the pulse at the wrist, in seconds: 0.15 to 0.3 (Mukkamala et al. 2015).
    pub pulse_transit_s: f64,
}

impl Person {
    /// The person of `seed`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = stream(seed, Stream::Person);
        let rng = &mut rng;
        Self {
            resting_heart_rate_bpm: (68.0 + 9.0 * normal(rng)).clamp(48.0, 95.0),
            respiratory_arrhythmia: log_normal(rng, 0.045, 0.35, 0.015..0.12),
            low_frequency: log_normal(rng, 0.030, 0.30, 0.010..0.08),
            low_frequency_hz: (0.095 + 0.008 * normal(rng)).clamp(0.07, 0.12),
            respiration_hz: (0.26 + 0.03 * normal(rng)).clamp(0.18, 0.34),
            skin_level_microsiemens: log_normal(rng, 3.5, 0.6, 0.5..20.0),
            scr_amplitude_microsiemens: log_normal(rng, 0.30, 0.45, 0.06..1.2),
            lability: log_normal(rng, 1.0, 0.30, 0.4..2.5),
            scr_rise_s: (0.75 + 0.12 * normal(rng)).clamp(0.4, 1.1),
            scr_decay_s: (2.2 + 0.4 * normal(rng)).clamp(1.4, 4.0),
            responsiveness: log_normal(rng, 1.0, 0.25, 0.5..1.8),
            r_wave_millivolts: log_normal(rng, 1.1, 0.25, 0.6..2.0),
            pulse_transit_s: (0.22 + 0.02 * normal(rng)).clamp(0.15, 0.3),
        }
    }
}

/// Bodily sizes are spread by factors, not by differences; extremes are cut off.
fn log_normal(rng: &mut ChaCha8Rng, median: f64, sd: f64, range: std::ops::Range<f64>) -> f64 {
    (median * (sd * normal(rng)).exp()).clamp(range.start, range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_differ_and_a_seed_is_a_person() {
        assert_eq!(Person::from_seed(1), Person::from_seed(1));
        let mut rates: Vec<f64> =
            (0..200).map(|s| Person::from_seed(s).resting_heart_rate_bpm).collect();
        rates.sort_by(f64::total_cmp);
        assert!(rates[10] < 58.0 && rates[190] > 78.0, "{} {}", rates[10], rates[190]);
        assert!((64.0..72.0).contains(&rates[100]), "{}", rates[100]);
    }
}
