//! One tree, as it is stored and checked.

use super::{MAX_DEPTH, MAX_MAGNITUDE};
use serde::{Deserialize, Serialize};

/// Most rows a tree is taken to have been fitted to: sums of counts stay exact.
const MAX_ROWS: u64 = 1 << 48;

/// A question about one feature: rows with `value <= threshold` go left.
///
/// Stored as an array: feature, threshold, whether missing goes left, left, right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u32, f32, bool, i32, i32)", into = "(u32, f32, bool, i32, i32)")]
pub struct Split {
    /// Index of the feature.
    pub feature: u32,
    /// The greatest value that goes left.
    pub threshold: f32,
    /// Whether a missing value (NaN) goes left.
    pub missing_left: bool,
    /// What comes next on the left: split `left`, or where negative leaf `-left - 1`.
    pub left: i32,
    /// The same on the right.
    pub right: i32,
}

impl From<(u32, f32, bool, i32, i32)> for Split {
    fn from((feature, threshold, missing_left, left, right): (u32, f32, bool, i32, i32)) -> Self {
        Self { feature, threshold, missing_left, left, right }
    }
}

impl From<Split> for (u32, f32, bool, i32, i32) {
    fn from(s: Split) -> Self {
        (s.feature, s.threshold, s.missing_left, s.left, s.right)
    }
}

/// Where a row ends. Stored as an array: value, count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, u64)", into = "(f64, u64)")]
pub struct Leaf {
    /// What it adds to the raw score.
    pub value: f64,
    /// Rows of the fit that ended here, at least 1: its weight in explanations.
    pub count: u64,
}

impl From<(f64, u64)> for Leaf {
    fn from((value, count): (f64, u64)) -> Self {
        Self { value, count }
    }
}

impl From<Leaf> for (f64, u64) {
    fn from(leaf: Leaf) -> Self {
        (leaf.value, leaf.count)
    }
}

/// A binary tree: split 0 is the root, or leaf 0 where there is no split. A split stands before
/// the splits below it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// The questions.
    pub splits: Vec<Split>,
    /// The answers, one more than there are questions.
    pub leaves: Vec<Leaf>,
}

/// What a side of a split leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Split(usize),
    Leaf(usize),
}

impl Next {
    pub(super) fn of(side: i32) -> Self {
        match usize::try_from(side) {
            Ok(split) => Self::Split(split),
            // `!side` is `-side - 1`, without overflow at the least number.
            Err(_) => Self::Leaf(!side as usize),
        }
    }
}

impl Split {
    /// Whether a value goes right.
    pub(super) fn goes_right(&self, value: f32) -> bool {
        if value.is_nan() { !self.missing_left } else { value > self.threshold }
    }
}

impl Tree {
    /// Where it begins.
    pub(super) fn root(&self) -> Next {
        if self.splits.is_empty() { Next::Leaf(0) } else { Next::Split(0) }
    }

    /// Finds what would make walking it fail, not end, or not add up; the text says where.
    pub(super) fn check(&self, features: usize) -> Result<(), String> {
        let (splits, leaves) = (self.splits.len(), self.leaves.len());
        if leaves != splits + 1 {
            return Err(format!("{splits} splits need {} leaves, not {leaves}", splits + 1));
        }
        let mut rows: u64 = 0;
        for (index, leaf) in self.leaves.iter().enumerate() {
            if !leaf.value.is_finite() || leaf.value.abs() > MAX_MAGNITUDE {
                return Err(format!("leaf {index} has the value {}", leaf.value));
            }
            rows = rows.saturating_add(leaf.count);
            if leaf.count == 0 || rows > MAX_ROWS {
                return Err(format!("leaf {index} counts {} rows", leaf.count));
            }
        }
        // Each part below exactly one split and splits in order of descent: that is a tree.
        let (mut split_depth, mut leaf_depth) = (vec![None; splits], vec![None; leaves]);
        if let Some(root) = split_depth.first_mut() {
            *root = Some(1_usize);
        }
        for (index, split) in self.splits.iter().enumerate() {
            if split.feature as usize >= features {
                return Err(format!("split {index} asks for feature {}", split.feature));
            }
            if !split.threshold.is_finite() {
                return Err(format!("split {index} has the threshold {}", split.threshold));
            }
            let Some(depth) = split_depth[index] else {
                return Err(format!("split {index} is below no split before it"));
            };
            if depth > MAX_DEPTH {
                return Err(format!("split {index} lies {depth} deep, {MAX_DEPTH} is the most"));
            }
            for side in [split.left, split.right] {
                let place = match Next::of(side) {
                    Next::Split(below) if below > index => split_depth.get_mut(below),
                    Next::Split(_) => None,
                    Next::Leaf(below) => leaf_depth.get_mut(below),
                };
                match place {
                    Some(free @ None) => *free = Some(depth + 1),
                    _ => return Err(format!("split {index} cannot lead to {side}")),
                }
            }
        }
        Ok(())
    }

    /// Rows below each split.
    pub(super) fn counts(&self) -> Vec<f64> {
        let mut counts = vec![0.0; self.splits.len()];
        // Splits stand before what is below them, so backwards each finds its parts done.
        for (index, split) in self.splits.iter().enumerate().rev() {
            counts[index] = self.count(split.left, &counts) + self.count(split.right, &counts);
        }
        counts
    }

    /// Rows that one side of a split leads to.
    pub(super) fn count(&self, side: i32, split_counts: &[f64]) -> f64 {
        match Next::of(side) {
            Next::Split(below) => split_counts[below],
            Next::Leaf(below) => self.leaves[below].count as f64,
        }
    }

    /// Mean value over the rows of the fit.
    pub(super) fn mean(&self) -> f64 {
        let rows: f64 = self.leaves.iter().map(|leaf| leaf.count as f64).sum();
        self.leaves.iter().map(|leaf| leaf.value * (leaf.count as f64 / rows)).sum()
    }
}
