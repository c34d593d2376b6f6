//! Any bytes as notifications of each kind of device, on each of its characteristics in turn.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::{clock::Nanos, sensor::DeviceProfile};

fuzz_target!(|payloads: Vec<Vec<u8>>| {
    for profile in DeviceProfile::ALL {
        let characteristics = profile.selector(None).characteristics;
        for first in 0..characteristics.len() {
            let mut driver = profile.driver();
            for (k, payload) in payloads.iter().enumerate() {
                let characteristic = characteristics[(first + k) % characteristics.len()];
                let arrived = Nanos::from_millis(20 * k as u64);
                let _ = driver.handle(arrived, characteristic, payload);
            }
        }
    }
});
