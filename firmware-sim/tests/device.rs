//! What a device sends is what its source holds, its clock shows and its faults leave.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use firmware_sim::{
    device::{Device, Notification, Output},
    fault::{Fault, FaultKind, FaultScript, Injected, OddForm},
    physiology::{Beat, Script, session},
    source::{Source, Tape},
    spec::{BatterySpec, DeviceSpec},
};
use proptest::prelude::*;
use protocol::{
    eda_profile::{EdaMeasurement, microsiemens},
    gatt,
    heart_rate::HeartRateMeasurement,
};
use sha2::{Digest, Sha256};

const SECOND: u64 = 1_000_000_000;

fn subscribed(spec: DeviceSpec, source: &Source, faults: &str) -> Device {
    let faults = FaultScript::parse(faults).unwrap().of_device(&spec.name);
    let mut device = Device::new(spec, source, faults).unwrap();
    subscribe(&mut device);
    device
}

fn subscribe(device: &mut Device) {
    device.link_up();
    device.subscribe(device.measurement(), true);
    device.subscribe(gatt::BATTERY_LEVEL, true);
}

/// Everything sent up to `until_s`, reconnecting at once after a lost link.
fn run(device: &mut Device, until_s: u64) -> Vec<Notification> {
    let mut sent = Vec::new();
    while let Some(due_ns) = device.next_due_ns().filter(|due| *due < until_s * SECOND) {
        while let Some(output) = device.poll(due_ns) {
            match output {
                Output::Notification(notification) => sent.push(notification),
                Output::Fault(FaultKind::LinkDrop) => subscribe(device),
                Output::Fault(_) => {}
            }
        }
    }
    sent
}

fn eda(sent: &[Notification]) -> Vec<EdaMeasurement> {
    let measured = sent.iter().filter(|n| n.characteristic == gatt::EDA_MEASUREMENT);
    measured.map(|n| EdaMeasurement::parse(&n.bytes).unwrap()).collect()
}

fn heart(sent: &[Notification]) -> Vec<HeartRateMeasurement> {
    let measured = sent.iter().filter(|n| n.characteristic == gatt::HEART_RATE_MEASUREMENT);
    measured.map(|n| HeartRateMeasurement::parse(&n.bytes).unwrap()).collect()
}

fn digest(sent: &[Notification]) -> String {
    let mut hash = Sha256::new();
    for n in sent {
        hash.update(n.due_ns.to_le_bytes());
        hash.update(&n.bytes);
    }
    hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

fn wristband_fault(kind: &str) -> String {
    format!("[[fault]]\nat_s = 5\ndevice = 'Attune Wristband'\n{kind}")
}

fn strap_fault(kind: &str) -> String {
    format!("[[fault]]\nat_s = 5\ndevice = 'Attune Strap'\n{kind}")
}

/// Twenty seconds of a wristband at 8 notifications a second, with one fault at 5 s.
fn faulty_wristband(kind: &str) -> (Vec<Notification>, Injected) {
    let spec = DeviceSpec::wristband();
    let mut device = subscribed(spec.clone(), &spec.source(), &wristband_fault(kind));
    (run(&mut device, 20), device.injected())
}

fn faulty_strap(kind: &str) -> (Vec<Notification>, Injected) {
    let spec = DeviceSpec::strap();
    let mut device = subscribed(spec.clone(), &spec.source(), &strap_fault(kind));
    (run(&mut device, 20), device.injected())
}

#[test]
fn same_seed_same_bytes() {
    let minute = |spec: DeviceSpec, seed| {
        let source = Source::simulated(seed, Script::demo());
        digest(&run(&mut subscribed(spec, &source, ""), 60))
    };
    let (band, strap) = (minute(DeviceSpec::wristband(), 7), minute(DeviceSpec::strap(), 7));
    assert_eq!((band.as_str(), strap.as_str()), ("71539c58984db6a0", "ca1d3b5df7c67884"));
    assert_ne!(minute(DeviceSpec::wristband(), 8), band);
}

#[test]
fn samples_stand_on_the_drifting_clock() {
    for drift_ppm in [0.0, 100.0, -100.0] {
        let spec = DeviceSpec { drift_ppm, ..DeviceSpec::wristband() };
        let sent = run(&mut subscribed(spec.clone(), &spec.source(), ""), 60);
        for (n, m) in sent.iter().zip(eda(&sent)) {
            let last_tick = f64::from(m.ticks) + 3.0 * f64::from(m.interval_ticks);
            let true_s = last_tick / (32_768.0 * (1.0 + drift_ppm * 1e-6));
            assert!((n.due_ns as f64 - true_s * 1e9).abs() <= 1.0, "{n:?}");
            assert_eq!((m.interval_ticks, m.ticks % 4096), (1024, 0));
        }
    }
}

#[test]
fn sequence_and_ticks_wrap() {
    let spec = DeviceSpec { clock_start_ticks: u32::MAX - 1023, ..DeviceSpec::wristband_50hz() };
    let sent = run(&mut subscribed(spec.clone(), &spec.source(), ""), 1320);
    let measured = eda(&sent);
    assert!(measured.len() > 66_000);
    assert!(measured.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)));
    assert!(measured.windows(2).all(|w| w[1].ticks == w[0].ticks.wrapping_add(655)));
    assert_eq!(sent[66_000].sequence, 66_000);
}

#[test]
fn a_tape_is_played_exactly() {
    let values = [0.830_302, 3.257_005, f64::NAN, -0.5, 0.0, 99.999_999, 100.1, 5000.0, 1.25, 2.5];
    let tape = Tape { eda_hz: 4.0, eda_microsiemens: values.to_vec(), beats: Vec::new() };
    let spec = DeviceSpec { drift_ppm: 0.0, ..DeviceSpec::wristband() };
    let sent = run(&mut subscribed(spec, &Source::tape(tape), ""), 60);
    let measured = eda(&sent);
    assert_eq!(measured.iter().map(|m| m.ticks).collect::<Vec<_>>(), [0, 4 * 8192, 8 * 8192]);
    let decoded: Vec<Option<f64>> = measured
        .iter()
        .flat_map(|m| m.samples_picosiemens.iter().map(|s| s.map(microsiemens)))
        .collect();
    let absurd = |v: f64| (0.0..=100.0).contains(&v).then_some(v);
    assert_eq!(decoded, values.map(absurd));
    assert_eq!(sent.iter().map(|n| n.due_ns / 1_000_000).collect::<Vec<_>>(), [750, 1750, 2250]);
}

#[test]
fn a_whole_simulated_session_survives_as_a_tape() {
    let session = session(3, &Script::demo(), 60.0, 4.0);
    let source = Source::tape(session.clone().into());
    let samples = eda(&run(&mut subscribed(DeviceSpec::wristband(), &source, ""), 61))
        .into_iter()
        .flat_map(|m| m.samples_picosiemens)
        .flatten()
        .map(microsiemens);
    for (played, kept) in samples.zip(&session.eda_microsiemens) {
        assert!((played - kept).abs() <= 0.5e-6 + 1e-12);
    }
    let sent = run(&mut subscribed(DeviceSpec::strap(), &source, ""), 61);
    assert_eq!(sent.len(), session.beats.len());
    for ((n, m), beat) in sent.iter().zip(heart(&sent)).zip(&session.beats) {
        assert_eq!(n.due_ns, (beat.at_s * 1e9).round() as u64);
        assert_eq!(m.rr_1024ths, [(beat.rr_s * 1024.0).round() as u16]);
        assert_eq!(m.contact, Some(true));
    }
}

#[test]
fn a_gap_on_the_tape_is_a_lost_contact_when_the_next_beat_was_due() {
    let beat = |at_s, rr_s| Beat { at_s, rr_s };
    // 1.3 s to the fourth beat is within half an interval of being explained; 4 s is not.
    let beats = vec![beat(1.0, 0.8), beat(1.9, 0.9), beat(5.9, 0.8), beat(7.2, 0.9)];
    let tape = Tape { eda_hz: 4.0, eda_microsiemens: Vec::new(), beats };
    let sent = run(&mut subscribed(DeviceSpec::strap(), &Source::tape(tape), ""), 60);
    let seen: Vec<_> = sent
        .iter()
        .zip(heart(&sent))
        .map(|(n, m)| (n.due_ns / 1_000_000, m.contact, m.rr_1024ths))
        .collect();
    assert_eq!(
        seen,
        [
            (1000, Some(true), vec![819]),
            (1900, Some(true), vec![922]),
            (2800, Some(false), vec![]),
            (5900, Some(true), vec![819]),
            (7200, Some(true), vec![922]),
        ]
    );
}

#[test]
fn lost_measurements_leave_a_gap_in_the_sequence() {
    let (sent, injected) = faulty_wristband("kind.lose.count = 3");
    let sequences: Vec<u16> = eda(&sent).iter().map(|m| m.sequence).collect();
    let missing: usize = sequences.windows(2).map(|w| usize::from(w[1] - w[0] - 1)).sum();
    assert_eq!((missing, injected.lost), (3, 3));
    assert_eq!(injected.sent, sent.len() as u64);
}

#[test]
fn duplicates_and_swaps_are_as_many_as_counted() {
    let (sent, injected) = faulty_wristband("kind.duplicate.count = 4");
    let copies = eda(&sent).windows(2).filter(|w| w[0] == w[1]).count();
    assert_eq!((copies, injected.duplicated), (4, 4));

    let (sent, injected) = faulty_wristband("kind = 'reorder'");
    let measured = eda(&sent);
    let back = measured.windows(2).filter(|w| w[1].sequence < w[0].sequence).count();
    assert_eq!((back, injected.reordered, injected.lost), (1, 1, 0));
    let mut sequences: Vec<u16> = measured.iter().map(|m| m.sequence).collect();
    sequences.sort_unstable();
    assert!(sequences.iter().enumerate().all(|(k, s)| k == usize::from(*s)));
}

#[test]
fn odd_payloads_are_rejected_by_both_parsers_and_reserved_flags_by_none() {
    for (form, rejected) in [("truncated", 1), ("garbage", 1), ("empty", 1), ("reserved_flags", 0)]
    {
        let kind = format!("kind.odd_payload.form = '{form}'");
        let (sent, injected) = faulty_wristband(&kind);
        let bad = sent.iter().filter(|n| EdaMeasurement::parse(&n.bytes).is_err()).count();
        assert_eq!(
            (bad, injected.odd_payloads, injected.reserved_flags),
            (rejected, rejected as u64, 1 - rejected as u64),
            "{form}"
        );
        let (sent, injected) = faulty_strap(&kind);
        let bad = sent.iter().filter(|n| HeartRateMeasurement::parse(&n.bytes).is_err()).count();
        assert_eq!(
            (bad, injected.odd_payloads, injected.reserved_flags),
            (rejected, rejected as u64, 1 - rejected as u64),
            "{form}"
        );
    }
}

#[test]
fn a_clock_reset_starts_ticks_at_zero_and_says_so_once() {
    let (sent, injected) = faulty_wristband("kind = 'clock_reset'");
    let measured = eda(&sent);
    let resets: Vec<_> = measured.iter().filter(|m| m.clock_reset).collect();
    assert_eq!((resets.len(), resets[0].ticks, injected.clock_resets), (1, 0, 1));
    assert!(measured.windows(2).all(|w| w[1].sequence == w[0].sequence + 1));
    let spaced = measured.windows(2).filter(|w| !w[1].clock_reset);
    assert!({ spaced }.all(|w| w[1].ticks == w[0].ticks + 4096));
}

#[test]
fn contact_loss_silences_skin_and_heart() {
    let (sent, injected) = faulty_wristband("kind.contact_loss.for_s = 2");
    let off: Vec<_> = eda(&sent).into_iter().filter(|m| m.contact == Some(false)).collect();
    let missing = off.iter().flat_map(|m| &m.samples_picosiemens).filter(|s| s.is_none()).count();
    assert_eq!((missing, injected.contact_losses, injected.missing_samples), (64, 1, 0));

    let (sent, injected) = faulty_strap("kind.contact_loss.for_s = 2");
    let off = heart(&sent).into_iter().filter(|m| m.contact == Some(false)).count();
    assert_eq!(off, 1);
    let beats = session(1, &Script::demo(), 20.0, 4.0).beats;
    let hidden = |b: &&Beat| b.at_s - b.rr_s < 7.0 && b.at_s >= 5.0;
    assert_eq!(injected.withheld_beats, beats.iter().filter(hidden).count() as u64);
    assert_eq!(sent.len() as u64, beats.len() as u64 - injected.withheld_beats + 1);
}

#[test]
fn absurd_values_are_counted() {
    let (sent, injected) = faulty_wristband("kind.saturated.for_s = 1");
    let full = |m: &EdaMeasurement| {
        m.samples_picosiemens.iter().flatten().filter(|s| **s == 100_000_000).count()
    };
    let measured = eda(&sent);
    assert_eq!(measured.iter().map(full).sum::<usize>(), 32);
    assert_eq!(injected.saturated_samples, 32);
    assert!(measured.iter().all(|m| m.saturated == (full(m) > 0)));

    let (sent, injected) = faulty_wristband("kind.no_reading.for_s = 1");
    let none = eda(&sent)
        .iter()
        .flat_map(|m| m.samples_picosiemens.clone())
        .filter(Option::is_none)
        .count();
    assert_eq!((none, injected.missing_samples), (32, 32));

    let (sent, injected) = faulty_strap("kind.absurd_rr.count = 3");
    let absurd: Vec<u16> = heart(&sent)
        .into_iter()
        .flat_map(|m| m.rr_1024ths)
        .filter(|rr| matches!(*rr, 0 | u16::MAX))
        .collect();
    assert_eq!((absurd, injected.absurd_rr), (vec![u16::MAX, 0, u16::MAX], 3));
}

#[test]
fn low_battery_is_announced_and_carried() {
    let (sent, injected) = faulty_wristband("kind.low_battery.percent = 4");
    let levels: Vec<_> = sent.iter().filter(|n| n.characteristic == gatt::BATTERY_LEVEL).collect();
    assert_eq!(
        (levels.len(), levels[0].bytes.as_slice(), levels[0].due_ns),
        (1, &[4][..], 5 * SECOND)
    );
    assert_eq!(injected.battery_changes, 1);
    assert_eq!(eda(&sent).last().unwrap().battery_percent, Some(4));

    let battery = BatterySpec { percent: 50.0, drain_percent_per_hour: 3600.0 };
    let spec = DeviceSpec { battery, ..DeviceSpec::strap() };
    let mut device = subscribed(spec.clone(), &spec.source(), "");
    let sent = run(&mut device, 10);
    let levels = sent.iter().filter(|n| n.characteristic == gatt::BATTERY_LEVEL);
    assert_eq!(levels.map(|n| n.bytes[0]).collect::<Vec<_>>(), (40..50).rev().collect::<Vec<_>>());
    assert_eq!(device.read(gatt::BATTERY_LEVEL, 10 * SECOND), Some(vec![40]));
}

#[test]
fn a_dropped_link_needs_a_new_subscription_and_loses_what_falls_between() {
    let spec = DeviceSpec::wristband();
    let mut device =
        subscribed(spec.clone(), &spec.source(), &wristband_fault("kind = 'link_drop'"));
    while device.poll(10 * SECOND).is_some() {}
    let injected = device.injected();
    assert_eq!(injected.link_drops, 1);
    // A fast clock completes its 40th notification just before 5 s and the 80th before 10 s.
    assert_eq!((injected.sent, injected.unsent), (40, 40));
    subscribe(&mut device);
    let next = eda(&run(&mut device, 11));
    assert_eq!(next[0].sequence, 80);
}

#[test]
fn information_can_be_read() {
    let spec = DeviceSpec::strap();
    let device = Device::new(spec.clone(), &spec.source(), Vec::new()).unwrap();
    for service in spec.services() {
        for characteristic in service.characteristics {
            let value = device.read(characteristic.uuid, 0);
            assert_eq!(value.is_some(), characteristic.access.read, "{}", characteristic.uuid);
        }
    }
    assert_eq!(device.read(gatt::BATTERY_LEVEL, 0), Some(vec![87]));
    assert_eq!(device.read(gatt::SERIAL_NUMBER, 0), Some(b"C0FFEE000002".to_vec()));
}

#[test]
fn bad_tapes_are_refused_by_name() {
    let tape = Tape { eda_hz: 0.0, eda_microsiemens: vec![1.0], beats: Vec::new() };
    let error = Device::new(DeviceSpec::strap(), &Source::tape(tape), Vec::new()).unwrap_err();
    assert!(error.to_string().contains("device \"Attune Strap\": the tape's EDA rate is 0 Hz"));
}

fn any_kind() -> impl Strategy<Value = FaultKind> {
    let form = prop::sample::select(vec![
        OddForm::Truncated,
        OddForm::Garbage,
        OddForm::Empty,
        OddForm::ReservedFlags,
    ]);
    let for_s = prop_oneof![0.0..30.0, any::<f64>()];
    prop_oneof![
        Just(FaultKind::LinkDrop),
        Just(FaultKind::Reorder),
        Just(FaultKind::ClockReset),
        (0u32..40).prop_map(|count| FaultKind::Lose { count }),
        (0u32..40).prop_map(|count| FaultKind::Duplicate { count }),
        (0u32..40).prop_map(|count| FaultKind::AbsurdRr { count }),
        form.prop_map(|form| FaultKind::OddPayload { form }),
        any::<u8>().prop_map(|percent| FaultKind::LowBattery { percent }),
        for_s.prop_flat_map(|for_s| {
            prop::sample::select(vec![
                FaultKind::OutOfRange { for_s },
                FaultKind::AdapterOff { for_s },
                FaultKind::ContactLoss { for_s },
                FaultKind::Saturated { for_s },
                FaultKind::NoReading { for_s },
            ])
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn under_any_faults_every_measurement_is_accounted_for(
        faults in prop::collection::vec((0.0..20.0, any_kind()), 0..8), strap: bool,
    ) {
        let spec = if strap { DeviceSpec::strap() } else { DeviceSpec::wristband() };
        let faults = faults
            .into_iter()
            .map(|(at_s, kind)| Fault { at_s, device: spec.name.clone(), kind })
            .collect();
        let mut device = Device::new(spec.clone(), &spec.source(), faults).unwrap();
        subscribe(&mut device);
        let sent = run(&mut device, 30);
        let measured = sent.iter().filter(|n| n.characteristic == device.measurement());
        let distinct: std::collections::BTreeSet<u64> = measured.clone().map(|n| n.sequence).collect();
        let injected = device.injected();
        prop_assert_eq!(injected.sent, sent.len() as u64);
        prop_assert_eq!(measured.count() as u64, distinct.len() as u64 + injected.duplicated);
        let last = distinct.last().copied().unwrap_or(0);
        let gone = injected.lost + injected.unsent;
        let missing = last + 1 - distinct.len() as u64;
        prop_assert!(distinct.is_empty() || missing <= gone, "{} missing, {} counted", missing, gone);
    }
}
