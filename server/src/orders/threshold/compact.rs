//! A threshold as it is stored: about 260 bytes of JSON.

use super::{Feel, GRID, RECENT, Threshold};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How far from 1 the sum of beliefs may lie: they are rounded to single precision.
const SUM_TOLERANCE: f64 = 1e-3;

/// Why something stored is no threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CompactFault {
    /// The beliefs cannot be read, or are none.
    #[error("the beliefs are not {GRID} shares of 1: reset this person's threshold")]
    Beliefs,
    /// The last answers cannot be read.
    #[error("the last answers cannot be read: reset this person's threshold")]
    Recent,
}

/// The fields of a threshold as they are written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compact {
    /// Single-precision numbers, least byte first, in base64.
    beliefs: String,
    recent: u16,
    feel: Feel,
}

impl From<Threshold> for Compact {
    fn from(threshold: Threshold) -> Self {
        let bytes: Vec<u8> = threshold.beliefs.iter().flat_map(|one| one.to_le_bytes()).collect();
        let beliefs = STANDARD_NO_PAD.encode(bytes);
        Self { beliefs, recent: threshold.recent, feel: threshold.feel }
    }
}

impl TryFrom<Compact> for Threshold {
    type Error = CompactFault;

    fn try_from(compact: Compact) -> Result<Self, CompactFault> {
        let bytes = STANDARD_NO_PAD.decode(compact.beliefs).map_err(|_| CompactFault::Beliefs)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let beliefs: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let beliefs: [f32; GRID] = beliefs.try_into().map_err(|_| CompactFault::Beliefs)?;
        let sum: f64 = beliefs.iter().map(|one| f64::from(*one)).sum();
        let shares = beliefs.iter().all(|one| (0.0..=1.0).contains(one));
        if !rest.is_empty() || !shares || (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(CompactFault::Beliefs);
        }
        if !(1..2 << RECENT).contains(&compact.recent) {
            return Err(CompactFault::Recent);
        }
        Ok(Self { beliefs, recent: compact.recent, feel: compact.feel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(beliefs: &[f32], recent: u16) -> Result<Threshold, String> {
        let bytes: Vec<u8> = beliefs.iter().flat_map(|one| one.to_le_bytes()).collect();
        let json = serde_json::json!({"beliefs": STANDARD_NO_PAD.encode(bytes), "recent": recent,
            "feel": "eager"});
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_small() {
        let json = serde_json::to_string(&Threshold::default()).unwrap();
        assert!(json.len() < 270, "{}", json.len());
    }

    #[test]
    fn what_is_none_is_refused() {
        let even = [1.0 / GRID as f32; GRID];
        assert!(read(&even, 1).is_ok());
        for (beliefs, recent) in [
            (&even[1..], 1),
            (&[0.0; GRID][..], 1),
            (&[f32::NAN; GRID], 1),
            (&[-1.0 / GRID as f32; GRID], 1),
            (&even, 0),
            (&even, 2 << RECENT),
        ] {
            assert!(read(beliefs, recent).is_err(), "{beliefs:?} {recent}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_threshold_or_is_not(beliefs in any::<String>(), recent in any::<u16>()) {
            let json = serde_json::json!({"beliefs": beliefs, "recent": recent, "feel": "eager"});
            let _ = serde_json::from_value::<Threshold>(json);
        }

        #[test]
        fn any_beliefs_leave_numbers(
            beliefs in prop::collection::vec(any::<f32>(), GRID), recent in any::<u16>(),
        ) {
            let sum: f32 = beliefs.iter().map(|one| one.abs()).sum();
            let shares: Vec<f32> = beliefs.iter().map(|one| one.abs() / sum).collect();
            if let Ok(mut threshold) = read(&shares, recent) {
                threshold.learn(1.0, false);
                threshold.learn(0.0, true);
                prop_assert!(threshold.probability(&super::super::Costs::default()).is_finite());
            }
        }
    }
}
