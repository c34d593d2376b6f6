//! Sealed files.

use super::*;
use std::io::{Read, Write};

fn sealed(device: &Device, write: impl FnOnce(&mut SealedWriter)) -> (PathBuf, Vec<u8>) {
    let path = device.folder.path().join("recording");
    let mut writer = device.open().create_sealed(&path).unwrap();
    write(&mut writer);
    writer.finish().unwrap();
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

/// What can be read, and how it ended: `None` for damage.
fn read(vault: &Vault, path: &Path) -> (Vec<u8>, Option<Ending>) {
    let mut reader = vault.open_sealed(path).unwrap();
    assert_eq!(reader.ending(), None);
    let mut text = Vec::new();
    match reader.read_to_end(&mut text) {
        Ok(_) => (text, reader.ending()),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            assert!(reader.read(&mut [0; 9]).is_err(), "nothing is given behind damage");
            (text, None)
        }
    }
}

#[test]
fn c10_a_file_is_read_as_it_was_written() {
    let device = Device::new();
    let text: Vec<u8> = (0..300_000_u32).map(|k| (k % 251) as u8).collect();
    let (path, bytes) = sealed(&device, |file| {
        file.flush().unwrap();
        file.write_all(&text[..10]).unwrap();
        file.flush().unwrap();
        file.flush().unwrap();
        file.write_all(&text[10..]).unwrap();
    });
    assert!(bytes.len() < text.len() + 56 + 24 * 7);
    let vault = device.open();
    assert_eq!(read(&vault, &path), (text, Some(Ending::Whole)));
    assert!(is_sealed(&path).unwrap());
    assert!(vault.create_sealed(&path).is_err(), "an existing file is not replaced");
}

#[test]
fn c10_an_empty_file_and_one_that_was_only_dropped_are_whole() {
    let device = Device::new();
    let (path, _) = sealed(&device, |_| {});
    assert_eq!(read(&device.open(), &path), (vec![], Some(Ending::Whole)));
    let vault = device.open();
    let path = device.folder.path().join("boxed");
    let mut boxed: Box<dyn Write + Send> = Box::new(vault.create_sealed(&path).unwrap());
    boxed.write_all(b"text").unwrap();
    drop(boxed);
    assert_eq!(read(&vault, &path), (b"text".to_vec(), Some(Ending::Whole)));
}

#[test]
fn s7_a_file_cut_anywhere_is_read_to_the_tear_and_says_so() {
    let device = Device::new();
    let (path, bytes) = sealed(&device, |file| {
        for part in [b"one", b"two"] {
            file.write_all(part).unwrap();
            file.flush().unwrap();
        }
        file.write_all(b"end").unwrap();
    });
    let vault = device.open();
    let ends = [56, 83, 110, 137];
    assert_eq!(bytes.len(), ends[3]);
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let Some(whole) = ends.iter().rposition(|end| *end <= length) else {
            let error = vault.open_sealed(&path).unwrap_err();
            let short = matches!(error, VaultError::NotSealed { .. });
            assert_eq!(short, length < 8, "{error}");
            continue;
        };
        let torn = (length - ends[whole]) as u64;
        let expected = (b"onetwo"[..3 * whole].to_vec(), Some(Ending::Torn { bytes: torn }));
        assert_eq!(read(&vault, &path), expected, "{length}");
    }
    fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
    assert_eq!(read(&vault, &path), (b"onetwoend".to_vec(), None), "more behind the end");
}

#[test]
fn c10_each_flipped_bit_of_a_file_is_found() {
    let device = Device::new();
    let (path, bytes) = sealed(&device, |file| {
        file.write_all(b"one").unwrap();
        file.flush().unwrap();
        file.write_all(b"end").unwrap();
    });
    let vault = device.open();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        match bit / 8 {
            0..56 => drop(vault.open_sealed(&path).unwrap_err()),
            56..83 => assert_eq!(read(&vault, &path), (vec![], None), "{bit}"),
            _ => assert_eq!(read(&vault, &path), (b"one".to_vec(), None), "{bit}"),
        }
    }
}

#[test]
fn c10_what_is_not_sealed_or_not_ours_is_said() {
    let device = Device::new();
    let vault = device.open();
    let plain = device.folder.path().join("plain");
    for text in ["", "ATTN", "t_s,eda_microsiemens\n0,1.5\n"] {
        fs::write(&plain, text).unwrap();
        assert!(!is_sealed(&plain).unwrap());
        assert!(matches!(vault.open_sealed(&plain), Err(VaultError::NotSealed { .. })));
    }
    drop(vault);
    // A segment is not a file, and a file of another device does not open.
    let (segment, _) = device.one_segment(&[b"x"]);
    assert!(matches!(device.open().open_sealed(&segment), Err(VaultError::Damaged { .. })));
    let (path, _) = sealed(&device, |file| file.write_all(b"text").unwrap());
    let other = Device::new();
    other.one_segment(&[b"x"]);
    assert_eq!(read(&other.open(), &path), (vec![], None));
    let keyless = Device::new();
    assert!(matches!(keyless.open().open_sealed(&path), Err(VaultError::Shredded)));
    assert!(is_sealed(Path::new("/nowhere/at/all")).is_err());
}

#[test]
fn c4_after_a_shred_open_files_refuse_and_closed_ones_stay_closed() {
    let device = Device::new();
    let (path, _) = sealed(&device, |file| file.write_all(&[7; 200_000]).unwrap());
    let vault = device.open();
    let mut reader = vault.open_sealed(&path).unwrap();
    reader.read_exact(&mut [0; 100]).unwrap();
    let half = device.folder.path().join("half");
    let mut writer = vault.create_sealed(&half).unwrap();
    writer.write_all(b"sealed before").unwrap();
    writer.flush().unwrap();
    writer.write_all(b"never sealed").unwrap();
    vault.shred().unwrap();
    let refused = reader.read(&mut [0; 100]).unwrap_err();
    assert!(refused.to_string().contains("shredded"), "{refused}");
    assert!(writer.write(b"x").is_err());
    assert!(writer.flush().is_err());
    assert!(matches!(writer.finish(), Err(VaultError::Shredded)));
    for path in [&path, &half] {
        assert!(matches!(vault.open_sealed(path), Err(VaultError::Shredded)));
    }
    vault.log("outbox", Lifetime::Data).unwrap().0.append(&[b"a new key"]).unwrap();
    for path in [&path, &half] {
        assert_eq!(read(&vault, path), (vec![], None));
    }
}
