//! Any text as a column of numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::sensor::column;

fuzz_target!(|input: (&str, u8)| {
    let _ = column::parse(input.0, input.1.into());
});
