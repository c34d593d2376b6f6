//! Any bytes as an XDF file of LabRecorder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::sensor::recording::xdf;

fuzz_target!(|bytes: &[u8]| {
    let _ = xdf::import(bytes);
});
