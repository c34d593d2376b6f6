//! C1: the values of a feature vector are behind a permit.

use sdk_core::signal::FeatureVector;

fn look(vector: &FeatureVector) -> &[f64] {
    &vector.values
}

fn main() {}
