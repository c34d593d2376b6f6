//! Bodies of the endpoints that take operators' rows, as each of them reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = server::fuzzing::rows(bytes);
});
