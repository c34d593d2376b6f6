//! Segments of the vault: any bytes, and good ones that were cut, flipped, repeated and spliced.
//! Whatever happens to them, no frame is given that was not sealed there, and none out of order.
#![no_main]

mod harm;

use harm::{Harm, harmed};
use libfuzzer_sys::fuzz_target;
use sdk_core::vault::{KeyStore, Lifetime, MemoryKeyStore, Vault};
use std::{
    fs,
    io::Read,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

/// A vault whose log has one segment, and beside it a sealed file.
struct Device {
    vault: Vault,
    segment: PathBuf,
    file: PathBuf,
    good: [Vec<u8>; 2],
    _folder: tempfile::TempDir,
}

const FRAMES: [&[u8]; 4] = [b"one", b"", b"three", b"the fourth"];

static DEVICE: LazyLock<Device> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
    let vault = Vault::open(folder.path(), keys).expect("a vault");
    vault.log("fuzz", Lifetime::Data).expect("a log").0.append(&FRAMES).expect("an append");
    let segment = folder.path().join("data/fuzz.00000001.seg");
    let file = folder.path().join("file");
    let mut writer = vault.create_sealed(&file).expect("a file");
    for frame in FRAMES {
        std::io::Write::write_all(&mut writer, frame).expect("a write");
        std::io::Write::flush(&mut writer).expect("a flush");
    }
    writer.finish().expect("an end");
    let good = [&segment, &file].map(|path| fs::read(path).expect("what was written"));
    Device { vault, segment, file, good, _folder: folder }
});

fuzz_target!(|harms: Vec<Harm>| {
    let Device { vault, segment, file, good, .. } = &*DEVICE;
    let [one, other] = good.each_ref().map(|bytes| harmed(bytes.clone(), &harms));

    fs::write(segment, one).expect("a segment");
    if let Ok((_, opened)) = vault.log("fuzz", Lifetime::Data) {
        let mut rest = FRAMES.iter();
        assert!(opened.frames.iter().all(|frame| rest.any(|was| **was == **frame)));
    }

    fs::write(file, other).expect("a file");
    if let Ok(mut reader) = vault.open_sealed(file) {
        let mut text = Vec::new();
        let _ = reader.read_to_end(&mut text);
        assert!(FRAMES.concat().starts_with(&text));
    }
});
