//! Torn, cut, flipped, spliced: nothing before the damage is lost, nothing false is given.

use super::*;
use crate::vault::segment::HEADER_BYTES;
use proptest::prelude::*;

const FRAMES: [&[u8]; 3] = [b"first", b"", b"the third"];
/// Where each frame of [`FRAMES`] ends in its segment.
const ENDS: [usize; 3] = [56 + 24 + 5, 56 + 48 + 5, 56 + 72 + 14];

fn whole_before(length: usize) -> usize {
    ENDS.iter().filter(|end| **end <= length).count()
}

#[test]
fn s7_cut_at_every_byte_only_the_tail_is_lost() {
    let device = Device::new();
    let (path, bytes) = device.one_segment(&FRAMES);
    assert_eq!(bytes.len(), ENDS[2]);
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let (mut log, opened) = device.log();
        let whole = whole_before(length);
        assert_eq!(opened.frames.len(), whole, "{length}");
        assert!(opened.frames.iter().zip(FRAMES).all(|(frame, was)| **frame == *was));
        let begins = if whole == 0 && length >= HEADER_BYTES { HEADER_BYTES } else { 0 };
        let begins = begins.max(if whole > 0 { ENDS[whole - 1] } else { 0 });
        assert_eq!(opened.torn_bytes, (length - begins) as u64, "{length}");
        assert!(opened.damaged_segments.is_empty());
        // The tail is cut, or the segment without a frame deleted; the log goes on.
        assert_eq!(log.segments(), usize::from(whole > 0), "{length}");
        log.append(&[b"later"]).unwrap();
        drop(log);
        let (_, opened) = device.log();
        assert_eq!((opened.frames.len(), opened.torn_bytes), (whole + 1, 0), "{length}");
        device.segments().iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}

#[test]
fn s7_a_tail_of_zeros_is_torn() {
    let device = Device::new();
    for (kept, zeros) in [(0, 300), (ENDS[0], 8), (ENDS[1], 9_000), (ENDS[2], 1)] {
        let (path, bytes) = device.one_segment(&FRAMES);
        fs::write(&path, [&bytes[..kept], &vec![0; zeros]].concat()).unwrap();
        let (mut log, opened) = device.log();
        assert_eq!((opened.frames.len(), opened.torn_bytes), (whole_before(kept), zeros as u64));
        assert!(opened.damaged_segments.is_empty());
        log.rewrite(&[]).unwrap();
        drop(log);
        drop(device.log());
    }
}

#[test]
fn s7_each_flipped_bit_is_found_and_costs_only_its_place() {
    let device = Device::new();
    let (path, bytes) = device.one_segment(&FRAMES);
    device.log().0.append(&[b"in the next segment"]).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        match device.open().log("outbox", Lifetime::Data) {
            Ok((_, opened)) => {
                let texts = texts(&opened);
                assert_eq!(texts.last().unwrap(), "in the next segment", "{bit}");
                let before = whole_before(bit / 8);
                let known = FRAMES.map(|frame| str::from_utf8(frame).unwrap());
                assert_eq!(texts[..before], known[..before], "{bit}");
                // Of the frames behind, some may be given; none is false.
                let mut rest = known.iter();
                let given = &texts[..texts.len() - 1];
                assert!(given.iter().all(|text| rest.any(|k| k == text)), "{bit}: {texts:?}");
                assert!(given.len() < FRAMES.len(), "{bit}");
                let [damage] = opened.damaged_segments.as_slice() else { panic!("{bit}") };
                assert_eq!((&damage.path, opened.torn_bytes), (&path, 0), "{bit}");
                assert!(damage.offset <= bit as u64 / 8 && damage.bytes > 0);
                assert!(damage.clone().into_error().to_string().contains("outbox.00000001.seg"));
            }
            other => panic!("{bit}: {other:?}"),
        }
        assert_eq!(fs::read(&path).unwrap(), flipped, "what is damaged is left as it is");
    }
}

#[test]
fn c10_frames_cannot_be_moved_between_places_or_segments() {
    let device = Device::new();
    let frames: [&[u8]; 2] = [b"aaaa", b"bbbb"];
    let (first, one) = device.one_segment(&frames);
    device.log().0.append(&frames).unwrap();
    let second = device.segments()[1].clone();
    let two = fs::read(&second).unwrap();
    let frame = |bytes: &[u8], k: usize| bytes[56 + 28 * k..][..28].to_vec();
    let swapped = [&one[..56], &frame(&one, 1), &frame(&one, 0)].concat();
    let spliced = [&two[..56], &frame(&two, 0), &frame(&one, 1)].concat();
    let twice = [&two[..], &frame(&two, 1)].concat();
    for (a, b, frames) in
        [(&swapped, &two, 2), (&one, &spliced, 3), (&one, &twice, 4), (&two, &one, 0)]
    {
        fs::write(&first, a).unwrap();
        fs::write(&second, b).unwrap();
        let opened = device.log().1;
        assert_eq!(opened.frames.len(), frames);
        assert!(!opened.damaged_segments.is_empty());
    }
}

#[test]
fn a_format_of_the_future_is_not_touched() {
    let device = Device::new();
    let (path, mut bytes) = device.one_segment(&FRAMES);
    bytes[8] = 2;
    let sum = crc32fast::hash(&bytes[..52]).to_le_bytes();
    bytes[52..56].copy_from_slice(&sum);
    fs::write(&path, &bytes).unwrap();
    let error = device.open().log("outbox", Lifetime::Data).unwrap_err();
    assert!(matches!(error, VaultError::Version { found: 2, .. }));
    assert!(error.to_string().contains("update the app"));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn strange_names_in_the_folder_are_passed_over() {
    let device = Device::new();
    device.one_segment(&FRAMES);
    let data = device.path().join("data");
    for name in ["outbox.seg", "outbox.1.seg", "outbox.00000000x.seg", "x", "outbox.+0000001.seg"] {
        fs::write(data.join(name), b"?").unwrap();
    }
    assert_eq!(device.log().1.frames.len(), 3);
    // The last number there is: the log can be read, but not written.
    fs::write(data.join("outbox.99999999.seg"), vec![1; 99]).unwrap();
    let (mut log, opened) = device.log();
    assert_eq!((opened.frames.len(), opened.damaged_segments.len()), (3, 1));
    assert!(log.append(&[b"x"]).is_err());
    assert!(log.rewrite(&[b"x"]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn s7_any_bytes_are_a_segment(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        keep in 0..ENDS[2],
    ) {
        let device = Device::new();
        let (path, good) = device.one_segment(&FRAMES);
        for content in [bytes.clone(), [&good[..keep], &bytes].concat()] {
            fs::write(&path, &content).unwrap();
            let (_, opened) = device.log();
            let whole = if content.len() == bytes.len() { 0 } else { whole_before(keep) };
            prop_assert!(opened.frames.len() >= whole);
            prop_assert!(opened.frames.iter().zip(FRAMES).all(|(frame, was)| **frame == *was));
        }
    }
}
