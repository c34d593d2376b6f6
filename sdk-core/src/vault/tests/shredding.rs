//! Withdrawal, also when it is cut short.

use super::*;
use crate::vault::root::{SHRED, ShredStep};

const DATA: Lifetime = Lifetime::Data;

#[test]
fn c4_after_a_shred_nothing_is_left_and_a_new_key_begins() {
    let device = Device::new();
    let vault = device.open();
    let (mut ledger, _) = vault.log("ledger", Lifetime::Identity).unwrap();
    let (mut log, _) = vault.log("outbox", DATA).unwrap();
    let (mut unused, _) = vault.log("unused", DATA).unwrap();
    log.append(&[b"a measurement"]).unwrap();
    ledger.append(&[b"withdrawn"]).unwrap();
    let old_key = device.keys.load("data").unwrap().unwrap();
    vault.shred().unwrap();
    vault.shred().unwrap();
    assert!(device.segments().is_empty());
    assert!(device.keys.load("data").unwrap().is_none());
    for log in [&mut log, &mut unused] {
        assert!(matches!(log.append(&[b"x"]), Err(VaultError::Shredded)));
        assert!(matches!(log.rewrite(&[b"x"]), Err(VaultError::Shredded)));
    }
    ledger.append(&[b"the ledger goes on"]).unwrap();
    assert!(device.segments().is_empty());

    let (mut again, opened) = vault.log("outbox", DATA).unwrap();
    assert!(opened.frames.is_empty());
    again.append(&[b"agreed anew"]).unwrap();
    assert_ne!(*device.keys.load("data").unwrap().unwrap(), *old_key);
    // The old handle lets go of its own name only.
    drop(log);
    assert!(matches!(vault.log("outbox", DATA), Err(VaultError::LogInUse { .. })));
    drop((again, ledger, unused, vault));
    assert_eq!(texts(&device.log().1), ["agreed anew"]);
    assert_eq!(device.open().log("ledger", Lifetime::Identity).unwrap().1.frames.len(), 2);
}

#[test]
fn c4_killed_between_any_two_steps_the_shredding_is_completed() {
    for stop in 0..=SHRED.len() {
        let device = Device::new();
        let vault = device.open();
        let (mut log, _) = vault.log("outbox", DATA).unwrap();
        log.append(&[b"a measurement"]).unwrap();
        let backup = tempfile::tempdir().unwrap();
        copy(&device.path(), backup.path());
        let root = vault.root(DATA);
        root.run(&mut root.lock(), &SHRED[..stop]).unwrap();
        // The process ends here.
        drop((log, vault));
        let (_, opened) = device.log();
        let nothing_happened = stop == 0;
        assert_eq!(opened.frames.len(), usize::from(nothing_happened), "{stop}");
        assert!(opened.damaged_segments.is_empty(), "{stop}");
        assert_eq!(device.segments().is_empty(), !nothing_happened, "{stop}");
        if nothing_happened {
            continue;
        }
        assert!(!device.path().join("shredding").exists());
        // Not even a backup of the folder brings it back.
        device.log().0.append(&[b"agreed anew"]).unwrap();
        fs::remove_dir_all(device.path()).unwrap();
        copy(backup.path(), &device.path());
        let (_, opened) = device.log();
        assert_eq!((opened.frames.len(), opened.damaged_segments.len()), (0, 1), "{stop}");
    }
}

#[test]
fn c4_the_key_goes_before_anything_that_may_fail() {
    assert_eq!(SHRED[..2], [ShredStep::Mark, ShredStep::DestroyRootKey]);
    // The mark cannot be made here: the key is destroyed all the same.
    let device = Device::new();
    let vault = device.open();
    let (mut log, _) = vault.log("outbox", DATA).unwrap();
    log.append(&[b"a measurement"]).unwrap();
    fs::create_dir(device.path().join("shredding")).unwrap();
    assert!(vault.shred().is_err(), "the mark cannot be removed");
    assert!(device.keys.load("data").unwrap().is_none());
    assert!(device.segments().is_empty());
    fs::remove_dir(device.path().join("shredding")).unwrap();
    vault.shred().unwrap();
}

#[test]
fn c4_a_key_store_that_fails_leaves_nothing_usable_and_is_asked_again() {
    let device = Device::new();
    let vault = device.open();
    let (mut log, _) = vault.log("outbox", DATA).unwrap();
    log.append(&[b"a measurement"]).unwrap();
    device.keys.silent.store(true, Ordering::SeqCst);
    assert!(matches!(vault.shred(), Err(VaultError::Keys(_))));
    assert!(device.segments().is_empty(), "what could be deleted was");
    assert!(matches!(log.append(&[b"x"]), Err(VaultError::Shredded)));
    // The old key may still be in the store: it is not taken up again, here or after a restart.
    assert!(matches!(vault.log("outbox", DATA), Err(VaultError::Keys(_))));
    let file = device.folder.path().join("recording");
    assert!(matches!(vault.create_sealed(&file), Err(VaultError::Keys(_))));
    drop((log, vault));
    assert!(matches!(device.try_open(), Err(VaultError::Keys(_))));
    device.keys.silent.store(false, Ordering::SeqCst);
    let old_key = device.keys.load("data").unwrap().unwrap();
    device.log().0.append(&[b"agreed anew"]).unwrap();
    assert_ne!(*device.keys.load("data").unwrap().unwrap(), *old_key);
}

/// Threads append as fast as they can while consent is withdrawn: what was appended before is gone,
/// and nothing is left that was appended after.
#[test]
fn c4_withdrawal_wins_over_writers_on_other_threads() {
    let device = Device::new();
    let vault = device.open();
    let started = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let (mut log, _) = vault.log(name, DATA).unwrap();
            let started = &started;
            scope.spawn(move || {
                log.append(&[b"before"]).unwrap();
                started.wait();
                let refused = loop {
                    let result = log.append(&[b"on"]).and_then(|()| log.rewrite(&[b"anew"]));
                    if let Err(error) = result {
                        break error;
                    }
                };
                assert!(matches!(refused, VaultError::Shredded), "{refused}");
            });
        }
        started.wait();
        vault.shred().unwrap();
    });
    assert!(device.segments().is_empty());
}
