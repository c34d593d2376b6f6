//! Any bytes as a recording of Attune, played through the drivers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::sensor::recording::attune;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(opened) = attune::play(bytes) {
        assert!(opened.samples().is_sorted_by_key(|sample| sample.at));
    }
});
