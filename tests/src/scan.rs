//! Looks through the memory of this process for what should be gone.
//!
//! What is looked for is kept masked, so that the list itself is not found.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
};

/// Any pattern that no datum has by chance.
const MASK: u64 = 0x9E37_79B9_7F4A_7C15;
/// Memory is read in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;
/// Bytes that must agree beyond the first eight.
const WORD: usize = 8;

/// Byte strings to look for, at least eight bytes each.
#[derive(Debug, Default)]
pub struct Wanted {
    /// By their first eight bytes, masked: name and the rest, masked.
    by_first: HashMap<u64, Vec<(&'static str, Vec<u8>)>>,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub name: &'static str,
    /// The mapping it was found in, as the system names it.
    pub mapping: String,
    /// The address.
    pub address: u64,
}

impl Wanted {
    /// Adds a byte string.
    ///
    /// # Panics
    /// When it is shorter than eight bytes.
    pub fn add(&mut self, name: &'static str, bytes: &[u8]) {
        let (first, rest) = bytes.split_first_chunk::<WORD>().unwrap();
        let rest = rest.iter().map(|byte| byte ^ MASK as u8).collect();
        self.by_first.entry(word(first) ^ MASK).or_default().push((name, rest));
    }

    /// How many byte strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_first.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    /// Looks through everything that this process can write to, at every address.
    ///
    /// # Panics
    /// When the system does not show a process its own memory.
    #[must_use]
    pub fn scan(&self) -> Vec<Found> {
        let maps = BufReader::new(File::open("/proc/self/maps").unwrap());
        let mut memory = File::open("/proc/self/mem").unwrap();
        let mut found = Vec::new();
        // Reused, so that the scan does not find its own copies: a hit inside it is skipped.
        let mut piece = vec![0_u8; PIECE_BYTES];
        let own = piece.as_ptr() as u64..piece.as_ptr() as u64 + PIECE_BYTES as u64;
        for line in maps.lines().map(Result::unwrap) {
            let mut fields = line.split_whitespace();
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            let mapping = fields.nth(3).unwrap_or("anonymous").to_owned();
            if !rights.starts_with("rw") || mapping == "[vvar]" {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [mut at, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
            while at < end {
                let length = PIECE_BYTES.min((end - at) as usize);
                let bytes = &mut piece[..length];
                if memory.seek(SeekFrom::Start(at)).is_err() || memory.read_exact(bytes).is_err() {
                    break; // The system keeps this mapping to itself.
                }
                for (offset, name) in self.within(bytes) {
                    let address = at + offset as u64;
                    if !own.contains(&address) {
                        found.push(Found { name, mapping: mapping.clone(), address });
                    }
                }
                if length < PIECE_BYTES {
                    break;
                }
                // What lies across two pieces is seen from the second.
                at += (PIECE_BYTES - 256) as u64;
            }
        }
        found
    }

    fn within<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, &'static str)> + 'a {
        bytes.windows(WORD).enumerate().flat_map(move |(at, window)| {
            let first = window.first_chunk::<WORD>().map(word).unwrap_or_default() ^ MASK;
            let candidates = self.by_first.get(&first).map(Vec::as_slice).unwrap_or_default();
            let tail = &bytes[at + WORD..];
            candidates.iter().filter_map(move |(name, rest)| {
                let here = tail.get(..rest.len())?;
                let same = here.iter().zip(rest).all(|(a, b)| *a == b ^ MASK as u8);
                same.then_some((at, *name))
            })
        })
    }
}

fn word(bytes: &[u8; WORD]) -> u64 {
    u64::from_le_bytes(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_what_is_gone_is_not() {
        let mut secret: Vec<u8> = (0..32).map(|k: u8| k.wrapping_mul(37) ^ 0x5A).collect();
        let mut wanted = Wanted::default();
        wanted.add("secret", &secret);
        let here = secret.as_ptr() as u64;
        let found = wanted.scan();
        assert!(found.iter().any(|f| f.address == here), "{found:?}");
        secret.fill(0);
        let found = wanted.scan();
        assert!(!found.iter().any(|f| f.address == here), "{found:?}");
    }
}
