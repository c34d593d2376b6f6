//! All trees of a forest in one array, laid out for speed.

use super::tree::{Next, Tree};

/// Rows that descend a tree together: while one waits for memory, the others go on.
const LANES: usize = 8;

/// A split or a leaf in 16 bytes. The right side stands behind the left one. A leaf leads to
/// itself, so that rows which have arrived wait for the others without a branch.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Node {
    threshold: f32,
    feature: u32,
    /// A leaf's own index.
    left: u32,
    /// 1 where a missing value goes right.
    missing_right: u32,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flat {
    nodes: Vec<Node>,
    /// What each node adds: zero at splits.
    values: Vec<f64>,
    /// Where each tree begins.
    roots: Vec<u32>,
    /// Steps from each tree's root to its deepest leaf.
    depths: Vec<u32>,
}

impl Node {
    /// 1 where a value goes right.
    #[inline(always)]
    fn step(self, value: f32) -> u32 {
        u32::from(value > self.threshold) | (u32::from(value.is_nan()) & self.missing_right)
    }
}

impl Flat {
    /// Of trees that are checked.
    pub(super) fn new(trees: &[Tree]) -> Self {
        let mut flat =
            Self { nodes: Vec::new(), values: Vec::new(), roots: Vec::new(), depths: Vec::new() };
        for tree in trees {
            flat.push(tree);
        }
        flat
    }

    fn push(&mut self, tree: &Tree) {
        let root = self.nodes.len() as u32;
        self.roots.push(root);
        self.room(1);
        let mut deepest = 0;
        // Breadth first: the first levels, which every row visits, share cache lines.
        let mut open = std::collections::VecDeque::from([(tree.root(), root, 0_u32)]);
        while let Some((part, at, depth)) = open.pop_front() {
            deepest = deepest.max(depth);
            match part {
                Next::Leaf(leaf) => self.values[at as usize] = tree.leaves[leaf].value,
                Next::Split(split) => {
                    let split = tree.splits[split];
                    let left = self.nodes.len() as u32;
                    self.room(2);
                    self.nodes[at as usize] = Node {
                        threshold: split.threshold,
                        feature: split.feature,
                        left,
                        missing_right: u32::from(!split.missing_left),
                    };
                    open.push_back((Next::of(split.left), left, depth + 1));
                    open.push_back((Next::of(split.right), left + 1, depth + 1));
                }
            }
        }
        self.depths.push(deepest);
    }

    /// Leaves for so many nodes.
    fn room(&mut self, nodes: usize) {
        for _ in 0..nodes {
            let own = self.nodes.len() as u32;
            let wait = Node { threshold: f32::INFINITY, feature: 0, left: own, missing_right: 0 };
            self.nodes.push(wait);
            self.values.push(0.0);
        }
    }

    /// Most steps from a root to a leaf.
    pub(super) fn depth(&self) -> usize {
        self.depths.iter().copied().max().unwrap_or(0) as usize
    }

    /// What a tree adds to the score of a row.
    pub(super) fn leaf(&self, tree: usize, row: &[f32]) -> f64 {
        let mut at = self.roots[tree];
        loop {
            let node = self.nodes[at as usize];
            if node.left == at {
                return self.values[at as usize];
            }
            let value = row.get(node.feature as usize).copied().unwrap_or(f32::NAN);
            at = node.left + node.step(value);
        }
    }

    /// Adds what every tree says of every whole row to `out`, which has `outputs` values a row.
    pub(super) fn add_to(&self, rows: &[f32], width: usize, outputs: usize, out: &mut [f64]) {
        let blocks = rows.chunks(LANES * width).zip(out.chunks_mut(LANES * outputs));
        for (rows, out) in blocks {
            if rows.len() == LANES * width {
                self.add_block(rows, width, outputs, out);
                continue;
            }
            for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(outputs)) {
                for tree in 0..self.roots.len() {
                    out[tree % outputs] += self.leaf(tree, row);
                }
            }
        }
    }

    fn add_block(&self, rows: &[f32], width: usize, outputs: usize, out: &mut [f64]) {
        let row: [&[f32]; LANES] = std::array::from_fn(|lane| &rows[lane * width..][..width]);
        let mut output = 0;
        for (&root, &depth) in self.roots.iter().zip(&self.depths) {
            let mut at = [root; LANES];
            for _ in 0..depth {
                let mut moved = 0;
                for lane in 0..LANES {
                    let node = self.nodes[at[lane] as usize];
                    let next = node.left + node.step(row[lane][node.feature as usize]);
                    moved |= next ^ at[lane];
                    at[lane] = next;
                }
                if moved == 0 {
                    break;
                }
            }
            for lane in 0..LANES {
                out[lane * outputs + output] += self.values[at[lane] as usize];
            }
            output += 1;
            if output == outputs {
                output = 0;
            }
        }
    }
}
