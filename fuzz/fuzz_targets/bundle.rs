//! Any bytes as a model bundle.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::Bundle;

fuzz_target!(|parts: (&[u8], &[u8])| {
    let _ = Bundle::from_bytes(parts.0, parts.1);
});
