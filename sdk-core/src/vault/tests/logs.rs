//! Logs in good times, and the vault's own conditions.

use super::*;

const DATA: Lifetime = Lifetime::Data;

#[test]
fn c10_what_was_appended_is_there_after_a_restart() {
    let device = Device::new();
    let (mut log, opened) = device.log();
    assert!(opened.frames.is_empty());
    assert_eq!((log.segments(), log.bytes_on_disk()), (0, 0));
    log.append(&[]).unwrap();
    assert_eq!(log.segments(), 0, "a segment is made by the first frame");
    log.append(&[b"one", b"", b"three"]).unwrap();
    log.append(&[b"four"]).unwrap();
    assert_eq!(log.segments(), 1);
    drop(log);

    let (mut log, opened) = device.log();
    assert_eq!(texts(&opened), ["one", "", "three", "four"]);
    assert_eq!((opened.torn_bytes, opened.damaged_segments.len()), (0, 0));
    log.append(&[b"five"]).unwrap();
    assert_eq!(log.segments(), 2, "no process appends to a segment of another");
    let bytes: u64 = device.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(log.bytes_on_disk(), bytes);
    drop(log);
    assert_eq!(texts(&device.log().1), ["one", "", "three", "four", "five"]);
}

#[test]
fn c10_logs_do_not_mix() {
    let device = Device::new();
    let vault = device.open();
    for (name, lifetime) in [("a", DATA), ("a-b", DATA), ("a", Lifetime::Identity)] {
        let text = format!("{name} {}", lifetime.name());
        vault.log(name, lifetime).unwrap().0.append(&[text.as_bytes()]).unwrap();
    }
    assert_eq!(texts(&vault.log("a", DATA).unwrap().1), ["a data"]);
    assert_eq!(texts(&vault.log("a-b", DATA).unwrap().1), ["a-b data"]);
    assert_eq!(texts(&vault.log("a", Lifetime::Identity).unwrap().1), ["a identity"]);
    // A segment under the name of another log does not open.
    let segment = device.path().join("data/a.00000001.seg");
    fs::rename(segment, device.path().join("data/a-b.00000002.seg")).unwrap();
    let opened = vault.log("a-b", DATA).unwrap().1;
    assert_eq!((texts(&opened).len(), opened.damaged_segments.len()), (1, 1));
}

#[test]
fn rewriting_replaces_everything_and_goes_on() {
    let device = Device::new();
    drop(device.log().0.append(&[b"old"]));
    let (mut log, _) = device.log();
    log.append(&[b"older", b"oldest"]).unwrap();
    log.rewrite(&[b"new"]).unwrap();
    assert_eq!(log.segments(), 1);
    log.append(&[b"newer"]).unwrap();
    assert_eq!(log.segments(), 1, "the rewritten segment is this process's own");
    drop(log);
    assert_eq!(texts(&device.log().1), ["new", "newer"]);
    device.log().0.rewrite(&[]).unwrap();
    let (log, opened) = device.log();
    assert_eq!((opened.frames.len(), log.segments(), device.segments().len()), (0, 0, 0));
}

#[test]
fn large_batches_are_one_append() {
    let device = Device::new();
    let frames: Vec<Vec<u8>> = (0..12).map(|k| vec![k; MAX_FRAME_BYTES - 1]).collect();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let (mut log, _) = device.log();
    log.append(&frames).unwrap();
    log.append(&frames).unwrap();
    assert_eq!(log.segments(), 1);
    log.append(&[b"in the next segment"]).unwrap();
    assert_eq!(log.segments(), 2, "a large segment ends");
    drop(log);
    let (_, opened) = device.log();
    assert_eq!(opened.frames.len(), 25);
    assert!(opened.frames[..24].iter().zip(frames.iter().cycle()).all(|(a, b)| **a == **b));
}

#[test]
fn frames_and_names_have_bounds() {
    let device = Device::new();
    let vault = device.open();
    let (mut log, _) = vault.log("a", DATA).unwrap();
    let large = vec![0; MAX_FRAME_BYTES + 1];
    assert!(matches!(log.append(&[b"x", &large]), Err(VaultError::FrameTooLarge { .. })));
    assert!(matches!(log.rewrite(&[&large]), Err(VaultError::FrameTooLarge { .. })));
    log.append(&[&large[1..]]).unwrap();
    for name in ["", "A", "../a", "a.b", "a/b", &"a".repeat(65)] {
        assert!(matches!(vault.log(name, DATA), Err(VaultError::Name { .. })), "{name}");
    }
    assert!(matches!(vault.log("a", DATA), Err(VaultError::LogInUse { .. })));
    drop(log);
    assert_eq!(vault.log("a", DATA).unwrap().1.frames.len(), 1);
}

#[test]
fn c10_one_process_at_a_time() {
    let device = Device::new();
    let vault = device.open();
    let clone = vault.clone();
    assert!(matches!(device.try_open(), Err(VaultError::InUse { .. })));
    drop(vault);
    assert!(matches!(device.try_open(), Err(VaultError::InUse { .. })));
    drop(clone);
    device.open();
}

#[cfg(unix)]
#[test]
fn c10_the_vault_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let device = Device::new();
    let (path, _) = device.one_segment(&[b"x"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&device.path()), 0o700);
    assert_eq!(mode(&device.path().join("data")), 0o700);
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn c10_no_plaintext_is_in_any_file() {
    let device = Device::new();
    let canary = b"canary 0f8a1c67";
    let vault = device.open();
    let (mut log, _) = vault.log("outbox", DATA).unwrap();
    let long = canary.repeat(1_000);
    log.append(&[canary, &long]).unwrap();
    log.rewrite(&[&long, canary]).unwrap();
    vault.log("ledger", Lifetime::Identity).unwrap().0.append(&[canary]).unwrap();
    let mut file = vault.create_sealed(&device.path().join("recording")).unwrap();
    io::Write::write_all(&mut file, &canary.repeat(9_000)).unwrap();
    file.finish().unwrap();
    let files = files_of(&device.path());
    assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > canary.len() * 10_000);
    for (path, bytes) in files {
        let found = bytes.windows(8).any(|window| canary.windows(8).any(|part| part == window));
        assert!(!found, "{}", path.display());
    }
    drop((log, vault));
    assert_eq!(device.log().1.frames.len(), 2);
}

/// The salt decides the key, so that files with different salts share no pair of key and nonce.
fn salts(vault: &Path) -> Vec<[u8; 32]> {
    let salt = |path: PathBuf| {
        let bytes = fs::read(path).unwrap();
        segment::Header::decode(bytes.first_chunk().unwrap()).unwrap().salt
    };
    segments(vault).into_iter().map(salt).collect()
}

#[test]
fn c10_no_nonce_is_used_again_after_a_crash_or_a_restore() {
    let device = Device::new();
    device.log().0.append(&[b"before the backup"]).unwrap();
    let restored = Device { folder: tempfile::tempdir().unwrap(), keys: device.keys.clone() };
    copy(&device.path(), &restored.path());
    // A crash: the last frame is torn.
    let [torn] = device.segments().try_into().unwrap();
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..bytes.len() - 1]).unwrap();
    for here in [&device, &restored] {
        let (mut log, _) = here.log();
        log.append(&[b"after"]).unwrap();
        log.rewrite(&[b"rewritten"]).unwrap();
        drop(log);
        here.log().0.append(&[b"and after a restart"]).unwrap();
    }
    let mut all = [salts(&device.path()), salts(&restored.path())].concat();
    assert_eq!(all.len(), 4);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4, "two files with one key");
}

#[test]
fn c10_the_signing_seed_stays_through_restart_and_withdrawal() {
    let device = Device::new();
    let vault = device.open();
    let seed = vault.signing_seed().unwrap();
    assert_eq!(seed.len(), 32);
    assert_ne!(*seed, *device.keys.load("identity").unwrap().unwrap());
    vault.shred().unwrap();
    drop(vault);
    assert_eq!(*device.open().signing_seed().unwrap(), *seed);
    assert_ne!(*Device::new().open().signing_seed().unwrap(), *seed);
}

#[test]
fn c10_without_the_key_store_nothing_opens() {
    let device = Device::new();
    device.keys.silent.store(true, Ordering::SeqCst);
    assert!(matches!(device.try_open(), Err(VaultError::Keys(_))));
    device.keys.silent.store(false, Ordering::SeqCst);
    let vault = device.open();
    device.keys.silent.store(true, Ordering::SeqCst);
    let (mut log, _) = vault.log("outbox", DATA).unwrap();
    assert!(matches!(log.append(&[b"x"]), Err(VaultError::Keys(_))));
    assert_eq!(device.segments().len(), 0);
    device.keys.silent.store(false, Ordering::SeqCst);
    log.append(&[b"x"]).unwrap();
}

#[test]
fn c10_sealed_files_without_their_key_are_an_error() {
    let device = Device::new();
    device.one_segment(&[b"x"]);
    device.keys.delete("data").unwrap();
    let vault = device.open();
    let gone = |result: Result<(), VaultError>| {
        assert!(matches!(result, Err(VaultError::KeyGone { lifetime: DATA, .. })), "{result:?}");
    };
    gone(vault.log("outbox", DATA).map(drop));
    let (mut other, _) = vault.log("other", DATA).unwrap();
    gone(other.append(&[b"x"]));
    gone(vault.create_sealed(&device.path().join("file")).map(drop));
    assert_eq!(device.segments().len(), 1, "nothing is deleted without a withdrawal");
    vault.shred().unwrap();
    vault.log("outbox", DATA).unwrap().0.append(&[b"y"]).unwrap();
    drop((other, vault));
    device.keys.delete("identity").unwrap();
    let lost = device.try_open();
    assert!(matches!(lost, Err(VaultError::KeyGone { lifetime: Lifetime::Identity, .. })));
}

#[test]
fn c10_keys_of_the_wrong_size_and_keys_not_kept_are_errors() {
    let device = Device::new();
    device.keys.store("data", b"short").unwrap();
    let vault = device.open();
    let (mut log, _) = vault.log("outbox", DATA).unwrap();
    assert!(matches!(log.append(&[b"x"]), Err(VaultError::KeyMalformed { bytes: 5, .. })));
    device.keys.delete("data").unwrap();
    device.keys.keeps_nothing.store(true, Ordering::SeqCst);
    assert!(matches!(log.append(&[b"x"]), Err(VaultError::KeyNotKept { .. })));
    assert_eq!(device.segments().len(), 0);
}
