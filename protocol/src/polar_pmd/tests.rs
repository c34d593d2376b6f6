use super::*;
use proptest::prelude::*;

/// A frame: measurement, timestamp of 2 s, frame type, body.
fn bytes(measurement: u8, frame_type: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![measurement];
    bytes.extend_from_slice(&2_000_000_000u64.to_le_bytes());
    bytes.push(frame_type);
    bytes.extend_from_slice(body);
    bytes
}

/// The bytes give the samples, and the samples the bytes.
fn check(payload: &[u8], samples: Samples) {
    let frame = Frame { timestamp_ns: 2_000_000_000, samples };
    assert_eq!(Frame::parse(payload).as_ref(), Ok(&frame), "{payload:02x?}");
    assert_eq!(frame.encode(), payload);
}

fn check_error(payload: &[u8], expected: FrameError) {
    assert_eq!(Frame::parse(payload), Err(expected), "{payload:02x?}");
}

#[test]
fn ecg() {
    check(
        &bytes(0, 0, &[0x00, 0x00, 0x80, 0xFF, 0xFF, 0x7F, 0x9C, 0xFF, 0xFF]),
        Samples::Ecg(vec![-8_388_608, 8_388_607, -100]),
    );
}

#[test]
fn ppg() {
    let counts = vec![[1, -1, 256, 65_536]];
    let body = [0x01, 0, 0, 0xFF, 0xFF, 0xFF, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01];
    check(&bytes(1, 0, &body), Samples::Ppg { counts: counts.clone(), compressed: false });
    check(&bytes(1, 0x80, &body), Samples::Ppg { counts, compressed: true });
}

#[test]
fn acceleration_in_each_layout() {
    use AccelerationLayout::{CompressedG, CompressedMilliG, Raw8, Raw16, Raw24};
    let check = |frame_type, body: &[u8], counts, layout| {
        check(&bytes(2, frame_type, body), Samples::Acceleration { counts, layout });
    };
    check(0, &[0x01, 0xFF, 0x7F], vec![[1, -1, 127]], Raw8);
    check(1, &[0x18, 0xFC, 0x00, 0x00, 0xE8, 0x03], vec![[-1000, 0, 1000]], Raw16);
    check(2, &[0, 0, 1, 0, 0, 0xFF, 2, 0, 0], vec![[65_536, -65_536, 2]], Raw24);
    // Seed (1, 2, 3); one block of 4-bit deltas, two samples: (+1, -1, +7), (0, -8, +2).
    let body = [1, 0, 2, 0, 3, 0, 4, 2, 0xF1, 0x07, 0x28];
    let counts = vec![[1, 2, 3], [2, 1, 10], [2, -7, 12]];
    check(0x80, &body, counts.clone(), CompressedG);
    check(0x81, &body, counts, CompressedMilliG);
}

#[test]
fn units() {
    assert_eq!(AccelerationLayout::Raw16.milli_g(-1000, 0.5), -1000.0);
    assert_eq!(AccelerationLayout::CompressedMilliG.milli_g(10, 0.5), 5.0);
    assert_eq!(AccelerationLayout::CompressedG.milli_g(2, 0.5), 1000.0);
}

#[test]
fn pulse_intervals() {
    let interval = |blocker, contact| PulseInterval {
        heart_rate_bpm: 75,
        interval_ms: 800,
        error_ms: 10,
        blocker,
        contact,
    };
    check(
        &bytes(
            3,
            0,
            &[75, 0x20, 3, 10, 0, 0b110, 75, 0x20, 3, 10, 0, 0b101, 75, 0x20, 3, 10, 0, 0],
        ),
        Samples::Ppi(vec![
            interval(false, Some(true)),
            interval(true, Some(false)),
            interval(false, None),
        ]),
    );
}

#[test]
fn errors_name_what_cannot_be() {
    check_error(&[0; 9], FrameError::Truncated { length: 9 });
    check_error(&bytes(0, 0, &[1, 2]), FrameError::Length { bytes: 2, sample_bytes: 3 });
    check_error(&bytes(1, 0, &[0; 15]), FrameError::Length { bytes: 15, sample_bytes: 12 });
    check_error(&bytes(2, 1, &[0; 7]), FrameError::Length { bytes: 7, sample_bytes: 6 });
    check_error(&bytes(3, 0, &[0; 5]), FrameError::Length { bytes: 5, sample_bytes: 6 });
    for (measurement, frame_type) in [(0, 1), (0, 0x80), (1, 9), (2, 3), (2, 0x82), (3, 1), (5, 0)]
    {
        check_error(
            &bytes(measurement, frame_type, &[]),
            FrameError::Unsupported { measurement, frame_type },
        );
    }
    check_error(&bytes(2, 0, &[0; 3 * (MAX_SAMPLES + 1)]), FrameError::TooMany);
    assert!(Frame::parse(&bytes(0xC0, 0, &[0; 3])).is_ok(), "reserved bits are ignored");
}

fn any_samples() -> impl Strategy<Value = Samples> {
    let i24 = || -8_388_608..=8_388_607i32;
    use AccelerationLayout::{CompressedG, CompressedMilliG, Raw8, Raw16, Raw24};
    let layouts = prop::sample::select(vec![Raw8, Raw16, Raw24, CompressedG, CompressedMilliG]);
    prop_oneof![
        prop::collection::vec(i24(), 0..80).prop_map(Samples::Ecg),
        (prop::collection::vec([i24(), i24(), i24(), i24()], 1..60), any::<bool>())
            .prop_map(|(counts, compressed)| Samples::Ppg { counts, compressed }),
        (prop::collection::vec([-128..=127i32, -128..=127, -128..=127], 1..80), layouts)
            .prop_map(|(counts, layout)| Samples::Acceleration { counts, layout }),
        prop::collection::vec(
            (any::<(u8, u16, u16, bool)>(), any::<Option<bool>>()).prop_map(
                |((heart_rate_bpm, interval_ms, error_ms, blocker), contact)| PulseInterval {
                    heart_rate_bpm,
                    interval_ms,
                    error_ms,
                    blocker,
                    contact
                }
            ),
            0..30
        )
        .prop_map(Samples::Ppi),
    ]
}

proptest! {
    #[test]
    fn parse_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(frame) = Frame::parse(&bytes) {
            prop_assert!(frame.samples.len() <= MAX_SAMPLES);
        }
    }

    #[test]
    fn any_body_of_a_known_stream_is_read_or_refused(
        measurement in 0u8..4,
        frame_type in prop::sample::select(vec![0u8, 1, 2, 0x80, 0x81]),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Frame::parse(&bytes(measurement, frame_type, &body));
    }

    #[test]
    fn encode_then_parse_is_identity(timestamp_ns in any::<u64>(), samples in any_samples()) {
        let frame = Frame { timestamp_ns, samples };
        prop_assert_eq!(Frame::parse(&frame.encode()), Ok(frame));
    }
}
