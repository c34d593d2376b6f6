//! C9: a raw sample cannot be serialised.

use sdk_core::sensor::Sample;

fn upload(sample: &Sample) -> String {
    serde_json::to_string(sample).unwrap()
}

fn main() {}
