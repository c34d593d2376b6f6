//! The one file of a recurrent model.
//!
//! A header of five numbers (32 bits, the lowest byte first: format, items, borders, bytes of either
//! network), then the borders of the features and the items' table as 32-bit floats, then the two
//! networks as ONNX.

use super::{
    super::{FEATURES, MAX_ITEMS},
    inputs::{EMBEDDING, KNOTS, Quantiles},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The first bytes of the file.
const MAGIC: [u8; 8] = *b"attunrnn";
const DIGITS: [u8; 16] = *b"0123456789abcdef";
/// Changes with the networks' inputs and the file's order.
const FORMAT: u32 = 1;
/// Most bytes of a network; ours have a tenth.
const MAX_ONNX: usize = 1 << 20;

/// Why a recurrent model cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecurrentError {
    /// Something else, or of another version.
    #[error("this is no recurrent model of this version: fit it anew")]
    Format,
    /// Too large or cut off.
    #[error("the recurrent model is damaged, {0} is not as its header says: fit it anew")]
    Damaged(&'static str),
    /// tract does not take it.
    #[error("the recurrent model cannot be run: {0}; fit it anew")]
    Network(String),
    /// There is no tract.
    #[error("this build cannot run a recurrent model: build it with the cargo feature `intent`")]
    Absent,
}

/// What a recurrent model is made of. As JSON a text: the file's bytes in hexadecimal.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Networks {
    quantiles: Quantiles,
    /// [`EMBEDDING`] numbers an item.
    table: Vec<f32>,
    step: Vec<u8>,
    pairs: Vec<u8>,
}

impl Networks {
    /// Takes the table of items (`[items, EMBEDDING]`), and as ONNX the network of a step
    /// (`x [1, 1, STEP], h0 [1, 1, HIDDEN] -> h1`) and of pairs (`h [1, HIDDEN],
    /// pairs [C, FEATURES], items [C, EMBEDDING] -> repeat [C, 1], explore [C, 1], gate [1, 1]`).
    ///
    /// # Errors
    /// [`RecurrentError::Damaged`] says which part has a wrong size or is not finite.
    pub fn new(
        quantiles: Quantiles,
        table: Vec<f32>,
        step: Vec<u8>,
        pairs: Vec<u8>,
    ) -> Result<Self, RecurrentError> {
        let is_whole =
            table.len().is_multiple_of(EMBEDDING) && table.len() / EMBEDDING <= MAX_ITEMS;
        if !is_whole || !table.iter().all(|value| value.is_finite()) {
            return Err(RecurrentError::Damaged("the table of items"));
        }
        if step.len() > MAX_ONNX || pairs.len() > MAX_ONNX {
            return Err(RecurrentError::Damaged("a network's size"));
        }
        Ok(Self { quantiles, table, step, pairs })
    }

    pub(super) fn quantiles(&self) -> &Quantiles {
        &self.quantiles
    }

    /// The numbers of an item; none of one that came after the model was fitted.
    pub(super) fn item(&self, item: u32) -> &[f32] {
        const NONE: [f32; EMBEDDING] = [0.0; EMBEDDING];
        let from = (item as usize).saturating_mul(EMBEDDING);
        self.table.get(from..).and_then(|rest| rest.get(..EMBEDDING)).unwrap_or(&NONE)
    }

    /// The network of a step, as ONNX.
    #[must_use]
    pub fn step(&self) -> &[u8] {
        &self.step
    }

    /// The network of pairs, as ONNX.
    #[must_use]
    pub fn pairs(&self) -> &[u8] {
        &self.pairs
    }

    /// The file: the same model gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let items = self.table.len() / EMBEDDING;
        let sizes = [items, self.quantiles.knots().len(), self.step.len(), self.pairs.len()];
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(sizes.iter().flat_map(|size| (*size as u32).to_le_bytes()));
        let floats = self.quantiles.knots().iter().chain(&self.table);
        bytes.extend(floats.flat_map(|value| value.to_le_bytes()));
        bytes.extend_from_slice(&self.step);
        bytes.extend_from_slice(&self.pairs);
        bytes
    }

    /// Reads what [`Networks::to_bytes`] wrote. Any bytes may come: nothing is allocated that they do
    /// not hold.
    ///
    /// # Errors
    /// [`RecurrentError::Format`], [`RecurrentError::Damaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecurrentError> {
        let mut rest = bytes.strip_prefix(&MAGIC[..]).ok_or(RecurrentError::Format)?;
        if number(&mut rest)? != FORMAT as usize {
            return Err(RecurrentError::Format);
        }
        let (items, knots) = (number(&mut rest)?, number(&mut rest)?);
        let (step, pairs) = (number(&mut rest)?, number(&mut rest)?);
        if knots != KNOTS * FEATURES.len() || items > MAX_ITEMS {
            return Err(RecurrentError::Format);
        }
        let knots = floats(take(&mut rest, knots.saturating_mul(size_of::<f32>()))?);
        let table = take(&mut rest, items.saturating_mul(EMBEDDING * size_of::<f32>()))?;
        let (step, pairs) = (take(&mut rest, step)?, take(&mut rest, pairs)?);
        if !rest.is_empty() {
            return Err(RecurrentError::Damaged("its length"));
        }
        let quantiles =
            Quantiles::new(knots).ok_or(RecurrentError::Damaged("a feature's border"))?;
        Self::new(quantiles, floats(table), step.to_vec(), pairs.to_vec())
    }
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let items = self.table.len() / EMBEDDING;
        f.debug_struct("Networks").field("items", &items).finish_non_exhaustive()
    }
}

impl From<Networks> for String {
    fn from(networks: Networks) -> Self {
        let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
        networks.to_bytes().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl TryFrom<String> for Networks {
    type Error = RecurrentError;

    fn try_from(text: String) -> Result<Self, RecurrentError> {
        let value = |digit: u8| DIGITS.iter().position(|own| *own == digit);
        let (pairs, odd) = text.as_bytes().as_chunks();
        let bytes = pairs.iter().map(|[high, low]| Some((value(*high)? << 4 | value(*low)?) as u8));
        match bytes.collect::<Option<Vec<u8>>>() {
            Some(bytes) if odd.is_empty() => Self::from_bytes(&bytes),
            _ => Err(RecurrentError::Format),
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], RecurrentError> {
    let (taken, left) =
        rest.split_at_checked(count).ok_or(RecurrentError::Damaged("its length"))?;
    *rest = left;
    Ok(taken)
}

fn number(rest: &mut &[u8]) -> Result<usize, RecurrentError> {
    let (taken, left) = rest.split_first_chunk().ok_or(RecurrentError::Damaged("its length"))?;
    *rest = left;
    Ok(u32::from_le_bytes(*taken) as usize)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}
