//! A model as it travels: a manifest and a network, checked before either is believed.

use crate::manifest::Manifest;
use protocol::{
    consent::Modality,
    feature::{FEATURES, schema_hash},
    intent::IntentClass,
};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The network's file in a bundle.
pub(crate) const ONNX_FILE: &str = "model.onnx";
/// The manifest's file in a bundle.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// Why a bundle cannot be used.
#[derive(Debug, Error)]
pub enum BundleError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; a bundle is a folder with manifest.json and model.onnx")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Larger than any model of ours.
    #[error("{what} has over {limit} bytes: not an Attune model")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The manifest is not the expected JSON.
    #[error("manifest.json: {0}; rebuild the bundle with `attune train intent`")]
    Manifest(#[from] serde_json::Error),
    /// The manifest speaks of another network.
    #[error(
        "model.onnx has SHA-256 {found}, the manifest says {expected}: the bundle is damaged or \
         mixed from two, take it anew"
    )]
    HashMismatch {
        /// By the manifest.
        expected: String,
        /// Of the bytes.
        found: String,
    },
    /// Trained on other features.
    #[error(
        "the model was trained on feature schema {found}, this runtime computes {expected}: take a \
         bundle made for this version"
    )]
    SchemaMismatch {
        /// Of this runtime.
        expected: String,
        /// By the manifest.
        found: String,
    },
    /// The runtime is too old.
    #[error("the model asks for runtime {minimum}, this is {}: update", env!("CARGO_PKG_VERSION"))]
    RuntimeTooOld {
        /// By the manifest.
        minimum: String,
    },
    /// The manifest contradicts itself or the runtime.
    #[error("manifest.json: {0}; rebuild the bundle with `attune train intent`")]
    Inconsistent(String),
}

/// A manifest and the network it names, found consistent. The network itself is first parsed by
/// [`crate::IntentModel::new`].
#[derive(Debug, Clone)]
pub struct Bundle {
    manifest: Manifest,
    onnx: Vec<u8>,
}

impl Bundle {
    /// Most bytes of a network: ours have 20 kB.
    pub const MAX_ONNX_BYTES: usize = 8 << 20;
    /// Most bytes of a manifest.
    pub const MAX_MANIFEST_BYTES: usize = 1 << 20;

    /// Reads the bundle in a folder.
    ///
    /// # Errors
    /// [`BundleError`]: a file is missing, too large, or the two do not belong together.
    pub fn load(dir: &Path) -> Result<Self, BundleError> {
        let manifest = read_capped(&dir.join(MANIFEST_FILE), Self::MAX_MANIFEST_BYTES)?;
        let onnx = read_capped(&dir.join(ONNX_FILE), Self::MAX_ONNX_BYTES)?;
        Self::from_bytes(&manifest, &onnx)
    }

    /// Takes a bundle from memory. Sizes are checked before anything is parsed and the hash before
    /// the network is looked at.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub fn from_bytes(manifest_json: &[u8], onnx: &[u8]) -> Result<Self, BundleError> {
        within(MANIFEST_FILE, manifest_json.len(), Self::MAX_MANIFEST_BYTES)?;
        within(ONNX_FILE, onnx.len(), Self::MAX_ONNX_BYTES)?;
        let manifest: Manifest = serde_json::from_slice(manifest_json)?;
        let found = sha256_hex(onnx);
        if found != manifest.onnx_sha256 {
            return Err(BundleError::HashMismatch { expected: manifest.onnx_sha256, found });
        }
        check(&manifest)?;
        Ok(Self { manifest, onnx: onnx.to_vec() })
    }

    /// What the model is.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The network.
    #[must_use]
    pub fn onnx(&self) -> &[u8] {
        &self.onnx
    }
}

fn within(what: &'static str, bytes: usize, limit: usize) -> Result<(), BundleError> {
    if bytes > limit { Err(BundleError::TooLarge { what, limit }) } else { Ok(()) }
}

/// One byte beyond the limit is read, so that the size check sees it.
fn read_capped(path: &Path, limit: usize) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| BundleError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Most hidden units and longest horizon a manifest may ask for: bounds what is allocated.
const MOST_HIDDEN: usize = 1024;
const MOST_STEPS: usize = 3600;

fn check(m: &Manifest) -> Result<(), BundleError> {
    if m.feature_schema != schema_hash() {
        let found = m.feature_schema.clone();
        return Err(BundleError::SchemaMismatch { expected: schema_hash(), found });
    }
    if version(&m.minimum_runtime) > version(env!("CARGO_PKG_VERSION")) {
        return Err(BundleError::RuntimeTooOld { minimum: m.minimum_runtime.clone() });
    }
    let inputs = FEATURES.len() + m.masks.len();
    let rules = [
        (
            m.features.iter().map(|f| f.name.as_str()).eq(FEATURES.iter().map(|f| f.name)),
            "`features` does not list the schema's features in order".to_owned(),
        ),
        (
            m.features
                .iter()
                .all(|f| positive(f.scale) && positive(f.clip) && f.log_unit.is_none_or(positive)),
            "a `scale`, `clip` or `log_unit` is not a positive number".to_owned(),
        ),
        (m.masks == [Modality::Eda, Modality::Hrv], "`masks` must be eda, hrv".to_owned()),
        (m.classes == IntentClass::ALL, "`classes` are not this runtime's".to_owned()),
        (
            m.shapes.inputs == inputs,
            format!("`shapes.inputs` is {}, features and masks are {inputs}", m.shapes.inputs),
        ),
        (m.shapes.classes == m.classes.len(), "`shapes.classes` contradicts `classes`".to_owned()),
        (
            (1..=MOST_HIDDEN).contains(&m.shapes.hidden),
            format!("`shapes.hidden` is {}, must be 1 to {MOST_HIDDEN}", m.shapes.hidden),
        ),
        (
            (1..=MOST_STEPS).contains(&m.horizon_steps) && (100..=60_000).contains(&m.grid_ms),
            format!("`horizon_steps` must be 1 to {MOST_STEPS}, `grid_ms` 100 to 60000"),
        ),
        (
            m.golden.iter().all(|g| {
                (1..=MOST_STEPS).contains(&g.inputs.len())
                    && g.inputs.iter().all(|row| row.len() == inputs)
            }),
            format!("a golden vector is not 1 to {MOST_STEPS} rows of {inputs}"),
        ),
    ];
    match rules.into_iter().find(|(holds, _)| !holds) {
        Some((_, broken)) => Err(BundleError::Inconsistent(broken)),
        None => Ok(()),
    }
}

fn positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

/// `major.minor.patch`; what is not a number counts as too new for anyone.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(u32::MAX));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}
