//! A process that is killed (SIGKILL) while it appends, rewrites and withdraws.

use super::*;
use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

const TEST: &str = "vault::tests::kill::s7_c4_killed_at_any_moment_nothing_acknowledged_is_lost";
const FOLDER: &str = "ATTUNE_TEST_KILLED_IN";
const KILLS: usize = 40;
/// Every so many appends the log is rewritten to its newest frames, and every so many shredded.
const REWRITE_EVERY: u32 = 7;
const SHRED_EVERY: u32 = 31;

fn open(folder: &Path) -> Vault {
    let keys = PassphraseFile::new(&folder.join("keys"), Secret::new(b"p".to_vec()));
    let keys = keys.with_iterations(1_000).unwrap();
    Vault::open(&folder.join("vault"), Arc::new(keys)).unwrap()
}

fn numbers(opened: &Opened) -> Vec<u32> {
    opened.frames.iter().map(|frame| u32::from_le_bytes(*frame.first_chunk().unwrap())).collect()
}

#[test]
fn s7_c4_killed_at_any_moment_nothing_acknowledged_is_lost() {
    if let Some(folder) = env::var_os(FOLDER) {
        return child(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut shredded) = (0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([TEST, "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = |line: &str, shredded: &mut u32, acknowledged: &mut u32| {
            if let Some(number) = line.strip_prefix("shredded ") {
                *shredded = number.parse().unwrap();
            } else if let Some(number) = line.strip_prefix("has ") {
                *acknowledged = number.parse().unwrap();
            }
        };
        for line in lines.by_ref().map(Result::unwrap).take(5 + kill * 17 % 61) {
            told(&line, &mut shredded, &mut acknowledged);
        }
        child.kill().unwrap();
        // What it said before it died was said.
        lines.map_while(Result::ok).for_each(|l| told(&l, &mut shredded, &mut acknowledged));
        assert!(!child.wait().unwrap().success());

        let (_, opened) = open(folder.path()).log("outbox", Lifetime::Data).unwrap();
        assert!(opened.damaged_segments.is_empty(), "{:?}", opened.damaged_segments);
        let found = numbers(&opened);
        let (first, last) = (found.first().copied(), found.last().copied());
        assert!(found.windows(2).all(|pair| pair[1] == pair[0] + 1), "{found:?}");
        // The process may have died between doing the next thing and saying so.
        let just_shredded = (acknowledged + 1).is_multiple_of(SHRED_EVERY) && found.is_empty();
        let all = shredded == acknowledged || just_shredded || last >= Some(acknowledged);
        assert!(all, "{acknowledged} of {found:?}, shredded up to {shredded}");
        assert!(last <= Some(acknowledged + 2), "{acknowledged}: {found:?}");
        assert!(first.is_none_or(|first| first > shredded), "{shredded} came back: {found:?}");
    }
    assert!(acknowledged > KILLS as u32 && shredded > 0);
}

/// Says what it has done only once it is done.
fn child(folder: &Path) {
    let vault = open(folder);
    let (mut log, opened) = vault.log("outbox", Lifetime::Data).unwrap();
    let counter = folder.join("counter");
    let read = fs::read(&counter).ok().and_then(|b| Some(u32::from_le_bytes(*b.first_chunk()?)));
    // After a shredding the log does not know how far it was.
    let mut last = numbers(&opened).last().copied().or(read).unwrap_or(0);
    drop(opened);
    println!();
    loop {
        last += 1;
        if last.is_multiple_of(SHRED_EVERY) {
            fs::write(&counter, last.to_le_bytes()).unwrap();
            vault.shred().unwrap();
            println!("shredded {last}");
            println!("has {last}");
            drop(log);
            log = vault.log("outbox", Lifetime::Data).unwrap().0;
        } else if last.is_multiple_of(REWRITE_EVERY) {
            let first = (last - last % SHRED_EVERY + 1).max(last - 3);
            let frames: Vec<[u8; 4]> = (first..=last).map(u32::to_le_bytes).collect();
            log.rewrite(&frames.iter().map(<[u8; 4]>::as_slice).collect::<Vec<_>>()).unwrap();
            println!("has {last}");
        } else {
            log.append(&[&last.to_le_bytes()]).unwrap();
            println!("has {last}");
        }
    }
}
