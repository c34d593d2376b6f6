//! What a state does to a body.

use super::script::State;

/// Targets of one state, relative to the person at rest. The body moves towards them with the time
/// constants of [`super::Heart`] and [`super::Skin`].
///
/// Directions of calm and stressed follow the literature: under mental stress heart rate and skin
/// conductance rise and vagal variability falls (Task Force 1996;
/// Boucsein 2012). Interest is drawn as mild sympathetic arousal and hesitation as decision
/// conflict (anticipatory skin conductance, Bechara et al. 1997). **The sizes, and the two
/// commercial states as such, are assumptions of this simulator.**
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// Factor on mean heart rate.
    pub heart_rate: f64,
    /// Factor on the depth of respiratory sinus arrhythmia.
    pub respiratory_arrhythmia: f64,
    /// Factor on the depth of the 0.1-Hz wave.
    pub low_frequency: f64,
    /// Factor on respiration frequency.
    pub respiration: f64,
    /// Factor on skin conductance level.
    pub skin_level: f64,
    /// Spontaneous skin conductance responses a minute. At rest 1 to 3, under arousal over 20
    /// (Boucsein 2012).
    pub scr_per_minute: f64,
    /// Factor on the amplitude of responses.
    pub scr_amplitude: f64,
    /// Chance that the onset of the state evokes a response.
    pub onset_response: f64,
}

impl State {
    /// What this state does to a body of average responsiveness.
    #[must_use]
    pub const fn effect(self) -> Effect {
        match self {
            Self::Calm => Effect {
                heart_rate: 1.0,
                respiratory_arrhythmia: 1.0,
                low_frequency: 1.0,
                respiration: 1.0,
                skin_level: 1.0,
                scr_per_minute: 2.0,
                scr_amplitude: 1.0,
                onset_response: 0.1,
            },
            Self::Interested => Effect {
                heart_rate: 1.04,
                respiratory_arrhythmia: 0.85,
                low_frequency: 1.0,
                respiration: 1.08,
                skin_level: 1.10,
                scr_per_minute: 7.0,
                scr_amplitude: 1.3,
                onset_response: 0.95,
            },
            Self::Hesitant => Effect {
                heart_rate: 1.08,
                respiratory_arrhythmia: 0.65,
                low_frequency: 1.4,
                respiration: 0.85,
                skin_level: 1.06,
                scr_per_minute: 5.0,
                scr_amplitude: 0.8,
                onset_response: 0.7,
            },
            Self::Stressed => Effect {
                heart_rate: 1.22,
                respiratory_arrhythmia: 0.45,
                low_frequency: 0.8,
                respiration: 1.3,
                skin_level: 1.35,
                scr_per_minute: 14.0,
                scr_amplitude: 1.5,
                onset_response: 0.95,
            },
        }
    }
}

impl Effect {
    /// The effect on someone who responds `responsiveness` times as strongly as the average:
    /// factors are raised to that power, so that 0 means no effect and a factor never turns
    /// negative. The response rate of skin is scaled between rest and the state the same way.
    #[must_use]
    pub fn scaled(self, responsiveness: f64) -> Self {
        let rest = State::Calm.effect();
        let scale = |factor: f64| factor.powf(responsiveness);
        Self {
            heart_rate: scale(self.heart_rate),
            respiratory_arrhythmia: scale(self.respiratory_arrhythmia),
            low_frequency: scale(self.low_frequency),
            respiration: scale(self.respiration),
            skin_level: scale(self.skin_level),
            scr_per_minute: rest.scr_per_minute * scale(self.scr_per_minute / rest.scr_per_minute),
            scr_amplitude: scale(self.scr_amplitude),
            onset_response: self.onset_response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responsiveness_scales_between_no_effect_and_more() {
        let stressed = State::Stressed.effect();
        let rest = State::Calm.effect();
        assert_eq!(stressed.scaled(1.0).heart_rate, stressed.heart_rate);
        assert_eq!(stressed.scaled(0.0).scr_per_minute, rest.scr_per_minute);
        assert!(stressed.scaled(1.5).heart_rate > stressed.heart_rate);
        assert_eq!(rest.scaled(1.7), rest);
    }
}
