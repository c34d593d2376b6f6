//! The log against a list, through restarts, crashes, rewrites and withdrawals.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Vec<u8>>),
    Restart,
    /// Killed while appending: of what the append wrote, this share (per mille) is on disk.
    KilledAppending(Vec<Vec<u8>>, usize),
    Rewrite(Vec<Vec<u8>>),
    /// Killed while rewriting, before the exchange: of the new segment, this share is on disk.
    KilledBeforeExchange(Vec<Vec<u8>>, usize),
    /// Killed while rewriting, after the exchange: this many of the old segments still exist.
    KilledAfterExchange(Vec<Vec<u8>>, usize),
    Shred,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let frame = prop::collection::vec(any::<u8>(), 0..40);
    let frames = || prop::collection::vec(frame.clone(), 0..4);
    let step = prop_oneof![
        6 => frames().prop_map(Step::Append),
        2 => Just(Step::Restart),
        3 => (frames(), 0..=1000_usize).prop_map(|(f, share)| Step::KilledAppending(f, share)),
        1 => frames().prop_map(Step::Rewrite),
        1 => (frames(), 0..=1000_usize).prop_map(|(f, share)| Step::KilledBeforeExchange(f, share)),
        1 => (frames(), 0..5_usize).prop_map(|(f, left)| Step::KilledAfterExchange(f, left)),
        1 => Just(Step::Shred),
    ];
    prop::collection::vec(step, 1..14)
}

fn slices(frames: &[Vec<u8>]) -> Vec<&[u8]> {
    frames.iter().map(Vec::as_slice).collect()
}

/// How many of `frames` are whole in so many bytes.
fn whole(frames: &[Vec<u8>], mut bytes: usize) -> usize {
    let fits = |frame: &&Vec<u8>| {
        let needs = 24 + frame.len();
        let fits = bytes >= needs;
        bytes = bytes.saturating_sub(needs);
        fits
    };
    frames.iter().take_while(fits).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn s7_c4_the_log_is_a_list(steps in steps()) {
        let device = Device::new();
        let data = device.path().join("data");
        let mut model: Vec<Vec<u8>> = Vec::new();
        let mut torn = 0;
        let mut log = device.log().0;
        for step in steps {
            let mut restart = true;
            match step {
                Step::Append(frames) => {
                    log.append(&slices(&frames)).unwrap();
                    model.extend(frames);
                    restart = false;
                }
                Step::Restart => {}
                Step::KilledAppending(frames, share) => {
                    let before: Vec<_> = files_of(&data);
                    log.append(&slices(&frames)).unwrap();
                    let Some((path, after)) = files_of(&data).into_iter().max() else { continue };
                    let was = before.iter().find(|(p, _)| *p == path).map_or(0, |(_, b)| b.len());
                    let left = was + (after.len() - was) * share / 1000;
                    fs::write(&path, &after[..left]).unwrap();
                    let kept = whole(&frames, left.saturating_sub(was.max(56)));
                    let taken: usize = frames[..kept].iter().map(|frame| 24 + frame.len()).sum();
                    let begins = if was == 0 && left >= 56 { 56 } else { was };
                    torn = left - begins - taken;
                    model.extend(frames.into_iter().take(kept));
                }
                Step::Rewrite(frames) => {
                    log.rewrite(&slices(&frames)).unwrap();
                    prop_assert_eq!(log.segments(), 1);
                    model = frames;
                    restart = false;
                }
                Step::KilledBeforeExchange(frames, share) => {
                    let before = files_of(&data);
                    log.rewrite(&slices(&frames)).unwrap();
                    let (path, bytes) = files_of(&data).remove(0);
                    fs::remove_file(&path).unwrap();
                    before.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
                    let left = bytes.len() * share / 1000;
                    fs::write(path.with_extension("new"), &bytes[..left]).unwrap();
                }
                Step::KilledAfterExchange(frames, left) => {
                    let before = files_of(&data);
                    log.rewrite(&slices(&frames)).unwrap();
                    let old = before.iter().take(left);
                    old.for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
                    model = frames;
                }
                Step::Shred => {
                    log.vault().shred().unwrap();
                    prop_assert!(matches!(log.append(&[b"x"]), Err(VaultError::Shredded)));
                    prop_assert!(files_of(&data).is_empty());
                    model.clear();
                }
            }
            if restart {
                drop(log);
                let opened;
                (log, opened) = device.log();
                let frames: Vec<Vec<u8>> = opened.frames.iter().map(|f| f.to_vec()).collect();
                prop_assert_eq!(&frames, &model);
                prop_assert_eq!(opened.torn_bytes, torn as u64);
                prop_assert!(opened.damaged_segments.is_empty());
                torn = 0;
            }
            let bytes: usize = files_of(&data).iter().map(|(_, bytes)| bytes.len()).sum();
            prop_assert_eq!(log.bytes_on_disk(), bytes as u64);
        }
    }
}
