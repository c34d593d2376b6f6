//! Any bytes as GSR of a HealthyPi Move.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::healthypi;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(counts) = healthypi::parse(bytes) {
        assert_eq!(healthypi::encode(&counts), bytes);
        for count in counts {
            let _ = healthypi::microsiemens(count);
        }
    }
});
