use super::*;
use proptest::prelude::*;
use protocol::polar_pmd::control::{Setting, SettingKind};
use std::time::Duration;

const ECG_FRAME: usize = 73;
/// A moment in 2026, in nanoseconds since 2000.
const NOW_NS: u64 = 850_000_000_000_000_000;
/// Where an H10 begins that forgot its clock: 2019-01-01.
const FACTORY_NS: u64 = 599_616_000_000_000_000;

/// A device that sends frames of ECG, each the moment its last sample is taken.
struct Rig {
    driver: PolarDriver,
    rate_hz: f64,
    clock_ns: u64,
    arrived: Nanos,
}

impl Rig {
    fn new() -> Self {
        let (clock_ns, arrived) = (NOW_NS, Nanos::from_millis(1_000));
        let driver = PolarDriver::new(H10_ACCELERATION_HZ);
        Self { driver, rate_hz: f64::from(ECG_HZ), clock_ns, arrived }
    }

    /// Time passes, as long as a frame lasts.
    fn pass(&mut self) {
        let frame = Duration::from_secs_f64(ECG_FRAME as f64 / self.rate_hz);
        self.arrived = self.arrived + frame;
        self.clock_ns += frame.as_nanos() as u64;
    }

    fn send(&mut self, samples: Samples) -> Vec<Sample> {
        let frame = Frame { timestamp_ns: self.clock_ns, samples };
        self.driver.handle(self.arrived, gatt::PMD_DATA, &frame.encode()).unwrap()
    }

    fn ecg(&mut self) -> Vec<Sample> {
        self.pass();
        self.send(Samples::Ecg(vec![100; ECG_FRAME]))
    }
}

fn seconds(a: &Sample, b: &Sample) -> f64 {
    b.stream_at.as_secs_f64() - a.stream_at.as_secs_f64()
}

#[test]
fn the_timestamp_is_that_of_the_last_sample() {
    let mut rig = Rig::new();
    let mut samples = rig.ecg();
    assert_eq!(samples.len(), ECG_FRAME);
    assert_eq!(samples[ECG_FRAME - 1].at, rig.arrived);
    samples.extend((0..20).flat_map(|_| rig.ecg()));
    assert!(!samples[0].contiguous && samples[1..].iter().all(|s| s.contiguous));
    for pair in samples.windows(2) {
        assert!((seconds(&pair[0], &pair[1]) - 1.0 / 130.0).abs() < 1e-6);
    }
    assert_eq!(rig.driver.stats().lost_samples, 0);
}

#[test]
fn gaps_are_counted_in_samples() {
    let mut rig = Rig::new();
    rig.ecg();
    for missing in [1, 2, 7] {
        let before = (rig.ecg(), rig.driver.stats()).1;
        (0..missing).for_each(|_| rig.pass());
        let next = rig.ecg();
        assert!(!next[0].contiguous && next[1].contiguous);
        let stats = rig.driver.stats();
        assert_eq!(stats.lost - before.lost, missing);
        assert_eq!(stats.lost_samples - before.lost_samples, missing * ECG_FRAME as u64);
    }
}

#[test]
fn a_device_off_its_rate_loses_nothing() {
    for rate_hz in [126.0, 130.0, 134.0] {
        let mut rig = Rig { rate_hz, ..Rig::new() };
        let samples: Vec<Sample> = (0..50).flat_map(|_| rig.ecg()).collect();
        assert_eq!(rig.driver.stats().lost_samples, 0, "{rate_hz} Hz");
        assert!(samples.windows(2).all(|pair| pair[0].stream_at < pair[1].stream_at));
        // And a gap is exact at the device's own rate.
        rig.pass();
        rig.ecg();
        assert_eq!(rig.driver.stats().lost_samples, ECG_FRAME as u64, "{rate_hz} Hz");
    }
}

#[test]
fn refused_frames_are_not_lost_ones() {
    let mut rig = Rig::new();
    rig.ecg();
    rig.pass();
    let mut bytes = Frame { timestamp_ns: rig.clock_ns, samples: Samples::Ecg(vec![0]) }.encode();
    bytes.pop();
    assert!(rig.driver.handle(rig.arrived, gatt::PMD_DATA, &bytes).is_err());
    assert!(!rig.ecg()[0].contiguous);
    let stats = rig.driver.stats();
    assert_eq!((stats.rejected, stats.lost), (1, 0));
    assert_eq!(stats.lost_samples, ECG_FRAME as u64, "the timeline has a hole all the same");
}

#[test]
fn a_forgotten_clock_is_a_reset_and_not_a_loss() {
    let mut rig = Rig::new();
    let before = (0..5).flat_map(|_| rig.ecg()).last().unwrap();
    rig.clock_ns = FACTORY_NS;
    let after = rig.ecg();
    assert!(!after[0].contiguous && after[0].stream_at >= before.stream_at);
    assert!(rig.ecg()[0].contiguous, "it goes on from there");
    // Then it is set again: far ahead.
    rig.clock_ns = NOW_NS;
    assert!(!rig.ecg()[0].contiguous);
    let stats = rig.driver.stats();
    assert_eq!((stats.clock_resets, stats.lost, stats.lost_samples), (2, 0, 0));
}

#[test]
fn what_was_measured_without_consent_is_not_lost() {
    let mut rig = Rig::new();
    rig.ecg();
    rig.driver.interrupted();
    (0..100).for_each(|_| rig.pass());
    assert!(!rig.ecg()[0].contiguous);
    assert_eq!(rig.driver.stats().lost_samples, 0);
    // An outage is another matter.
    rig.driver.reconnected();
    (0..100).for_each(|_| rig.pass());
    rig.ecg();
    assert_eq!(rig.driver.stats().lost_samples, 100 * ECG_FRAME as u64);
}

#[test]
fn late_and_double_frames_give_nothing() {
    let mut rig = Rig::new();
    rig.ecg();
    rig.pass();
    let late = rig.clock_ns;
    rig.ecg();
    assert!(rig.send(Samples::Ecg(vec![0; ECG_FRAME])).is_empty(), "twice");
    let now = std::mem::replace(&mut rig.clock_ns, late);
    assert!(rig.send(Samples::Ecg(vec![0; ECG_FRAME])).is_empty(), "late");
    rig.clock_ns = now;
    assert!(rig.ecg()[0].contiguous);
    let stats = rig.driver.stats();
    assert_eq!((stats.duplicated, stats.late, stats.lost), (1, 1, 0));
}

#[test]
fn streams_of_one_device_share_its_clock() {
    let mut rig = Rig::new();
    let layout = AccelerationLayout::Raw16;
    let mut motion = || {
        let ecg = rig.ecg();
        let counts = vec![[0, 600, -800]; 28];
        (ecg, rig.send(Samples::Acceleration { counts, layout }))
    };
    for _ in 0..10 {
        let (ecg, motion) = motion();
        let last = (ecg.last().unwrap(), motion.last().unwrap());
        assert_eq!((last.0.stream_at, last.0.at), (last.1.stream_at, last.1.at));
        assert_eq!((last.1.value, last.1.quality), (1.0, Quality::Good));
        assert_eq!(last.1.signal, Signal::Acceleration);
    }
    assert_eq!(rig.driver.stats().lost_samples, 0);
}

#[test]
fn contact_comes_with_the_heart_rate() {
    let mut rig = Rig::new();
    for (contact, quality) in [(false, Quality::OffBody), (true, Quality::Good)] {
        let contact = Some(contact);
        let bytes = HeartRateMeasurement { contact, ..Default::default() }.encode();
        let read = rig.driver.handle(rig.arrived, gatt::HEART_RATE_MEASUREMENT, &bytes);
        assert_eq!(read, Ok(vec![]), "its intervals are another profile's");
        assert_eq!(rig.driver.status().contact, contact);
        assert_eq!(rig.ecg()[0].quality, quality);
    }
}

#[test]
fn what_the_blood_takes_of_the_light() {
    let mut rig = Rig::new();
    let counts = vec![[40, 50, 60, 10], [8_388_607, 0, 0, 0]];
    let samples = rig.send(Samples::Ppg { counts, compressed: true });
    assert_eq!((samples[0].value, samples[0].quality), (-40.0, Quality::Good));
    assert_eq!(samples[1].quality, Quality::Saturated);
    assert_eq!(samples[0].signal, Signal::Ppg);
}

#[test]
fn intervals_carry_the_sensors_own_doubts() {
    let good = PulseInterval {
        heart_rate_bpm: 75,
        interval_ms: 800,
        error_ms: 8,
        blocker: false,
        contact: Some(true),
    };
    let mut rig = Rig::new();
    let intervals = vec![
        good,
        PulseInterval { error_ms: 31, ..good },
        PulseInterval { blocker: true, ..good },
        PulseInterval { contact: Some(false), ..good },
        PulseInterval { interval_ms: 100, ..good },
    ];
    let samples = rig.send(Samples::Ppi(intervals));
    let qualities: Vec<Quality> = samples.iter().map(|s| s.quality).collect();
    use Quality::{Artefact, Good, OffBody};
    assert_eq!(qualities, [Good, Artefact, Artefact, OffBody, Artefact]);
    assert_eq!((samples[0].signal, samples[0].value), (Signal::RrInterval, 800.0));
    assert_eq!(samples[4].at, rig.arrived);
    // A sensor that searches sends intervals of 0.
    assert!(rig.send(Samples::Ppi(vec![PulseInterval { interval_ms: 0, ..good }])).is_empty());
    assert!(!rig.send(Samples::Ppi(vec![good]))[0].contiguous);
}

/// Sends pulses of 800 ms in threes for frames numbered so; `stamped` as recent firmware does.
fn pulses(rig: &mut Rig, frames: std::ops::Range<u64>, stamped: bool) -> Vec<Sample> {
    const FRAME_NS: u64 = 2_400_000_000;
    let pulse = |interval_ms| PulseInterval {
        heart_rate_bpm: 75,
        interval_ms,
        error_ms: 8,
        blocker: false,
        contact: Some(true),
    };
    let send = |k| {
        rig.clock_ns = if stamped { NOW_NS + FRAME_NS * k } else { 0 };
        rig.arrived = Nanos(FRAME_NS * k + 10_000_000 * (k % 3));
        rig.send(Samples::Ppi(vec![pulse(790), pulse(800), pulse(810)]))
    };
    frames.flat_map(send).collect()
}

#[test]
fn missing_pulses_are_counted_by_time() {
    for stamped in [true, false] {
        let mut rig = Rig::new();
        let before = pulses(&mut rig, 0..20, stamped);
        assert!(before[1..].iter().all(|s| s.contiguous));
        // One frame in the air, then half an hour away.
        let after = pulses(&mut rig, 21..40, stamped);
        assert_eq!(rig.driver.stats().lost, 3, "stamped: {stamped}");
        assert_eq!(after.iter().filter(|s| !s.contiguous).count(), 1);
        assert_eq!(!after[0].contiguous, stamped, "found at once only by a time");
        rig.driver.reconnected();
        pulses(&mut rig, 790..800, stamped);
        assert_eq!(rig.driver.stats().lost, 3 + 750 * 3, "stamped: {stamped}");
        rig.driver.reconnected();
        rig.driver.interrupted();
        pulses(&mut rig, 900..910, stamped);
        let stats = rig.driver.stats();
        assert_eq!((stats.lost, stats.lost_samples), (3 + 750 * 3, 3 + 750 * 3));
    }
}

#[test]
fn pulses_of_a_clock_that_was_set_are_not_lost() {
    let mut rig = Rig::new();
    pulses(&mut rig, 0..10, true);
    for clock_ns in [FACTORY_NS, NOW_NS + 77_000_000_000] {
        rig.clock_ns = clock_ns;
        rig.arrived = rig.arrived + Duration::from_secs(1);
        let pulse = PulseInterval {
            heart_rate_bpm: 60,
            interval_ms: 1_000,
            error_ms: 0,
            blocker: false,
            contact: None,
        };
        assert!(!rig.send(Samples::Ppi(vec![pulse]))[0].contiguous);
        assert!(rig.send(Samples::Ppi(vec![pulse])).is_empty(), "the same twice");
    }
    let stats = rig.driver.stats();
    assert_eq!((stats.clock_resets, stats.lost, stats.duplicated), (2, 0, 2));
    pulses(&mut rig, 20..21, true);
    assert_eq!(rig.driver.stats().late + rig.driver.stats().clock_resets, 3, "it goes back");
}

#[test]
fn a_search_for_the_pulse_is_not_a_loss() {
    let mut rig = Rig::new();
    pulses(&mut rig, 0..10, true);
    rig.clock_ns = NOW_NS + 60_000_000_000;
    rig.arrived = Nanos::from_millis(60_000);
    let none = PulseInterval {
        heart_rate_bpm: 0,
        interval_ms: 0,
        error_ms: 0,
        blocker: false,
        contact: Some(false),
    };
    assert!(rig.send(Samples::Ppi(vec![none; 3])).is_empty());
    assert!(!pulses(&mut rig, 26..30, true)[0].contiguous);
    assert_eq!(rig.driver.stats().lost, 0);
}

#[test]
fn a_refusal_is_told_and_the_factor_taken() {
    let mut driver = PolarDriver::new(VERITY_ACCELERATION_HZ);
    let mut answer = |op, measurement, status, settings| {
        let message = Message::Answer(Response { op, measurement, status, more: false, settings });
        driver.handle(Nanos::ZERO, gatt::PMD_CONTROL, &message.encode())
    };
    let measurement = Measurement::Ecg;
    let status = Status::InCharger;
    let refused = Err(DriverError::NotStarted { measurement, status });
    assert_eq!(answer(Op::Start, measurement, status, vec![]), refused);
    assert_eq!(answer(Op::Start, measurement, Status::AlreadyInState, vec![]), Ok(vec![]));
    assert_eq!(answer(Op::Stop, measurement, Status::AlreadyInState, vec![]), Ok(vec![]));
    let factor = vec![Setting::one(SettingKind::Factor, 0.5f32.to_bits())];
    assert_eq!(answer(Op::Start, Measurement::Acceleration, Status::Success, factor), Ok(vec![]));
    let stopped = Message::Stopped(vec![measurement]).encode();
    let stopped = driver.handle(Nanos::ZERO, gatt::PMD_CONTROL, &stopped);
    assert_eq!(stopped, Err(DriverError::Stopped));
    let stats = driver.stats();
    assert_eq!((stats.accepted, stats.rejected), (3, 2));

    let samples = Samples::Acceleration {
        counts: vec![[2_000, 0, 0]],
        layout: AccelerationLayout::CompressedMilliG,
    };
    let frame = Frame { timestamp_ns: NOW_NS, samples }.encode();
    let samples = driver.handle(Nanos::ZERO, gatt::PMD_DATA, &frame).unwrap();
    assert_eq!(samples[0].value, 1.0);
}

fn any_notification() -> impl Strategy<Value = (Uuid, Vec<u8>)> {
    let frame = (any::<u64>(), 0u64..4_000_000_000, any::<bool>(), 0usize..40).prop_map(
        |(wild, near, tame, samples)| {
            let timestamp_ns = if tame { NOW_NS + near } else { wild };
            let pulse = |k: usize| PulseInterval {
                heart_rate_bpm: 0,
                interval_ms: (wild >> (k % 48)) as u16,
                error_ms: 0,
                blocker: false,
                contact: None,
            };
            let samples = if near % 2 == 0 {
                Samples::Ecg(vec![1; samples])
            } else {
                Samples::Ppi((0..samples).map(pulse).collect())
            };
            (gatt::PMD_DATA, Frame { timestamp_ns, samples }.encode())
        },
    );
    let characteristic = prop::sample::select(vec![
        gatt::PMD_DATA,
        gatt::PMD_CONTROL,
        gatt::HEART_RATE_MEASUREMENT,
        gatt::BATTERY_LEVEL,
    ]);
    prop_oneof![frame, (characteristic, prop::collection::vec(any::<u8>(), 0..60))]
}

proptest! {
    #[test]
    fn anything_keeps_the_accounts_and_the_order(
        notifications in prop::collection::vec(any_notification(), 0..60),
    ) {
        let mut driver = PolarDriver::new(H10_ACCELERATION_HZ);
        let mut last = std::collections::HashMap::new();
        for (k, (characteristic, bytes)) in notifications.iter().enumerate() {
            let arrived = Nanos::from_millis(500 * k as u64);
            let samples = driver.handle(arrived, *characteristic, bytes).unwrap_or_default();
            for sample in samples {
                let before = last.insert(sample.signal, sample.stream_at);
                prop_assert!(before.is_none_or(|before| before <= sample.stream_at));
            }
        }
        let s = driver.stats();
        let taken = s.accepted + s.rejected + s.late + s.duplicated;
        prop_assert_eq!(taken, notifications.len() as u64);
    }
}
