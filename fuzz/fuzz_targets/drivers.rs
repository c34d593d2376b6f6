//! Any bytes as notifications of a strap and a wristband, one after the other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::{
    clock::Nanos,
    sensor::{DeviceProfile, Driver},
};

fuzz_target!(|payloads: Vec<Vec<u8>>| {
    for profile in [DeviceProfile::Eda, DeviceProfile::HeartRate] {
        let mut driver = Driver::new(profile);
        for (k, payload) in payloads.iter().enumerate() {
            let _ = driver.handle(Nanos::from_millis(20 * k as u64), payload);
        }
    }
});
