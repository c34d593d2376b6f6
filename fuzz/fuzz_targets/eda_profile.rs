//! Any bytes as an EDA Measurement; what is read survives writing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::eda_profile::EdaMeasurement;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = EdaMeasurement::parse(bytes) {
        assert_eq!(EdaMeasurement::parse(&read.encode()).as_ref(), Ok(&read));
    }
});
