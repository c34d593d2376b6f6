//! Any bytes written to the simulated devices, between listening and time.
#![no_main]

use firmware_sim::{device::Device, spec::DeviceSpec};
use libfuzzer_sys::fuzz_target;
use protocol::gatt;

#[derive(Debug, arbitrary::Arbitrary)]
enum Event<'a> {
    Write(&'a [u8]),
    Subscribe(bool),
    Wait { ms: u16 },
}

fuzz_target!(|input: (u8, Vec<Event>)| {
    let specs = [DeviceSpec::polar_h10, DeviceSpec::polar_sense, DeviceSpec::shimmer3_gsr];
    let spec = specs[usize::from(input.0) % specs.len()]();
    let (control, data) = match spec.kind {
        firmware_sim::spec::DeviceKind::Shimmer3Gsr => {
            (gatt::SHIMMER_TO_DEVICE, gatt::SHIMMER_FROM_DEVICE)
        }
        _ => (gatt::PMD_CONTROL, gatt::PMD_DATA),
    };
    let source = spec.source();
    let Ok(mut device) = Device::new(spec, &source, Vec::new()) else { return };
    device.link_up();
    let mut now_ns = 0;
    for event in input.1.iter().take(64) {
        match event {
            Event::Write(bytes) => drop(device.write(control, bytes, now_ns)),
            Event::Subscribe(on) => {
                device.subscribe(control, *on);
                device.subscribe(data, *on);
            }
            Event::Wait { ms } => now_ns += u64::from(*ms % 500) * 1_000_000,
        }
        while device.poll(now_ns).is_some() {}
    }
});
