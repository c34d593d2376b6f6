//! The models that come with the program, made by `attune train intent`.

use crate::{
    bundle::Bundle,
    intent::{IntentModel, ModelError},
};

/// The intent model of this release. What it was trained on and what it cannot know stands in
/// `models/bundles/intent/MODEL_CARD.md`.
///
/// # Errors
/// [`ModelError`], which would mean that the program was built from a damaged source tree.
///
/// # Examples
/// ```
/// let model = models::bundled::intent()?;
/// let step = model.step(&vec![0.0; model.inputs()], &model.zero_state())?;
/// assert!(step.arousal_logit.is_finite());
/// # Ok::<(), models::ModelError>(())
/// ```
pub fn intent() -> Result<IntentModel, ModelError> {
    let bundle = Bundle::from_bytes(
        include_bytes!("../bundles/intent/manifest.json"),
        include_bytes!("../bundles/intent/model.onnx"),
    )?;
    IntentModel::new(&bundle)
}
