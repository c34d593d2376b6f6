use super::*;
use crate::{bundle::sha256_hex, bundled};
use proptest::prelude::*;
use std::{path::Path, sync::LazyLock};

static MANIFEST: &[u8] = include_bytes!("../../bundles/intent/manifest.json");
static ONNX: &[u8] = include_bytes!("../../bundles/intent/model.onnx");
static MODEL: LazyLock<IntentModel> = LazyLock::new(|| bundled::intent().unwrap());

fn edited(edit: impl FnOnce(&mut Manifest), onnx: &[u8]) -> Result<IntentModel, ModelError> {
    let mut manifest: Manifest = serde_json::from_slice(MANIFEST).unwrap();
    manifest.onnx_sha256 = sha256_hex(onnx);
    edit(&mut manifest);
    let bundle = Bundle::from_bytes(&serde_json::to_vec(&manifest).unwrap(), onnx)?;
    IntentModel::new(&bundle)
}

fn check(result: Result<IntentModel, ModelError>, message: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

fn rows(steps: usize) -> Vec<f32> {
    (0..steps * MODEL.inputs()).map(|i| (i as f32 * 0.37).sin()).collect()
}

#[test]
fn the_bundled_model_runs_and_matches_its_golden_vectors() {
    assert!(!MODEL.manifest().golden.is_empty());
    let (intent, arousal) =
        MODEL.step(&rows(1), &MODEL.zero_state()).unwrap().probabilities(MODEL.manifest());
    assert!((intent.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    assert!((0.0..=1.0).contains(&arousal));
}

#[test]
fn steps_equal_the_window_and_a_second_run_the_first() {
    let rows = rows(60);
    let mut state = MODEL.zero_state();
    let mut last = None;
    for x in rows.chunks(MODEL.inputs()) {
        let step = MODEL.step(x, &state).unwrap();
        state.clone_from(&step.state);
        last = Some(step);
    }
    let (last, window) = (last.unwrap(), MODEL.window(&rows).unwrap());
    for (a, b) in last.state.iter().zip(&window.state) {
        assert!(a.is_finite() && (a - b).abs() <= 1e-6, "{a} {b}");
    }
    assert!((last.arousal_logit - window.arousal_logit).abs() <= 1e-5);
    assert_eq!(MODEL.window(&rows).unwrap(), window);
    let again = MODEL.step(&rows[..MODEL.inputs()], &last.state).unwrap();
    assert_eq!(MODEL.step(&rows[..MODEL.inputs()], &last.state).unwrap(), again);
}

#[test]
fn wrong_lengths_and_numbers_are_refused() {
    let zero = MODEL.zero_state();
    assert!(matches!(MODEL.step(&[0.0], &zero), Err(ModelError::Shape { what: "input", .. })));
    assert!(matches!(MODEL.step(&rows(1), &[]), Err(ModelError::Shape { what: "state", .. })));
    assert!(matches!(MODEL.window(&[]), Err(ModelError::Shape { what: "window", .. })));
    let nan = vec![f32::NAN; MODEL.inputs()];
    assert!(matches!(MODEL.step(&nan, &zero), Err(ModelError::NotFinite("input"))));
}

#[test]
fn manifests_that_do_not_fit_are_refused() {
    assert!(edited(|_| {}, ONNX).is_ok());
    check(edited(|m| m.feature_schema = "00".into(), ONNX), "feature schema 00");
    check(edited(|m| m.minimum_runtime = "99.0.0".into(), ONNX), "runtime 99.0.0");
    check(edited(|m| m.onnx_sha256 = "00".into(), ONNX), "damaged");
    check(edited(|m| m.features.swap(0, 1), ONNX), "in order");
    check(edited(|m| m.features[0].scale = 0.0, ONNX), "positive");
    check(edited(|m| m.shapes.inputs += 1, ONNX), "shapes.inputs");
    check(edited(|m| m.shapes.hidden += 1, ONNX), "cannot be run");
    check(edited(|m| m.shapes.hidden = 1 << 40, ONNX), "shapes.hidden");
    check(edited(|m| m.grid_ms = 0, ONNX), "grid_ms");
    check(edited(|m| m.golden[0].arousal += 0.1, ONNX), "golden vector 0");
    check(edited(|m| m.golden[0].inputs[0].clear(), ONNX), "golden vector");
}

#[test]
fn damaged_and_oversized_files_are_refused() {
    assert!(matches!(Bundle::from_bytes(b"{", ONNX), Err(BundleError::Manifest(_))));
    let mut onnx = ONNX.to_vec();
    onnx[100] ^= 1;
    assert!(matches!(Bundle::from_bytes(MANIFEST, &onnx), Err(BundleError::HashMismatch { .. })));
    let big = vec![0; Bundle::MAX_ONNX_BYTES + 1];
    assert!(matches!(Bundle::from_bytes(MANIFEST, &big), Err(BundleError::TooLarge { .. })));
    let missing = Bundle::load(Path::new("/nonexistent")).unwrap_err();
    assert!(matches!(missing, BundleError::Read { .. }), "{missing}");
}

#[test]
fn a_network_with_nonsense_bytes_is_an_error_even_if_the_hash_fits() {
    check(edited(|_| {}, b"not a network"), "cannot be run");
    check(edited(|_| {}, b""), "cannot be run");
    check(edited(|_| {}, &ONNX[..ONNX.len() / 2]), "cannot be run");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any bytes with a fitting hash: refused or run, never a panic.
    #[test]
    fn corrupt_networks_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut onnx = ONNX.to_vec();
        for (place, byte) in flips {
            // The structure stands at both ends and between the weights.
            let place = place.index(onnx.len());
            onnx[place] = byte;
        }
        let _ = edited(|_| {}, &onnx);
    }

    #[test]
    fn corrupt_structure_never_panics(
        flips in prop::collection::vec((0usize..160, any::<u8>()), 1..6),
        from_the_end in any::<bool>(),
    ) {
        let mut onnx = ONNX.to_vec();
        for (place, byte) in flips {
            let place = if from_the_end { onnx.len() - 1 - place } else { place };
            onnx[place] = byte;
        }
        let _ = edited(|_| {}, &onnx);
    }

    #[test]
    fn any_manifest_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Bundle::from_bytes(&bytes, ONNX).is_err());
    }
}
