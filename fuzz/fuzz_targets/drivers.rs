//! Any bytes as notifications of every kind of device, with losses of the link between, and their
//! samples through the features.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::{
    clock::Nanos,
    sensor::DeviceProfile,
    signal::{EdaFeatures, HrvFeatures},
};
use std::time::Duration;

#[derive(Debug, arbitrary::Arbitrary)]
enum Event<'a> {
    Notification { characteristic: u8, wait_ms: u16, bytes: &'a [u8] },
    Reconnected,
    Interrupted,
    Battery(u8),
}

fuzz_target!(|input: (u8, Vec<Event>)| {
    let (profile, events) = input;
    let profile = DeviceProfile::ALL[usize::from(profile) % DeviceProfile::ALL.len()];
    let characteristics = profile.selector(None).characteristics;
    let mut driver = profile.driver();
    let (mut eda, mut hrv) = (EdaFeatures::new(), HrvFeatures::new());
    let mut now = Nanos::ZERO;
    for event in events {
        match event {
            Event::Notification { characteristic, wait_ms, bytes } => {
                now = now + Duration::from_millis(wait_ms.into());
                let from = characteristics[usize::from(characteristic) % characteristics.len()];
                for sample in driver.handle(now, from, bytes).unwrap_or_default() {
                    let _ = eda.push(&sample);
                    let _ = hrv.push(&sample);
                }
            }
            Event::Reconnected => driver.reconnected(),
            Event::Interrupted => driver.interrupted(),
            Event::Battery(percent) => driver.battery(percent),
        }
        let _ = (driver.stats(), driver.status(), driver.last_sequence());
    }
});
