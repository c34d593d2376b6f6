//! Any bytes as an Avro file of an EmbracePlus.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::sensor::recording::embrace_plus::Import;

fuzz_target!(|bytes: &[u8]| {
    let mut import = Import::default();
    if import.add(bytes).is_ok() {
        let _ = import.finish();
    }
});
