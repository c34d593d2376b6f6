use super::*;
use crate::sensor::{DeviceProfile, Sample, recording::epochs};
use proptest::prelude::*;
use protocol::{eda_profile::EdaMeasurement, gatt, heart_rate::HeartRateMeasurement};
use std::{io::Write, time::Duration};

fn every_event() -> Vec<Event<'static>> {
    vec![
        Event::Device { device: 0, profile: "attune-eda" },
        Event::Notification { device: 0, characteristic: gatt::EDA_MEASUREMENT, bytes: &[1, 2, 3] },
        Event::Link { device: 0, up: false },
        Event::Battery { device: 0, percent: 77 },
        Event::Interrupted { device: 65_535 },
        Event::Overflowed { count: 9 },
        Event::Marker { label: "Angebot gezeigt" },
        Event::Consent { epoch: 3 },
    ]
}

fn file(events: &[Event<'_>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 1_700_000_000_000).unwrap();
    for (k, event) in (1..).zip(events) {
        writer.record(Nanos::from_millis(k), event).unwrap();
    }
    writer.into_inner()
}

fn read(file: &[u8]) -> (Vec<Record<'_>>, Vec<Damage>) {
    let mut reader = Reader::new(file).unwrap();
    let records = reader.by_ref().collect();
    (records, reader.damage().to_vec())
}

/// Where each frame of a file begins, and its end.
fn frames(file: &[u8]) -> Vec<usize> {
    let mut at: Vec<usize> = (0..file.len()).filter(|&k| file[k..].starts_with(&SYNC)).collect();
    at.push(file.len());
    at
}

#[test]
fn bytes_of_a_file() {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let bytes = file(&[Event::Battery { device: 2, percent: 50 }]);
    assert_eq!(hex(&bytes[..16]), concat!("415454554e450d0a", "0100", "0000", "4657f8f4"));
    // Sync, length 17, number 0, CRC; started at 0, Unix ms.
    let started = concat!("a741544e", "1100", "00000000", "2b2f08c1", "01", "0000000000000000");
    assert_eq!(hex(&bytes[16..47]), started.to_owned() + "0068e5cf8b010000");
    let battery = concat!("a741544e", "0c00", "01000000", "8bd4c415", "05", "40420f0000000000");
    assert_eq!(hex(&bytes[47..]), battery.to_owned() + "0200" + "32");
}

#[test]
fn what_was_written_is_read() {
    let events = every_event();
    let bytes = file(&events);
    let (records, damage) = read(&bytes);
    assert_eq!(damage, []);
    assert_eq!(records[0].event, Event::Started { unix_ms: 1_700_000_000_000 });
    assert_eq!(records[1..].iter().map(|r| r.event).collect::<Vec<_>>(), events);
    assert_eq!(records[3].at, Nanos::from_millis(3));
}

#[test]
fn a_damaged_frame_loses_only_itself() {
    let bytes = file(&every_event());
    let (whole, _) = read(&bytes);
    let at = frames(&bytes);
    for frame in 0..whole.len() {
        for byte in at[frame]..at[frame + 1] {
            let mut hurt = bytes.clone();
            hurt[byte] ^= 0x40;
            let (records, damage) = read(&hurt);
            assert_eq!(records.len(), whole.len() - 1, "byte {byte}");
            assert!(records.iter().all(|record| whole.contains(record)));
            let bytes = at[frame + 1] - at[frame];
            assert_eq!(damage, [Damage { offset: at[frame], bytes, frames: 1 }], "byte {byte}");
        }
    }
}

#[test]
fn a_torn_end_loses_only_the_last_frame() {
    let bytes = file(&every_event());
    let at = frames(&bytes);
    for end in FILE_HEADER_BYTES + 1..bytes.len() {
        let kept = at.iter().filter(|begin| **begin <= end).count() - 1;
        if kept == 0 {
            continue;
        }
        let (records, damage) = read(&bytes[..end]);
        assert_eq!(records.len(), kept, "cut at {end}");
        let torn = end - at[kept];
        assert_eq!(damage.iter().map(|d| d.bytes).sum::<usize>(), torn);
    }
}

#[test]
fn a_removed_frame_is_counted() {
    let bytes = file(&every_event());
    let at = frames(&bytes);
    let cut = [&bytes[..at[3]], &bytes[at[5]..]].concat();
    assert_eq!(read(&cut).1, [Damage { offset: at[3], bytes: 0, frames: 2 }]);
}

#[test]
fn headers_are_checked() {
    let bytes = file(&[]);
    assert_eq!(Reader::new(b"EDA.csv").unwrap_err(), HeaderError::NotARecording);
    let mut newer = bytes.clone();
    newer[8] = 9;
    let crc = crc32fast::hash(&newer[..12]).to_le_bytes();
    newer[12..16].copy_from_slice(&crc);
    assert_eq!(Reader::new(&newer).unwrap_err(), HeaderError::Version(9));
    let mut hurt = bytes;
    hurt[3] ^= 1;
    let (records, damage) = read(&hurt);
    assert_eq!((records.len(), damage.len()), (1, 1), "a damaged header loses only itself");
}

#[test]
fn too_long_is_refused_and_a_later_kind_left_out() {
    let mut writer = Writer::new(Vec::new(), 0).unwrap();
    let characteristic = gatt::EDA_MEASUREMENT;
    let event = Event::Notification { device: 0, characteristic, bytes: &[0; 5000] };
    assert!(writer.record(Nanos::ZERO, &event).is_err());
    let label = "x".repeat(1025);
    assert!(writer.record(Nanos::ZERO, &Event::Marker { label: &label }).is_err());
    let mut bytes = writer.into_inner();
    let payload = [200u8, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    bytes.extend(SYNC);
    bytes.extend((payload.len() as u16).to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(checksum(payload.len() as u16, 1, &payload).to_le_bytes());
    bytes.extend(payload);
    let mut reader = Reader::new(&bytes).unwrap();
    assert_eq!((reader.by_ref().count(), reader.unknown(), reader.damage()), (1, 1, &[][..]));
    let opened = play(&bytes).unwrap();
    assert_eq!(opened.rejected(), 1);
    assert!(opened.findings()[0].contains("later build"), "{:?}", opened.findings());
}

fn eda(sequence: u16) -> Vec<u8> {
    EdaMeasurement {
        sequence,
        ticks: u32::from(sequence) * 8192,
        interval_ticks: 2048,
        range_tenth_microsiemens: 1000,
        contact: Some(sequence % 50 > 2),
        saturated: false,
        clock_reset: sequence == 40,
        battery_percent: Some(90),
        samples_picosiemens: (0..4)
            .map(|k| Some(2_000_000 + u32::from(sequence) * 7 + k))
            .collect(),
    }
    .encode()
}

fn beat(k: u16) -> Vec<u8> {
    let rr_1024ths = vec![800 + k % 60];
    HeartRateMeasurement { heart_rate_bpm: 75, contact: None, energy_kj: None, rr_1024ths }.encode()
}

/// A session with everything that happens to a driver: `live` sees it as the loop does.
fn session() -> (Vec<u8>, Vec<Sample>) {
    let mut drivers = [DeviceProfile::Eda, DeviceProfile::HeartRate].map(DeviceProfile::driver);
    let mut tap = Tap::new(Writer::new(Vec::new(), 5_000).unwrap());
    let mut live = Vec::new();
    for (device, profile) in (0..).zip([DeviceProfile::Eda, DeviceProfile::HeartRate]) {
        tap.take(Nanos::ZERO, &Event::Device { device, profile: profile.id() });
    }
    for k in 0..600u16 {
        let at = Nanos(250_000_000 * u64::from(k) + 1_000_000 * (u64::from(k) * 7919 % 45));
        let mut notify = |device: u16, bytes: &[u8]| {
            let characteristic =
                [gatt::EDA_MEASUREMENT, gatt::HEART_RATE_MEASUREMENT][usize::from(device)];
            tap.take(at, &Event::Notification { device, characteristic, bytes });
            live.extend(
                drivers[usize::from(device)].handle(at, characteristic, bytes).unwrap_or_default(),
            );
        };
        if k % 90 != 17 {
            notify(0, &eda(k));
        }
        if k % 71 == 3 {
            notify(0, &[9, 9]);
        }
        if k % 3 == 0 && k % 100 != 9 {
            notify(1, &beat(k));
        }
        if k == 200 {
            tap.take(at, &Event::Interrupted { device: 0 });
            drivers[0].interrupted();
        }
        if k == 300 {
            tap.take(at, &Event::Link { device: 1, up: false });
            tap.take(at, &Event::Link { device: 1, up: true });
            tap.take(at, &Event::Battery { device: 1, percent: 60 });
            drivers[1].reconnected();
            drivers[1].battery(60);
            tap.take(at, &Event::Marker { label: "offer shown" });
        }
    }
    assert!(tap.failed().is_none());
    (tap.finish().unwrap(), live)
}

/// NaN is not itself: samples are compared by their bits.
fn bits(sample: &Sample) -> impl PartialEq + std::fmt::Debug {
    let Sample { modality, signal, stream_at, at, value, quality, contiguous } = *sample;
    (modality, signal, stream_at, at, value.to_bits(), quality, contiguous)
}

#[test]
fn playback_is_identical_to_the_live_device() {
    let (bytes, live) = session();
    let mut playback = Playback::default();
    let played: Vec<Sample> =
        Reader::new(&bytes).unwrap().flat_map(|record| playback.take(&record)).collect();
    assert!(live.len() > 2_400, "{} samples", live.len());
    assert!(played.iter().map(bits).eq(live.iter().map(bits)));
    assert!(playback.stats(0).unwrap().lost > 0 && playback.rejected() == 9);
}

#[test]
fn epochs_are_cut_around_markers() {
    let (bytes, _) = session();
    let opened = play(&bytes).unwrap();
    assert_eq!((opened.start_unix_s(), opened.markers().len()), (5.0, 1));
    let second = Duration::from_secs(1);
    let cut = epochs(opened.samples(), opened.markers(), "offer shown", second, 2 * second);
    let marked = opened.markers()[0].at;
    assert_eq!(cut.len(), 1);
    let inside = |s: &&Sample| (marked - second..=marked + 2 * second).contains(&s.at);
    assert_eq!(cut[0].samples.len(), opened.samples().iter().filter(inside).count());
    assert!(cut[0].samples.len() > 40);
    assert!(epochs(opened.samples(), opened.markers(), "other", second, second).is_empty());
    let slice = opened.slice(70.0, 10.0);
    assert!(slice.duration_s() < 10.0 && slice.markers().len() == 1);
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_session() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut tap = Tap::new(Writer::new(Full(100), 0).unwrap());
    for _ in 0..10 {
        tap.take(Nanos::ZERO, &Event::Consent { epoch: 1 });
    }
    let (error, left_out) = tap.failed().unwrap();
    assert!(error.to_string().contains("Is the disk full?"));
    assert_eq!(left_out, 9);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = play(&bytes);
        let _ = play(&[&file(&[])[..], &bytes].concat());
    }

    #[test]
    fn any_damage_keeps_the_account(
        hurt in prop::collection::vec((16usize..440, any::<u8>()), 0..6), cut in 60usize..440,
    ) {
        let events = [every_event(), every_event()].concat();
        let mut bytes = file(&events);
        let count = events.len() + 1;
        for (at, value) in hurt {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(cut);
        if let Ok(mut reader) = Reader::new(&bytes) {
            let read = reader.by_ref().count();
            let lost: usize = reader.damage().iter().map(|d| d.frames as usize).sum();
            prop_assert!(read + lost <= count);
            prop_assert!(cut < bytes.len() || read + lost >= 1);
            prop_assert!(reader.damage().iter().map(|d| d.bytes).sum::<usize>() <= bytes.len());
        }
    }

    #[test]
    fn any_records_play(
        events in prop::collection::vec(
            (any::<u64>(), 0u16..3, 0u8..5, prop::collection::vec(any::<u8>(), 0..40)), 0..60),
    ) {
        let mut playback = Playback::default();
        for (at, device, kind, bytes) in events {
            let characteristic =
                [gatt::EDA_MEASUREMENT, gatt::HEART_RATE_MEASUREMENT][usize::from(device % 2)];
            let event = match kind {
                0 => Event::Device { device, profile: ["attune-eda", "heart-rate", "?"][usize::from(device)] },
                1 => Event::Link { device, up: true },
                2 => Event::Interrupted { device },
                _ => Event::Notification { device, characteristic, bytes: &bytes },
            };
            let _ = playback.take(&Record { at: Nanos(at), event });
        }
    }
}
