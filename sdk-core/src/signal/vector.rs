//! Features with the proof of consent they need to be read.

use crate::{
    clock::Nanos,
    consent::{Infer, Permit, Refused},
};
use protocol::consent::{Modality, Purpose};
use std::fmt;

/// The features of one modality at one moment.
///
/// Deliberately not `Serialize`, and printed without its values: they are health data and are only
/// read with a permit (C1).
#[derive(Clone)]
pub struct FeatureVector {
    /// What the features were computed from.
    pub modality: Modality,
    /// Time of the newest sample on its stream's own timeline.
    pub stream_at: Nanos,
    /// Session time of the newest sample.
    pub at: Nanos,
    /// Share of the recent window that stands on good data, 0..=1.
    pub coverage: f32,
    values: Vec<f64>,
}

impl FeatureVector {
    pub(super) fn new(
        modality: Modality,
        stream_at: Nanos,
        at: Nanos,
        coverage: f64,
        values: Vec<f64>,
    ) -> Self {
        Self { modality, stream_at, at, coverage: coverage.clamp(0.0, 1.0) as f32, values }
    }

    /// The values, in the order of [`protocol::feature::FEATURES`] restricted to the modality;
    /// NaN where the window held too little good data.
    ///
    /// # Errors
    /// [`Refused`] when the permit no longer holds or covers another modality.
    pub fn read(&self, permit: &Permit<Infer>) -> Result<&[f64], Refused> {
        permit.check()?;
        if permit.modality() != self.modality {
            return Err(Refused::NotGranted { modality: self.modality, purpose: Purpose::Infer });
        }
        Ok(&self.values)
    }

    #[cfg(test)]
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }
}

impl fmt::Debug for FeatureVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureVector")
            .field("modality", &self.modality)
            .field("stream_at", &self.stream_at)
            .field("coverage", &self.coverage)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::Gate;

    #[test]
    fn c1_values_are_read_only_with_the_right_permit_while_it_holds() {
        let uses = [(Modality::Eda, Purpose::Infer), (Modality::Hrv, Purpose::Infer)];
        let gate = Gate::agreed_elsewhere(&uses);
        let eda = gate.permit::<Infer>(Modality::Eda).unwrap();
        let hrv = gate.permit::<Infer>(Modality::Hrv).unwrap();
        let v = FeatureVector::new(Modality::Eda, Nanos::ZERO, Nanos::ZERO, 1.0, vec![2.5]);
        assert_eq!(v.read(&eda), Ok(&[2.5][..]));
        assert!(matches!(v.read(&hrv), Err(Refused::NotGranted { .. })));
        gate.withdraw(1).unwrap();
        assert_eq!(v.read(&eda), Err(Refused::Superseded));
        assert!(!format!("{v:?}").contains("2.5"));
    }
}
