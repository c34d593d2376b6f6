//! PMD's delta compression: one sample in full, then blocks of small differences.
//!
//! | field | meaning |
//! |---|---|
//! | seed | the first sample: each channel a signed number of the layout's width |
//! | block: bits, u8 | width of one difference, 0..=32 |
//! | block: count, u8 | samples in the block |
//! | block: differences | `bits * count * channels` bits, two's complement, packed from the lowest bit of the first byte up, sample by sample; the last byte is filled up with zeros |

use super::{FrameError, MAX_SAMPLES, held, signed};
use thiserror::Error;

/// Samples the encoder puts in one block: short blocks follow a signal that changes its pace.
const BLOCK: usize = 16;
const BLOCK_HEADER_BYTES: usize = 2;

/// Why compressed samples cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeltaError {
    /// The payload ends inside the seed or a block.
    #[error(
        "compressed PMD frame ends inside {field}: {needed} bytes are needed, {left} are left; the link cut it"
    )]
    Truncated {
        /// What is cut.
        field: &'static str,
        /// Bytes it takes.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// A difference wider than any sample.
    #[error("compressed PMD frame has differences of {bits} bits: its bytes are damaged")]
    Bits {
        /// The width byte.
        bits: u8,
    },
    /// The differences add up to more than the layout holds.
    #[error("compressed PMD frame leaves the range of its samples: its bytes are damaged")]
    Range,
}

/// Unpacks samples of `CHANNELS` numbers of `width` bytes. An empty body has none.
///
/// # Errors
/// [`FrameError::Delta`], or [`FrameError::TooMany`].
pub(super) fn decode<const CHANNELS: usize>(
    body: &[u8],
    width: usize,
) -> Result<Vec<[i32; CHANNELS]>, FrameError> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let (seed, mut rest) = split(body, CHANNELS * width, "the first sample")?;
    let mut sample: [i32; CHANNELS] =
        std::array::from_fn(|channel| signed(&seed[channel * width..(channel + 1) * width]));
    let mut samples = vec![sample];
    while !rest.is_empty() {
        let (header, after) = split(rest, BLOCK_HEADER_BYTES, "a block's header")?;
        let (bits, count) = (header[0], usize::from(header[1]));
        if u32::from(bits) > i32::BITS {
            return Err(DeltaError::Bits { bits }.into());
        }
        if samples.len() + count > MAX_SAMPLES {
            return Err(FrameError::TooMany);
        }
        let packed_bytes = (usize::from(bits) * count * CHANNELS).div_ceil(8);
        let (packed, after) = split(after, packed_bytes, "a block's differences")?;
        rest = after;
        let mut differences = Differences { packed, bits: u32::from(bits), at: 0 };
        for _ in 0..count {
            for value in &mut sample {
                let next = i64::from(*value) + i64::from(differences.take());
                let fits = i32::try_from(next).ok().filter(|next| held(*next, width) == *next);
                *value = fits.ok_or(DeltaError::Range)?;
            }
            samples.push(sample);
        }
    }
    Ok(samples)
}

/// Packs samples; the inverse of [`decode`].
pub(super) fn encode<const CHANNELS: usize>(samples: &[[i32; CHANNELS]], width: usize) -> Vec<u8> {
    let samples: Vec<[i32; CHANNELS]> =
        samples.iter().take(MAX_SAMPLES).map(|sample| sample.map(|v| held(v, width))).collect();
    let Some((seed, rest)) = samples.split_first() else { return Vec::new() };
    let mut bytes: Vec<u8> =
        seed.iter().flat_map(|v| v.to_le_bytes().into_iter().take(width)).collect();
    let mut before = *seed;
    for block in rest.chunks(BLOCK) {
        let mut differences = Vec::with_capacity(block.len() * CHANNELS);
        for sample in block {
            differences.extend(sample.iter().zip(before).map(|(now, before)| now - before));
            before = *sample;
        }
        let bits = differences.iter().map(|d| bits_of(*d)).max().unwrap_or(0);
        bytes.extend_from_slice(&[bits as u8, block.len() as u8]);
        push_packed(&mut bytes, &differences, bits);
    }
    bytes
}

fn split<'a>(
    bytes: &'a [u8],
    needed: usize,
    field: &'static str,
) -> Result<(&'a [u8], &'a [u8]), DeltaError> {
    let left = bytes.len();
    bytes.split_at_checked(needed).ok_or(DeltaError::Truncated { field, needed, left })
}

/// Reads packed numbers, lowest bit first.
struct Differences<'a> {
    packed: &'a [u8],
    /// Width of one, 0..=32.
    bits: u32,
    /// The next bit.
    at: usize,
}

impl Differences<'_> {
    /// The next one; the caller has made sure that there is one.
    fn take(&mut self) -> i32 {
        let mut value = 0u32;
        for k in 0..self.bits {
            let byte = self.packed.get(self.at / 8).copied().unwrap_or(0);
            value |= u32::from(byte >> (self.at % 8) & 1) << k;
            self.at += 1;
        }
        match self.bits {
            0 => 0,
            bits => (value << (32 - bits)).cast_signed() >> (32 - bits),
        }
    }
}

/// Bits a number needs in two's complement; none for 0.
const fn bits_of(value: i32) -> u32 {
    match value {
        0 => 0,
        _ => 33 - (value ^ value >> 31).leading_zeros(),
    }
}

fn push_packed(bytes: &mut Vec<u8>, numbers: &[i32], bits: u32) {
    let first = bytes.len();
    let total = bits as usize * numbers.len();
    bytes.resize(first + total.div_ceil(8), 0);
    let mut at = 0;
    for number in numbers {
        for k in 0..bits {
            let bit = (number >> k & 1) as u8;
            bytes[first + at / 8] |= bit << (at % 8);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: &[u8], expected: Result<Vec<[i32; 1]>, FrameError>) {
        assert_eq!(decode::<1>(body, 2), expected, "{body:02x?}");
    }

    #[test]
    fn blocks() {
        check(&[], Ok(vec![]));
        check(&[0x34, 0x12], Ok(vec![[0x1234]]));
        check(&[5, 0, 0, 3], Ok(vec![[5]; 4])); // differences of 0 bits take no bytes
        check(&[5, 0, 8, 1, 0xFF, 3, 2, 0b0011_1001], Ok(vec![[5], [4], [5], [4]]));
    }

    #[test]
    fn damage_is_named() {
        let truncated = |field, needed, left| {
            Err(FrameError::Delta(DeltaError::Truncated { field, needed, left }))
        };
        check(&[1], truncated("the first sample", 2, 1));
        check(&[1, 0, 4], truncated("a block's header", 2, 1));
        check(&[1, 0, 4, 3, 0], truncated("a block's differences", 2, 1));
        check(&[1, 0, 33, 1, 0], Err(DeltaError::Bits { bits: 33 }.into()));
        check(&[0xFF, 0x7F, 2, 1, 1], Err(DeltaError::Range.into()));
        let mut endless = vec![0, 0];
        endless.extend([0, 255].repeat(5));
        check(&endless, Err(FrameError::TooMany));
    }

    #[test]
    fn widths() {
        for (value, bits) in [(0, 0), (1, 2), (-1, 1), (7, 4), (-8, 4), (8, 5), (i32::MIN, 32)] {
            assert_eq!(bits_of(value), bits, "{value}");
        }
    }

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(
            samples in prop::collection::vec([-32_768..=32_767i32, -32_768..=32_767], 0..80),
        ) {
            prop_assert_eq!(decode::<2>(&encode(&samples, 2), 2), Ok(samples));
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            body in prop::collection::vec(any::<u8>(), 0..300),
            width in 1usize..=3,
        ) {
            if let Ok(samples) = decode::<3>(&body, width) {
                prop_assert!(samples.len() <= MAX_SAMPLES);
            }
        }
    }
}
