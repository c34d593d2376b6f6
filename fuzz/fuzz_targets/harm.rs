//! What may happen to bytes between those who wrote them and those who read them.

use arbitrary::Arbitrary;

/// Most of them that one input does to one thing.
const MOST_HARMS: usize = 8;
/// Bytes that are left of it at most.
const MOST_BYTES: usize = 1 << 16;

#[derive(Debug, Arbitrary)]
pub enum Harm {
    Cut(u16),
    Flip(u16, u8),
    Insert(u16, Vec<u8>),
    Repeat(u16, u16),
    Replace(Vec<u8>),
}

pub fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms.iter().take(MOST_HARMS) {
        let at = |place: u16| usize::from(place) % (bytes.len() + 1);
        match harm {
            Harm::Cut(place) => bytes.truncate(at(*place)),
            Harm::Flip(place, mask) => {
                let place = at(*place);
                bytes.get_mut(place).into_iter().for_each(|byte| *byte ^= mask);
            }
            Harm::Insert(place, more) => {
                let tail = bytes.split_off(at(*place));
                bytes.extend_from_slice(more);
                bytes.extend(tail);
            }
            Harm::Repeat(from, place) => {
                let (from, place) = (at(*from), at(*place));
                let part = bytes[from..].to_vec();
                bytes.splice(place..place, part);
            }
            Harm::Replace(all) => bytes.clone_from(all),
        }
        bytes.truncate(MOST_BYTES);
    }
    bytes
}
