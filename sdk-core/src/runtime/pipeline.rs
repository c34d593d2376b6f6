//! The edge path without I/O: samples in, decisions out, time passed in.

use super::{
    body::{Body, Derived},
    pace::Pace,
};
use crate::{
    clock::Nanos,
    consent::{AdaptOffer, Collect, Epoch, Gate, Permit, RaisePrice, Refused, Scope},
    intent::{Calibration, InferPermits, IntentEngine},
    offer::{Action, Authority, Decision, Hold, OfferPlan, Provenance, Sculptor, Tempo},
    sensor::Sample,
};
use models::IntentModel;
use protocol::{
    consent::{ConsentState, Modality},
    intent::{Abstention, IntentEstimate},
    offer::{Offer, OfferRevision},
};
use std::sync::Arc;

/// What a pipeline is made of.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    /// The offer and how far it may be sculpted.
    pub plan: OfferPlan,
    /// How slowly the policy moves.
    pub tempo: Tempo,
    /// How the person's usual level is learned.
    pub calibration: Calibration,
    /// The intent model.
    pub model: Arc<IntentModel>,
}

/// From samples to decisions.
#[derive(Debug)]
pub struct Pipeline {
    gate: Gate,
    permits: Permits,
    body: Body,
    engine: IntentEngine,
    sculptor: Sculptor,
    pace: Pace,
    steps: u64,
}

/// Everything the gate permits in one epoch.
#[derive(Debug)]
struct Permits {
    epoch: Epoch,
    collect: Vec<Permit<Collect>>,
    infer: InferPermits,
    authority: Authority,
}

const BIOSIGNALS: [Modality; 2] = [Modality::Eda, Modality::Hrv];

impl Permits {
    fn ask(gate: &Gate) -> Self {
        let infer = InferPermits {
            eda: gate.permit(Modality::Eda).ok(),
            hrv: gate.permit(Modality::Hrv).ok(),
        };
        let inferred: Vec<Modality> =
            infer.eda.iter().chain(&infer.hrv).map(Permit::modality).collect();
        Self {
            epoch: gate.epoch(),
            collect: BIOSIGNALS.iter().filter_map(|m| gate.permit(*m).ok()).collect(),
            authority: Authority {
                adapt: all::<AdaptOffer>(gate, &inferred),
                raise: all::<RaisePrice>(gate, &inferred),
            },
            infer,
        }
    }
}

/// A permit for each modality, or none at all: an estimate mixes what it was made from.
fn all<S: Scope>(gate: &Gate, modalities: &[Modality]) -> Vec<Permit<S>> {
    let permits: Result<Vec<_>, Refused> = modalities.iter().map(|m| gate.permit(*m)).collect();
    permits.unwrap_or_default()
}

impl Pipeline {
    /// A pipeline that has seen nothing.
    #[must_use]
    pub fn new(config: PipelineConfig, gate: Gate) -> Self {
        Self {
            permits: Permits::ask(&gate),
            gate,
            body: Body::new(),
            engine: IntentEngine::with_calibration(config.model, config.calibration),
            sculptor: Sculptor::new(config.plan, config.tempo),
            pace: Pace::default(),
            steps: 0,
        }
    }

    /// Takes samples of a device in the order of their stream; gives what they lead to. Where
    /// several devices measure the same, features come from one of them.
    ///
    /// # Errors
    /// [`Refused`] at the first sample without consent; nothing of it is kept.
    pub fn samples(&mut self, device: usize, samples: &[Sample]) -> Result<Derived, Refused> {
        self.refresh();
        let mut derived = Derived::default();
        for sample in samples {
            let (modality, purpose) = (sample.modality, Collect::PURPOSE);
            let permit = self.permits.collect.iter().find(|p| p.modality() == modality);
            permit.ok_or(Refused::NotGranted { modality, purpose })?.check()?;
            self.body.take(device, sample, &mut derived);
        }
        for vector in &derived.features {
            self.engine.observe(vector.clone());
        }
        if !samples.is_empty() {
            self.pace.data();
        }
        Ok(derived)
    }

    /// When [`Pipeline::step`] is due.
    #[must_use]
    pub fn due(&self) -> Nanos {
        self.pace.due()
    }

    /// One step of the loop: infers, then holds or revises the offer.
    pub fn step(&mut self, now: Nanos) -> Decision {
        self.refresh();
        self.pace.stepped(now);
        self.steps += 1;
        let permits = &self.permits;
        let estimate = if permits.infer.eda.is_none() && permits.infer.hrv.is_none() {
            IntentEstimate::abstained(now.as_millis(), Abstention::NoData)
        } else {
            self.engine.step(now, &permits.infer)
        };
        let digest = self.engine.inputs_digest();
        let provenance = Provenance { model_id: self.engine.model_id(), inputs_digest: &digest };
        let action = self
            .sculptor
            .step(now, &estimate, &permits.authority, provenance)
            // Consent changed in the middle of the step: this step changes nothing.
            .unwrap_or(Action::Hold(Hold::NotPermitted));
        Decision { step: self.steps, at: now, estimate, action }
    }

    /// Consent changed. On withdrawal everything that was learned is forgotten and the offer goes
    /// back to the list; a pause keeps the offer and forgets the run of signals.
    pub fn consent_changed(&mut self, now: Nanos) -> Option<OfferRevision> {
        self.refresh();
        let state = self.gate.record().state;
        if state != ConsentState::Given {
            self.body = Body::new();
            self.engine.reset();
        }
        (state == ConsentState::Withdrawn).then(|| self.sculptor.restore(now)).flatten()
    }

    /// Permits to read features, as of now.
    pub fn infer_permits(&mut self) -> &InferPermits {
        self.refresh();
        &self.permits.infer
    }

    /// The offer on screen.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        self.sculptor.offer()
    }

    /// The model's name.
    #[must_use]
    pub fn model_id(&self) -> &str {
        self.engine.model_id()
    }

    fn refresh(&mut self) {
        if self.permits.epoch != self.gate.epoch() {
            self.permits = Permits::ask(&self.gate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::{Quality, Signal};
    use protocol::consent::Purpose;
    use std::time::Duration;

    const PLAN: &str = "[offer]\nsku=\"a\"\ntitle=\"A\"\nprice={minor=100,currency=\"EUR\"}";

    fn pipeline(uses: &[(Modality, Purpose)]) -> (Gate, Pipeline) {
        let gate = Gate::agreed_elsewhere(uses);
        let config = PipelineConfig {
            plan: OfferPlan::from_toml(PLAN).unwrap(),
            tempo: Tempo::default(),
            calibration: Calibration::default(),
            model: Arc::new(models::bundled::intent().unwrap()),
        };
        let pipeline = Pipeline::new(config, gate.clone());
        (gate, pipeline)
    }

    fn eda(k: u64) -> Sample {
        let at = Nanos::from_millis(250 * k);
        Sample {
            modality: Modality::Eda,
            signal: Signal::SkinConductance,
            stream_at: at,
            at,
            value: 3.0 + (k as f64 * 0.3).sin() * 0.01,
            quality: Quality::Good,
            contiguous: k > 0,
        }
    }

    const COLLECT: (Modality, Purpose) = (Modality::Eda, Purpose::Collect);
    const INFER: (Modality, Purpose) = (Modality::Eda, Purpose::Infer);

    #[test]
    fn c2_a_sample_without_consent_goes_nowhere() {
        let (_, mut none) = pipeline(&[]);
        assert!(none.samples(0, &[eda(0)]).is_err());
        let (gate, mut granted) = pipeline(&[COLLECT, INFER]);
        assert!(granted.samples(0, &[eda(0)]).is_ok());
        gate.withdraw(0).unwrap();
        assert!(granted.samples(0, &[eda(1)]).is_err());
        assert!(granted.infer_permits().eda.is_none());
    }

    #[test]
    fn collecting_is_not_inferring_and_inferring_is_not_adapting() {
        for (uses, inferred) in [(&[COLLECT][..], false), (&[COLLECT, INFER][..], true)] {
            let (_, mut pipeline) = pipeline(uses);
            for k in 0..120 {
                pipeline.samples(0, &[eda(k)]).unwrap();
                pipeline.step(Nanos::from_millis(250 * k));
            }
            let decision = pipeline.step(Nanos::from_millis(30_000));
            assert_eq!(decision.estimate.abstained.is_none(), inferred);
            assert_eq!(decision.action, Action::Hold(Hold::NotPermitted));
        }
    }

    #[test]
    fn c4_withdrawal_forgets_what_was_learned() {
        let (gate, mut pipeline) = pipeline(&[COLLECT, INFER]);
        for k in 0..120 {
            pipeline.samples(0, &[eda(k)]).unwrap();
            pipeline.step(Nanos::from_millis(250 * k));
        }
        let now = Nanos::from_millis(30_000);
        assert_eq!(pipeline.step(now).estimate.abstained, None);
        gate.withdraw(0).unwrap();
        assert_eq!(pipeline.consent_changed(now), None, "the offer was never changed");
        gate.grant(&[COLLECT, INFER], None, 0).unwrap();
        let after = pipeline.step(now + Duration::from_millis(20));
        assert_eq!(after.estimate.abstained, Some(Abstention::NoData));
    }
}
