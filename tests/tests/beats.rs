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

/// Plays a device until it has given enough good intervals, and holds them against the body's.
fn check(
    test: &str,
    profile: DeviceProfile,
    spec: fn() -> DeviceSpec,
    fits: fn(found: &[f64], body: &[f64]) -> bool,
) {
    on_private_bus(test, async |bus| {
        let spec = spec();
        let body: Vec<f64> =
            Heart::new(spec.seed, &Script::demo()).take(200).map(|b| b.rr_s * 1e3).collect();
        let rig = Rig::start(&bus, vec![spec.into()]).await;
        let session = rig.session_of(vec![(profile, None)], &rig::granted(), None);
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
        assert!(fits(&found, &body), "{found:?} against {:?}", &body[..40]);
        assert!(features >= INTERVALS / 2, "{features}");
    });
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn an_ecg_becomes_the_bodys_beats() {
    let test = "an_ecg_becomes_the_bodys_beats";
    check(test, DeviceProfile::PolarEcg, DeviceSpec::polar_h10, |found, body| {
        // Where the device began in the body's life is found by the best fit.
        (0..40).any(|from| found.iter().zip(&body[from..]).all(|(a, b)| (a - b).abs() < 8.0))
    });
}

#[test]
fn a_pulse_wave_becomes_beats_at_the_bodys_rate() {
    let test = "a_pulse_wave_becomes_beats_at_the_bodys_rate";
    check(test, DeviceProfile::PolarPpg, DeviceSpec::polar_sense, |found, body| {
        // The simulated pulse has a flat foot, where noise decides: single intervals are rough.
        let mean_ms = mean(&body[..40]);
        (mean(found) / mean_ms - 1.0).abs() < 0.03
            && found.iter().all(|ms| (ms / mean_ms - 1.0).abs() < 0.2)
    });
}
