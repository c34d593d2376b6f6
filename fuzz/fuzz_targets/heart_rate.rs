//! Any bytes as a Heart Rate Measurement; what is read survives writing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::heart_rate::HeartRateMeasurement;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = HeartRateMeasurement::parse(bytes) {
        assert_eq!(HeartRateMeasurement::parse(&read.encode()).as_ref(), Ok(&read));
    }
});
