//! An ECG and a pulse wave over real D-Bus become the beats of the body that has them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use firmware_sim::{
    physiology::{Heart, Script},
    spec::DeviceSpec,
};
use protocol::consent::Modality;
use sdk_core::{
    runtime::Update,
    sensor::{DeviceProfile, Quality, Signal},
};
use tests::rig::{self, Rig, on_private_bus, wait_for};

/// Intervals that are waited for.
const INTERVALS: usize = 15;

/// The share of good intervals that are the body's own, in order, within `tolerance_ms`; and how
/// many there were.
fn check(test: &str, profile: DeviceProfile, spec: fn() -> DeviceSpec, tolerance_ms: f64) {
    on_private_bus(test, async |bus| {
        let spec = spec();
        let body: Vec<f64> =
            Heart::new(spec.seed, &Script::demo()).take(200).map(|b| b.rr_s * 1e3).collect();
        let rig = Rig::start(&bus, vec![spec.into()]).await;
        let session = rig.session_of(vec![(profile, None)], rig::granted(), None);
        let mut updates = session.updates();
        let (mut found, mut features) = (Vec::new(), 0);
        wait_for(&mut updates, "beats", |update| {
            match update {
                Update::Samples(samples) => found.extend(
                    samples
                        .iter()
                        .filter(|s| s.signal == Signal::RrInterval && s.quality == Quality::Good)
                        .map(|s| s.value),
                ),
                Update::Features { modality: Modality::Hrv, .. } => features += 1,
                _ => {}
            }
            (found.len() >= INTERVALS).then_some(())
        })
        .await;
        session.stop().await.unwrap();
        // Where the device began in the body's life is found by the best fit.
        let distance = |from: usize| -> Vec<f64> {
            found.iter().zip(&body[from..]).map(|(a, b)| (a - b).abs()).collect()
        };
        let worst = |from: usize| distance(from).into_iter().fold(0.0, f64::max);
        let best = (0..40).min_by(|a, b| worst(*a).total_cmp(&worst(*b))).unwrap();
        assert!(
            worst(best) <= tolerance_ms,
            "{found:?} against {:?}",
            &body[best..best + found.len()]
        );
        assert!(features >= INTERVALS / 2, "{features}");
    });
}

#[test]
fn an_ecg_becomes_the_bodys_beats() {
    let test = "an_ecg_becomes_the_bodys_beats";
    check(test, DeviceProfile::PolarEcg, DeviceSpec::polar_h10, 8.0);
}

#[test]
fn a_pulse_wave_becomes_the_bodys_beats() {
    let test = "a_pulse_wave_becomes_the_bodys_beats";
    check(test, DeviceProfile::PolarPpg, DeviceSpec::polar_sense, 25.0);
}
