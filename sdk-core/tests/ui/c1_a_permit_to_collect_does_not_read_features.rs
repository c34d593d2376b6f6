//! C1: collecting is not inferring.

use sdk_core::{
    consent::{Collect, Permit},
    signal::FeatureVector,
};

fn look<'a>(vector: &'a FeatureVector, permit: &Permit<Collect>) -> &'a [f64] {
    vector.read(permit).unwrap()
}

fn main() {}
