//! Any bytes as a recording of Attune, and any events in a sound one: checksums alone would keep
//! chance out of what lies behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_core::{
    clock::Nanos,
    sensor::{
        DeviceProfile,
        recording::attune::{Event, Recorder, play},
    },
};

#[derive(Debug, arbitrary::Arbitrary)]
enum Happening<'a> {
    Device(u8),
    Notification(u8, &'a [u8]),
    Link(bool),
    Battery(u8),
    Interrupted,
    Marker(&'a str),
    Consent(u64),
}

fuzz_target!(|input: (&[u8], Vec<(u8, u32, Happening)>)| {
    let _ = play(input.0);
    let mut recorder = Recorder::default();
    let mut file = recorder.header(0);
    let mut at = Nanos::ZERO;
    let mut profiles = [DeviceProfile::Eda; 4];
    for (device, wait_us, happening) in input.1 {
        at = Nanos(at.0 + u64::from(wait_us) * 1_000);
        let number = usize::from(device % 4);
        let device = number as u16;
        let event = match happening {
            Happening::Device(profile) => {
                profiles[number] =
                    DeviceProfile::ALL[usize::from(profile) % DeviceProfile::ALL.len()];
                Event::Device { device, profile: profiles[number].id() }
            }
            Happening::Notification(from, bytes) => {
                let known = profiles[number].selector(None).characteristics;
                let characteristic = known[usize::from(from) % known.len()];
                Event::Notification { device, characteristic, bytes }
            }
            Happening::Link(up) => Event::Link { device, up },
            Happening::Battery(percent) => Event::Battery { device, percent },
            Happening::Interrupted => Event::Interrupted { device },
            Happening::Marker(label) => Event::Marker { label },
            Happening::Consent(epoch) => Event::Consent { epoch },
        };
        if let Ok(frame) = recorder.frame(at, &event) {
            file.extend(frame);
        }
    }
    let Ok(opened) = play(&file) else { panic!("a sound file is refused") };
    assert!(opened.samples().is_sorted_by_key(|sample| sample.at));
    // What is damaged costs itself alone.
    if let Some(byte) = input.0.first().and_then(|at| file.get_mut(16 + usize::from(*at))) {
        *byte ^= 0x55;
        assert!(play(&file).is_ok());
    }
});
