//! A model at work: what training wrote, and what was learnt in service since.

use super::score::Asked;
use models::{
    calibration::OnlinePlatt,
    conversion::{Prediction, Predictor, PredictorError, log_odds},
};
use protocol::digest::Digest;
use std::sync::Arc;
use thiserror::Error;

/// Why a file is no model for this server.
#[derive(Debug, Error)]
pub(crate) enum ModelError {
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    #[error("the model was trained on other feature definitions than the server's: train it again")]
    Definitions,
}

/// Messages name parts of models, nothing of people.
impl protocol::log::LogSafe for ModelError {}

/// A probability, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scored {
    /// Of a conversion within the horizon, corrected by what was learnt in service.
    pub(crate) probability: f64,
    /// The same by the model alone.
    pub(crate) raw: f64,
}

/// A model, ready to predict.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    predictor: Arc<Predictor>,
    online: OnlinePlatt,
}

impl Model {
    /// Reads the file that training wrote.
    ///
    /// # Errors
    /// [`ModelError`].
    pub(crate) fn read(bundle: &[u8], definitions: Digest) -> Result<Self, ModelError> {
        let predictor = Predictor::from_json(bundle)?;
        if predictor.parts().definitions != definitions {
            return Err(ModelError::Definitions);
        }
        Ok(Self { predictor: Arc::new(predictor), online: OnlinePlatt::default() })
    }

    /// The same with what was learnt in service.
    pub(crate) fn with_online(&self, online: OnlinePlatt) -> Self {
        Self { online, ..self.clone() }
    }

    /// The head of the digest of the file.
    pub(crate) fn id(&self) -> &str {
        self.predictor.id()
    }

    /// How far ahead it looks, days.
    pub(crate) fn horizon_days(&self) -> u16 {
        self.predictor.parts().horizon_days
    }

    /// The same, milliseconds.
    pub(crate) fn horizon_ms(&self) -> i64 {
        i64::from(self.horizon_days()) * crate::work::DAY_MS
    }

    /// How probable it finds a conversion of each of the people asked about.
    pub(crate) fn score(&self, asked: &Asked) -> Vec<Scored> {
        let mut raw = Vec::with_capacity(asked.histories.len());
        self.predictor.probabilities(&asked.rows, &asked.histories, &mut raw);
        let scored = |raw| Scored { probability: self.online.probability(log_odds(raw)), raw };
        raw.into_iter().map(scored).collect()
    }

    /// All that it says of the first of the people asked about, reasons included.
    pub(crate) fn explain(&self, asked: &Asked) -> Prediction {
        self.predictor.predict(&asked.rows, asked.histories.first().copied().flatten())
    }
}
