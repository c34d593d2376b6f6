use super::*;
use crate::{
    consent::{Gate, Infer},
    sensor::{Quality, Sample, Signal},
    signal::{EdaFeatures, HrvFeatures},
};
use protocol::consent::{Modality, Purpose};

/// A person who agreed, their signals, and an engine.
struct Rig {
    gate: Gate,
    permits: InferPermits,
    eda: EdaFeatures,
    hrv: HrvFeatures,
    engine: IntentEngine,
}

fn rig() -> Rig {
    let uses = [(Modality::Eda, Purpose::Infer), (Modality::Hrv, Purpose::Infer)];
    let gate = Gate::agreed_elsewhere(&uses);
    let permits = InferPermits {
        eda: Some(gate.permit::<Infer>(Modality::Eda).unwrap()),
        hrv: Some(gate.permit::<Infer>(Modality::Hrv).unwrap()),
    };
    let engine = IntentEngine::new(Arc::new(models::bundled::intent().unwrap()));
    Rig { gate, permits, eda: EdaFeatures::new(), hrv: HrvFeatures::new(), engine }
}

impl Rig {
    fn eda(&mut self, at: Nanos, quality: Quality) {
        let value = 3.0 + (at.as_secs_f64() * 0.9).sin() * 0.4;
        let (modality, contiguous) = (Modality::Eda, true);
        let s = Sample {
            modality,
            signal: Signal::SkinConductance,
            stream_at: at,
            at,
            value,
            quality,
            contiguous,
        };
        self.eda.push(&s).into_iter().for_each(|v| self.engine.observe(v));
    }

    fn beat(&mut self, at: Nanos) {
        let value = 800.0 + (at.as_secs_f64() * 0.6).sin() * 40.0;
        let (modality, quality, contiguous) = (Modality::Hrv, Quality::Good, true);
        let s = Sample {
            modality,
            signal: Signal::RrInterval,
            stream_at: at,
            at,
            value,
            quality,
            contiguous,
        };
        self.hrv.push(&s).into_iter().for_each(|v| self.engine.observe(v));
    }

    /// Four steps a second, from `from` quarters of a second to `to`.
    fn play(&mut self, from: u64, to: u64) -> Vec<IntentEstimate> {
        (from..to)
            .map(|k| {
                let at = Nanos::from_millis(250 * k);
                self.eda(at, Quality::Good);
                if k % 3 == 0 {
                    self.beat(at);
                }
                self.engine.step(at, &self.permits)
            })
            .collect()
    }
}

#[test]
fn streamed_steps_equal_the_whole_window() {
    let mut rig = rig();
    rig.play(0, 32);
    let mut rows = Vec::new();
    for k in 32..4 * 60 {
        let commits = rig.engine.memory.commits();
        rig.play(k, k + 1);
        if rig.engine.memory.commits() > commits {
            rows.extend_from_slice(&rig.engine.last_input);
        }
    }
    let model = Arc::clone(&rig.engine.model);
    // Coverage suffices from 5 s on; the eighth row, at 12 s, ends the silence.
    assert_eq!(rows.len() / model.inputs(), 48);
    assert_eq!(rig.engine.memory.commits(), 48);
    let window = model.window(&rows).unwrap();
    for (a, b) in rig.engine.memory.state().iter().zip(&window.state) {
        assert!(a.is_finite() && (a - b).abs() <= 1e-6, "{a} {b}");
    }
    let last = &rows[rows.len() - model.inputs()..];
    let before = model.window(&rows[..rows.len() - model.inputs()]).unwrap();
    let step = model.step(last, &before.state).unwrap();
    assert!((step.arousal_logit - window.arousal_logit).abs() <= 1e-6);
    assert_eq!(model.window(&rows).unwrap(), window, "a second run equals the first");
}

#[test]
fn the_answering_state_is_never_older_than_two_horizons() {
    let model = models::bundled::intent().unwrap();
    let horizon = model.manifest().horizon_steps;
    let mut memory = Memory::new(&model);
    let rows: Vec<Vec<f32>> = (0..5 * horizon)
        .map(|k| (0..model.inputs()).map(|i| ((k * 7 + i) as f32).sin()).collect())
        .collect();
    for k in 0..rows.len() {
        memory.commit(&model, &rows[k]).unwrap();
        let n = k + 1;
        let begin = if n < 2 * horizon { 0 } else { (n / horizon - 1) * horizon };
        let mut state = model.zero_state();
        for x in &rows[begin..n] {
            state = model.step(x, &state).unwrap().state;
        }
        assert_eq!(memory.state(), state, "after {n} steps");
    }
}

#[test]
fn estimates_are_probabilities_once_calibrated() {
    let mut rig = rig();
    let estimates = rig.play(0, 200);
    assert_eq!(estimates[0].abstained, Some(Abstention::PoorQuality));
    let first = estimates.iter().position(|e| e.abstained.is_none()).unwrap();
    assert!((32..=60).contains(&first), "first estimate after {first} quarters of a second");
    for estimate in &estimates[first..] {
        assert_eq!(estimate.abstained, None);
        let sum: f32 = estimate.probabilities.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5);
        assert!((0.0..=1.0).contains(&estimate.arousal));
    }
    assert_eq!(rig.engine.failures(), 0);
    assert_eq!(rig.engine.inputs_digest().len(), 64);
}

#[test]
fn provisional_steps_leave_no_trace() {
    let (mut often, mut seldom) = (rig(), rig());
    often.play(0, 120);
    seldom.play(0, 120);
    for ms in 1..200 {
        often.engine.step(Nanos::from_millis(119 * 250 + ms), &often.permits);
    }
    assert_eq!(often.play(120, 121), seldom.play(120, 121));
}

#[test]
fn it_abstains_and_says_why() {
    let mut rig = rig();
    let abstained = |e: IntentEstimate| e.abstained;
    let step = |rig: &mut Rig, s: u64| {
        abstained(rig.engine.step(Nanos::from_millis(1000 * s), &rig.permits))
    };
    assert_eq!(step(&mut rig, 0), Some(Abstention::NoData));
    rig.play(0, 24);
    assert_eq!(step(&mut rig, 6), Some(Abstention::Calibrating));
    rig.play(24, 160);
    assert_eq!(step(&mut rig, 40), None);
    assert_eq!(step(&mut rig, 50), None, "beats still count");
    assert_eq!(step(&mut rig, 60), Some(Abstention::Stale));
    for k in 240..280 {
        rig.eda(Nanos::from_millis(250 * k), Quality::OffBody);
    }
    assert_eq!(step(&mut rig, 70), Some(Abstention::PoorQuality));
}

#[test]
fn c3_withdrawal_ends_estimates_and_reset_forgets() {
    let mut rig = rig();
    assert_eq!(rig.play(0, 100).pop().unwrap().abstained, None);
    rig.gate.withdraw(1).unwrap();
    assert_eq!(rig.play(100, 101)[0].abstained, Some(Abstention::NoData));
    rig.engine.reset();
    assert!(rig.engine.last_input.is_empty());
    assert!(rig.engine.memory.state().iter().all(|&v| v == 0.0));
}
