//! The vendors' devices as a client meets them, byte by byte.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use firmware_sim::{
    device::{Device, Notification, Output, WriteError},
    fault::{Fault, FaultKind, OddForm, Signal},
    physiology::{Beat, Heart, Person, Script, Skin},
    source::{Source, Tape},
    spec::{DeviceKind, DeviceSpec, EdaSpec, MotionSpec},
};
use proptest::prelude::*;
use protocol::{
    gatt, healthypi,
    heart_rate::HeartRateMeasurement,
    polar_pmd::{
        Frame, Measurement, PulseInterval, Samples,
        control::{Command, Features, Message, Op, Response, Setting, SettingKind, Status},
    },
    shimmer::{self, Conductance, Inquiry, Packet},
};

const SECOND: u64 = 1_000_000_000;
const SEED: u64 = 11;
/// What an ATT MTU of 247 leaves.
const LONGEST: usize = 244;

/// A device on the body [`SEED`], connected and subscribed to everything.
fn device(spec: &DeviceSpec, faults: Vec<Fault>) -> Device {
    let source = Source::simulated(SEED, Script::demo());
    let mut device = Device::new(spec.clone(), &source, faults).unwrap();
    connect(&mut device);
    device
}

fn connect(device: &mut Device) {
    device.link_up();
    for service in device.spec().services() {
        for about in service.characteristics {
            if about.access.notify || about.access.indicate {
                device.subscribe(about.uuid, true);
            }
        }
    }
}

fn at_rest(spec: DeviceSpec) -> DeviceSpec {
    DeviceSpec { motion: MotionSpec { bursts_per_minute: 0.0 }, ..spec }
}

fn start_command(measurement: Measurement, hz: Option<u32>) -> Command {
    let rate = hz.map(|hz| Setting::one(SettingKind::SampleRateHz, hz));
    Command::Start { measurement, settings: rate.into_iter().collect() }
}

/// Writes to the control point; gives its answer.
fn ask(device: &mut Device, bytes: &[u8], now_ns: u64) -> Vec<u8> {
    device.write(gatt::PMD_CONTROL, bytes, now_ns).unwrap();
    match device.take_ready() {
        Some(Output::Notification(n)) if n.characteristic == gatt::PMD_CONTROL => n.bytes,
        other => panic!("{other:?} instead of an answer"),
    }
}

fn answer(device: &mut Device, command: &Command, now_ns: u64) -> Response {
    match Message::parse(&ask(device, &command.encode(), now_ns)).unwrap() {
        Message::Answer(response) => response,
        other => panic!("{other:?}"),
    }
}

/// Starts every stream that wants a command.
fn start_all(device: &mut Device, now_ns: u64) {
    let streams: &[(Measurement, Option<u32>)] = match device.spec().kind {
        DeviceKind::PolarH10 => {
            &[(Measurement::Ecg, Some(130)), (Measurement::Acceleration, Some(50))]
        }
        DeviceKind::PolarSense => &[
            (Measurement::Ppg, Some(55)),
            (Measurement::Acceleration, Some(52)),
            (Measurement::Ppi, None),
        ],
        DeviceKind::Shimmer3Gsr => {
            let start = shimmer::Command::Start.encode();
            device.write(gatt::SHIMMER_TO_DEVICE, &start, now_ns).unwrap();
            while device.take_ready().is_some() {}
            return;
        }
        _ => &[],
    };
    for (measurement, hz) in streams {
        let response = answer(device, &start_command(*measurement, *hz), now_ns);
        assert_eq!(response.status, Status::Success, "{measurement:?}");
    }
}

/// Everything sent up to `until_s`, coming back at once after a lost link.
fn run(device: &mut Device, until_s: u64) -> Vec<Notification> {
    let mut sent = Vec::new();
    while let Some(due_ns) = device.next_due_ns().filter(|due| *due < until_s * SECOND) {
        while let Some(output) = device.poll(due_ns) {
            match output {
                Output::Notification(notification) => sent.push(notification),
                Output::Fault(FaultKind::LinkDrop | FaultKind::OutOfRange { .. }) => {
                    connect(device);
                    start_all(device, due_ns);
                }
                Output::Fault(_) => {}
            }
        }
    }
    sent
}

/// A device that streams everything, from the start.
fn streaming(spec: &DeviceSpec, seconds: u64) -> Vec<Notification> {
    let mut device = device(spec, Vec::new());
    start_all(&mut device, 0);
    run(&mut device, seconds)
}

fn frames(sent: &[Notification]) -> impl Iterator<Item = Frame> {
    let pmd = sent.iter().filter(|n| n.characteristic == gatt::PMD_DATA);
    pmd.map(|n| Frame::parse(&n.bytes).unwrap())
}

fn intervals(sent: &[Notification]) -> Vec<PulseInterval> {
    let of = |frame: Frame| match frame.samples {
        Samples::Ppi(intervals) => intervals,
        _ => Vec::new(),
    };
    frames(sent).flat_map(of).collect()
}

/// The packets of an unbroken stream; the last may have come in part.
fn packets(sent: &[Notification]) -> Vec<Packet> {
    let bytes: Vec<u8> = sent.iter().flat_map(|n| n.bytes.clone()).collect();
    let packet = |bytes: &[u8; 6]| {
        let [0, a, b, c, low, high] = *bytes else { panic!("{bytes:02x?} is no packet") };
        let gsr = Some(u16::from_le_bytes([low, high]));
        Packet { ticks: u32::from_le_bytes([a, b, c, 0]), gsr }
    };
    bytes.as_chunks().0.iter().map(packet).collect()
}

fn beats(seconds: f64) -> Vec<Beat> {
    Heart::new(SEED, &Script::demo()).take_while(|beat| beat.at_s < seconds).collect()
}

fn fault(spec: &DeviceSpec, at_s: f64, kind: FaultKind) -> Fault {
    Fault { at_s, device: spec.name.clone(), kind }
}

#[test]
fn the_control_point_answers_as_a_polar_does() {
    let mut h10 = device(&DeviceSpec::polar_h10(), Vec::new());
    let features = Features::parse(&h10.read(gatt::PMD_CONTROL, 0).unwrap()).unwrap();
    assert!(features.has(Measurement::Ecg) && !features.has(Measurement::Ppi));

    let settings = answer(&mut h10, &Command::GetSettings(Measurement::Acceleration), 0);
    assert_eq!((settings.op, settings.status), (Op::GetSettings, Status::Success));
    let rates = settings.settings.iter().find(|s| s.kind == SettingKind::SampleRateHz).unwrap();
    assert_eq!(rates.values, [25, 50, 100, 200]);

    let ecg = |hz| start_command(Measurement::Ecg, hz);
    let stop = Command::Stop(Measurement::Ecg);
    let mut check = |command: &Command, status| {
        assert_eq!(answer(&mut h10, command, 0).status, status, "{command:?}");
    };
    check(&stop, Status::AlreadyInState);
    check(&ecg(Some(500)), Status::InvalidSampleRate);
    check(&ecg(None), Status::InvalidParameter);
    check(&ecg(Some(130)), Status::Success);
    check(&ecg(Some(130)), Status::AlreadyInState);
    check(&start_command(Measurement::Ppg, Some(55)), Status::NotSupported);
    check(&start_command(Measurement::SdkMode, None), Status::NotSupported);
    check(&stop, Status::Success);
    check(&stop, Status::AlreadyInState);

    assert_eq!(ask(&mut h10, &[9, 0], 0)[..4], [0xF0, 9, 0, 1], "invalid op code");
    assert_eq!(ask(&mut h10, &[2, 44], 0)[..4], [0xF0, 2, 44, 2], "invalid measurement");
    assert_eq!(ask(&mut h10, &[3], 0)[..4], [0xF0, 3, 0, 4], "invalid length");
    assert_eq!(ask(&mut h10, &[], 0)[..4], [0xF0, 0, 0, 4], "invalid length");
}

#[test]
fn nobody_streams_unasked_and_nobody_asks_unheard() {
    for kind in [DeviceKind::PolarH10, DeviceKind::PolarSense, DeviceKind::Shimmer3Gsr] {
        let mut device = device(&DeviceSpec::of_kind(kind), Vec::new());
        let sent = run(&mut device, 5);
        assert!(sent.iter().all(|n| n.characteristic == gatt::HEART_RATE_MEASUREMENT));
        assert!(device.started().is_empty());
    }
    let spec = DeviceSpec::polar_h10();
    let source = Source::simulated(SEED, Script::demo());
    let mut deaf = Device::new(spec, &source, Vec::new()).unwrap();
    deaf.link_up();
    assert_eq!(deaf.write(gatt::PMD_CONTROL, &[1, 0], 0), Err(WriteError::NobodyListens));
    assert_eq!(deaf.write(gatt::BATTERY_LEVEL, &[1], 0), Err(WriteError::NotPermitted));
}

#[test]
fn same_seed_same_bytes() {
    let minute = |kind, seed| {
        let source = Source::simulated(seed, Script::demo());
        let mut device = Device::new(DeviceSpec::of_kind(kind), &source, Vec::new()).unwrap();
        connect(&mut device);
        start_all(&mut device, 0);
        run(&mut device, 60)
    };
    for kind in DeviceKind::ALL {
        assert_eq!(minute(kind, 3), minute(kind, 3), "{kind:?}");
        assert_ne!(minute(kind, 3), minute(kind, 4), "{kind:?}");
    }
}

#[test]
fn an_h10_streams_its_ecg_on_its_clock_and_goes_on_with_heart_rate() {
    let sent = streaming(&at_rest(DeviceSpec::polar_h10()), 60);
    let mut microvolts = Vec::new();
    let mut last_ns = None;
    for frame in frames(&sent) {
        match frame.samples {
            Samples::Ecg(samples) => {
                assert_eq!(samples.len(), 73);
                let between = last_ns.map(|last: u64| frame.timestamp_ns - last);
                let exact = 73 * SECOND / 130;
                assert!(between.is_none_or(|b| b.abs_diff(exact) <= 1), "{between:?}");
                last_ns = Some(frame.timestamp_ns);
                microvolts.extend(samples);
            }
            Samples::Acceleration { counts, layout } => {
                for sample in counts {
                    let g = sample.map(|c| layout.milli_g(c, 1.0) / 1000.0);
                    let length = g.iter().map(|v| v * v).sum::<f64>().sqrt();
                    assert!((0.97..1.03).contains(&length), "{length} g at rest");
                }
            }
            other => panic!("{other:?}"),
        }
    }
    // The highest sample around each beat is R, in its place.
    let r_microvolts = 1000.0 * Person::from_seed(SEED).r_wave_millivolts;
    let found = beats(59.0).into_iter().skip(1).map(|beat| {
        let middle = (beat.at_s * 130.0).round() as usize;
        let range = middle - 30..middle + 30;
        let peak = { range }.max_by_key(|k| microvolts[*k]).unwrap();
        let height = f64::from(microvolts[peak]);
        assert!((height - r_microvolts).abs() < 350.0, "{height} of {r_microvolts} microvolts");
        (peak as f64 / 130.0 - beat.at_s).abs()
    });
    let worst = found.fold(0.0, f64::max);
    assert!(worst < 0.015, "R is up to {worst} s off its beat");

    let rr: Vec<f64> = sent
        .iter()
        .filter(|n| n.characteristic == gatt::HEART_RATE_MEASUREMENT)
        .flat_map(|n| HeartRateMeasurement::parse(&n.bytes).unwrap().rr_1024ths)
        .map(|rr| f64::from(rr) / 1024.0)
        .collect();
    for (rr, beat) in rr.iter().zip(beats(60.0)) {
        assert!((rr - beat.rr_s).abs() < 0.001);
    }
}

#[test]
fn pulse_intervals_are_the_beats_and_movement_blocks_them() {
    let sent = streaming(&at_rest(DeviceSpec::polar_sense()), 60);
    let found = intervals(&sent);
    assert!(found.len() > 50);
    for (interval, beat) in found.iter().zip(beats(60.0)) {
        let off = f64::from(interval.interval_ms) / 1e3 - beat.rr_s;
        assert!(off.abs() < 0.001, "{off}");
        assert_eq!((interval.blocker, interval.contact), (false, Some(true)));
    }

    let moving = MotionSpec { bursts_per_minute: 12.0 };
    let sent = streaming(&DeviceSpec { motion: moving, ..DeviceSpec::polar_sense() }, 120);
    let blocked = intervals(&sent).iter().filter(|i| i.blocker).count();
    assert!((10..120).contains(&blocked), "{blocked} blocked");
}

#[test]
fn optical_frames_fit_a_notification_and_dip_after_each_beat() {
    let sent = streaming(&at_rest(DeviceSpec::polar_sense()), 60);
    assert!(sent.iter().all(|n| n.bytes.len() <= LONGEST));
    let of = |frame: Frame| match frame.samples {
        Samples::Ppg { counts, compressed: true } => counts,
        _ => Vec::new(),
    };
    let light: Vec<i32> = frames(&sent).flat_map(of).map(|c| c[0]).collect();
    assert!(light.len() > 3200, "{}", light.len());
    let transit_s = Person::from_seed(SEED).pulse_transit_s;
    for beat in beats(58.0) {
        let index = |s: f64| ((beat.at_s + transit_s + s) * 55.0) as usize;
        let range = index(0.0)..index(0.45);
        let dip = { range }.min_by_key(|k| light[*k]).unwrap();
        let after_s = dip as f64 / 55.0 - beat.at_s - transit_s;
        assert!((0.06..0.25).contains(&after_s), "{after_s} s after {}", beat.at_s);
    }
}

#[test]
fn skin_conductance_is_the_bodys_on_every_device() {
    let expected = |hz: f64, drift_ppm: f64| {
        let mut skin = Skin::new(SEED, &Script::demo());
        (0..).map(move |k| skin.microsiemens_at(f64::from(k) / hz / (1.0 + drift_ppm * 1e-6)))
    };
    let spec = DeviceSpec::healthypi_move();
    let sent = streaming(&spec, 60);
    let gsr = sent.iter().filter(|n| n.characteristic == gatt::HEALTHYPI_GSR);
    let values: Vec<f64> = gsr
        .flat_map(|n| healthypi::parse(&n.bytes).unwrap())
        .map(healthypi::microsiemens)
        .collect();
    assert_eq!(values.len(), 60 * 32);
    for (value, expected) in values.iter().zip(expected(32.0, spec.drift_ppm)) {
        assert!((value - expected).abs() <= 0.005 + 1e-9, "{value} {expected}");
    }

    let spec = DeviceSpec::shimmer3_gsr();
    let packets = packets(&streaming(&spec, 60));
    assert!((7650..=7680).contains(&packets.len()), "{}", packets.len());
    for (k, (packet, expected)) in packets.iter().zip(expected(128.0, spec.drift_ppm)).enumerate() {
        assert_eq!(packet.ticks, k as u32 * 256);
        let value = Conductance::from_raw(packet.gsr.unwrap()).microsiemens.unwrap();
        // Half a count of the least sensitive range.
        assert!((value - expected).abs() <= 0.0373 / 2.0 + 1e-9, "{value} {expected}");
    }
}

#[test]
fn a_shimmer_changes_its_range_with_the_skin() {
    let ramp: Vec<f64> = (0..240).map(|k| 0.2 + f64::from(k) * 0.1).collect();
    let tape = Tape { eda_hz: 4.0, eda_microsiemens: ramp, beats: Vec::new() };
    let spec = DeviceSpec::shimmer3_gsr();
    let mut device = Device::new(spec, &Source::tape(tape), Vec::new()).unwrap();
    connect(&mut device);
    start_all(&mut device, 0);
    let raw: Vec<u16> = packets(&run(&mut device, 59)).iter().map(|p| p.gsr.unwrap()).collect();
    let mut ranges: Vec<u16> = raw.iter().map(|raw| raw >> 14).collect();
    ranges.dedup();
    assert_eq!(ranges, [3, 2, 1, 0]);
}

#[test]
fn a_healthypi_with_firmware_3_puts_ecg_between() {
    let spec = DeviceSpec::healthypi_move();
    let spec = DeviceSpec { eda: EdaSpec { mixes_in_ecg: true, ..spec.eda }, ..spec };
    let sent = streaming(&spec, 20);
    let clean = streaming(&DeviceSpec::healthypi_move(), 20);
    let values = |sent: &[Notification], signal| -> Vec<i32> {
        let gsr = sent.iter().filter(|n| n.characteristic == gatt::HEALTHYPI_GSR);
        let of = gsr.filter(|n| n.signal == Some(signal));
        of.flat_map(|n| healthypi::parse(&n.bytes).unwrap()).collect()
    };
    assert_eq!(values(&sent, Signal::Eda), values(&clean, Signal::Eda));
    let ecg = values(&sent, Signal::Ecg);
    assert!((2552..=2560).contains(&ecg.len()), "{} values of ECG in 20 s", ecg.len());
    assert!(*ecg.iter().max().unwrap() > 1500, "an R wave is among them");
    assert!(values(&clean, Signal::Ecg).is_empty());
}

#[test]
fn a_shimmer_answers_and_is_silent_as_its_firmware() {
    let mut device = device(&DeviceSpec::shimmer3_gsr(), Vec::new());
    let mut write = |bytes: &[u8], now_ns: u64| -> Vec<u8> {
        device.write(gatt::SHIMMER_TO_DEVICE, bytes, now_ns).unwrap();
        let mut heard = Vec::new();
        while let Some(Output::Notification(n)) = device.poll(now_ns) {
            assert!((1..=60).contains(&n.bytes.len()));
            heard.extend(n.bytes);
        }
        heard
    };
    const ACK: u8 = 0xFF;
    let set_up = |ticks| [vec![ACK], Inquiry::gsr_only(ticks).unwrap().encode()].concat();
    assert_eq!(write(&[0x01], 0), set_up(256));
    assert!(write(&[0x77, 1, 2], 0).is_empty());
    assert!(write(&[0x05, 0, 0], 0).is_empty());
    assert_eq!(write(&shimmer::Command::SetSamplingTicks(512).encode(), 0), [ACK]);
    assert_eq!(write(&[0x01], 0), set_up(512));
    let mut heard = write(&[0x07], 0);
    // Nothing but to stop while it streams: what comes is the stream.
    heard.extend(write(&[0x01], SECOND));
    heard.extend(write(&[0x20], SECOND));
    let [ACK, stream @ .., ACK] = heard.as_slice() else { panic!("{heard:02x?}") };
    assert_eq!(stream.len(), 65 * 6);
    assert!(stream.iter().step_by(6).all(|header| *header == 0));
    assert_eq!(write(&[0x07], 3 * SECOND)[0], ACK);
}

#[test]
fn a_lost_link_ends_streams_and_the_gap_is_what_was_counted() {
    for kind in [DeviceKind::PolarH10, DeviceKind::PolarSense, DeviceKind::Shimmer3Gsr] {
        let spec = at_rest(DeviceSpec::of_kind(kind));
        let mut device = device(&spec, Vec::new());
        start_all(&mut device, 0);
        let signals = device.started();
        let before = run(&mut device, 10);
        device.inject(FaultKind::LinkDrop, 10 * SECOND);
        while device.take_ready().is_some() {}
        assert!(device.started().is_empty());
        while device.poll(12 * SECOND).is_some() {}
        connect(&mut device);
        assert!(run(&mut device, 13).iter().all(|n| n.signal == Some(Signal::Beats)));
        // What an app writes to be sure that nothing runs is no news: the gap goes on.
        match kind {
            DeviceKind::Shimmer3Gsr => {
                for command in [shimmer::Command::Stop, shimmer::Command::SetSamplingTicks(256)] {
                    device.write(gatt::SHIMMER_TO_DEVICE, &command.encode(), 13 * SECOND).unwrap();
                }
                while device.take_ready().is_some() {}
            }
            _ => {
                for measurement in [Measurement::Ecg, Measurement::Ppg, Measurement::Ppi] {
                    let stopped = answer(&mut device, &Command::Stop(measurement), 13 * SECOND);
                    assert_ne!(stopped.status, Status::Success);
                }
            }
        }
        start_all(&mut device, 13 * SECOND);
        assert_eq!(device.started(), signals);
        let after = run(&mut device, 20);
        for signal in signals {
            let counts = device.injected().samples.of(signal);
            assert!(counts.unsent > 0 && counts.lost + counts.spoiled == 0, "{counts:?}");
            match signal {
                Signal::Ecg => {
                    let of = |sent: &[Notification]| -> Vec<(u64, u64)> {
                        let ecg = frames(sent).filter(|f| matches!(f.samples, Samples::Ecg(_)));
                        ecg.map(|f| (f.timestamp_ns, f.samples.len() as u64)).collect()
                    };
                    let (last_ns, _) = *of(&before).last().unwrap();
                    let (next_ns, length) = of(&after)[0];
                    let gap = (next_ns - last_ns) as f64 * 130.0 / 1e9;
                    assert_eq!(gap.round() as u64 - length, counts.unsent);
                }
                Signal::Eda => {
                    let (before, after) = (packets(&before), packets(&after));
                    let ticks = after[0].ticks - before.last().unwrap().ticks;
                    assert_eq!(u64::from(ticks / 256) - 1, counts.unsent);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_clock_reset_sends_timestamps_back() {
    let spec = DeviceSpec::polar_h10();
    let mut device = device(&spec, vec![fault(&spec, 5.0, FaultKind::ClockReset)]);
    start_all(&mut device, 0);
    let sent = run(&mut device, 20);
    let ecg: Vec<u64> = frames(&sent)
        .filter(|f| matches!(f.samples, Samples::Ecg(_)))
        .map(|f| f.timestamp_ns)
        .collect();
    let back: Vec<_> = ecg.windows(2).filter(|w| w[1] < w[0]).collect();
    assert_eq!((back.len(), device.injected().clock_resets), (1, 1));
    assert!(ecg.iter().min().unwrap() / SECOND >= 599_616_000, "2019 and later");
}

#[test]
fn off_the_skin_there_is_no_body() {
    let off = |spec: &DeviceSpec| {
        let contact = fault(spec, 5.0, FaultKind::ContactLoss { for_s: 5.0 });
        let mut device = device(spec, vec![contact]);
        start_all(&mut device, 0);
        (run(&mut device, 15), device.injected())
    };
    let spec = at_rest(DeviceSpec::polar_sense());
    let (sent, injected) = off(&spec);
    let without = intervals(&sent).iter().filter(|i| i.contact == Some(false)).count();
    assert!(without > 2, "{without}");
    assert_eq!(injected.contact_losses, 1);
    let (sent, _) = off(&DeviceSpec::shimmer3_gsr());
    let open = packets(&sent)
        .iter()
        .filter(|p| Conductance::from_raw(p.gsr.unwrap()).microsiemens.is_none())
        .count();
    assert_eq!(open, 5 * 128);
    let (sent, _) = off(&DeviceSpec::healthypi_move());
    let gsr = sent.iter().filter(|n| n.characteristic == gatt::HEALTHYPI_GSR);
    let zeros = gsr.flat_map(|n| healthypi::parse(&n.bytes).unwrap()).filter(|v| *v == 0).count();
    assert_eq!(zeros, 5 * 32);
}

#[test]
fn a_tape_ends_in_silence() {
    let beats = beats(20.0);
    let last_s = beats.last().unwrap().at_s;
    let tape = Tape { eda_hz: 4.0, eda_microsiemens: vec![2.0; 80], beats };
    for kind in DeviceKind::ALL {
        let spec = at_rest(DeviceSpec::of_kind(kind));
        let mut device = Device::new(spec, &Source::tape(tape.clone()), Vec::new()).unwrap();
        connect(&mut device);
        start_all(&mut device, 0);
        let sent = run(&mut device, 60);
        let moves = |n: &&Notification| n.signal != Some(Signal::Acceleration);
        let late = sent.iter().filter(moves).map(|n| n.due_ns).max().unwrap();
        let whole = (last_s + 1.5) * 1e9;
        let silent = late as f64 <= whole || kind == DeviceKind::Shimmer3Gsr;
        assert!(silent, "{kind:?} still sends at {late}");
    }
}

#[test]
fn odd_payloads_are_read_by_no_parser_and_reserved_flags_by_all() {
    for kind in [DeviceKind::PolarH10, DeviceKind::PolarSense, DeviceKind::HealthypiMove] {
        for form in [OddForm::Truncated, OddForm::Garbage, OddForm::Empty, OddForm::ReservedFlags] {
            let spec = DeviceSpec::of_kind(kind);
            let odd = FaultKind::OddPayload { form };
            // Several, so that each stream has some.
            let faults = (0..8).map(|k| fault(&spec, f64::from(k) / 4.0, odd)).collect();
            let mut device = device(&spec, faults);
            start_all(&mut device, 0);
            let sent = run(&mut device, 10);
            let readable = |n: &&Notification| match n.characteristic {
                gatt::PMD_DATA => Frame::parse(&n.bytes).is_ok(),
                gatt::HEALTHYPI_GSR => healthypi::parse(&n.bytes).is_ok(),
                gatt::HEART_RATE_MEASUREMENT => HeartRateMeasurement::parse(&n.bytes).is_ok(),
                _ => true,
            };
            let unreadable = sent.len() - sent.iter().filter(readable).count();
            let expected = if form == OddForm::ReservedFlags { 0 } else { 8 };
            assert_eq!(unreadable, expected, "{kind:?} {form:?}");
            assert_eq!(device.injected().odd_payloads, expected as u64);
        }
    }
}

fn any_kind() -> impl Strategy<Value = FaultKind> {
    let form = prop::sample::select(vec![
        OddForm::Truncated,
        OddForm::Garbage,
        OddForm::Empty,
        OddForm::ReservedFlags,
    ]);
    let for_s = prop_oneof![0.0..10.0, any::<f64>()];
    prop_oneof![
        Just(FaultKind::LinkDrop),
        Just(FaultKind::Reorder),
        Just(FaultKind::ClockReset),
        (0u32..20).prop_map(|count| FaultKind::Lose { count }),
        (0u32..20).prop_map(|count| FaultKind::Duplicate { count }),
        (0u32..20).prop_map(|count| FaultKind::AbsurdRr { count }),
        form.prop_map(|form| FaultKind::OddPayload { form }),
        for_s.prop_flat_map(|for_s| prop::sample::select(vec![
            FaultKind::OutOfRange { for_s },
            FaultKind::ContactLoss { for_s },
            FaultKind::Saturated { for_s },
            FaultKind::NoReading { for_s },
        ])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn under_any_faults_every_sample_is_accounted_for_once(
        faults in prop::collection::vec((0.0..12.0, any_kind()), 0..6),
        kind in prop::sample::select(DeviceKind::ALL.to_vec()),
    ) {
        let spec = DeviceSpec::of_kind(kind);
        let faults: Vec<Fault> =
            faults.into_iter().map(|(at_s, kind)| fault(&spec, at_s, kind)).collect();
        let odd = |fault: &Fault| matches!(fault.kind, FaultKind::OddPayload { .. });
        let any_odd = faults.iter().any(odd);
        let mut device = device(&spec, faults);
        start_all(&mut device, 0);
        let sent = run(&mut device, 20);
        prop_assert!(sent.iter().all(|n| n.bytes.len() <= LONGEST));
        let injected = device.injected();
        for signal in [Signal::Eda, Signal::Beats, Signal::Ecg, Signal::Acceleration, Signal::Ppg, Signal::Ppi] {
            let of = |n: &&Notification| n.signal == Some(signal);
            let mut whole: Vec<u64> = sent.iter().filter(of).flat_map(|n| n.samples.clone()).collect();
            whole.sort_unstable();
            whole.dedup();
            let counts = injected.samples.of(signal);
            // Payloads that cannot be read arrive too, and samples of a byte stream arrive in parts.
            let exact = kind != DeviceKind::Shimmer3Gsr && !any_odd;
            let arrived = whole.len() as u64;
            prop_assert!(!exact || arrived == counts.sent, "{:?}: {} of {:?}", signal, arrived, counts);
            let last = whole.last().map_or(0, |last| last + 1);
            // What follows the last arrival is lost, held, or still in the radio.
            let total = counts.sent + counts.missing();
            prop_assert!(total + 1 >= last, "{:?}: {} of {:?}", signal, last, counts);
        }
    }

    #[test]
    fn whatever_is_written_a_polar_answers_and_streams_on(
        writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
        head in prop::sample::select(vec![[2u8, 0], [2, 2], [3, 0], [1, 3]]),
        sense: bool,
    ) {
        let spec = if sense { DeviceSpec::polar_sense() } else { DeviceSpec::polar_h10() };
        let mut device = device(&spec, Vec::new());
        start_all(&mut device, 0);
        for (k, bytes) in (0u64..).zip(writes) {
            let now_ns = k * SECOND / 4;
            while device.poll(now_ns).is_some() {}
            for bytes in [bytes.clone(), [&head[..], &bytes].concat()] {
                let answer = ask(&mut device, &bytes, now_ns);
                prop_assert_eq!((answer[0], Some(answer[1])), (0xF0, bytes.first().copied().or(Some(0))));
            }
        }
        let sent = run(&mut device, 10);
        prop_assert!(sent.iter().any(|n| n.signal == Some(Signal::Beats)));
    }

    #[test]
    fn whatever_is_written_a_shimmer_can_be_started_again(
        writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 1..30),
        head in prop::sample::select(vec![0x01u8, 0x05, 0x07, 0x08, 0x20, 0x21]),
    ) {
        let mut device = device(&DeviceSpec::shimmer3_gsr(), Vec::new());
        let mut now_ns = 0;
        for bytes in writes {
            now_ns += SECOND / 10;
            while device.poll(now_ns).is_some() {}
            device.write(gatt::SHIMMER_TO_DEVICE, &bytes, now_ns).unwrap();
            device.write(gatt::SHIMMER_TO_DEVICE, &[&[head], &bytes[..]].concat(), now_ns).unwrap();
            device.write(gatt::SHIMMER_TO_DEVICE, &[head], now_ns).unwrap();
        }
        for command in [shimmer::Command::Stop, shimmer::Command::SetSamplingTicks(256), shimmer::Command::Start] {
            device.write(gatt::SHIMMER_TO_DEVICE, &command.encode(), now_ns).unwrap();
        }
        while device.take_ready().is_some() {}
        let sent = run(&mut device, now_ns / SECOND + 3);
        prop_assert!(packets(&sent).len() > 100);
    }
}
