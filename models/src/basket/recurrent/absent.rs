//! In place of the networks, where they cannot be run.

use super::{Networks, RecurrentError};

/// There are none.
#[derive(Clone)]
pub(super) enum Plans {}

impl Plans {
    pub(super) fn new(_: &Networks) -> Result<Self, RecurrentError> {
        Err(RecurrentError::Absent)
    }

    pub(super) fn advance(&self, _: &[f32], _: &[f32]) -> Result<Vec<f32>, RecurrentError> {
        match *self {}
    }

    pub(super) fn look(
        &self,
        _: &[f32],
        _: &[f32],
        _: &[f32],
    ) -> Result<(Vec<f32>, Vec<f32>, f32), RecurrentError> {
        match *self {}
    }
}
