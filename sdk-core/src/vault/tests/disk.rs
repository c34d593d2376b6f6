//! Disks that are full, read-only or not there.

use super::*;
#[cfg(target_os = "linux")]
use std::{
    env,
    io::Write,
    process::{Command, Stdio},
};

#[test]
fn s7_a_folder_that_cannot_be_is_named() {
    let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
    for path in ["/dev/null/vault", "/proc/no/vault"] {
        let error = Vault::open(Path::new(path), Arc::clone(&keys)).unwrap_err().to_string();
        assert!(error.contains(path) && error.contains("cannot be made"), "{error}");
    }
    let device = Device::new();
    let vault = device.open();
    let error = vault.create_sealed(Path::new("/dev/null/file")).unwrap_err().to_string();
    assert!(error.contains("/dev/null/file cannot be created"), "{error}");
    fs::remove_dir(device.path().join("data")).unwrap();
    fs::write(device.path().join("data"), b"").unwrap();
    assert!(matches!(vault.log("outbox", Lifetime::Data), Err(VaultError::File(_))));
}

/// Bytes of the small disk.
#[cfg(target_os = "linux")]
const DISK: usize = 256 << 10;
#[cfg(target_os = "linux")]
const DISK_AT: &str = "ATTUNE_TEST_SMALL_DISK";

/// Runs the test itself again, as a process with a small disk of its own that is mounted at the
/// folder given to `test`. That needs user namespaces or root; elsewhere it is skipped.
#[cfg(target_os = "linux")]
fn on_a_small_disk(name: &str, test: impl FnOnce(&Path)) {
    if let Some(disk) = env::var_os(DISK_AT) {
        return test(Path::new(&disk));
    }
    let disk = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={DISK} tmpfs \"$0\" && exec \"$@\"");
    let inside = ["--user", "--map-root-user", "--mount", "sh", "-c"];
    let mut probe = Command::new("unshare");
    probe.args(inside).arg(&mount).arg(disk.path()).arg("true").stdin(Stdio::null());
    let able = probe.output().is_ok_and(|output| output.status.success());
    if !able {
        eprintln!("skipped: no disk can be mounted here");
        return;
    }
    let output = Command::new("unshare")
        .args(inside)
        .arg(&mount)
        .arg(disk.path())
        .arg(env::current_exe().unwrap())
        .args([&format!("vault::tests::disk::{name}"), "--exact", "--nocapture"])
        .env(DISK_AT, disk.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{errors}");
}

/// Appends numbered frames until the disk is full; gives how many were acknowledged.
#[cfg(target_os = "linux")]
fn fill(log: &mut Log, first: u32) -> u32 {
    for number in first.. {
        let frame = [&number.to_le_bytes()[..], &[0; 3_000]].concat();
        if let Err(error) = log.append(&[&frame]) {
            assert!(error.to_string().contains("free some space"), "{error}");
            return number;
        }
    }
    unreachable!()
}

#[cfg(target_os = "linux")]
#[test]
fn s7_a_full_disk_is_an_error_and_loses_nothing() {
    on_a_small_disk("s7_a_full_disk_is_an_error_and_loses_nothing", |disk| {
        let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
        let open = || Vault::open(&disk.join("vault"), Arc::clone(&keys)).unwrap();
        let ballast = disk.join("ballast");
        fs::write(&ballast, vec![1; 60_000]).unwrap();
        let vault = open();
        let (mut log, _) = vault.log("outbox", Lifetime::Data).unwrap();
        let acknowledged = fill(&mut log, 0);
        assert!(acknowledged > 10);
        assert!(log.append(&[&[0; 9_000]]).is_err(), "and again");
        assert!(log.rewrite(&[&[0; 9_000]]).is_err());
        let mut file = vault.create_sealed(&disk.join("recording"));
        if let Ok(file) = &mut file {
            let refused = file.write_all(&[0; 100_000]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
            assert!(file.write_all(&[0; 9]).unwrap_err().to_string().contains("new file"));
        }
        drop((file, log, vault));

        // Nothing that was acknowledged is lost, nothing else is there, and space is enough again.
        let vault = open();
        let (mut log, opened) = vault.log("outbox", Lifetime::Data).unwrap();
        let count = opened.frames.len() as u32;
        assert_eq!((count, opened.torn_bytes), (acknowledged, 0));
        assert!(opened.damaged_segments.is_empty());
        fs::remove_file(&ballast).unwrap();
        let more = fill(&mut log, count);
        assert!(more > count);
        // Withdrawal works on a full disk.
        vault.shred().unwrap();
        drop(log);
        let (mut log, opened) = vault.log("outbox", Lifetime::Data).unwrap();
        assert!(opened.frames.is_empty());
        log.append(&[b"agreed anew"]).unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn s7_the_same_log_goes_on_when_there_is_space_again() {
    on_a_small_disk("s7_the_same_log_goes_on_when_there_is_space_again", |disk| {
        let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
        let vault = Vault::open(&disk.join("vault"), Arc::clone(&keys)).unwrap();
        let ballast = disk.join("ballast");
        let (mut log, _) = vault.log("outbox", Lifetime::Data).unwrap();
        log.append(&[&[0; 4]]).unwrap();
        let mut acknowledged = 1;
        for round in 0..5 {
            fs::write(&ballast, vec![1; 200_000 - 40_000 * round]).unwrap();
            acknowledged = fill(&mut log, acknowledged);
            fs::remove_file(&ballast).unwrap();
            log.append(&[&acknowledged.to_le_bytes()]).unwrap();
            acknowledged += 1;
        }
        drop(log);
        let (log, opened) = vault.log("outbox", Lifetime::Data).unwrap();
        let numbers = opened.frames.iter().map(|f| u32::from_le_bytes(*f.first_chunk().unwrap()));
        assert!(numbers.eq(0..acknowledged));
        assert!(log.segments() <= 11, "abandoned files pile up: {}", log.segments());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn s7_a_full_disk_leaves_the_key_file_as_it_was() {
    on_a_small_disk("s7_a_full_disk_leaves_the_key_file_as_it_was", |disk| {
        let path = disk.join("keys");
        let keys = PassphraseFile::new(&path, Secret::new(b"p".to_vec()));
        let keys = keys.with_iterations(1_000).unwrap();
        keys.store("data", b"kept").unwrap();
        let full = fs::write(disk.join("ballast"), vec![1; 2 * DISK]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        let error = keys.store("data", &[1; 9_000]).unwrap_err().to_string();
        assert!(error.contains("free some space"), "{error}");
        assert_eq!(&*keys.load("data").unwrap().unwrap(), b"kept");
        fs::remove_file(disk.join("ballast")).unwrap();
        keys.store("data", b"new").unwrap();
        assert_eq!(&*keys.load("data").unwrap().unwrap(), b"new");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn s7_a_read_only_disk_is_an_error_and_loses_nothing() {
    on_a_small_disk("s7_a_read_only_disk_is_an_error_and_loses_nothing", |disk| {
        let mount = |how: &str| {
            let done = Command::new("mount").args(["-o", how]).arg(disk).status().unwrap();
            assert!(done.success());
        };
        let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
        let open = || Vault::open(&disk.join("vault"), Arc::clone(&keys));
        let vault = open().unwrap();
        vault.log("outbox", Lifetime::Data).unwrap().0.append(&[b"kept"]).unwrap();
        drop(vault);
        mount("remount,ro");
        let advice = "choose a folder this app may write to";
        for error in
            [open().unwrap_err(), Vault::open(&disk.join("new"), Arc::clone(&keys)).unwrap_err()]
        {
            assert!(error.to_string().contains(advice), "{error}");
        }
        mount("remount,rw");
        let vault = open().unwrap();
        let (mut log, opened) = vault.log("outbox", Lifetime::Data).unwrap();
        assert_eq!(opened.frames.len(), 1);
        drop(opened);
        let another = disk.join("another");
        let beside = Vault::open(&another, Arc::new(MemoryKeyStore::default())).unwrap();
        beside.log("outbox", Lifetime::Data).unwrap().0.append(&[b"x"]).unwrap();
        // Read-only from here on, under a vault that is open.
        let readonly = disk.join("vault/data");
        let bind = Command::new("mount").arg("--bind").arg(&readonly).arg(&readonly).status();
        assert!(bind.unwrap().success());
        let how = ["-o", "remount,bind,ro"];
        assert!(Command::new("mount").args(how).arg(&readonly).status().unwrap().success());
        let error = log.append(&[b"x"]).unwrap_err().to_string();
        assert!(error.contains(advice) && error.contains("outbox.00000002.seg"), "{error}");
        assert!(log.rewrite(&[b"x"]).is_err());
        assert!(vault.shred().unwrap_err().to_string().contains(advice));
        assert!(keys.load("data").unwrap().is_none(), "the key is gone all the same");
        assert!(matches!(log.append(&[b"x"]), Err(VaultError::Shredded)));
        assert!(Command::new("umount").arg(&readonly).status().unwrap().success());
        drop(log);
        assert!(vault.log("outbox", Lifetime::Data).unwrap().1.frames.is_empty());
        assert!(!disk.join("vault/shredding").exists());
    });
}
