//! Which sensors a kind of device has, and what can be read from it.

use protocol::gatt;
use uuid::Uuid;

use super::{
    beats::BeatStream,
    channel::{Channel, Sensor, Told},
    clock::DeviceClock,
    eda::EdaStream,
    frames::{FrameStream, Wave},
    pmd::{self, MILLI_G_PER_COUNT},
    ppi::PpiStream,
    shimmer::ShimmerStream,
};
use crate::{
    fault::Signal,
    physiology::{Ecg, Motion, Ppg},
    source::Source,
    spec::{DeviceKind, DeviceSpec, interval_ticks},
};
use protocol::eda_profile::TICKS_PER_SECOND;

/// Body Sensor Location (Bluetooth SIG): other, chest, wrist.
const OTHER: u8 = 0;
const CHEST: u8 = 1;
const WRIST: u8 = 2;

/// ECG of a HealthyPi: samples a second, and a notification.
const STRAY_ECG_HZ: u64 = 128;
const STRAY_ECG_BATCH: u64 = 8;

/// The streams of a device, the one it is worn for first.
pub(super) fn channels(spec: &DeviceSpec, clock: DeviceClock, source: &Source) -> Vec<Channel> {
    let heart_rate = || {
        let beats = Sensor::Beats(BeatStream::new(clock, source));
        Channel::new(Signal::Beats, gatt::HEART_RATE_MEASUREMENT, beats, Told::Always)
    };
    match spec.kind {
        DeviceKind::Wristband => {
            let eda = Sensor::Eda(EdaStream::new(spec, clock, source));
            vec![Channel::new(Signal::Eda, gatt::EDA_MEASUREMENT, eda, Told::Always)]
        }
        DeviceKind::Strap => vec![heart_rate()],
        DeviceKind::PolarH10 | DeviceKind::PolarSense => {
            let streams = pmd::streams(spec.kind).iter();
            let told = streams.map(|stream| {
                let sensor = polar(spec, clock, source, stream);
                Channel::new(stream.signal, gatt::PMD_DATA, sensor, Told::Idle)
            });
            told.chain([heart_rate()]).collect()
        }
        DeviceKind::HealthypiMove => {
            let on_gsr = |signal, rate, batch, wave| {
                let frames = Sensor::Frames(FrameStream::new(clock, rate, batch, wave));
                Channel::new(signal, gatt::HEALTHYPI_GSR, frames, Told::Always)
            };
            let rate = (u64::from(interval_ticks(spec.eda.hz)), u64::from(TICKS_PER_SECOND));
            let skin = Wave::Gsr(source.conductance());
            let gsr = on_gsr(Signal::Eda, rate, spec.eda.batch as u64, skin);
            let stray = spec.eda.mixes_in_ecg.then(|| {
                let ecg = Ecg::new(seed(spec, source), source.beats());
                let (rate, batch) = ((1, STRAY_ECG_HZ), STRAY_ECG_BATCH);
                on_gsr(Signal::Ecg, rate, batch, Wave::StrayEcg(Box::new(ecg)))
            });
            [gsr, heart_rate()].into_iter().chain(stray).collect()
        }
        DeviceKind::Shimmer3Gsr => {
            let ticks = interval_ticks(spec.eda.hz);
            let stream = ShimmerStream::new(clock, spec.seed, source.conductance(), ticks);
            let sensor = Sensor::Shimmer(Box::new(stream));
            vec![Channel::new(Signal::Eda, gatt::SHIMMER_FROM_DEVICE, sensor, Told::Idle)]
        }
    }
}

fn polar(spec: &DeviceSpec, clock: DeviceClock, source: &Source, stream: &pmd::Stream) -> Sensor {
    let seed = seed(spec, source);
    let bursts = spec.motion.bursts_per_minute;
    let signal = match stream.signal {
        Signal::Ecg => Wave::Ecg(Box::new(Ecg::new(seed, source.beats()))),
        Signal::Ppg => Wave::Ppg(Box::new(Ppg::new(seed, source.beats(), bursts))),
        Signal::Acceleration => {
            let compressed = spec.kind == DeviceKind::PolarSense;
            let per_count = compressed.then_some(f64::from(MILLI_G_PER_COUNT));
            Wave::Acceleration(Box::new(Motion::new(seed, bursts)), per_count)
        }
        Signal::Ppi | Signal::Eda | Signal::Beats => {
            return Sensor::Ppi(Box::new(PpiStream::new(clock, seed, source, bursts)));
        }
    };
    let hz = stream.hz();
    Sensor::Frames(FrameStream::new(clock, (1, hz), stream.batch(hz), signal))
}

/// The body behind a source; for a recording that of the description.
fn seed(spec: &DeviceSpec, source: &Source) -> u64 {
    match source {
        Source::Simulated { seed, .. } => *seed,
        Source::Tape(_) => spec.seed,
    }
}

/// The services of a kind of device.
pub(crate) fn services(kind: DeviceKind) -> Vec<gatt::Service> {
    let mut services = match kind {
        DeviceKind::Wristband => vec![gatt::EDA],
        DeviceKind::Strap => vec![gatt::HEART_RATE],
        DeviceKind::PolarH10 | DeviceKind::PolarSense => vec![gatt::HEART_RATE, gatt::PMD],
        DeviceKind::HealthypiMove => vec![gatt::HEALTHYPI, gatt::HEART_RATE],
        DeviceKind::Shimmer3Gsr => vec![gatt::SHIMMER],
    };
    // A Shimmer's radio knows nothing of the battery behind it.
    services.extend((kind != DeviceKind::Shimmer3Gsr).then_some(gatt::BATTERY));
    services.push(gatt::DEVICE_INFORMATION);
    services
}

/// What does not change and can be read from `characteristic`.
pub(super) fn read(spec: &DeviceSpec, characteristic: Uuid) -> Option<Vec<u8>> {
    let text = |text: &str| Some(text.as_bytes().to_vec());
    match characteristic {
        gatt::BODY_SENSOR_LOCATION => location(spec.kind).map(|place| vec![place]),
        gatt::PMD_CONTROL => Some(pmd::features(spec.kind)),
        gatt::MANUFACTURER_NAME => text("Attune (simulated)"),
        gatt::MODEL_NUMBER => text(match spec.kind {
            DeviceKind::Wristband => "Simulated wristband",
            DeviceKind::Strap => "Simulated strap",
            DeviceKind::PolarH10 => "Simulated H10",
            DeviceKind::PolarSense => "Simulated Verity Sense",
            DeviceKind::HealthypiMove => "Simulated HealthyPi Move",
            DeviceKind::Shimmer3Gsr => "Simulated Shimmer3 GSR+",
        }),
        gatt::SERIAL_NUMBER => text(&spec.address.replace(':', "")),
        gatt::FIRMWARE_REVISION => text(env!("CARGO_PKG_VERSION")),
        gatt::HARDWARE_REVISION => text("simulated"),
        _ => None,
    }
}

fn location(kind: DeviceKind) -> Option<u8> {
    match kind {
        DeviceKind::Strap | DeviceKind::PolarH10 => Some(CHEST),
        DeviceKind::PolarSense => Some(OTHER),
        DeviceKind::HealthypiMove => Some(WRIST),
        DeviceKind::Wristband | DeviceKind::Shimmer3Gsr => None,
    }
}
