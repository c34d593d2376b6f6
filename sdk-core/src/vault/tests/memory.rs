//! What is left in the memory of a process after a withdrawal.
//!
//! The test runs itself as a child process and looks at all of that one's memory. What the child
//! looks for it gets masked, so that knowing it does not put it there.

use super::*;
use crate::vault::{
    key::{self, KEY_BYTES},
    segment::{HEADER_BYTES, Header},
};
use std::{
    env,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    process::{Command, Stdio},
};
use zeroize::Zeroizing;

const TEST: &str = "vault::tests::memory::c4_c10_a_shred_leaves_neither_key_nor_sample_in_memory";
const ROOT: &str = "ATTUNE_TEST_MASKED_ROOT";
const CANARY: &str = "ATTUNE_TEST_MASKED_CANARY";
const MASK: u8 = 0xa5;
/// Half a key is a find: AES-256 keeps its key in two round keys of this size.
const PART: usize = 16;

#[test]
fn c4_c10_a_shred_leaves_neither_key_nor_sample_in_memory() {
    if env::var_os(ROOT).is_some() {
        return child();
    }
    let [root, canary] = [(); 2].map(|()| Secret::random(KEY_BYTES).unwrap());
    let mut child = Command::new(env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env(ROOT, masked_hex(&root))
        .env(CANARY, masked_hex(&canary))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut answers = child.stdin.take().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if let Some(header) = line.strip_prefix("segment ") {
            let key = segment_key(&root, &unhex(header), [0, 1], b"outbox");
            writeln!(answers, "{}", masked_hex(&key)).unwrap();
        } else if let Some(header) = line.strip_prefix("file ") {
            let key = segment_key(&root, &unhex(header), [1, 1], b"");
            writeln!(answers, "{}", masked_hex(&key)).unwrap();
        }
        said = said + &line + "\n";
    }
    assert!(child.wait().unwrap().success() && said.contains("1 passed"), "{said}");
}

/// The derivation as the module documents it.
fn segment_key(root: &[u8], header: &[u8], kind: [u8; 2], name: &[u8]) -> Secret {
    let header = Header::decode(header.try_into().unwrap()).unwrap();
    let number = header.number.to_le_bytes();
    let info = [b"attune segment v1".as_slice(), &kind, name, &number];
    key::derive(root, &header.salt, &info).unwrap()
}

fn child() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    let keys = Arc::new(MemoryKeyStore::default());
    let (masked_root, masked_canary) = (environment(ROOT), environment(CANARY));
    keys.store("data", &unmasked(&masked_root)).unwrap();
    let canary = unmasked(&masked_canary);

    let vault = Vault::open(&path, keys).unwrap();
    let (mut log, _) = vault.log("outbox", Lifetime::Data).unwrap();
    log.append(&[&canary, b"more", &canary]).unwrap();
    drop(log);
    let (mut log, opened) = vault.log("outbox", Lifetime::Data).unwrap();
    assert_eq!(*opened.frames[2], *canary);
    drop(opened);
    log.append(&[&canary]).unwrap();
    log.rewrite(&[&canary, &canary]).unwrap();
    log.append(&[&canary]).unwrap();
    let read = folder.path().join("read");
    let mut writer = vault.create_sealed(&read).unwrap();
    writer.write_all(&canary).unwrap();
    writer.write_all(&canary).unwrap();
    writer.finish().unwrap();
    let mut reader = vault.open_sealed(&read).unwrap();
    reader.read_exact(&mut [0]).unwrap();
    let written = folder.path().join("written");
    let mut writer = vault.create_sealed(&written).unwrap();
    writer.write_all(&canary).unwrap();

    let mut sought = parts("root key", &masked_root);
    for (what, file) in [("segment", &segments(&path)[0]), ("file", &read), ("file", &written)] {
        let header = fs::read(file).unwrap()[..HEADER_BYTES].to_vec();
        println!("\n{what} {}", hex(&header));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).unwrap();
        sought.extend(parts("derived key", &unhex(answer.trim())));
    }
    sought.extend(parts("sample", &masked_canary));
    // It would be found: everything is in memory now.
    let before = search(&sought);
    for what in ["root key", "derived key", "sample"] {
        assert!(before.contains(&what), "{what} is not found before: {before:?}");
    }
    drop(canary);
    vault.shred().unwrap();
    let after = search(&sought);
    assert!(after.is_empty(), "left in memory: {after:?}");
    drop((log, reader, writer, vault));
    assert!(search(&sought).is_empty());
}

/// The masked halves of something, as they are and with the bytes of each word turned around, as
/// some machines keep round keys.
fn parts(what: &'static str, masked: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let turned: Vec<u8> = masked.chunks(4).flat_map(|word| word.iter().rev().copied()).collect();
    let parts = [masked, &turned].map(|bytes| bytes.chunks(PART).map(<[u8]>::to_vec).collect());
    parts.into_iter().flat_map(|p: Vec<_>| p).map(|part| (what, part)).collect()
}

/// Which of them are in the memory of this process.
fn search(sought: &[(&'static str, Vec<u8>)]) -> Vec<&'static str> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = fs::File::open("/proc/self/mem").unwrap();
    let mut chunk = Zeroizing::new(vec![0; 1 << 20]);
    let (mut found, mut bytes) = (Vec::new(), 0);
    for map in maps.lines() {
        let mut words = map.split_ascii_whitespace();
        let (start, end) = words.next().unwrap().split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        if !words.next().unwrap().starts_with('r') || map.contains("[v") {
            continue;
        }
        while at < end {
            let length = chunk.len().min((end - at) as usize);
            memory.seek(SeekFrom::Start(at)).unwrap();
            // The heap may have shrunk since the maps were read.
            let Ok(got) = memory.read(&mut chunk[..length]) else { break };
            bytes += got;
            for (what, masked) in sought {
                let hit = chunk[..got]
                    .windows(PART)
                    .any(|w| w.iter().zip(masked).all(|(byte, hidden)| byte ^ MASK == *hidden));
                if hit {
                    found.push(*what);
                }
            }
            if got < length || at + got as u64 >= end {
                break;
            }
            at += (got - PART) as u64;
        }
    }
    assert!(bytes > 1 << 20, "{bytes} bytes of memory were read");
    found
}

fn environment(name: &str) -> Vec<u8> {
    unhex(&env::var(name).unwrap())
}

fn unmasked(masked: &[u8]) -> Secret {
    Secret::new(masked.iter().map(|byte| byte ^ MASK).collect())
}

fn masked_hex(bytes: &[u8]) -> String {
    hex(&bytes.iter().map(|byte| byte ^ MASK).collect::<Vec<_>>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
